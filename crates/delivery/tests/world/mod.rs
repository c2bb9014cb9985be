//! A gateway of one route and one target in virtual time: a store that remembers what was committed, a target that is a
//! function, and checks at every step of what must never happen.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use crossdock_delivery::{Effect, Entry, Link, Order, Policy, Prior, Scheduler, Start};
use crossdock_model::{Answer, Fault, FaultClass, Moment};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

/// SplitMix64, so that a run is repeated from its seed.
pub struct Dice(pub u64);

impl Dice {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let once = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let twice = (once ^ (once >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        twice ^ (twice >> 31)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// What a send leads to, and after how many milliseconds.
pub type Outcome = (u64, Result<(), Fault>);

/// The target: the time, the send, dice.
pub type Target<'a> = Box<dyn FnMut(Moment, &Start, &mut Dice) -> Outcome + 'a>;

pub fn http(status: u16) -> Fault {
    let class = if status == 429 { FaultClass::Busy } else { FaultClass::Failed };
    let answer = if matches!(status, 500 | 429) { Answer::Application } else { Answer::Intermediary };
    Fault::new(class, format!("http.{status}"), "answered with a fault").answered_by(answer)
}

pub fn timeout() -> Fault {
    Fault::new(FaultClass::Failed, "http.timeout", "no answer in time").answered_by(Answer::Nobody)
}

pub fn refused() -> Fault {
    Fault::new(FaultClass::Unreachable, "http.connect", "connection refused")
}

pub fn rejected(status: u16) -> Fault {
    Fault::rejected(format!("http.{status}"), "the message is wrong")
}

pub fn busy(seconds: u64) -> Fault {
    http(429).retry_after(Some(Duration::from_secs(seconds)))
}

/// How a message ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    Delivered(Moment),
    Dead(Moment),
    /// By somebody else.
    Settled,
}

/// What the store and the observer know of a message.
#[derive(Clone, Debug)]
pub struct Record {
    pub entry: Entry,
    pub arrived: Moment,
    pub tries: u32,
    pub charges: u32,
    pub due: Moment,
    pub asked: bool,
    pub first_failed: Option<Moment>,
    pub end: Option<End>,
}

pub struct World<'a> {
    pub now: Moment,
    pub scheduler: Scheduler,
    pub link: Link,
    pub dice: Dice,
    pub records: BTreeMap<u64, Record>,
    pub starts: u64,
    /// Every confirmed send in order: offset and when.
    pub accepted: Vec<(u64, Moment)>,
    /// How many of a hundred starts lead to nothing: the payload could not be read, the session was gone.
    pub unsent_percent: u64,
    policy: Policy,
    target: Target<'a>,
    /// Not admitted yet.
    waiting: BTreeSet<u64>,
    /// By arrival.
    coming: BTreeMap<(Moment, u64), Entry>,
    in_flight: HashMap<u64, u64>,
    /// By time of the answer and number of the send.
    answers: BTreeMap<(Moment, u64), (u64, Result<(), Fault>)>,
    lanes_busy: BTreeSet<u64>,
}

impl<'a> World<'a> {
    pub fn new(policy: Policy, seed: u64, target: Target<'a>) -> Self {
        Self {
            now: Moment(1_000),
            scheduler: Scheduler::new(policy, seed),
            link: Link::new(),
            dice: Dice(seed),
            records: BTreeMap::new(),
            starts: 0,
            accepted: Vec::new(),
            unsent_percent: 0,
            policy,
            target,
            waiting: BTreeSet::new(),
            coming: BTreeMap::new(),
            in_flight: HashMap::new(),
            answers: BTreeMap::new(),
            lanes_busy: BTreeSet::new(),
        }
    }

    pub fn arrive(&mut self, at: Moment, entry: Entry) {
        self.coming.insert((at, entry.offset), entry);
    }

    /// Runs until nothing is left, or until the given moment.
    pub fn run_until(&mut self, end: Moment) {
        loop {
            self.take_in();
            self.poll();
            let wake = self.scheduler.wake_at(self.now, &self.link);
            let answer = self.answers.keys().next().map(|(at, _)| *at);
            let arrival = self.coming.keys().next().map(|(at, _)| *at);
            let Some(next) = wake.into_iter().chain(answer).chain(arrival).min() else { break };
            assert!(wake.is_none_or(|wake| wake > self.now), "it wants to be polled again at once");
            if next > end {
                self.now = end;
                return;
            }
            self.now = self.now.max(next);
            self.answer();
        }
        self.now = self.now.max(end);
    }

    /// The process is killed, and starts anew from what was committed.
    pub fn restart(&mut self, seed: u64) {
        self.scheduler = Scheduler::new(self.policy, seed);
        self.link = Link::new();
        self.in_flight.clear();
        self.answers.clear();
        self.lanes_busy.clear();
        self.waiting.clear();
        for (offset, record) in &self.records {
            if record.end.is_some() {
                continue;
            }
            if record.tries == 0 {
                self.waiting.insert(*offset);
                continue;
            }
            let failing_for = record.first_failed.map_or(Duration::ZERO, |first| self.now.since(first));
            let (tries, charges, due, asked) = (record.tries, record.charges, record.due, record.asked);
            let prior = Some(Prior { tries, charges, due, asked, failing_for });
            assert!(self.scheduler.admit(self.now, Entry { prior, ..record.entry }));
        }
    }

    /// Somebody else settles a message; false if it has not come or has ended.
    pub fn settle(&mut self, offset: u64) -> bool {
        let Some(record) = self.records.get_mut(&offset).filter(|record| record.end.is_none()) else { return false };
        record.end = Some(End::Settled);
        self.waiting.remove(&offset);
        self.scheduler.forget(offset);
        true
    }

    pub fn count(&self, wanted: impl Fn(&Record) -> bool) -> usize {
        self.records.values().filter(|record| wanted(record)).count()
    }

    pub fn delivered(&self) -> usize {
        self.count(|record| matches!(record.end, Some(End::Delivered(_))))
    }

    pub fn dead(&self) -> usize {
        self.count(|record| matches!(record.end, Some(End::Dead(_))))
    }

    /// Milliseconds from arrival to delivery of those that `wanted` picks, sorted.
    pub fn latencies(&self, wanted: impl Fn(u64) -> bool) -> Vec<u64> {
        let of = |(offset, record): (&u64, &Record)| match record.end {
            Some(End::Delivered(at)) if wanted(*offset) => Some(at.0 - record.arrived.0),
            _ => None,
        };
        let mut all: Vec<u64> = self.records.iter().filter_map(of).collect();
        all.sort_unstable();
        all
    }

    fn take_in(&mut self) {
        while let Some(first) = self.coming.first_entry().filter(|first| first.key().0 <= self.now) {
            let ((arrived, offset), entry) = first.remove_entry();
            let due = Moment(0);
            let record =
                Record { entry, arrived, tries: 0, charges: 0, due, asked: false, first_failed: None, end: None };
            self.records.insert(offset, record);
            self.waiting.insert(offset);
        }
        while self.scheduler.room() > 0 {
            let Some(offset) = self.waiting.pop_first() else { break };
            let entry = self.records[&offset].entry;
            assert!(self.scheduler.admit(self.now, entry));
            assert!(!self.scheduler.admit(self.now, entry), "twice the same");
        }
    }

    fn poll(&mut self) {
        let mut starts = Vec::new();
        self.scheduler.poll(self.now, &mut self.link, &mut starts);
        for start in starts {
            let record = &self.records[&start.offset];
            assert!(record.end.is_none(), "{} is sent after its end", start.offset);
            assert!(!record.asked || record.due <= self.now, "{} is sent before its Retry-After", start.offset);
            assert_eq!(start.attempt, record.tries + 1);
            self.starts += 1;
            assert!(self.in_flight.insert(start.offset, self.starts).is_none(), "{} is sent twice", start.offset);
            if let Some(lane) = record.entry.lane.filter(|_| self.policy.order != Order::None) {
                assert!(self.lanes_busy.insert(lane), "two of lane {lane} are in flight");
            }
            let (millis, result) = (self.target)(self.now, &start, &mut self.dice);
            let at = Moment(self.now.0 + millis);
            self.answers.insert((at, self.starts), (start.offset, result));
        }
        assert!(self.in_flight.len() <= self.policy.max_in_flight);
        assert_eq!(self.in_flight.len(), self.scheduler.in_flight());
    }

    fn answer(&mut self) {
        let mut effects = Vec::new();
        while let Some(first) = self.answers.first_entry().filter(|first| first.key().0 <= self.now) {
            let (offset, result) = first.remove();
            self.in_flight.remove(&offset);
            if let Some(lane) = self.records[&offset].entry.lane {
                self.lanes_busy.remove(&lane);
            }
            if self.unsent_percent > 0 && self.dice.chance(self.unsent_percent) {
                self.scheduler.unsent(&mut self.link, offset);
                continue;
            }
            if result.is_ok() {
                self.accepted.push((offset, self.now));
            }
            self.scheduler.finished(self.now, &mut self.link, offset, result, &mut effects);
        }
        for effect in effects {
            self.commit(effect);
        }
    }

    fn commit(&mut self, effect: Effect) {
        let now = self.now;
        match effect {
            Effect::Delivered { offset, tries } => {
                let record = self.records.get_mut(&offset).expect("a delivered message is known");
                assert!(record.end.is_none() && tries == record.tries + 1, "{record:?}");
                record.end = Some(End::Delivered(now));
            }
            Effect::Dead { offset, tries, charges, fault, tried } => {
                let record = self.records.get_mut(&offset).expect("a dead message is known");
                assert!(record.end.is_none() && charges <= tries, "{record:?}");
                assert_eq!(tries, record.tries + u32::from(tried));
                let rejected = fault.class == FaultClass::Rejected;
                assert!(rejected || charges >= self.policy.retry.attempts, "{fault} with {charges} charges");
                record.tries = tries;
                record.charges = charges;
                record.end = Some(End::Dead(now));
                self.scheduler.buried(offset);
            }
            Effect::Touch { offset, tries, charges, wait, fault, tried } => {
                let record = self.records.get_mut(&offset).expect("a touched message is known");
                assert!(record.end.is_none() && charges <= tries, "{record:?}");
                assert_eq!(tries, record.tries + u32::from(tried));
                assert!(charges >= record.charges && charges <= record.charges + 1);
                if tried {
                    record.first_failed.get_or_insert(now);
                    record.asked = fault.class == FaultClass::Busy;
                }
                record.tries = tries;
                record.charges = charges;
                record.due = now.after(wait);
            }
        }
    }
}
