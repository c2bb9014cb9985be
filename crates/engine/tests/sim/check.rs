//! What is promised of every schedule, once everything has healed and nothing waits.

use super::{
    life::Life,
    process::Process,
    promises::{nobody_dies_of_outages, nothing_is_lost, order_is_kept},
    route::{Route, number},
};
use crossdock_store::{Outcome, Store};
use std::collections::BTreeSet;

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
        for (target, nature) in plan.natures.iter().enumerate() {
            let taken: Vec<u64> = witness.taken.iter().filter(|(at, _)| *at == target).map(|(_, n)| *n).collect();
            let dead: BTreeSet<u64> = dead.iter().filter(|(at, _)| *at == target).map(|(_, n)| *n).collect();
            let went_on: BTreeSet<u64> = taken.iter().chain(&dead).copied().collect();
            nothing_is_lost(witness.acknowledged.iter().copied(), &went_on, witness.sent, plan.dedupes, plan);
            order_is_kept(plan.order, &taken, plan);
            nobody_dies_of_outages(nature, plan.attempts, &dead, plan);
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
