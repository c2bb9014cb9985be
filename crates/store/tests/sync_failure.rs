//! P6: a failed sync, or a failed write other than for want of room, is final: nothing is acknowledged after it, and a
//! restart finds what was acknowledged before.

#![cfg(test)]

mod common;

use common::*;
use crossdock_store::*;
use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};

/// Appends until the disk fails; what was answered, and how many syncs there were.
fn check(operation: DiskOperation, failing: u64) -> bool {
    let story = format!("{operation:?} {failing}");
    let below = MemoryDisk::new();
    let disk = FaultyDisk::new(Arc::new(below.clone()));
    let told = Arc::new(Mutex::new(Vec::new()));
    let options = Options {
        on_failure: Some({
            let told = Arc::clone(&told);
            Arc::new(move |why| told.lock().unwrap().push(why.to_owned()))
        }),
        ..options()
    };
    let store = Store::open(Arc::new(disk.clone()), options).unwrap();
    let (channel, reader) = queue(&store);
    disk.plan(Some(operation), disk.count(operation) + failing, Mishap::Fails);
    let (mut acknowledged, mut tried, mut failed) = (BTreeSet::new(), BTreeSet::new(), false);
    for n in 0..40 {
        match store.commit(puts(channel, [n], 6000)) {
            Ok(_) => {
                assert!(!failed, "{story}: acknowledged after a failure");
                acknowledged.insert(n);
            }
            Err(CommitError::Failed(_)) => failed = true,
            Err(error) => panic!("{story}: {error}"),
        }
        // Five stay; what is older makes room for segments to be used again.
        if n >= 5 {
            let settled = store.commit(settle(reader, Outcome::Delivered, [n - 5]));
            assert!(!failed || settled.is_err(), "{story}: settled after a failure");
            failed |= settled.is_err();
            tried.insert(n - 5);
        }
        if n % 10 == 9 && !failed {
            failed = store.tidy().is_err();
        }
    }
    assert_eq!(store.failure().is_some(), failed, "{story}");
    assert_eq!(told.lock().unwrap().len(), usize::from(failed), "{story}: told once");
    if failed {
        assert!(matches!(store.close(), Err(CommitError::Failed(_))), "{story}");
        assert!(matches!(store.declare_channel(ChannelSpec::queue("x")), Err(DeclareError::Commit(_))), "{story}");
        let changes = disk.total();
        assert!(store.commit(settle(reader, Outcome::Delivered, [0])).is_err());
        assert_eq!(disk.total(), changes, "{story}: the disk is left alone");
    }
    drop(store);
    for policy in [CrashPolicy::LoseAll, CrashPolicy::KeepAll, CrashPolicy::Tear { seed: failing }] {
        let store = open(&below.after_crash(policy));
        let left: BTreeSet<u64> = numbers(&drain(&store, reader)).into_iter().collect();
        let lost: Vec<_> = acknowledged.difference(&tried).filter(|n| !left.contains(n)).collect();
        assert!(lost.is_empty(), "{story}, {policy:?}: {lost:?} are lost");
        let doubtful = left.difference(&acknowledged).count();
        assert!(doubtful <= 1, "{story}, {policy:?}: {doubtful} were in doubt at once");
    }
    failed
}

#[test]
fn p6_every_sync_that_fails_is_final() {
    let failures = (1..200).take_while(|failing| check(DiskOperation::Sync, *failing)).count();
    assert!(failures > 40, "only {failures} syncs were tried");
}

#[test]
fn p6_every_write_and_every_folder_sync_that_fails_is_final() {
    for operation in [DiskOperation::Write, DiskOperation::SyncDir, DiskOperation::Rename, DiskOperation::Truncate] {
        let failures = (1..200).take_while(|failing| check(operation, *failing)).count();
        assert!(failures > 0, "no {operation:?} was tried");
    }
}

#[test]
fn what_waits_when_the_store_fails_is_answered() {
    let disk = FaultyDisk::new(Arc::new(MemoryDisk::new()));
    let store = Store::open(Arc::new(disk.clone()), options()).unwrap();
    let (channel, _) = queue(&store);
    disk.plan(Some(DiskOperation::Sync), disk.count(DiskOperation::Sync) + 3, Mishap::Fails);
    let answered = Arc::new(AtomicU64::new(0));
    for n in 0..200 {
        let answered = Arc::clone(&answered);
        store.submit(
            puts(channel, [n], 10),
            Box::new(move |_| {
                answered.fetch_add(1, SeqCst);
            }),
        );
    }
    // The last one is answered after all others; whatever it is, each has had its answer then.
    let _ = store.commit(puts(channel, [1000], 10));
    drop(store);
    assert_eq!(answered.load(SeqCst), 200);
}
