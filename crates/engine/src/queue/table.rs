//! Which messages of a queue are not simply waiting: leased, put off, or given back. Pure; time is an argument.
//!
//! ```text
//!             gather             lease              ack
//!   waiting ─────────► Gathered ───────► Leased ───────────► settled
//!                        ▲ ▲               │ nack, or it runs out
//!                 gather │ └── Ready ◄─────┤
//!                        │       ▲ due     │ nack with a delay
//!                        │       └──── Delayed
//! ```
//!
//! Whoever waits in the queue is not here, so memory does not grow with the backlog.

use crossdock_model::{Moment, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// Messages that somebody has, or had.
#[derive(Default, Debug)]
pub(super) struct Table {
    held: BTreeMap<u64, Held>,
    /// When leases run out and delays end.
    timers: BTreeSet<(Moment, u64)>,
    ready: BTreeSet<u64>,
    in_flight: usize,
    scheduled: usize,
    deliveries: u64,
}

/// Where a message stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Held {
    /// Read for a consumer who has no answer yet.
    Gathered,
    /// A consumer has it.
    Leased { delivery: u64, until: Moment, deadline: Option<Timestamp> },
    /// It was given back, to be given out later.
    Delayed { due: Moment },
    /// It may be given out again.
    Ready,
}

/// Where a message stands, for those who look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stand {
    /// It waits for its turn.
    Waiting,
    /// A consumer has it.
    InFlight,
    /// It was put off.
    Scheduled,
}

/// A message that came back, and when nobody wants it any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Returned {
    pub offset: u64,
    pub deadline: Option<Timestamp>,
}

impl Table {
    /// How many it holds.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// How many consumers have.
    pub const fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// How many were put off.
    pub const fn scheduled(&self) -> usize {
        self.scheduled
    }

    /// When the first lease runs out or delay ends.
    pub fn wake_at(&self) -> Option<Moment> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Some that may be given out again, oldest first.
    pub fn ready(&self, messages_max: usize) -> Vec<u64> {
        self.ready.iter().take(messages_max).copied().collect()
    }

    /// A message was read for a consumer.
    pub fn gather(&mut self, offset: u64) {
        self.set(offset, Some(Held::Gathered));
    }

    /// It is given out: the number of the delivery.
    pub fn lease(&mut self, offset: u64, until: Moment, deadline: Option<Timestamp>) -> u64 {
        self.deliveries += 1;
        self.set(offset, Some(Held::Leased { delivery: self.deliveries, until, deadline }));
        self.deliveries
    }

    /// It goes back: at once, or when it is due.
    pub fn put_back(&mut self, offset: u64, due: Option<Moment>) {
        self.set(offset, Some(due.map_or(Held::Ready, |due| Held::Delayed { due })));
    }

    /// Takes a message from the holder of a lease; none if the lease is stale.
    pub fn take(&mut self, offset: u64, delivery: u64, now: Moment) -> Option<Returned> {
        match self.held.get(&offset)? {
            Held::Leased { delivery: given, until, deadline } if *given == delivery && now < *until => {
                let returned = Returned { offset, deadline: *deadline };
                self.set(offset, None);
                Some(returned)
            }
            Held::Leased { .. } | Held::Gathered | Held::Delayed { .. } | Held::Ready => None,
        }
    }

    /// Whether it is known here.
    pub fn has(&self, offset: u64) -> bool {
        self.held.contains_key(&offset)
    }

    /// It is settled, or gone.
    pub fn forget(&mut self, offset: u64) {
        self.set(offset, None);
    }

    /// All below are settled.
    pub fn forget_below(&mut self, floor: u64) {
        while let Some(offset) = self.held.keys().next().copied().filter(|offset| *offset < floor) {
            self.set(offset, None);
        }
    }

    /// Nobody wants it any more: whether it may go now. One that a consumer has is left to it; if it comes back, its
    /// deadline is looked at again.
    pub fn expire(&mut self, offset: u64) -> bool {
        match self.held.get(&offset) {
            Some(Held::Gathered | Held::Leased { .. }) => false,
            Some(Held::Delayed { .. } | Held::Ready) | None => {
                self.set(offset, None);
                true
            }
        }
    }

    /// Makes those ready whose lease ran out or whose delay ended; what came back from a consumer.
    pub fn run_out(&mut self, now: Moment) -> Vec<Returned> {
        let mut returned = Vec::new();
        while let Some((_, offset)) = self.timers.first().copied().filter(|(at, _)| *at <= now) {
            if let Some(Held::Leased { deadline, .. }) = self.held.get(&offset) {
                returned.push(Returned { offset, deadline: *deadline });
            }
            self.set(offset, Some(Held::Ready));
        }
        returned
    }

    /// Where a message stands.
    pub fn stand(&self, offset: u64) -> Stand {
        match self.held.get(&offset) {
            Some(Held::Gathered | Held::Ready) | None => Stand::Waiting,
            Some(Held::Leased { .. }) => Stand::InFlight,
            Some(Held::Delayed { .. }) => Stand::Scheduled,
        }
    }

    /// The one place where a message changes, so that sets and counts agree with it.
    fn set(&mut self, offset: u64, held: Option<Held>) {
        let before = match held {
            Some(held) => self.held.insert(offset, held),
            None => self.held.remove(&offset),
        };
        match before {
            Some(Held::Leased { until, .. }) => {
                self.timers.remove(&(until, offset));
                self.in_flight -= 1;
            }
            Some(Held::Delayed { due }) => {
                self.timers.remove(&(due, offset));
                self.scheduled -= 1;
            }
            Some(Held::Ready) => {
                self.ready.remove(&offset);
            }
            Some(Held::Gathered) | None => {}
        }
        match held {
            Some(Held::Leased { until, .. }) => {
                self.timers.insert((until, offset));
                self.in_flight += 1;
            }
            Some(Held::Delayed { due }) => {
                self.timers.insert((due, offset));
                self.scheduled += 1;
            }
            Some(Held::Ready) => {
                self.ready.insert(offset);
            }
            Some(Held::Gathered) | None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(table: &Table, (in_flight, scheduled, ready): (usize, usize, &[u64])) {
        assert_eq!(
            (table.in_flight(), table.scheduled(), &*table.ready(100)),
            (in_flight, scheduled, ready),
            "{table:?}"
        );
        assert_eq!(table.timers.len(), in_flight + scheduled);
    }

    #[test]
    fn a_lease_is_its_holders_until_it_runs_out() {
        let mut table = Table::default();
        let first = table.lease(7, Moment(100), Some(Timestamp(5)));
        check(&table, (1, 0, &[]));
        assert_eq!(table.take(7, first + 1, Moment(0)), None, "another delivery");
        assert_eq!(table.take(8, first, Moment(0)), None, "another message");
        assert_eq!(table.take(7, first, Moment(100)), None, "in the moment when it runs out");
        assert_eq!(table.run_out(Moment(99)), []);
        assert_eq!(table.run_out(Moment(100)), [Returned { offset: 7, deadline: Some(Timestamp(5)) }]);
        check(&table, (0, 0, &[7]));
        assert_eq!(table.take(7, first, Moment(101)), None, "it ran out");
        let second = table.lease(7, Moment(300), None);
        assert_eq!(table.take(7, first, Moment(101)), None, "somebody else has it");
        assert_eq!(table.take(7, second, Moment(299)), Some(Returned { offset: 7, deadline: None }));
        assert_eq!((table.len(), table.take(7, second, Moment(299))), (0, None), "twice");
        check(&table, (0, 0, &[]));
    }

    #[test]
    fn what_is_put_off_comes_when_it_is_due() {
        let mut table = Table::default();
        for (offset, due) in [(1, Some(Moment(50))), (2, None), (3, Some(Moment(20)))] {
            table.put_back(offset, due);
        }
        check(&table, (0, 2, &[2]));
        assert_eq!((table.wake_at(), table.stand(1)), (Some(Moment(20)), Stand::Scheduled));
        assert_eq!(table.run_out(Moment(20)), [], "nobody had it");
        check(&table, (0, 1, &[2, 3]));
        table.gather(2);
        assert_eq!((table.ready(9), table.stand(2)), (vec![3], Stand::Waiting));
        assert_eq!(table.run_out(Moment(1000)), []);
        check(&table, (0, 0, &[1, 3]));
    }

    #[test]
    fn what_a_consumer_has_expires_only_when_it_comes_back() {
        let mut table = Table::default();
        table.gather(1);
        table.lease(2, Moment(9), None);
        table.put_back(3, Some(Moment(9)));
        table.put_back(4, None);
        assert_eq!([1, 2, 3, 4, 5].map(|offset| table.expire(offset)), [false, false, true, true, true]);
        check(&table, (1, 0, &[]));
    }
}
