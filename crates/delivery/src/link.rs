//! Whether a connection can be reached: shared by the targets of all routes that use it.
//!
//! While it cannot, every circuit of the connection is held (one in an outage stays in it), and one probe at a time is
//! sent for all of them, by whichever scheduler is polled first when it is due. Any answer ends that for all.

use crate::pace::Pace;
use crossdock_model::{Fault, Moment};

/// The reachability of one connection and its probe. Plain data: the caller keeps it behind a lock and lends it to each
/// scheduler of the connection.
#[derive(Debug, Default)]
pub struct Link {
    state: Reach,
    /// Grows with whatever another scheduler has to hear of.
    version: u64,
    /// How often it became reachable again: a send of an earlier count says nothing of the present.
    epoch: u64,
    probes: u64,
}

#[derive(Debug, Default)]
enum Reach {
    #[default]
    Reachable,
    Unreachable(Lost),
}

/// A connection that cannot be reached.
#[derive(Debug)]
pub(crate) struct Lost {
    pub(crate) since: Moment,
    pub(crate) fault: Fault,
    pace: Pace,
    probe: Option<LinkProbe>,
}

/// The right to probe a link; it goes back with the answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct LinkProbe(u64);

impl Lost {
    pub(crate) const fn is_probing(&self) -> bool {
        self.probe.is_some()
    }

    /// When the next probe may start; none while one is in flight.
    pub(crate) const fn next_probe(&self) -> Option<Moment> {
        if self.is_probing() { None } else { Some(self.pace.next()) }
    }

    pub(crate) fn may_probe(&self, now: Moment) -> bool {
        !self.is_probing() && self.pace.next() <= now
    }
}

impl Link {
    /// A connection that nobody has tried: taken to be reachable.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Changes whenever a scheduler that shares the link has to be polled: compare it before and after a call, and wake
    /// the others if it changed.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// Whether the last word was that it can be reached.
    #[must_use]
    pub const fn is_reachable(&self) -> bool {
        self.lost_since().is_none()
    }

    /// Since when it cannot be reached; none if it can.
    #[must_use]
    pub const fn lost_since(&self) -> Option<Moment> {
        match &self.state {
            Reach::Reachable => None,
            Reach::Unreachable(lost) => Some(lost.since),
        }
    }

    /// The connection was lost or could not be made, seen outside a send.
    pub fn lost(&mut self, now: Moment, fault: &Fault) {
        self.unreachable(now, self.epoch, None, fault);
    }

    /// The connection was made, seen outside a send.
    pub fn restored(&mut self) {
        self.answered();
    }

    pub(crate) const fn trouble(&self) -> Option<&Lost> {
        match &self.state {
            Reach::Reachable => None,
            Reach::Unreachable(lost) => Some(lost),
        }
    }

    pub(crate) const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Takes the probe; only after [`Lost::may_probe`].
    pub(crate) const fn begin_probe(&mut self) -> Option<LinkProbe> {
        match &mut self.state {
            Reach::Reachable => None,
            Reach::Unreachable(lost) => {
                self.probes += 1;
                let probe = LinkProbe(self.probes);
                lost.probe = Some(probe);
                Some(probe)
            }
        }
    }

    /// Somebody there answered. True if that is news.
    pub(crate) fn answered(&mut self) -> bool {
        match self.state {
            Reach::Reachable => false,
            Reach::Unreachable(_) => {
                self.state = Reach::Reachable;
                self.epoch += 1;
                self.version += 1;
                true
            }
        }
    }

    /// A send that began in the given epoch, perhaps as the probe, found nobody. One that began before the link was
    /// last seen to work says nothing.
    pub(crate) fn unreachable(&mut self, now: Moment, epoch: u64, probe: Option<LinkProbe>, fault: &Fault) {
        match &mut self.state {
            Reach::Reachable if epoch == self.epoch => {
                let pace = Pace::starting(now);
                self.state = Reach::Unreachable(Lost { since: now, fault: fault.clone(), pace, probe: None });
                self.version += 1;
            }
            Reach::Unreachable(lost) if lost.probe.is_some() && lost.probe == probe => {
                lost.probe = None;
                lost.fault = fault.clone();
                lost.pace.missed(now, false);
                self.version += 1;
            }
            Reach::Reachable | Reach::Unreachable(_) => {}
        }
    }

    /// The probe ended without telling anything.
    pub(crate) fn drop_probe(&mut self, probe: Option<LinkProbe>) {
        if let Reach::Unreachable(lost) = &mut self.state
            && lost.probe.is_some()
            && lost.probe == probe
        {
            lost.probe = None;
            self.version += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossdock_model::FaultClass;

    fn fault(code: &'static str) -> Fault {
        Fault::new(FaultClass::Unreachable, code, "connection refused")
    }

    #[test]
    fn one_probe_at_a_time_and_each_change_is_told() {
        let mut link = Link::new();
        link.lost(Moment(10), &fault("http.connect"));
        assert!(!link.is_reachable() && link.version() == 1 && link.lost_since() == Some(Moment(10)));
        let may = |link: &Link, at| link.trouble().is_some_and(|lost| lost.may_probe(Moment(at)));
        assert!(!may(&link, 109) && may(&link, 110));
        let probe = link.begin_probe();
        assert!(!may(&link, 5_000), "one is under way");
        link.unreachable(Moment(120), link.epoch(), None, &fault("other"));
        assert!(!may(&link, 5_000) && link.version() == 1, "only the probe's answer ends the probe");
        link.unreachable(Moment(130), link.epoch(), probe, &fault("http.dns"));
        assert!(link.version() == 2 && !may(&link, 329) && may(&link, 330));
        assert_eq!(link.trouble().map(|lost| lost.fault.code.to_string()), Some("http.dns".to_owned()));
        assert!(link.answered() && link.is_reachable() && link.version() == 3);
        assert!(!link.answered() && link.version() == 3, "no news");
    }

    #[test]
    fn what_began_before_the_link_worked_again_says_nothing() {
        let mut link = Link::new();
        let before = link.epoch();
        link.lost(Moment(0), &fault("a"));
        link.restored();
        link.unreachable(Moment(5), before, None, &fault("late"));
        assert!(link.is_reachable());
        link.unreachable(Moment(5), link.epoch(), None, &fault("new"));
        assert!(!link.is_reachable());
    }

    #[test]
    fn a_dropped_probe_is_free_at_once() {
        let mut link = Link::new();
        link.lost(Moment(0), &fault("a"));
        let probe = link.begin_probe();
        link.drop_probe(None);
        assert!(link.trouble().is_some_and(Lost::is_probing));
        link.drop_probe(probe);
        assert!(link.trouble().is_some_and(|lost| lost.may_probe(Moment(100))));
    }
}
