//! One circuit: its state machine, without the messages that wait behind it.
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
/// Retries in flight at once, unless retries pass: so many that, with a fresh one that fails too, they do not hold the
/// circuit. Without it, at full load and with one message in a hundred poison, half of what is in flight are retries
/// that fail: one outage follows the other, nobody is charged, and the poison never ends.
const RETRIES: usize = SUSPECTS_HOLD - 2;

/// What the circuit does.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Phase {
    /// Sends, up to a limit that doubles with each success.
    Up(Up),
    /// Sends probes only.
    Down(Down),
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Up {
    pub(crate) limit: usize,
    /// Sends of this period in flight.
    started: usize,
    /// Most retries among them.
    retry_limit: usize,
    /// Retries among them.
    retries: usize,
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

/// What is remembered of a start until its answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Sent {
    pub(crate) ticket: u64,
    /// The circuit's period of being up.
    period: u32,
    retry: bool,
}

/// What a start is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Fresh,
    Retry,
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

impl Up {
    const NEW: Self = Self { limit: 1, started: 0, retry_limit: RETRIES, retries: 0 };
}

impl Circuit {
    pub(crate) const fn new(limit_max: usize) -> Self {
        Self {
            phase: Phase::Up(Up::NEW),
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

    /// What holds it; none while it is up.
    pub(crate) const fn down(&self) -> Option<&Down> {
        match &self.phase {
            Phase::Up(_) => None,
            Phase::Down(down) => Some(down),
        }
    }

    pub(crate) fn suspects(&self) -> &[Suspect] {
        &self.suspects
    }

    pub(crate) const fn outages(&self) -> u32 {
        self.outages
    }

    pub(crate) const fn is_up(&self) -> bool {
        match self.phase {
            Phase::Up(_) => true,
            Phase::Down(_) => false,
        }
    }

    /// Whether the limits let one more start; only while up.
    pub(crate) const fn has_room(&self, kind: Kind) -> bool {
        match &self.phase {
            Phase::Up(up) => {
                let retries = match kind {
                    Kind::Fresh => true,
                    Kind::Retry => up.retries < up.retry_limit,
                };
                up.started < up.limit && retries
            }
            Phase::Down(_) => false,
        }
    }

    /// Until when nothing at all may start, because the target asked for patience.
    pub(crate) const fn patience(&self) -> Moment {
        match &self.phase {
            Phase::Up(_) => Moment(0),
            Phase::Down(down) => match down.why {
                Why::Busy { until } => until,
                Why::Suspects | Why::Outage => Moment(0),
            },
        }
    }

    /// When a message may start as the next probe; none while up or while a probe is under way. One that was never
    /// tried does not wait for the interval while there are suspects only.
    pub(crate) fn probe_at(&self, kind: Kind) -> Option<Moment> {
        match &self.phase {
            Phase::Up(_) => None,
            Phase::Down(down) if down.probe.is_some() => None,
            Phase::Down(down) => Some(match down.why {
                Why::Suspects if kind == Kind::Fresh => Moment(0),
                Why::Suspects | Why::Outage => down.pace.next(),
                Why::Busy { until } => until.max(down.pace.next()),
            }),
        }
    }

    /// Counts a start. While down it is the probe, unless it probes the link.
    pub(crate) fn start(&mut self, offset: u64, kind: Kind, probes_link: bool) -> Sent {
        self.ticket += 1;
        let retry = kind == Kind::Retry;
        match &mut self.phase {
            Phase::Up(up) => {
                up.started += 1;
                up.retries += usize::from(retry);
            }
            Phase::Down(down) => {
                if !probes_link {
                    down.probe = Some(offset);
                }
            }
        }
        Sent { ticket: self.ticket, period: self.period, retry }
    }

    /// A send ended, or was never made.
    pub(crate) fn ended(&mut self, offset: u64, sent: Sent) {
        match &mut self.phase {
            Phase::Up(up) => {
                if sent.period == self.period {
                    up.started = up.started.saturating_sub(1);
                    up.retries = up.retries.saturating_sub(usize::from(sent.retry));
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
            Phase::Up(_) => false,
            Phase::Down(down) => down.probe == Some(offset),
        }
    }

    /// The probe did not pass: the next one waits longer.
    pub(crate) fn missed(&mut self, now: Moment, answered: bool) {
        if let Phase::Down(down) = &mut self.phase {
            down.pace.missed(now, answered);
        }
    }

    /// The target did its work for a message. Puts those that it speaks against into `charged`, which
    /// come off the suspects; true if an outage ended.
    ///
    /// A circuit that the target asked to be patient with stays held until that time, whatever was on its way.
    pub(crate) fn passed(
        &mut self,
        now: Moment,
        offset: u64,
        sent: Sent,
        passed: Passed,
        charged: &mut Vec<Suspect>,
    ) -> bool {
        self.acquit(offset);
        self.busy = None;
        match &mut self.phase {
            Phase::Up(up) => {
                up.limit = up.limit.saturating_mul(2).min(self.limit_max);
                if sent.retry {
                    up.retry_limit = up.retry_limit.saturating_mul(2).min(self.limit_max);
                }
            }
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
            charged.extend(self.suspects.extract_if(.., |suspect| suspect.ticket < sent.ticket));
        }
        false
    }

    /// A message failed after sending began.
    pub(crate) fn failed(&mut self, now: Moment, offset: u64, sent: Sent, fault: &Fault) {
        self.note(fault);
        if let Phase::Up(up) = &mut self.phase
            && sent.retry
        {
            up.retry_limit = RETRIES;
        }
        if self.is_outage() || sent.ticket <= self.amnesty {
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
            Phase::Up(_) | Phase::Down(_) => self.go_down(now, Why::Busy { until }, fault),
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
            Phase::Up(_) => false,
            Phase::Down(down) => down.why == Why::Outage,
        }
    }

    fn come_up(&mut self) {
        self.phase = Phase::Up(Up::NEW);
        self.period = self.period.wrapping_add(1);
    }

    fn go_down(&mut self, now: Moment, why: Why, fault: &Fault) {
        match &mut self.phase {
            Phase::Up(_) => {
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
