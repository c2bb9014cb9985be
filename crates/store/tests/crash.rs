//! P1, P5, P8: whatever operation of the disk is the last one, and whatever a loss of power does to what was not synced,
//! what was answered is there, nothing else is, and a moved message is in exactly one place.

#![cfg(test)]

mod common;

use common::{
    model::{Dice, Life, Model},
    options,
};
use crossdock_store::{CrashPolicy, FaultyDisk, MemoryDisk, Mishap, SyncPolicy};
use std::sync::Arc;

/// Lives on a disk that ends at its `last` operation; the disk, and the model with what is in doubt.
fn life_until(seed: u64, last: u64, mishap: Mishap) -> (MemoryDisk, Model, u64) {
    let below = MemoryDisk::new();
    let disk = FaultyDisk::new(Arc::new(below.clone()));
    disk.plan(None, last, mishap);
    let (mut model, mut dice) = (Model::default(), Dice(seed));
    // Two lives: the second opens a store that was closed.
    for _ in 0..2 {
        let Ok(life) = Life::begin(Arc::new(disk.clone()), options()) else { break };
        if life.live(&mut model, &mut dice, 25).is_err() || life.store.close().is_err() {
            break;
        }
    }
    (below, model, disk.total())
}

/// Opens what a crash left, holds it against the model, goes on for a while, and does it once more.
fn check_after(disk: &MemoryDisk, mut model: Model, seed: u64, policy: CrashPolicy, story: &str) {
    let mut disk = disk.after_crash(policy);
    for round in 0..2 {
        let story = format!("{story}, {policy:?}, round {round}");
        let life = Life::begin(Arc::new(disk.clone()), options()).unwrap_or_else(|error| panic!("{story}: {error}"));
        life.check(&mut model, &story);
        life.live(&mut model, &mut Dice(seed + round), 10).unwrap_or_else(|error| panic!("{story}: {error}"));
        let after = disk.after_crash(policy);
        drop(life);
        disk = after;
    }
}

fn check_every_operation(seed: u64, mishap: Mishap, policies: impl Fn(u64) -> Vec<CrashPolicy>) {
    let (_, _, total) = life_until(seed, u64::MAX, mishap);
    assert!(total > 100, "the life is too short to tell: {total} operations");
    for last in 1..=total {
        let (disk, model, _) = life_until(seed, last, mishap);
        for policy in policies(last) {
            let story = format!("seed {seed}, {mishap:?} at operation {last} of {total}");
            check_after(&disk, model.clone(), seed, policy, &story);
        }
    }
}

#[test]
fn p1_power_is_lost_at_every_operation_and_what_was_not_synced_with_it() {
    check_every_operation(1, Mishap::Ends, |_| vec![CrashPolicy::LoseAll, CrashPolicy::KeepAll]);
}

#[test]
fn p1_power_is_lost_at_every_operation_and_writes_and_names_are_torn() {
    for seed in 2..5 {
        check_every_operation(seed, Mishap::Ends, |last| vec![CrashPolicy::Tear { seed: seed * 1000 + last }]);
    }
}

#[test]
fn p5_a_write_is_torn_at_every_operation() {
    check_every_operation(6, Mishap::Tears, |last| vec![CrashPolicy::KeepAll, CrashPolicy::Tear { seed: last }]);
}

#[test]
fn a_full_volume_at_every_operation_loses_nothing() {
    check_every_operation(7, Mishap::NoSpace, |last| vec![CrashPolicy::KeepAll, CrashPolicy::Tear { seed: last }]);
}

#[test]
fn p8_names_that_were_not_synced_are_forgotten() {
    // Every crash forgets all names since the last sync of their folder; segments come and go meanwhile.
    let mut disk = MemoryDisk::new();
    let (mut model, mut dice) = (Model::default(), Dice(8));
    for round in 0..60 {
        let life = Life::begin(Arc::new(disk.clone()), options()).unwrap();
        life.check(&mut model, &format!("round {round}"));
        life.live(&mut model, &mut dice, 20).unwrap();
        disk = disk.after_crash(CrashPolicy::LoseAll);
        drop(life);
    }
}

#[test]
fn without_a_sync_per_frame_a_crash_leaves_a_prefix() {
    for (seed, sync) in (0..40).map(|seed| (seed, if seed % 2 == 0 { SyncPolicy::Never } else { every(seed) })) {
        let disk = MemoryDisk::new();
        let store = crossdock_store::Store::open(Arc::new(disk.clone()), with(sync)).unwrap();
        let (channel, _) = common::queue(&store);
        store.tidy().unwrap();
        for n in 0..60 {
            store.commit(common::puts(channel, [n], 900)).unwrap();
        }
        let after = disk.after_crash(CrashPolicy::Tear { seed });
        drop(store);
        let store = crossdock_store::Store::open(Arc::new(after), with(sync)).unwrap();
        let (_, reader) = common::queue(&store);
        let left = common::numbers(&common::drain(&store, reader));
        assert_eq!(left, (0..left.len() as u64).collect::<Vec<_>>(), "seed {seed}: not a prefix");
        assert_eq!(store.counts().damaged, 0, "seed {seed}: a torn tail is no damage");
        store.commit(common::puts(channel, [1000], 900)).unwrap();
    }
}

fn every(seed: u64) -> SyncPolicy {
    SyncPolicy::Every(std::time::Duration::from_millis(seed))
}

fn with(sync: SyncPolicy) -> crossdock_store::Options {
    crossdock_store::Options { sync, ..options() }
}
