//! What is promised of a schedule of either kind, by what was seen from outside. Messages are numbers here, in the order in
//! which they were sent.

use super::target::Nature;
use crossdock_delivery::Order;
use crossdock_store::{MemoryDisk, verify};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
};

/// What makes messages one lane.
pub const fn lane(n: u64) -> u64 {
    n % 3
}

/// What makes messages the same: each comes twice, some later than others.
pub const fn key(n: u64) -> u64 {
    n % 7 + n / 14 * 7
}

/// P1: what is owed is delivered or dead (it went on), or repeats one that is; and nothing comes that was not sent. P14: of a
/// key no more than one message goes on.
pub fn nothing_is_lost(
    owed: impl Iterator<Item = u64>,
    went_on: &BTreeSet<u64>,
    sent: u64,
    dedupes: bool,
    of: &impl Debug,
) {
    assert!(went_on.last().is_none_or(|last| *last < sent), "a phantom: {went_on:?} of {of:?}");
    let mut of_key: BTreeMap<u64, BTreeSet<u64>> = BTreeMap::new();
    for n in went_on {
        of_key.entry(key(*n)).or_default().insert(*n);
    }
    if dedupes {
        let twice = of_key.values().find(|numbers| numbers.len() > 1);
        assert_eq!(twice, None, "of one key of {of:?}");
    }
    let is_there = |n: &u64| went_on.contains(n) || (dedupes && of_key.contains_key(&key(*n)));
    let lost: Vec<u64> = owed.filter(|n| !is_there(n)).collect();
    assert!(lost.is_empty(), "{lost:?} of {of:?} are lost; went on: {went_on:?}");
}

/// P10: the sequence in which messages of a lane come for the first time only grows.
pub fn order_is_kept(order: Order, came: &[u64], of: &impl Debug) {
    if order != Order::BlockKey {
        return;
    }
    let mut last: BTreeMap<u64, u64> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for n in came.iter().filter(|n| seen.insert(**n)) {
        let before = last.insert(lane(*n), *n);
        assert!(before.is_none_or(|before| before < *n), "{n} after {before:?} in {came:?} of {of:?}");
    }
}

/// P12: where a target refuses nobody and fails only in outages, none is dead: an outage charges a message once at most.
pub fn nobody_dies_of_outages(nature: &Nature, attempts: u32, dead: &BTreeSet<u64>, of: &impl Debug) {
    if nature.is_kind() && attempts == 8 {
        assert!(dead.is_empty(), "{dead:?} of {of:?}");
    }
}

/// What is on disk after a stop is whole.
pub fn is_sound(disk: &MemoryDisk) {
    let report = verify(disk).unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
}
