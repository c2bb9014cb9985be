//! Keys: what was seen under a key is not stored again, over restarts, crashes and the end of the segment that noted it.

#![cfg(test)]

mod common;

use common::*;
use crossdock_model::{Digest, Timestamp};
use crossdock_store::*;
use std::{sync::Arc, time::Duration};

const FAR: Timestamp = Timestamp(i64::MAX);

fn keyed(channel: ChannelNumber, n: u64, key: u64, body: u64, until: Timestamp) -> Put {
    Put { keys: vec![claim("door", key, body, until, n)], ..put(channel, n, 50) }
}

fn commit(store: &Store, puts: Vec<Put>) -> Vec<PutResult> {
    store.commit(Txn { puts, ..Txn::default() }).unwrap().puts
}

#[test]
fn p14_a_key_is_stored_once_over_restarts_and_crashes() {
    let mut disk = MemoryDisk::new();
    for round in 0..6 {
        let store = open(&disk);
        let (channel, _) = queue(&store);
        let results = commit(&store, vec![keyed(channel, round, 1, 7, FAR)]);
        let expected = if round == 0 { PutResult::Stored { offset: 0 } } else { PutResult::Duplicate { id: id(0) } };
        assert_eq!(results, [expected], "round {round}");
        assert_eq!(commit(&store, vec![keyed(channel, round, 1, 8, FAR)]), [PutResult::Conflict { id: id(0) }]);
        disk = ended(store, disk, round);
    }
}

#[test]
fn within_a_decision_and_within_a_group_the_first_one_counts() {
    let store = open(&MemoryDisk::new());
    let (channel, _) = queue(&store);
    let results = commit(
        &store,
        vec![
            keyed(channel, 1, 1, 7, FAR),
            keyed(channel, 2, 1, 7, FAR),
            keyed(channel, 3, 1, 8, FAR),
            keyed(channel, 4, 2, 7, FAR),
        ],
    );
    let (stored, duplicate) = (|offset| PutResult::Stored { offset }, PutResult::Duplicate { id: id(1) });
    assert_eq!(results, [stored(0), duplicate, PutResult::Conflict { id: id(1) }, stored(1)]);
    // A bundle stands or falls with its key.
    let mut bundle = vec![keyed(channel, 5, 1, 7, FAR), put(channel, 6, 50)];
    bundle.iter_mut().for_each(|put| put.bundle = 9);
    assert_eq!(commit(&store, bundle), [duplicate, duplicate]);
    // Other scopes have keys of their own.
    let other = Put { keys: vec![claim("other", 1, 7, FAR, 8)], ..put(channel, 8, 50) };
    assert_eq!(commit(&store, vec![other]), [stored(2)]);
}

#[test]
fn many_senders_of_one_key_at_once_store_it_once() {
    let store = open(&MemoryDisk::new());
    let (channel, _) = queue(&store);
    let results: Vec<PutResult> = std::thread::scope(|scope| {
        let send = |n: u64| {
            let store = store.clone();
            move || (0..50).flat_map(|key| commit(&store, vec![keyed(channel, n, key, 7, FAR)])).collect::<Vec<_>>()
        };
        let senders: Vec<_> = (0..8).map(|n| scope.spawn(send(n))).collect();
        senders.into_iter().flat_map(|sender| sender.join().unwrap()).collect()
    });
    let stored = results.iter().filter(|result| matches!(result, PutResult::Stored { .. })).count();
    let duplicates = results.iter().filter(|result| matches!(result, PutResult::Duplicate { .. })).count();
    assert_eq!((stored, duplicates), (50, 350));
}

#[test]
fn a_key_runs_out() {
    let (disk, clock) = (MemoryDisk::new(), TestClock::new());
    let store = Store::open(Arc::new(disk.clone()), options_at(&clock)).unwrap();
    let (channel, _) = queue(&store);
    let until = clock.now().after(Duration::from_secs(60));
    commit(&store, vec![keyed(channel, 1, 1, 7, until)]);
    clock.advance(Duration::from_secs(59));
    assert_eq!(commit(&store, vec![keyed(channel, 2, 1, 7, until)]), [PutResult::Duplicate { id: id(1) }]);
    clock.advance(Duration::from_secs(1));
    let until = clock.now().after(Duration::from_secs(60));
    assert_eq!(commit(&store, vec![keyed(channel, 3, 1, 7, until)]), [PutResult::Stored { offset: 1 }]);
    drop(store);
    let store = Store::open(Arc::new(disk), options_at(&clock)).unwrap();
    assert_eq!(commit(&store, vec![keyed(channel, 4, 1, 7, until)]), [PutResult::Duplicate { id: id(3) }]);
}

#[test]
fn keys_outlive_the_segments_that_noted_them() {
    let disk = MemoryDisk::new();
    let store = open(&disk);
    let (channel, reader) = queue(&store);
    // Far more checkpoints than there may be key files, and every segment is removed.
    for n in 0..400 {
        commit(&store, vec![keyed(channel, n, n, n, FAR), put(channel, 10_000 + n, 9000)]);
        store.commit(settle(reader, Outcome::Delivered, [2 * n, 2 * n + 1])).unwrap();
    }
    store.tidy().unwrap();
    let files: Vec<String> = disk.list("").unwrap().into_iter().map(|file| file.name).collect();
    let key_files = files.iter().filter(|name| name.starts_with("keys-")).count();
    assert!((1..=16).contains(&key_files), "{files:?}");
    assert!(files.iter().filter(|name| name.ends_with(".log")).count() <= 2, "{files:?}");
    for disk in [disk.after_crash(CrashPolicy::LoseAll), disk] {
        drop(store.close());
        let store = open(&disk);
        for n in 0..400 {
            let again = commit(&store, vec![keyed(channel, 9999, n, n, FAR)]);
            assert_eq!(again, [PutResult::Duplicate { id: id(n) }], "key {n}");
        }
        store.close().unwrap();
    }
}

fn cheap(scope: &str, n: u64, keys_max: u64) -> KeyClaim {
    let mut hash = [0; 16];
    hash[..8].copy_from_slice(&n.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes());
    let (scope, hash) = (scope.into(), Digest(hash));
    KeyClaim { scope, hash, body: Digest([7; 16]), until: FAR, id: id(n), keys_max, place: None }
}

/// Notes keys, a thousand with a message.
fn note(store: &Store, channel: ChannelNumber, scope: &str, keys: std::ops::Range<u64>, keys_max: u64) {
    let numbers: Vec<u64> = keys.collect();
    for some in numbers.chunks(1000) {
        let keys = some.iter().map(|n| cheap(scope, *n, keys_max)).collect();
        let results = commit(store, vec![Put { keys, ..put(channel, some[0], 1) }]);
        assert!(matches!(results[..], [PutResult::Stored { .. }]), "{results:?}");
    }
}

/// Whether a key is known; if it is not, it is then.
fn knows(store: &Store, channel: ChannelNumber, scope: &str, n: u64, keys_max: u64) -> bool {
    let results = commit(store, vec![Put { keys: vec![cheap(scope, n, keys_max)], ..put(channel, n, 1) }]);
    results == [PutResult::Duplicate { id: id(n) }]
}

/// A store of larger segments, in which many keys come between two checkpoints.
fn large(disk: &MemoryDisk) -> Store {
    Store::open(Arc::new(disk.clone()), Options { segment_bytes: 32 << 20, ..options() }).unwrap()
}

#[test]
fn p14_far_more_keys_than_memory_holds_are_known_over_restarts_and_crashes() {
    const COUNT: u64 = 140_000;
    const MOST: u64 = 1_000_000;
    let disk = MemoryDisk::new();
    let store = large(&disk);
    let (channel, _) = queue(&store);
    note(&store, channel, "door", 0..COUNT, MOST);
    let files = disk.list("").unwrap().into_iter().filter(|file| file.name.starts_with("keys-")).count();
    assert!((2..=3).contains(&files), "{files}: they do not wait for a checkpoint");
    let crashed = disk.after_crash(CrashPolicy::LoseAll);
    let other = |store: &Store| {
        let claim = KeyClaim { body: Digest([8; 16]), ..cheap("door", 3, MOST) };
        assert_eq!(
            commit(store, vec![Put { keys: vec![claim], ..put(channel, 7, 1) }]),
            [PutResult::Conflict { id: id(3) }]
        );
    };
    other(&store);
    store.close().unwrap();
    for disk in [crashed, disk] {
        let store = large(&disk);
        for n in (0..COUNT).step_by(997) {
            assert!(knows(&store, channel, "door", n, MOST), "key {n}");
        }
        other(&store);
        assert!((COUNT..COUNT + 300).all(|n| !knows(&store, channel, "door", n, MOST)));
        store.close().unwrap();
        let report = verify_with(&disk, &Keyring::default()).unwrap();
        assert!(report.findings.is_empty(), "{:?}", report.findings);
    }
}

#[test]
fn a_scope_remembers_as_many_keys_as_it_is_told_to_and_counts_the_others() {
    let disk = MemoryDisk::new();
    let store = large(&disk);
    let (channel, _) = queue(&store);
    // The oldest are in files by the time when they are forgotten.
    const MOST: u64 = 80_000;
    note(&store, channel, "door", 0..90_000, MOST);
    assert_eq!(store.counts().keys_forgotten, 10_000);
    let is_known = |store: &Store, n| knows(store, channel, "door", n, MOST);
    assert!((10_000..90_000).step_by(499).all(|n| is_known(&store, n)));
    assert!(!is_known(&store, 9_999), "it comes as new, and the oldest makes room");
    assert!(!is_known(&store, 10_000) && is_known(&store, 10_002));
    // Others have their own bound.
    note(&store, channel, "few", 0..20, 5);
    let few = |n| knows(&store, channel, "few", n, 5);
    assert!((15..20).all(few) && !few(14));
    store.close().unwrap();
    let store = large(&disk);
    assert!(!is_known(&store, 10_001) && is_known(&store, 10_003));
}

#[test]
fn keys_in_files_run_out_and_their_files_go() {
    let (disk, clock) = (MemoryDisk::new(), TestClock::new());
    let store = Store::open(Arc::new(disk.clone()), options_at(&clock)).unwrap();
    let (channel, reader) = queue(&store);
    let key_files = |disk: &MemoryDisk| {
        let files = disk.list("").unwrap().into_iter();
        files.filter(|file| file.name.starts_with("keys-")).map(|file| file.name).collect::<Vec<_>>()
    };
    let until = clock.now().after(Duration::from_secs(60));
    commit(&store, vec![keyed(channel, 1, 1, 7, until)]);
    store.tidy().unwrap();
    assert_eq!(key_files(&disk).len(), 1);
    assert_eq!(commit(&store, vec![keyed(channel, 2, 1, 7, until)]), [PutResult::Duplicate { id: id(1) }]);
    clock.advance(Duration::from_secs(60));
    let later = clock.now().after(Duration::from_secs(60));
    assert_eq!(commit(&store, vec![keyed(channel, 3, 1, 7, later)]), [PutResult::Stored { offset: 1 }]);
    store.commit(settle(reader, Outcome::Delivered, [0, 1])).unwrap();
    store.tidy().unwrap();
    assert_eq!(key_files(&disk), ["keys-0000000000000002"]);
    drop(store);
    let store = Store::open(Arc::new(disk.clone()), options_at(&clock)).unwrap();
    assert_eq!(commit(&store, vec![keyed(channel, 4, 1, 7, later)]), [PutResult::Duplicate { id: id(3) }]);
    clock.advance(Duration::from_secs(60));
    commit(&store, vec![put(channel, 5, 1)]);
    store.tidy().unwrap();
    assert_eq!(key_files(&disk), [""; 0]);
}

#[test]
fn p14_keys_are_known_wherever_a_checkpoint_is_broken_off() {
    for operation in 1.. {
        let disk = MemoryDisk::new();
        let faulty = FaultyDisk::new(Arc::new(disk.clone()));
        let store = Store::open(Arc::new(faulty.clone()), options()).unwrap();
        let (channel, _) = queue(&store);
        commit(&store, vec![keyed(channel, 1, 1, 7, FAR)]);
        faulty.plan(None, faulty.total() + operation, Mishap::Ends);
        let through = store.tidy().is_ok();
        drop(store);
        for policy in [CrashPolicy::LoseAll, CrashPolicy::KeepAll, CrashPolicy::Tear { seed: operation }] {
            let disk = disk.after_crash(policy);
            let again = commit(&open(&disk), vec![keyed(channel, 2, 1, 7, FAR)]);
            assert_eq!(again, [PutResult::Duplicate { id: id(1) }], "operation {operation}, {policy:?}");
        }
        if through {
            assert!(operation > 10, "{operation}");
            return;
        }
    }
}
