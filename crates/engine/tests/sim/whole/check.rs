//! What is promised of every schedule of a gateway, once everything has healed and nothing waits.

use super::{
    life::{Life, number},
    plan::RoutePlan,
};
use crate::promises::{nobody_dies_of_outages, nothing_is_lost, order_is_kept};
use crossdock_connector::Settlement;
use crossdock_engine::{Counts, DeadFilter};
use std::collections::{BTreeMap, BTreeSet};

fn counts(life: &Life, route: &RoutePlan) -> Counts {
    life.block_on(life.gateway().route(&route.name)).unwrap().counts
}

/// Whether all senders are rid of everything, and no target has anything left.
pub fn is_done(life: &Life) -> bool {
    let is_done = |route: &RoutePlan| {
        life.settlements(&route.name).iter().all(|(_, settled)| settled.is_some()) && counts(life, route).stored == 0
    };
    life.routes.iter().all(is_done)
}

/// What is left, for people.
pub fn told(life: &Life) -> String {
    let left = |route: &RoutePlan| {
        let settlements = life.settlements(&route.name);
        let unsettled = settlements.iter().filter(|(_, settled)| settled.is_none());
        let unsettled: Vec<u64> = unsettled.map(|(number, _)| *number).collect();
        let view = life.block_on(life.gateway().route(&route.name));
        format!("{route:?}: {unsettled:?} are not settled, {view:?}")
    };
    life.routes.iter().map(left).collect::<Vec<_>>().join("; ")
}

/// Everything that is promised holds.
pub fn holds(life: &Life) {
    let dead = letters(life);
    for (route, sent) in life.routes.iter().zip(&life.sent) {
        let has_letters = dead.keys().any(|(name, _)| *name == route.name);
        account(&counts(life, route), has_letters, route);
        acknowledged_are_all(life, route, *sent);
        for (at, nature) in route.natures.iter().enumerate() {
            let target = format!("t{at}");
            let place = format!("{}/{target}", route.name);
            let got: Vec<_> = life.world.got().into_iter().filter(|got| got.target == place).collect();
            let taken: BTreeSet<u64> = got.iter().filter(|got| got.taken).map(|got| number(&got.payload)).collect();
            let none = BTreeSet::new();
            let dead = dead.get(&(route.name.clone(), target)).unwrap_or(&none);
            let went_on: BTreeSet<u64> = taken.union(dead).copied().collect();
            let filtered: Vec<u64> = went_on.iter().copied().filter(|n| !route.passes(*n)).collect();
            assert!(filtered.is_empty(), "{filtered:?} of {route:?} passed the filter");
            // Everything is acknowledged by now.
            let owed = (0..*sent).filter(|n| route.passes(*n));
            nothing_is_lost(owed, &went_on, *sent, route.dedupes, route);
            let sends: Vec<u64> = got.iter().map(|got| number(&got.payload)).collect();
            order_is_kept(route.order, &sends, route);
            nobody_dies_of_outages(nature, route.attempts, dead, route);
        }
    }
}

/// Every message was acknowledged in the end, and until then told to come again at worst.
fn acknowledged_are_all(life: &Life, route: &RoutePlan, sent: u64) {
    let mut stored = BTreeSet::new();
    for (n, settled) in life.settlements(&route.name) {
        match settled {
            Some(Settlement::Stored { .. }) => drop(stored.insert(n)),
            Some(Settlement::Again { .. }) => {}
            other => panic!("{n} of {route:?}: {other:?}"),
        }
    }
    assert_eq!(stored, (0..sent).collect(), "of {route:?}");
}

/// The dead letters by route and target.
fn letters(life: &Life) -> BTreeMap<(String, String), BTreeSet<u64>> {
    let page = life.block_on(life.gateway().dead_letters(&DeadFilter::default(), None, 1000)).unwrap();
    assert!(page.next.is_none(), "more than a page");
    let mut letters = BTreeMap::<_, BTreeSet<u64>>::new();
    for letter in page.items {
        let place = (letter.message.route.unwrap().to_string(), letter.target.unwrap().to_string());
        let payload = String::from_utf8_lossy(letter.message.envelope.bytes()).into_owned();
        letters.entry(place).or_default().insert(number(&payload));
    }
    letters
}

/// P3: received = stored + how the rest ended, and nothing is stored.
fn account(counts: &Counts, has_letters: bool, route: &RoutePlan) {
    assert_eq!((counts.unaccounted(), counts.stored), (0, 0), "{counts:?} of {route:?}");
    assert_eq!((counts.refused, counts.expired), (0, 0), "{counts:?} of {route:?}");
    // It counts from the start of the process.
    assert!(counts.dead == 0 || has_letters, "{counts:?} of {route:?}");
}
