//! What is published and not confirmed. Pure: no socket, no clock.
//!
//! The server numbers what is published on a channel from 1 and confirms by number, one or all up to one, in any order. A
//! message that it returns comes before its confirm but without a number, so it is known by its `message_id`: no two
//! messages of one id are ever in the window.

use crossdock_connector::{Receipt, Results, Ticket};
use crossdock_model::{Fault, FaultClass, Text};
use std::collections::{HashMap, VecDeque};
use tokio::time::Instant;

/// A message that was published.
#[derive(Debug)]
pub struct Published {
    /// What its result is posted under.
    pub ticket: Ticket,
    /// Its `message_id`.
    pub id: Text,
    /// The fields that it lost.
    pub lost: Vec<Text>,
    /// Bytes of its payload.
    pub size: u64,
    /// When it was published.
    pub at: Instant,
}

#[derive(Debug)]
enum Entry {
    /// Not confirmed.
    Open(Published),
    /// The server returned it; the confirm is still to come.
    Returned(Ticket, Fault),
    /// Its result is posted.
    Done,
}

/// The messages in flight, in the order of their numbers.
#[derive(Debug)]
pub struct Window {
    entries: VecDeque<Entry>,
    /// The number of the first entry.
    first: u64,
    /// Numbers by id, of those that are open.
    ids: HashMap<Text, u64>,
    /// How many have no result yet.
    open: usize,
}

impl Default for Window {
    fn default() -> Self {
        Self { entries: VecDeque::new(), first: 1, ids: HashMap::new(), open: 0 }
    }
}

impl Window {
    /// How many have no result yet.
    pub const fn open(&self) -> usize {
        self.open
    }

    /// Whether a message of this id is in flight.
    pub fn holds(&self, id: &str) -> bool {
        self.ids.contains_key(id)
    }

    /// The number that the last one published has.
    pub fn last(&self) -> u64 {
        self.first + self.entries.len() as u64 - 1
    }

    /// When the oldest that has no confirm was published.
    pub fn oldest_at(&self) -> Option<Instant> {
        self.entries.iter().find_map(|entry| match entry {
            Entry::Open(published) => Some(published.at),
            Entry::Returned(..) | Entry::Done => None,
        })
    }

    /// A message is published; gives its number.
    pub fn publish(&mut self, published: Published) {
        self.ids.insert(published.id.clone(), self.last() + 1);
        self.entries.push_back(Entry::Open(published));
        self.open += 1;
    }

    /// The server returned a message, for this reason.
    pub fn returned(&mut self, id: &str, fault: Fault) {
        let Some(at) = self.ids.get(id).and_then(|number| self.place(*number)) else { return };
        if let Some(entry) = self.entries.get_mut(at)
            && let Entry::Open(published) = entry
        {
            *entry = Entry::Returned(published.ticket, fault);
            // It stays in the ids until it is confirmed.
        }
    }

    /// The server has taken (`ack`), or not taken, a message, or all up to it that have no confirm yet. Number 0 stands
    /// for all.
    pub fn confirmed(&mut self, number: u64, multiple: bool, ack: bool, results: &mut Results) {
        let number = if number == 0 && multiple { self.last() } else { number };
        let from = if multiple { self.first } else { number };
        for number in from..=number.min(self.last()) {
            self.end(
                number,
                |published| if ack { Ok(Receipt { lost: published.lost }) } else { Err(nacked()) },
                results,
            );
        }
        self.trim();
    }

    /// Posts a fault for at most `count` of the newest open ones; a confirm that comes later is not heard.
    pub fn give_up_newest(&mut self, count: usize, fault: &Fault, results: &mut Results) {
        let (newest, before) = (self.last(), results.len());
        for number in (self.first..=newest).rev() {
            if results.len() - before == count {
                break;
            }
            self.end(number, |_| Err(fault.clone()), results);
        }
        self.trim();
    }

    /// Posts a fault for each that is left: of those numbered up to `begun`, something was sent.
    pub fn give_up_all(&mut self, begun: u64, fault: impl Fn(&Published, bool) -> Fault, results: &mut Results) {
        for number in self.first..=self.last() {
            self.end(number, |published| Err(fault(&published, number <= begun)), results);
        }
        self.trim();
    }

    fn place(&self, number: u64) -> Option<usize> {
        usize::try_from(number.checked_sub(self.first)?).ok()
    }

    fn end(&mut self, number: u64, result: impl FnOnce(Published) -> Result<Receipt, Fault>, results: &mut Results) {
        let Some(entry) = self.place(number).and_then(|at| self.entries.get_mut(at)) else { return };
        match std::mem::replace(entry, Entry::Done) {
            Entry::Open(published) => {
                self.ids.remove(&published.id);
                results.push((published.ticket, result(published)));
            }
            Entry::Returned(ticket, fault) => {
                self.ids.retain(|_, of| *of != number);
                results.push((ticket, Err(fault)));
            }
            Entry::Done => return,
        }
        self.open -= 1;
    }

    fn trim(&mut self) {
        while self.entries.pop_front_if(|entry| matches!(entry, Entry::Done)).is_some() {
            self.first += 1;
        }
    }
}

fn nacked() -> Fault {
    let text = "the server did not take the message (basic.nack): a queue is full and rejects, or failed";
    Fault::new(FaultClass::Failed, "amqp.nack", text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(ids: &[&str]) -> Window {
        let mut window = Window::default();
        for (ticket, id) in (1..).zip(ids) {
            let (id, at) = (Text::from(*id), Instant::now());
            window.publish(Published { ticket: Ticket(ticket), id, lost: Vec::new(), size: 1, at });
        }
        window
    }

    fn shown(results: Results) -> String {
        let word = |(ticket, result): (Ticket, Result<Receipt, Fault>)| match result {
            Ok(_) => format!("{}+", ticket.0),
            Err(fault) => format!("{}:{}", ticket.0, fault.code),
        };
        results.into_iter().map(word).collect::<Vec<_>>().join(" ")
    }

    fn unroutable() -> Fault {
        Fault::rejected("unroutable", "x")
    }

    #[test]
    fn confirms_come_in_any_order_one_or_many() {
        let mut window = window(&["a", "b", "c", "d", "e"]);
        for (number, multiple, ack, expected) in [
            (3, false, true, "3+"),
            (3, false, true, ""),
            (2, true, true, "1+ 2+"),
            (4, true, false, "4:amqp.nack"),
            (9, false, true, ""),
            (0, true, true, "5+"),
        ] {
            let mut results = Results::new();
            window.confirmed(number, multiple, ack, &mut results);
            assert_eq!(shown(results), expected, "{number} {multiple}");
        }
        assert_eq!((window.open(), window.entries.len(), window.last()), (0, 0, 5));
        assert!(window.ids.is_empty());
    }

    #[test]
    fn a_returned_message_is_no_success_whatever_is_confirmed_with_it() {
        let mut window = window(&["a", "b", "c", "d"]);
        window.returned("c", unroutable());
        window.returned("nobody", unroutable());
        assert!(window.holds("c"), "until it is confirmed");
        let mut results = Results::new();
        window.confirmed(1, false, true, &mut results);
        window.confirmed(4, true, true, &mut results);
        assert_eq!(shown(results), "1+ 2+ 3:unroutable 4+");
        assert!(!window.holds("c"));
    }

    #[test]
    fn what_is_given_up_has_one_result() {
        let mut window = window(&["a", "b", "c", "d"]);
        let mut results = Results::new();
        window.give_up_newest(2, &Fault::new(FaultClass::Busy, "blocked", "x"), &mut results);
        window.confirmed(4, true, true, &mut results);
        assert_eq!(shown(results), "4:blocked 3:blocked 1+ 2+");
        let mut window = self::window(&["a", "b", "c"]);
        let mut results = Results::new();
        window.returned("b", unroutable());
        let fault = |_: &Published, begun| Fault::rejected(if begun { "sent" } else { "unsent" }, "x");
        window.give_up_all(2, fault, &mut results);
        assert_eq!(shown(results), "1:sent 2:unroutable 3:unsent");
        assert_eq!(window.open(), 0);
    }
}
