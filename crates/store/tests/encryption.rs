//! At rest nothing is readable, keys are rotated, and a key that is wrong or missing is told before anything is touched.

#![cfg(test)]

mod common;

use common::{
    model::{Dice, Life, Model},
    *,
};
use crossdock_model::{Envelope, Fault, FaultClass, Text, Timestamp, Value};
use crossdock_store::*;
use std::sync::Arc;

const WORD: &str = "MARKER-WORD";

/// With whatever of every kind of record a text can stand in.
fn tell_all(store: &Store) -> (ChannelNumber, SubscriptionNumber) {
    let name = |what: &str| Text::from(format!("{what}-{WORD}"));
    let channel = store.declare_channel(ChannelSpec::queue(name("queue"))).unwrap();
    let dead = store.declare_channel(ChannelSpec::queue(name("dead"))).unwrap();
    let reader = reader(store, channel, &name("route/target"), &name("route"));
    let envelope = |n: u64| {
        let mut envelope = Envelope::new(id(n), Timestamp(1), format!("payload {n} {WORD}").into_bytes());
        envelope.headers.push(name("name"), Value::Text(name("value")));
        envelope.properties.reply_to = Some(name("reply"));
        envelope.origin.address = name("address");
        envelope
    };
    let fault = Fault::new(FaultClass::Failed, format!("code-{WORD}"), format!("fault {WORD}"));
    let tries = vec![Try { number: 1, at: Timestamp(1), target: Some(name("target")), fault: Some(fault.clone()) }];
    let note = DeadNote {
        cause: fault.clone(),
        route: name("route"),
        target: Some(name("target")),
        dead_since: Timestamp(1),
        source: Some(name("source")),
        tries_total: 1,
        tries,
    };
    for n in 0..40 {
        let until = Timestamp(i64::MAX);
        let claims = vec![claim(&format!("scope-{WORD}"), n, n, until, n)];
        let put = Put { keys: claims, ..Put::new(channel, EncodedMessage::new(&envelope(n), None), 0) };
        let buried = Put::new(dead, EncodedMessage::new(&envelope(n), Some(&note)), 1);
        let operation = Operation {
            id: id(n),
            kind: name("operation"),
            state: OperationState::Running,
            total: 1,
            done: 0,
            failed: 0,
            body: format!("operation {WORD}").into_bytes().into(),
        };
        let touches = if n > 0 {
            let fault = Some(fault.clone());
            vec![Touch { fault, ..touch(reader, n - 1, 1) }]
        } else {
            Vec::new()
        };
        store.commit(Txn { puts: vec![put, buried], touches, operations: vec![operation], ..Txn::default() }).unwrap();
    }
    (channel, reader)
}

/// The files with their bytes, those in `quarantine` too.
fn contents(disk: &MemoryDisk) -> Vec<(String, Vec<u8>)> {
    let names = |folder: &str| disk.list(folder).unwrap_or_default().into_iter().map(|file| file.name);
    let all = names("").chain(names("quarantine").map(|name| format!("quarantine/{name}")));
    all.filter_map(|name| disk.contents(&name).map(|bytes| (name, bytes))).collect()
}

/// The files in which the word stands.
fn readable(disk: &MemoryDisk) -> Vec<String> {
    let has = |bytes: &[u8]| bytes.windows(WORD.len()).any(|window| window == WORD.as_bytes());
    contents(disk).into_iter().filter(|(_, bytes)| has(bytes)).map(|(name, _)| name).collect()
}

/// Flips a bit in the record of a message behind the checkpoint, which is then copied aside.
fn harm(disk: &MemoryDisk) {
    let logs = disk.list("").unwrap().into_iter().filter(|file| file.name.ends_with(".log"));
    let name = logs.map(|file| file.name).max().unwrap();
    let mut bytes = disk.contents(&name).unwrap();
    let frame = 4096 * 3;
    let records = usize::from(bytes[frame + 44]);
    bytes[frame + 64 + records * 20 + 12 + 30] ^= 1;
    disk.plant(&name, bytes);
}

fn at_rest() -> MemoryDisk {
    let disk = MemoryDisk::new();
    let store = open(&disk);
    let (_, reader) = tell_all(&store);
    store.commit(settle(reader, Outcome::Delivered, (0..40).filter(|n| n % 10 != 0))).unwrap();
    let crashed = disk.after_crash(CrashPolicy::KeepAll);
    // By way of an unclean start with damage, so that there is a quarantine, and of indexes.
    harm(&crashed);
    drop(store);
    let store = open(&crashed);
    store.tidy().unwrap();
    for channel in store.channels() {
        store.browse(channel.number, 0, 100).unwrap();
    }
    store.close().unwrap();
    crashed
}

#[test]
fn nothing_is_readable_at_rest() {
    let plain = readable(&at_rest());
    for kind in ["checkpoint", ".log", "quarantine/"] {
        assert!(plain.iter().any(|name| name.contains(kind)), "the test does not look: {kind} in {plain:?}");
    }
    encrypted(|| {
        let disk = at_rest();
        assert_eq!(readable(&disk), [""; 0]);
        let names: Vec<String> = contents(&disk).into_iter().map(|(name, _)| name).collect();
        for kind in ["checkpoint-0", "checkpoint-1", ".log", ".index", "keys-", "quarantine/"] {
            assert!(names.iter().any(|name| name.contains(kind)), "{kind} in {names:?}");
        }
        let hash = digest(7).0;
        for (name, bytes) in contents(&disk) {
            assert!(!bytes.windows(hash.len()).any(|window| window == hash), "a key's hash in {name}");
            assert!(!bytes.windows(16).any(|window| window == id(7).as_bytes()), "a message's id in {name}");
        }
    });
}

/// Opens with keys; the numbers of the messages, and closes.
fn numbers_with(disk: &MemoryDisk, keys: &Keyring, add: u64) -> Vec<u64> {
    with_keys(keys.clone(), || {
        let store = open(disk);
        let (channel, reader) = queue(&store);
        store.commit(puts(channel, [add], 300)).unwrap();
        let found = numbers(&drain(&store, reader));
        assert_eq!(store.counts().damaged, 0);
        store.close().unwrap();
        assert_eq!(verify_with(disk, keys).unwrap().findings, []);
        found
    })
}

#[test]
fn keys_are_rotated_and_encryption_is_switched_on_and_off() {
    let disk = MemoryDisk::new();
    let ring =
        |current: Option<char>, previous: &str| Keyring::new(current.map(key), previous.chars().map(key).collect());
    let steps = [
        ring(None, ""),
        ring(Some('a'), ""),
        ring(Some('b'), "a"),
        ring(Some('b'), "ca"),
        ring(None, "ab"),
        ring(Some('c'), "ab"),
    ];
    for (n, keys) in steps.iter().enumerate() {
        let n = n as u64;
        assert_eq!(numbers_with(&disk, keys, n), (0..=n).collect::<Vec<_>>(), "step {n}");
    }
    // What was written under each is still needed, until its messages are gone.
    for keys in [ring(Some('c'), "a"), ring(Some('c'), "b"), ring(Some('a'), "b"), ring(None, "")] {
        refused(&disk, &keys);
    }
    let last = ring(Some('c'), "ab");
    with_keys(last, || {
        let store = open(&disk);
        let (_, reader) = queue(&store);
        store.commit(settle(reader, Outcome::Delivered, 0..5)).unwrap();
        store.close().unwrap();
    });
    assert_eq!(numbers_with(&disk, &ring(Some('c'), ""), 6), [5, 6], "the keys before are needed no more");
}

/// A start that must not come to anything.
fn refused(disk: &MemoryDisk, keys: &Keyring) {
    let before = contents(disk);
    let options = Options { keys: keys.clone(), ..options() };
    match Store::open(Arc::new(disk.clone()), options) {
        Err(error @ OpenError::Key { .. }) => {
            let text = error.to_string();
            assert!(text.contains("key_file") && text.contains("previous_key_files"), "{text}");
        }
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("opened with {keys:?}"),
    }
    assert_eq!(contents(disk), before, "something was touched");
}

#[test]
fn a_wrong_or_missing_key_is_told_and_nothing_is_touched() {
    let disk = MemoryDisk::new();
    let crashed = encrypted(|| {
        let store = open(&disk);
        let (channel, _) = queue(&store);
        store.commit(puts(channel, 0..3, 60)).unwrap();
        let crashed = disk.after_crash(CrashPolicy::KeepAll);
        store.close().unwrap();
        crashed
    });
    for disk in [&disk, &crashed] {
        refused(disk, &Keyring::default());
        refused(disk, &Keyring::new(Some(key('b')), vec![key('c')]));
        let report = verify_with(disk, &Keyring::default()).unwrap();
        assert!(report.findings.is_empty() && report.messages == 3, "{report:?}");
        assert!(report.unchecked.iter().any(|left| left.file.ends_with(".log")), "{report:?}");
        assert!(report.unchecked.iter().any(|left| left.file.starts_with("checkpoint")), "{report:?}");
    }
}

#[test]
fn a_write_that_failed_is_not_encrypted_alike_again() {
    encrypted(|| {
        let below = MemoryDisk::new();
        let disk = FaultyDisk::new(Arc::new(below.clone()));
        let store = Store::open(Arc::new(disk.clone()), options()).unwrap();
        let (channel, reader) = queue(&store);
        store.commit(puts(channel, [0], 60)).unwrap();
        disk.plan(Some(DiskOperation::Write), disk.count(DiskOperation::Write) + 1, Mishap::NoSpace);
        store.commit(puts(channel, [1], 60)).unwrap();
        store.commit(puts(channel, [2], 60)).unwrap();
        assert_eq!(numbers(&drain(&store, reader)), [0, 1, 2]);
        store.close().unwrap();
        // The number of writes that failed stands in the heads of the records behind.
        let name = below.list("").unwrap().into_iter().find(|file| file.name.ends_with(".log")).unwrap().name;
        let bytes = below.contents(&name).unwrap();
        let failed: Vec<u8> =
            bytes.chunks(4096).filter(|block| block.starts_with(b"CDKF")).map(|block| block[70]).collect();
        assert!(failed.contains(&0) && failed.contains(&1), "{failed:?}");
        assert_eq!(verify_with(&below, &options().keys).unwrap().findings, []);
    });
}

#[test]
fn a_random_life_with_crashes_is_the_same_encrypted() {
    encrypted(|| {
        for seed in 0..6 {
            let mut disk = MemoryDisk::new();
            let (mut model, mut dice) = (Model::default(), Dice(seed));
            for round in 0..12 {
                let life = Life::begin(Arc::new(disk.clone()), options()).unwrap();
                life.check(&mut model, &format!("seed {seed}, round {round}"));
                life.live(&mut model, &mut dice, 20).unwrap();
                if round % 3 == 0 {
                    life.store.close().unwrap();
                }
                disk = disk.after_crash(CrashPolicy::LoseAll);
                drop(life);
            }
        }
    });
}
