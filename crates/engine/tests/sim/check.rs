//! What is promised of every schedule, once everything has healed and nothing waits.

use super::{
    life::{Life, Plan, Witness},
    process::Process,
    route::{Route, number},
};
use crossdock_delivery::Order;
use crossdock_store::{MemoryDisk, Outcome, Store, verify};
use std::collections::{BTreeMap, BTreeSet};

/// Whether no target has anything left.
pub fn is_done(process: &Process) -> bool {
    let pending = |subscription| process.store.subscription(subscription).unwrap().pending;
    let mut readers = process
        .routes
        .iter()
        .flat_map(|route| route.targets.iter().map(|target| target.subscription).chain(route.gate));
    readers.all(|reader| pending(reader) == 0)
}

/// What is left, for people.
pub fn told(process: &Process) -> String {
    let left = |route: &Route| {
        let pending =
            route.targets.iter().map(|target| process.store.subscription(target.subscription).unwrap().pending);
        format!("{:?} has {:?}", route.plan, pending.collect::<Vec<_>>())
    };
    process.routes.iter().map(left).collect::<Vec<_>>().join("; ")
}

/// Everything that is promised holds.
pub fn holds(life: &Life, process: &Process) {
    // The process that healed everything has milder plans.
    for ((route, plan), witness) in process.routes.iter().zip(&life.plans).zip(&life.witnesses) {
        let dead = letters(&process.store, route);
        account(&process.store, route);
        for target in 0..route.targets.len() {
            let taken: Vec<u64> = witness.taken.iter().filter(|(at, _)| *at == target).map(|(_, n)| *n).collect();
            let dead: BTreeSet<u64> = dead.iter().filter(|(at, _)| *at == target).map(|(_, n)| *n).collect();
            nothing_is_lost(plan, witness, &taken, &dead);
            order_is_kept(plan, &taken);
            nobody_dies_of_outages(plan, target, &dead);
        }
    }
}

/// The dead letters of a route: target and number.
fn letters(store: &Store, route: &Route) -> Vec<(usize, u64)> {
    let mut letters = Vec::new();
    let mut from = Some(0);
    while let Some(at) = from {
        let page = store.browse(route.dead, at, 100).unwrap();
        for stored in page.messages {
            let note = stored.notes().unwrap().dead.unwrap();
            let target = note.target.unwrap().parse().unwrap();
            letters.push((target, number(&stored.envelope().unwrap())));
        }
        from = page.next;
    }
    let distinct: BTreeSet<_> = letters.iter().copied().collect();
    assert_eq!(distinct.len(), letters.len(), "a message is dead twice for a target: {letters:?}");
    letters
}

/// P3: received = stored + how the rest ended, and nothing is stored.
fn account(store: &Store, route: &Route) {
    let counts = store.group_counts(&route.plan.name).unwrap();
    let ended: u64 = Outcome::ALL.into_iter().map(|outcome| counts.ended(outcome)).sum();
    assert_eq!((counts.received, counts.stored), (ended, 0), "{counts:?}");
    assert_eq!(store.channel(route.channel).unwrap().messages, 0);
}

/// P1: what was acknowledged is delivered, or dead, or repeats one that is; and nothing comes that was not sent. P14: of
/// a key no more than one message goes on.
fn nothing_is_lost(plan: &Plan, witness: &Witness, taken: &[u64], dead: &BTreeSet<u64>) {
    let went_on: BTreeSet<u64> = taken.iter().copied().chain(dead.iter().copied()).collect();
    assert!(went_on.last().is_none_or(|last| *last < witness.sent), "a phantom: {went_on:?}");
    let mut of_key: BTreeMap<u64, BTreeSet<u64>> = BTreeMap::new();
    for n in &went_on {
        of_key.entry(plan.key(*n)).or_default().insert(*n);
    }
    if plan.dedupes {
        let twice = of_key.values().find(|numbers| numbers.len() > 1);
        assert_eq!(twice, None, "of one key");
    }
    let is_there = |n: &u64| went_on.contains(n) || (plan.dedupes && of_key.contains_key(&plan.key(*n)));
    let lost: Vec<u64> = witness.acknowledged.iter().copied().filter(|n| !is_there(n)).collect();
    assert!(lost.is_empty(), "{lost:?} of {plan:?} are lost; went on: {went_on:?}");
}

/// P10: the sequence in which messages of a lane come for the first time only grows.
fn order_is_kept(plan: &Plan, taken: &[u64]) {
    if plan.order != Order::BlockKey {
        return;
    }
    let mut last: BTreeMap<u64, u64> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for n in taken.iter().filter(|n| seen.insert(**n)) {
        let before = last.insert(plan.lane(*n), *n);
        assert!(before.is_none_or(|before| before < *n), "{n} after {before:?} in {taken:?}");
    }
}

/// P12: where a target refuses nobody and fails only in outages, none is dead, or those that were in flight at several
/// of them: an outage charges a message once at most.
fn nobody_dies_of_outages(plan: &Plan, target: usize, dead: &BTreeSet<u64>) {
    if plan.natures[target].is_kind() && plan.attempts == 8 {
        assert!(dead.is_empty(), "{dead:?} of {plan:?}");
    }
}

/// What is on disk after a stop is whole.
pub fn is_sound(disk: &MemoryDisk) {
    let report = verify(disk).unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
}
