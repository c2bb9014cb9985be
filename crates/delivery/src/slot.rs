//! What the scheduler keeps of a message: some 80 bytes while it waits, a little more while it is in flight.

use crate::{Entry, Prior, circuit::Sent, link::LinkProbe, queue::Wait};
use crossdock_model::{Fault, Moment};
use std::time::Duration;

/// Where a message is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// Not its lane's turn.
    Parked,
    /// Its turn, never tried.
    Fresh,
    /// Its turn, tried before.
    Waiting,
    /// Being sent.
    InFlight,
    /// To be sent alone, before all others.
    Suspected,
}

#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub(crate) place: Place,
    /// The target asked for the wait until `due`.
    pub(crate) asked: bool,
    /// Its last try failed after sending began.
    pub(crate) after_failed: bool,
    pub(crate) lane: Option<u64>,
    pub(crate) circuit: u64,
    pub(crate) tries: u32,
    pub(crate) charges: u32,
    /// Failed tries that the back-off counts: those since the circuit's last outage ended.
    pub(crate) delays: u32,
    /// Outages that had ended when `delays` was counted.
    pub(crate) outages: u32,
    pub(crate) due: Moment,
    /// Ticket of its last start.
    pub(crate) ticket: u64,
    /// When its first try failed, in milliseconds on the stopwatch, on which it may be before the start.
    failing_since_millis: i64,
}

impl Slot {
    pub(crate) fn new(now: Moment, entry: &Entry, outages: u32) -> Self {
        let prior = entry.prior;
        let failing_for = prior.map_or(Duration::ZERO, |prior| prior.failing_for);
        Self {
            place: if entry.crash_suspect { Place::Suspected } else { Place::Parked },
            asked: prior.is_some_and(|prior| prior.asked),
            after_failed: prior.is_some_and(|prior| !prior.asked),
            lane: entry.lane,
            circuit: entry.circuit,
            tries: prior.map_or(0, |prior| prior.tries),
            charges: prior.map_or(0, |prior| prior.charges),
            delays: prior.map_or(0, |prior| prior.tries),
            outages,
            due: prior.map_or(now, |prior| prior.due),
            ticket: 0,
            failing_since_millis: signed(now).saturating_sub_unsigned(millis(failing_for)),
        }
    }

    /// The message as it would be admitted again.
    pub(crate) fn entry(&self, now: Moment, offset: u64) -> Entry {
        let prior = Prior {
            tries: self.tries,
            charges: self.charges,
            due: self.due,
            asked: self.asked,
            failing_for: self.failing_for(now),
        };
        Entry {
            offset,
            lane: self.lane,
            circuit: self.circuit,
            prior: (self.tries > 0 || self.charges > 0).then_some(prior),
            crash_suspect: self.place == Place::Suspected,
        }
    }

    pub(crate) const fn wait(&self) -> Wait {
        Wait { due: self.due, ticket: self.ticket, asked: self.asked }
    }

    /// How long ago its first try failed.
    pub(crate) fn failing_for(&self, now: Moment) -> Duration {
        if self.tries == 0 {
            return Duration::ZERO;
        }
        let since = signed(now).saturating_sub(self.failing_since_millis);
        Duration::from_millis(u64::try_from(since).unwrap_or(0))
    }

    /// Counts a failed try; `outages` is how many of its circuit's have ended.
    pub(crate) fn count_failure(&mut self, now: Moment, outages: u32) {
        if self.tries == 0 {
            self.failing_since_millis = signed(now);
        }
        self.tries = self.tries.saturating_add(1);
        self.delays = if self.outages == outages { self.delays.saturating_add(1) } else { 1 };
        self.outages = outages;
    }
}

/// A message in flight.
#[derive(Clone, Debug)]
pub(crate) struct Flight {
    pub(crate) sent: Sent,
    /// The ticket of the start before this one.
    pub(crate) earlier_ticket: u64,
    pub(crate) circuit: u64,
    pub(crate) link_epoch: u64,
    pub(crate) link_probe: Option<LinkProbe>,
    /// It was the probe of its circuit or of the link; known once it landed.
    pub(crate) probed: bool,
    pub(crate) alone: bool,
    /// Somebody else settled the message.
    pub(crate) forgotten: bool,
    /// It was charged for the last time while in flight, because of this fault: anything but a success ends it.
    pub(crate) condemned: Option<Fault>,
}

fn signed(moment: Moment) -> i64 {
    i64::try_from(moment.0).unwrap_or(i64::MAX)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
