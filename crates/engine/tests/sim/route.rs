//! A route: what its task does between the store and the schedulers of its targets, in a straight line.

use super::{
    dice::Dice,
    life::{Plan, Witness},
    process::{Down, must},
    promises::key,
    target::{Mood, send},
};
use crossdock_delivery::{Effect, Entry, Link, Policy, Prior, Retry, Scheduler, Start, failing_for, wait_left};
use crossdock_model::{Digest, Fault, FaultClass, Moment, Text, Timestamp};
use crossdock_store::{
    ChannelNumber, DeadNote, EncodedMessage, Offsets, Outcome, Put, Settle, Sieve, SieveKey, Sifted, Store,
    SubscriptionNumber, Touch, Txn,
};
use std::{collections::BTreeMap, time::Duration};

/// Keys are remembered for longer than any calendar in here jumps.
const WINDOW: Duration = Duration::from_secs(1000 * 24 * 3600);

pub struct Route {
    pub plan: Plan,
    pub channel: ChannelNumber,
    pub dead: ChannelNumber,
    pub gate: Option<SubscriptionNumber>,
    pub targets: Vec<Target>,
    retry_max: Duration,
}

pub struct Target {
    pub subscription: SubscriptionNumber,
    scheduler: Scheduler,
    link: Link,
    /// Answers by when they come.
    answers: BTreeMap<(u64, u64), (u64, Result<(), Fault>)>,
    sent: u64,
    /// The messages that the scheduler has.
    live: BTreeMap<u64, Live>,
}

/// A message of a target that is not settled.
struct Live {
    n: u64,
    /// When it may be tried again by the store's note, if there is one.
    due: Option<Timestamp>,
}

impl Route {
    pub fn new(
        store: &Store,
        plan: Plan,
        (channel, dead): (ChannelNumber, ChannelNumber),
        gate: Option<SubscriptionNumber>,
        targets: &[SubscriptionNumber],
        seed: u64,
    ) -> Self {
        let policy = Policy {
            retry: Retry {
                attempts: plan.attempts,
                initial: Duration::from_millis(100),
                max: Duration::from_secs(10),
                ..Retry::default()
            },
            order: plan.order,
            max_in_flight: 8,
            window: 16,
            ..Policy::default()
        };
        let target = |subscription: &SubscriptionNumber| {
            if let Some(gate) = gate {
                store.follow(*subscription, gate);
            }
            let (scheduler, link) = (Scheduler::new(policy, seed), Link::new());
            let (answers, live) = (BTreeMap::new(), BTreeMap::new());
            Target { subscription: *subscription, scheduler, link, answers, sent: 0, live }
        };
        let targets = targets.iter().map(target).collect();
        Self { plan, channel, dead, gate, targets, retry_max: policy.retry.max }
    }

    /// What was tried before comes first.
    pub fn recover(&mut self, store: &Store, now: Moment, calendar: Timestamp) -> Result<(), Down> {
        for target in &mut self.targets {
            for touched in store.touched(target.subscription).map_err(|_| Down)? {
                let history = store.history(target.subscription, touched.offset).unwrap_or_default();
                let last = history.kept.last();
                let noted_at = last.map(|last| last.at);
                let wait = touched.due.map_or(Duration::ZERO, |due| wait_left(due, noted_at, calendar, self.retry_max));
                let tries = history.kept.iter().map(|tried| (tried.number, tried.at));
                let asked = last.and_then(|last| last.fault.as_ref()).is_some_and(|f| f.class == FaultClass::Busy);
                let prior = Prior {
                    tries: touched.tries,
                    charges: touched.charges,
                    due: now.after(wait),
                    asked,
                    failing_for: failing_for(tries, calendar, self.retry_max),
                };
                let stored = store.read(self.channel, touched.offset).map_err(|_| Down)?;
                let n = number(&stored.envelope().unwrap());
                target.live.insert(touched.offset, Live { n, due: touched.due });
                let entry = Entry { prior: Some(prior), ..Plan::entry(touched.offset, n) };
                assert!(target.scheduler.admit(now, entry), "{entry:?} was tried twice");
            }
        }
        Ok(())
    }

    /// Does all that can be done now.
    pub fn turn(
        &mut self,
        store: &Store,
        (now, calendar): (Moment, Timestamp),
        moods: &[Mood],
        witness: &mut Witness,
        (dice, tells): (&mut Dice, bool),
    ) -> Result<(), Down> {
        self.pass_gate(store)?;
        for (at, mood) in moods.iter().enumerate() {
            self.fetch(store, at, now);
            self.start(at, now, *mood, witness, (dice, tells));
            self.finish(store, at, (now, calendar), tells)?;
        }
        Ok(())
    }

    fn pass_gate(&mut self, store: &Store) -> Result<(), Down> {
        let Some(gate) = self.gate else { return Ok(()) };
        let fetched = store.fetch_cold(gate, 16, 1 << 20).map_err(|_| Down)?.messages;
        if fetched.is_empty() {
            return Ok(());
        }
        let sifted = |stored: &crossdock_store::StoredMessage| {
            let envelope = stored.envelope().unwrap();
            let mut hash = [0; 16];
            hash[..8].copy_from_slice(&key(number(&envelope)).to_le_bytes());
            let scope = Text::from(format!("dedupe:{}", gate.0));
            let keys = vec![SieveKey { scope, hash: Digest(hash), window: WINDOW, keys_max: 1_000_000 }];
            let (id, received_at) = (envelope.id, envelope.received_at);
            Sifted { offset: stored.offset, id, received_at, redriven: false, keys }
        };
        let others = self.targets.iter().map(|target| target.subscription).collect();
        let sieve = Sieve { subscription: gate, others, messages: fetched.iter().map(sifted).collect() };
        must(store, Txn { sieve: Some(Box::new(sieve)), ..Txn::default() }).map(drop)
    }

    fn fetch(&mut self, store: &Store, at: usize, now: Moment) {
        let target = &mut self.targets[at];
        let room = target.scheduler.room().min(8);
        // A disk that cannot be read is asked again later.
        let Ok(fetched) = store.fetch_cold(target.subscription, room, 1 << 20) else { return };
        for stored in fetched.messages {
            let n = number(&stored.envelope().unwrap());
            target.live.insert(stored.offset, Live { n, due: None });
            assert!(target.scheduler.admit(now, Plan::entry(stored.offset, n)), "{n} was fetched twice");
        }
    }

    fn start(&mut self, at: usize, now: Moment, mood: Mood, witness: &mut Witness, (dice, tells): (&mut Dice, bool)) {
        let target = &mut self.targets[at];
        let mut starts: Vec<Start> = Vec::new();
        target.scheduler.poll(now, &mut target.link, &mut starts);
        for start in starts {
            let n = target.live[&start.offset].n;
            let reply = send(&self.plan.natures[at], mood, n, dice);
            if tells {
                let Start { attempt, .. } = start;
                println!("{:>9} {}/{at} is sent {n}, try {attempt}: {:?}", now.0, self.plan.name, reply.result);
            }
            if reply.taken {
                witness.taken(at, n);
            }
            target.sent += 1;
            target.answers.insert((now.0 + reply.after_millis, target.sent), (start.offset, reply.result));
        }
    }

    fn finish(
        &mut self,
        store: &Store,
        at: usize,
        (now, calendar): (Moment, Timestamp),
        tells: bool,
    ) -> Result<(), Down> {
        let target = &mut self.targets[at];
        let mut effects = Vec::new();
        while let Some(first) = target.answers.first_entry().filter(|first| first.key().0 <= now.0) {
            let answer = first.remove();
            target.scheduler.finished_batch(now, &mut target.link, [answer], &mut effects);
        }
        if tells && !effects.is_empty() {
            println!("{:>9} {}/{at}: {effects:?}", now.0, self.plan.name);
        }
        let mut txn = Txn::default();
        let settle = |subscription, outcome, offset| Settle { subscription, outcome, offsets: Offsets::one(offset) };
        for effect in effects {
            match effect {
                Effect::Delivered { offset, .. } => {
                    target.live.remove(&offset);
                    txn.settles.push(settle(target.subscription, Outcome::Delivered, offset));
                }
                Effect::Touch { offset, tries, charges, wait, fault, tried } => {
                    let mut due = calendar.after(wait);
                    if let Some(live) = target.live.get_mut(&offset) {
                        // A charge does not put off the try: the calendar may have gone on since its end was noted.
                        due = live.due.filter(|_| !tried).map_or(due, |noted| noted.min(due));
                        live.due = Some(due);
                    }
                    let (subscription, due, fault) = (target.subscription, Some(due), Some(fault));
                    txn.touches.push(Touch { subscription, offset, tries, charges, due, at: calendar, fault });
                }
                Effect::Dead { offset, fault, tries, .. } => {
                    target.live.remove(&offset);
                    let stored = store.read(self.channel, offset).map_err(|_| Down)?;
                    let note = DeadNote {
                        cause: fault,
                        route: Text::from(self.plan.name.clone()),
                        target: Some(Text::from(at.to_string())),
                        dead_since: calendar,
                        source: Some(Text::from(self.plan.name.clone())),
                        tries_total: tries,
                        tries: Vec::new(),
                    };
                    let message = EncodedMessage::new(&stored.envelope().unwrap(), Some(&note));
                    let mut put = Put::new(self.dead, message, offset as u32);
                    put.use_reserve = true;
                    // Each in a decision of its own: several may be more than a frame holds.
                    let settles = vec![settle(target.subscription, Outcome::Dead, offset)];
                    must(store, Txn { puts: vec![put], settles, ..Txn::default() })?;
                    target.scheduler.buried(offset);
                }
            }
        }
        if txn.settles.is_empty() && txn.touches.is_empty() {
            return Ok(());
        }
        must(store, txn).map(drop)
    }

    /// When there is something to do though nothing comes in.
    pub fn wake_at(&self, now: Moment) -> Option<Moment> {
        let wakes = self.targets.iter().flat_map(|target| {
            let answer = target.answers.first_key_value().map(|((at, _), _)| Moment(*at));
            [answer, target.scheduler.wake_at(now, &target.link)]
        });
        wakes.flatten().min()
    }
}

/// The number that a message tells.
pub fn number(envelope: &crossdock_model::Envelope) -> u64 {
    let text = std::str::from_utf8(envelope.bytes()).unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}
