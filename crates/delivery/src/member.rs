//! A circuit together with the messages that wait behind it.

use crate::{
    Link,
    circuit::{Circuit, Kind, Phase},
    queue::Queue,
};
use crossdock_model::Moment;

#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) circuit: Circuit,
    pub(crate) queue: Queue,
    /// It stands in the scheduler's queue of circuits that may have something to start.
    pub(crate) active: bool,
    /// When it wants to be looked at again; so it stands in the scheduler's timers.
    pub(crate) wake: Option<Moment>,
    /// While up, a retry has the next turn, not a fresh message.
    pub(crate) retry_next: bool,
    /// Messages that belong to it, wherever they are.
    pub(crate) messages: usize,
    /// What waits in it and was never tried waits apart from others, where it is a circuit of its own: from when it goes down
    /// until nothing does. Were all of it to count with the others when it comes up, it would keep them out.
    pub(crate) is_apart: bool,
    /// What the sums over all circuits have of it.
    pub(crate) tally: Tally,
    link_epoch: u64,
}

/// What a circuit adds to the sums over all.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Tally {
    /// Messages that wait for another try, or in a circuit that holds them apart.
    pub(crate) apart: usize,
    /// Messages that were never tried and wait with those of others.
    pub(crate) voices: usize,
    /// Since when it is not up.
    pub(crate) down_since: Option<Moment>,
}

/// A message that may start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Pick {
    pub(crate) offset: u64,
    pub(crate) kind: Kind,
    pub(crate) probes_link: bool,
}

impl Member {
    pub(crate) fn new(limit_max: usize, link_epoch: u64) -> Self {
        Self {
            circuit: Circuit::new(limit_max),
            queue: Queue::default(),
            active: false,
            wake: None,
            retry_next: true,
            messages: 0,
            is_apart: false,
            tally: Tally::default(),
            link_epoch,
        }
    }

    /// Looks whether what waits in it waits apart.
    pub(crate) fn set_apart(&mut self) {
        self.is_apart = !self.circuit.is_up() || (self.is_apart && self.queue.fresh_len() > 0);
    }

    /// Learns that the connection was lost and came back meanwhile.
    pub(crate) fn follow(&mut self, link: &Link) {
        if self.link_epoch != link.epoch() {
            self.link_epoch = link.epoch();
            self.circuit.restart();
        }
    }

    /// The message to start now, if any may.
    pub(crate) fn pick(&mut self, now: Moment, link: &Link) -> Option<Pick> {
        self.queue.promote(now);
        if let Some(lost) = link.trouble() {
            let may = lost.may_probe(now) && self.circuit.patience() <= now;
            return if may { self.probe(true) } else { None };
        }
        match self.circuit.phase() {
            Phase::Up(_) if !self.circuit.has_room(Kind::Fresh) => None,
            Phase::Up(_) => {
                let retry = self.queue.due(now).filter(|_| self.circuit.has_room(Kind::Retry));
                let retry = retry.map(|offset| Pick { offset, kind: Kind::Retry, probes_link: false });
                let fresh = self.queue.fresh().map(|offset| Pick { offset, kind: Kind::Fresh, probes_link: false });
                if self.retry_next { retry.or(fresh) } else { fresh.or(retry) }
            }
            Phase::Down(_) => {
                let pick = self.probe(false)?;
                self.circuit.probe_at(pick.kind).filter(|at| *at <= now).map(|_| pick)
            }
        }
    }

    /// A head that was never tried, else the least recently tried.
    fn probe(&self, probes_link: bool) -> Option<Pick> {
        let fresh = self.queue.fresh().map(|offset| Pick { offset, kind: Kind::Fresh, probes_link });
        let tried = || self.queue.least_recent().map(|offset| Pick { offset, kind: Kind::Retry, probes_link });
        fresh.or_else(tried)
    }

    /// When `pick` may give something though no answer comes and the link stays as it is.
    pub(crate) fn next_chance(&self, link: &Link) -> Option<Moment> {
        let fresh = self.queue.fresh().map(|_| Moment(0));
        let retry = self.queue.least_recent().map(|_| Moment(0)).or_else(|| self.queue.next_asked());
        if let Some(lost) = link.trouble() {
            let ready = fresh.or(retry)?;
            return lost.next_probe().map(|at| at.max(self.circuit.patience()).max(ready));
        }
        match self.circuit.phase() {
            Phase::Up(_) if !self.circuit.has_room(Kind::Fresh) => None,
            Phase::Up(_) => fresh.or_else(|| self.queue.next_due().filter(|_| self.circuit.has_room(Kind::Retry))),
            Phase::Down(_) => {
                let of_fresh = fresh.and(self.circuit.probe_at(Kind::Fresh));
                let of_retry = retry.and_then(|ready| self.circuit.probe_at(Kind::Retry).map(|at| at.max(ready)));
                of_fresh.into_iter().chain(of_retry).min()
            }
        }
    }

    /// When a crash suspect may be sent through it; none while a probe is under way.
    pub(crate) fn suspect_chance(&self, link: &Link) -> Option<Moment> {
        if let Some(lost) = link.trouble() {
            return lost.next_probe().map(|at| at.max(self.circuit.patience()));
        }
        match self.circuit.phase() {
            Phase::Up(_) => Some(Moment(0)),
            Phase::Down(_) => self.circuit.probe_at(Kind::Fresh),
        }
    }
}
