//! The messages of one circuit whose turn it is: each is the next of its lane and not in flight.

use crossdock_model::Moment;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// How a message waits for its next try.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Wait {
    pub(crate) due: Moment,
    /// Ticket of its last start.
    pub(crate) ticket: u64,
    /// The target asked for the wait: it holds for probes too.
    pub(crate) asked: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Queue {
    /// Never tried, in offset order.
    fresh: VecDeque<u64>,
    /// Tried, by when their back-off ends.
    by_due: BTreeSet<(Moment, u64)>,
    /// The same ones, the least recently started first: the order of probes.
    by_turn: BTreeSet<(u64, u64)>,
    /// Tried, and the target asked to wait: by due time, with the ticket of the last start.
    asked: BTreeMap<(Moment, u64), u64>,
}

impl Queue {
    pub(crate) fn put_fresh(&mut self, offset: u64) {
        if self.fresh.back().is_none_or(|last| *last < offset) {
            self.fresh.push_back(offset);
        } else if let Err(place) = self.fresh.binary_search(&offset) {
            self.fresh.insert(place, offset);
        }
    }

    pub(crate) fn remove_fresh(&mut self, offset: u64) {
        if self.fresh.front() == Some(&offset) {
            self.fresh.pop_front();
        } else if let Ok(place) = self.fresh.binary_search(&offset) {
            self.fresh.remove(place);
        }
    }

    pub(crate) fn put_waiting(&mut self, offset: u64, wait: Wait) {
        if wait.asked {
            self.asked.insert((wait.due, offset), wait.ticket);
        } else {
            self.by_due.insert((wait.due, offset));
            self.by_turn.insert((wait.ticket, offset));
        }
    }

    pub(crate) fn remove_waiting(&mut self, offset: u64, wait: Wait) {
        if self.asked.remove(&(wait.due, offset)).is_none() {
            self.by_due.remove(&(wait.due, offset));
            self.by_turn.remove(&(wait.ticket, offset));
        }
    }

    /// Those whose asked-for wait is over become like the others.
    pub(crate) fn promote(&mut self, now: Moment) {
        while let Some(first) = self.asked.first_entry() {
            let (due, offset) = *first.key();
            if due > now {
                break;
            }
            let ticket = first.remove();
            self.by_due.insert((due, offset));
            self.by_turn.insert((ticket, offset));
        }
    }

    /// Whatever waits for its back-off is due; gives those whose due time changed.
    pub(crate) fn release(&mut self, now: Moment) -> Vec<u64> {
        let later = self.by_due.split_off(&(now.after(std::time::Duration::from_millis(1)), 0));
        let released: Vec<u64> = later.into_iter().map(|(_, offset)| offset).collect();
        self.by_due.extend(released.iter().map(|offset| (now, *offset)));
        released
    }

    /// The next of those never tried.
    pub(crate) fn fresh(&self) -> Option<u64> {
        self.fresh.front().copied()
    }

    /// The next of those tried whose back-off is over.
    pub(crate) fn due(&self, now: Moment) -> Option<u64> {
        self.by_due.first().filter(|(due, _)| *due <= now).map(|(_, offset)| *offset)
    }

    /// The least recently started of those tried, whatever their back-off.
    pub(crate) fn least_recent(&self) -> Option<u64> {
        self.by_turn.first().map(|(_, offset)| *offset)
    }

    /// When the next back-off or asked-for wait ends.
    pub(crate) fn next_due(&self) -> Option<Moment> {
        let back_off = self.by_due.first().map(|(due, _)| *due);
        back_off.into_iter().chain(self.next_asked()).min()
    }

    /// When the next asked-for wait ends.
    pub(crate) fn next_asked(&self) -> Option<Moment> {
        self.asked.first_key_value().map(|((due, _), _)| *due)
    }

    /// All that were never tried.
    pub(crate) fn all_fresh(&self) -> impl Iterator<Item = u64> {
        self.fresh.iter().copied()
    }

    /// All that were tried.
    pub(crate) fn all_waiting(&self) -> impl Iterator<Item = u64> {
        self.by_due.iter().map(|(_, offset)| *offset).chain(self.asked.keys().map(|(_, offset)| *offset))
    }

    pub(crate) fn fresh_len(&self) -> usize {
        self.fresh.len()
    }

    pub(crate) fn waiting_len(&self) -> usize {
        self.by_due.len() + self.asked.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(due: u64, ticket: u64, asked: bool) -> Wait {
        Wait { due: Moment(due), ticket, asked }
    }

    #[test]
    fn fresh_ones_come_in_offset_order_whenever_they_were_put() {
        let mut queue = Queue::default();
        [4, 7, 2, 9, 4, 5].into_iter().for_each(|offset| queue.put_fresh(offset));
        queue.remove_fresh(7);
        queue.remove_fresh(8);
        let mut order = Vec::new();
        while let Some(offset) = queue.fresh() {
            queue.remove_fresh(offset);
            order.push(offset);
        }
        assert_eq!(order, [2, 4, 5, 9]);
    }

    #[test]
    fn an_asked_for_wait_hides_a_message_from_probes_and_release() {
        let mut queue = Queue::default();
        queue.put_waiting(1, wait(500, 3, true));
        queue.put_waiting(2, wait(900, 8, false));
        queue.put_waiting(3, wait(100, 9, false));
        assert_eq!((queue.least_recent(), queue.next_due()), (Some(2), Some(Moment(100))));
        assert_eq!(queue.release(Moment(200)), [2]);
        assert_eq!((queue.due(Moment(200)), queue.next_asked()), (Some(3), Some(Moment(500))));
        queue.promote(Moment(499));
        assert_eq!(queue.least_recent(), Some(2));
        queue.promote(Moment(500));
        assert_eq!((queue.least_recent(), queue.next_asked(), queue.waiting_len()), (Some(1), None, 3));
        queue.remove_waiting(1, wait(500, 3, true));
        queue.remove_waiting(2, wait(200, 8, false));
        queue.remove_waiting(3, wait(100, 9, false));
        assert_eq!((queue.waiting_len(), queue.least_recent()), (0, None));
    }
}
