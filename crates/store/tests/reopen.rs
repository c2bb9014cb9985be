//! What a restart finds does not depend on how the store came to its end, nor on which checkpoint is read.

#![cfg(test)]

mod common;

use common::{
    model::{Dice, Life, Model},
    *,
};
use crossdock_store::*;
use std::sync::Arc;

/// All that can be seen of a store.
fn view(disk: &MemoryDisk) -> Vec<String> {
    let store = open(disk);
    let mut seen = vec![store.store_id().to_owned()];
    for channel in store.channels() {
        // Bytes are by averages where a segment is settled in part; what was not seen when it was appended may expire.
        let info = ChannelInfo { bytes: 0, expiring_below: channel.next_offset, ..channel.clone() };
        seen.push(format!("{info:?}"));
        let mut from = Some(0);
        while let Some(at) = from {
            let page = store.browse(channel.number, at, 40).unwrap();
            seen.extend(
                page.messages.iter().map(|m| format!("{} {} {} {}", m.offset, number(m), m.appended_at, m.len())),
            );
            from = page.next;
        }
    }
    for reader in store.subscriptions() {
        seen.push(format!("{reader:?} {:?}", store.group_counts(&reader.group)));
        for touched in store.touched(reader.number).unwrap() {
            seen.push(format!("{touched:?} {:?}", store.history(reader.number, touched.offset).unwrap()));
        }
    }
    seen.extend(store.operations().iter().map(|operation| format!("{operation:?}")));
    let before = store.subscriptions();
    for reader in before {
        seen.push(format!("{:?}", numbers(&drain(&store, reader.number))));
    }
    seen
}

/// The checkpoint files, newest first, by the generation in their headers.
fn checkpoints(disk: &MemoryDisk) -> Vec<String> {
    let generation = |name: &str| u64::from_le_bytes(disk.contents(name).unwrap()[16..24].try_into().unwrap());
    let mut names = vec!["checkpoint-0".to_owned(), "checkpoint-1".to_owned()];
    names.sort_by_key(|name| std::cmp::Reverse(generation(name)));
    names
}

#[test]
fn a_checkpoint_and_a_restart_equal_a_full_replay() {
    for seed in 0..30 {
        let disk = MemoryDisk::new();
        let mut options = options();
        // Small enough a life that the older checkpoint is the one of nothing, or large enough for several.
        options.segment_bytes = if seed % 2 == 0 { 1 << 20 } else { 64 << 10 };
        let life = Life::begin(Arc::new(disk.clone()), options).unwrap();
        let (mut model, mut dice) = (Model::default(), Dice(seed));
        for _ in 0..60 {
            life.live(&mut model, &mut dice, 1).unwrap();
        }
        let operation = Operation {
            id: id(seed),
            kind: "redrive".into(),
            state: OperationState::Running,
            total: 1,
            done: 0,
            failed: 0,
            body: vec![7].into(),
        };
        life.store.commit(Txn { operations: vec![operation], ..Txn::default() }).unwrap();
        let crashed = disk.after_crash(CrashPolicy::LoseAll);
        let replayed = disk.after_crash(CrashPolicy::LoseAll);
        let newest = &checkpoints(&replayed)[0];
        replayed.plant(newest, Vec::new());
        life.store.close().unwrap();
        let by_crash = view(&crashed);
        assert!(by_crash.len() > 8, "seed {seed}: too little to see");
        assert_eq!(view(&disk), by_crash, "seed {seed}: closed, and crashed");
        assert_eq!(view(&replayed), by_crash, "seed {seed}: by the older checkpoint");
        assert_eq!(view(&crashed), by_crash, "seed {seed}: opened a second time");
    }
}

#[test]
fn a_store_that_was_closed_is_opened_without_reading_its_log() {
    let disk = MemoryDisk::new();
    let life = Life::begin(Arc::new(disk.clone()), options()).unwrap();
    life.live(&mut Model::default(), &mut Dice(1), 200).unwrap();
    life.store.close().unwrap();
    let counting = FaultyDisk::new(Arc::new(disk));
    let store = Store::open(Arc::new(counting.clone()), options()).unwrap();
    assert!(counting.count(DiskOperation::Read) <= 4, "{} reads", counting.count(DiskOperation::Read));
    let writes = counting.count(DiskOperation::Write) + counting.count(DiskOperation::Sync);
    assert_eq!(writes, 0, "opening a sound store writes nothing");
    drop(store);
}

/// A header in a file: where it begins, where in it its checksum is, and what the checksum begins with.
struct Header {
    begin: usize,
    checksum_at: usize,
    seed: u32,
}

/// Sets the version in a header, and makes its checksum hold.
fn set_version(disk: &MemoryDisk, name: &str, header: &Header, version: u8) {
    let Header { begin, checksum_at, seed } = header;
    let mut bytes = disk.contents(name).unwrap();
    bytes[begin + 4] = version;
    let checksum = crc32c::crc32c_append(*seed, &bytes[*begin..begin + checksum_at]);
    bytes[begin + checksum_at..begin + checksum_at + 4].copy_from_slice(&checksum.to_le_bytes());
    disk.plant(name, bytes);
}

#[test]
fn a_store_of_a_newer_version_is_left_alone() {
    let disk = MemoryDisk::new();
    let store = open(&disk);
    let (channel, _) = queue(&store);
    store.commit(puts(channel, [1], 10)).unwrap();
    let crashed = disk.after_crash(CrashPolicy::LoseAll);
    drop(store);
    let check = |disk: &MemoryDisk, what: &str| {
        let before: Vec<_> = disk.list("").unwrap();
        match Store::open(Arc::new(disk.clone()), options()) {
            Err(error @ OpenError::Newer { .. }) => assert!(error.to_string().contains("newer version"), "{error}"),
            Err(error) => panic!("{what}: {error}"),
            Ok(_) => panic!("{what}: opened"),
        }
        let left: Vec<_> = disk.list("").unwrap();
        assert_eq!(left, before, "{what}");
    };
    let newer = crashed.copy();
    for name in ["checkpoint-0", "checkpoint-1"] {
        set_version(&newer, name, &Header { begin: 0, checksum_at: 60, seed: 0 }, 2);
    }
    check(&newer, "checkpoint");
    let log = crashed.list("").unwrap().into_iter().find(|file| file.name.ends_with(".log")).unwrap().name;
    let newer = crashed.copy();
    set_version(&newer, &log, &Header { begin: 0, checksum_at: 48, seed: 0 }, 2);
    check(&newer, "segment");
    let incarnation: [u8; 8] = crashed.contents(&log).unwrap()[16..24].try_into().unwrap();
    let newer = crashed.copy();
    set_version(&newer, &log, &Header { begin: 4096, checksum_at: 60, seed: crc32c::crc32c(&incarnation) }, 2);
    check(&newer, "frame");
}

#[test]
fn both_checkpoints_gone_is_told_and_nothing_is_begun_anew() {
    let disk = MemoryDisk::new();
    let store = open(&disk);
    queue(&store);
    store.close().unwrap();
    for name in ["checkpoint-0", "checkpoint-1"] {
        disk.plant(name, vec![1, 2, 3]);
    }
    match Store::open(Arc::new(disk), options()) {
        Err(OpenError::Unusable { what }) => assert!(what.contains("backup"), "{what}"),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("opened"),
    }
}

#[test]
fn the_same_life_on_a_real_disk() {
    let folder = tempfile::tempdir().unwrap();
    let disk = || Arc::new(RealDisk::new(folder.path()).unwrap());
    let (mut model, mut dice) = (Model::default(), Dice(5));
    for round in 0..5 {
        let life = Life::begin(disk(), options()).unwrap();
        life.check(&mut model, &format!("round {round}"));
        life.live(&mut model, &mut dice, 60).unwrap();
        if round % 2 == 0 {
            life.store.close().unwrap();
        }
    }
    let report = verify(&*disk()).unwrap();
    assert_eq!(report.findings, []);
    assert!(report.messages > 0);
}
