//! One circuit: the state machine of blame.md, without the messages that wait behind it.
//!
//! ```text
//!              5 suspects            10 suspects
//!        Up ───────────────► Suspects ─────────► Outage
//!         │ ◄─────────────────  │  ▲                │
//!         │  success, rejected  │  │ 10 suspects    │ success, rejected: amnesty
//!         │                     ▼  │                │
//!         └───────────────► Busy ──┴────────────────┤
//!            second busy      (until over: probes)  └──► Up with limit 1
//! ```
//!
//! `Held(unreachable)` is not here: it is the state of the [`Link`](crate::Link), which lies over the phase of every
//! circuit of a connection and leaves it as it was, but for the limit, which starts anew.

use crate::pace::Pace;
use crossdock_model::{Fault, Moment};

/// Suspects that hold a circuit.
const SUSPECTS_HOLD: usize = 5;
/// Suspects that make an outage; there are never more.
const SUSPECTS_OUTAGE: usize = 10;

/// What the circuit does.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Phase {
    /// Sends, up to a limit that doubles with each success; `started` of this period are in flight.
    Up { limit: usize, started: usize },
    /// Sends probes only.
    Down(Down),
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Down {
    pub(crate) why: Why,
    /// When it left up.
    pub(crate) since: Moment,
    /// The last fault.
    pub(crate) fault: Fault,
    pub(crate) pace: Pace,
    /// The message that probes.
    pub(crate) probe: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Why {
    Suspects,
    Busy { until: Moment },
    Outage,
}

/// A message that failed, and nobody passed since.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Suspect {
    pub(crate) offset: u64,
    /// Starts counted when it failed: only who started later can speak against it.
    ticket: u64,
    pub(crate) fault: Fault,
}

/// Whether an answer that shows the target at work speaks against the suspects.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Passed {
    Success,
    Rejected,
}

#[derive(Clone, Debug)]
pub(crate) struct Circuit {
    phase: Phase,
    limit_max: usize,
    /// Starts counted.
    ticket: u64,
    /// What started at or before this ticket cannot make a suspect.
    amnesty: u64,
    suspects: Vec<Suspect>,
    /// The last message that met a busy target, and until when; none after a success.
    busy: Option<(u64, Moment)>,
    /// Counts the periods of being up: a send of an earlier one takes nothing of the limit.
    period: u32,
    /// Outages that ended: back-off starts anew with each.
    outages: u32,
}

impl Circuit {
    pub(crate) const fn new(limit_max: usize) -> Self {
        Self {
            phase: Phase::Up { limit: 1, started: 0 },
            limit_max,
            ticket: 0,
            amnesty: 0,
            suspects: Vec::new(),
            busy: None,
            period: 0,
            outages: 0,
        }
    }

    pub(crate) const fn phase(&self) -> &Phase {
        &self.phase
    }

    pub(crate) fn suspects(&self) -> &[Suspect] {
        &self.suspects
    }

    pub(crate) const fn period(&self) -> u32 {
        self.period
    }

    pub(crate) const fn outages(&self) -> u32 {
        self.outages
    }

    pub(crate) const fn is_up(&self) -> bool {
        match self.phase {
            Phase::Up { .. } => true,
            Phase::Down(_) => false,
        }
    }

    /// Whether the limit lets one more start; only while up.
    pub(crate) const fn has_room(&self) -> bool {
        match self.phase {
            Phase::Up { limit, started } => started < limit,
            Phase::Down(_) => false,
        }
    }

    /// Until when nothing at all may start, because the target asked for patience.
    pub(crate) const fn patience(&self) -> Moment {
        match &self.phase {
            Phase::Up { .. } => Moment(0),
            Phase::Down(down) => match down.why {
                Why::Busy { until } => until,
                Why::Suspects | Why::Outage => Moment(0),
            },
        }
    }

    /// When a message may start as the next probe; none while up or while a probe is under way. One that was never
    /// tried does not wait for the interval while there are suspects only.
    pub(crate) fn probe_at(&self, never_tried: bool) -> Option<Moment> {
        match &self.phase {
            Phase::Up { .. } => None,
            Phase::Down(down) if down.probe.is_some() => None,
            Phase::Down(down) => Some(match down.why {
                Why::Suspects if never_tried => Moment(0),
                Why::Suspects | Why::Outage => down.pace.next(),
                Why::Busy { until } => until.max(down.pace.next()),
            }),
        }
    }

    /// Counts a start and gives its ticket. While down it is the probe, unless it probes the link.
    pub(crate) const fn start(&mut self, offset: u64, probes_link: bool) -> u64 {
        self.ticket += 1;
        match &mut self.phase {
            Phase::Up { started, .. } => *started += 1,
            Phase::Down(down) => {
                if !probes_link {
                    down.probe = Some(offset);
                }
            }
        }
        self.ticket
    }

    /// A send of the given period ended, or was never made.
    pub(crate) fn ended(&mut self, offset: u64, period: u32) {
        match &mut self.phase {
            Phase::Up { started, .. } => {
                if period == self.period {
                    *started = started.saturating_sub(1);
                }
            }
            Phase::Down(down) => {
                if down.probe == Some(offset) {
                    down.probe = None;
                }
            }
        }
    }

    pub(crate) fn is_probe(&self, offset: u64) -> bool {
        match &self.phase {
            Phase::Up { .. } => false,
            Phase::Down(down) => down.probe == Some(offset),
        }
    }

    /// The probe did not pass: the next one waits longer.
    pub(crate) fn missed(&mut self, now: Moment, answered: bool) {
        if let Phase::Down(down) = &mut self.phase {
            down.pace.missed(now, answered);
        }
    }

    /// The target did its work for a message started at `started`. Puts those that it speaks against into `charged`, which
    /// come off the suspects; true if an outage ended.
    ///
    /// A circuit that the target asked to be patient with stays held until that time, whatever was on its way.
    pub(crate) fn passed(
        &mut self,
        now: Moment,
        offset: u64,
        started: u64,
        passed: Passed,
        charged: &mut Vec<Suspect>,
    ) -> bool {
        self.acquit(offset);
        self.busy = None;
        match &mut self.phase {
            Phase::Up { limit, .. } => *limit = limit.saturating_mul(2).min(self.limit_max),
            Phase::Down(down) => match down.why {
                Why::Suspects => self.come_up(),
                Why::Busy { until } if until > now => {}
                Why::Busy { .. } => self.come_up(),
                Why::Outage => {
                    self.amnesty = self.ticket;
                    self.outages = self.outages.wrapping_add(1);
                    self.come_up();
                    return true;
                }
            },
        }
        if passed == Passed::Success && !self.suspects.is_empty() {
            charged.extend(self.suspects.extract_if(.., |suspect| suspect.ticket < started));
        }
        false
    }

    /// A message started at `started` failed after sending began.
    pub(crate) fn failed(&mut self, now: Moment, offset: u64, started: u64, fault: &Fault) {
        self.note(fault);
        if self.is_outage() || started <= self.amnesty {
            return;
        }
        self.acquit(offset);
        self.suspects.push(Suspect { offset, ticket: self.ticket, fault: fault.clone() });
        if self.suspects.len() >= SUSPECTS_OUTAGE {
            self.suspects.clear();
            self.go_down(now, Why::Outage, fault);
        } else if self.suspects.len() >= SUSPECTS_HOLD && self.is_up() {
            self.go_down(now, Why::Suspects, fault);
        }
    }

    /// The target asked a message for patience until the given moment.
    pub(crate) fn busy(&mut self, now: Moment, offset: u64, until: Moment, fault: &Fault) {
        self.note(fault);
        self.acquit(offset);
        let Some((other, earlier)) = self.busy else {
            self.busy = Some((offset, until));
            return;
        };
        let until = until.max(earlier);
        self.busy = Some((offset, until));
        if other == offset {
            return;
        }
        match &mut self.phase {
            Phase::Down(down) if down.why == Why::Outage => down.pace.put_off(until),
            Phase::Up { .. } | Phase::Down(_) => self.go_down(now, Why::Busy { until }, fault),
        }
    }

    /// The connection answered again, but with a fault: who was held because of it stays held.
    pub(crate) fn stay_held(&mut self, now: Moment, since: Moment, fault: &Fault) {
        if self.is_up() {
            self.go_down(now, Why::Suspects, fault);
            if let Phase::Down(down) = &mut self.phase {
                down.since = since;
            }
        }
    }

    /// The connection works again: what was up starts from limit 1.
    pub(crate) fn restart(&mut self) {
        if self.is_up() {
            self.come_up();
        }
    }

    /// The message is no suspect any more.
    pub(crate) fn acquit(&mut self, offset: u64) {
        if !self.suspects.is_empty() {
            self.suspects.retain(|suspect| suspect.offset != offset);
        }
    }

    fn is_outage(&self) -> bool {
        match &self.phase {
            Phase::Up { .. } => false,
            Phase::Down(down) => down.why == Why::Outage,
        }
    }

    fn come_up(&mut self) {
        self.phase = Phase::Up { limit: 1, started: 0 };
        self.period = self.period.wrapping_add(1);
    }

    fn go_down(&mut self, now: Moment, why: Why, fault: &Fault) {
        match &mut self.phase {
            Phase::Up { .. } => {
                let pace = Pace::starting(now);
                self.phase = Phase::Down(Down { why, since: now, fault: fault.clone(), pace, probe: None });
            }
            Phase::Down(down) => down.why = why,
        }
    }

    fn note(&mut self, fault: &Fault) {
        if let Phase::Down(down) = &mut self.phase {
            down.fault = fault.clone();
        }
    }
}
