//! One scheduler on a desk: every start, answer and moment by hand.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use crossdock_delivery::{Effect, Entry, Hold, Link, Policy, Prior, Retry, Scheduler, Start, State};
use crossdock_model::{Answer, Fault, FaultClass, Moment};
use std::time::Duration;

pub struct Desk {
    pub scheduler: Scheduler,
    pub link: Link,
    pub now: Moment,
}

/// No jitter, so that waits can be told: 1 s, 2 s, 4 s, …
pub fn policy() -> Policy {
    Policy { retry: Retry { jitter: 0.0, ..Retry::default() }, ..Policy::default() }
}

pub fn attempts(attempts: u32) -> Policy {
    Policy { retry: Retry { attempts, ..policy().retry }, ..policy() }
}

pub fn failed() -> Result<(), Fault> {
    Err(Fault::new(FaultClass::Failed, "http.500", "500 internal server error"))
}

pub fn silent() -> Result<(), Fault> {
    Err(Fault::new(FaultClass::Failed, "http.timeout", "no answer in time").answered_by(Answer::Nobody))
}

pub fn rejected() -> Result<(), Fault> {
    Err(Fault::rejected("http.422", "422 unprocessable content"))
}

pub fn busy(seconds: Option<u64>) -> Result<(), Fault> {
    let fault = Fault::new(FaultClass::Busy, "http.429", "429 too many requests");
    Err(fault.retry_after(seconds.map(Duration::from_secs)))
}

pub fn unreachable() -> Result<(), Fault> {
    Err(Fault::new(FaultClass::Unreachable, "http.connect", "connection refused"))
}

impl Desk {
    pub fn new(policy: Policy) -> Self {
        Self { scheduler: Scheduler::new(policy, 1), link: Link::new(), now: Moment(0) }
    }

    /// With as many fresh messages, of the offsets from 0.
    pub fn with(policy: Policy, messages: u64) -> Self {
        let mut desk = Self::new(policy);
        (0..messages).for_each(|offset| desk.admit(Entry::fresh(offset)));
        desk
    }

    pub fn admit(&mut self, entry: Entry) {
        assert!(self.scheduler.admit(self.now, entry));
    }

    /// A message that failed `tries` times, and may be tried again.
    pub fn admit_tried(&mut self, offset: u64, tries: u32, charges: u32) {
        let prior = Prior { tries, charges, due: Moment(0), asked: false, failing_for: Duration::ZERO };
        self.admit(Entry { prior: Some(prior), ..Entry::fresh(offset) });
    }

    pub fn starts(&mut self) -> Vec<Start> {
        let mut starts = Vec::new();
        self.scheduler.poll(self.now, &mut self.link, &mut starts);
        starts
    }

    /// The offsets of what starts now.
    pub fn poll(&mut self) -> Vec<u64> {
        self.starts().iter().map(|start| start.offset).collect()
    }

    /// Lets the time pass until something starts, and gives the time in milliseconds and the offsets.
    pub fn next(&mut self) -> (u64, Vec<u64>) {
        loop {
            let started = self.poll();
            if !started.is_empty() {
                return (self.now.0, started);
            }
            let wake = self.scheduler.wake_at(self.now, &self.link).expect("something is to come");
            assert!(wake > self.now, "it wants to be polled again at once");
            self.now = wake;
        }
    }

    pub fn end(&mut self, offset: u64, result: Result<(), Fault>) -> Vec<Effect> {
        let effects = self.end_unburied(offset, result);
        died(&effects).into_iter().for_each(|offset| self.scheduler.buried(offset));
        effects
    }

    /// What died by it is not durable yet.
    pub fn end_unburied(&mut self, offset: u64, result: Result<(), Fault>) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.scheduler.finished(self.now, &mut self.link, offset, result, &mut effects);
        effects
    }

    /// Starts what is next, which has to be this one, and ends it.
    pub fn pass(&mut self, offset: u64, result: Result<(), Fault>) -> Vec<Effect> {
        let (_, started) = self.next();
        assert_eq!(started, [offset]);
        self.end(offset, result)
    }

    /// Makes every one of these fail, one after the other.
    pub fn fail(&mut self, offsets: std::ops::Range<u64>) {
        offsets.for_each(|offset| drop(self.pass(offset, failed())));
    }

    /// What the target's state is.
    pub fn hold(&self) -> Option<Hold> {
        let circuit = self.scheduler.status(&self.link).circuit;
        assert_eq!(circuit.hold.is_none(), circuit.state == State::Up);
        assert_eq!(circuit.hold.is_some(), circuit.since.is_some() && circuit.fault.is_some());
        circuit.hold
    }

    pub fn suspects(&self) -> Vec<u64> {
        self.scheduler.status(&self.link).circuit.suspects
    }

    pub fn limit(&self) -> usize {
        self.scheduler.status(&self.link).circuit.limit
    }
}

/// Offsets and charges of those that the effects charge, and whether they die of it.
pub fn charged(effects: &[Effect]) -> Vec<(u64, u32, bool)> {
    let of = |effect: &Effect| match effect {
        Effect::Touch { offset, charges, tried: false, .. } => Some((*offset, *charges, false)),
        Effect::Dead { offset, charges, tried: false, .. } => Some((*offset, *charges, true)),
        Effect::Touch { .. } | Effect::Dead { .. } | Effect::Delivered { .. } => None,
    };
    effects.iter().filter_map(of).collect()
}

/// The wait in milliseconds that a try that failed leads to.
pub fn wait(effects: &[Effect]) -> Option<u64> {
    effects.iter().find_map(|effect| match effect {
        Effect::Touch { wait, tried: true, .. } => u64::try_from(wait.as_millis()).ok(),
        Effect::Touch { .. } | Effect::Dead { .. } | Effect::Delivered { .. } => None,
    })
}

pub fn died(effects: &[Effect]) -> Vec<u64> {
    let of = |effect: &Effect| match effect {
        Effect::Dead { offset, .. } => Some(*offset),
        Effect::Touch { .. } | Effect::Delivered { .. } => None,
    };
    effects.iter().filter_map(of).collect()
}
