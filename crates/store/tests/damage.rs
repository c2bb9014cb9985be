//! P7: a torn tail is recovered, other damage is found: a small store is cut at every byte, and every bit of it flipped.
//! No panic, no silent loss, no phantom.

#![cfg(test)]

mod common;

use common::*;
use crossdock_store::*;
use std::{collections::BTreeSet, sync::Arc};

/// How the small store came to its end.
#[derive(Clone, Copy, PartialEq, Debug)]
enum End {
    /// It was closed: all is in the checkpoint.
    Closed,
    /// It crashed some frames after a checkpoint.
    Crashed,
    /// It crashed before its first checkpoint: all is read from the log.
    CrashedEarly,
}

/// Messages that a small store holds, some of them settled, and its disk.
fn small_store(end: End) -> (MemoryDisk, BTreeSet<u64>) {
    let disk = MemoryDisk::new();
    let store = open(&disk);
    let (channel, reader) = queue(&store);
    store.commit(puts(channel, 0..3, 60)).unwrap();
    store.commit(settle(reader, Outcome::Delivered, [1])).unwrap();
    let keyed = Put { keys: vec![claim("door", 1, 1, FAR, 3)], ..put(channel, 3, 60) };
    store.commit(Txn { puts: vec![keyed], ..Txn::default() }).unwrap();
    if end == End::Crashed {
        store.tidy().unwrap();
    }
    store.commit(Txn { touches: vec![touch(reader, 2, 1)], ..Txn::default() }).unwrap();
    store.commit(puts(channel, 4..6, 60)).unwrap();
    if end == End::Closed {
        store.close().unwrap();
    }
    (disk.after_crash(CrashPolicy::KeepAll), BTreeSet::from([0, 2, 3, 4, 5]))
}

const FAR: crossdock_model::Timestamp = crossdock_model::Timestamp(i64::MAX);

/// What a damaged store may answer.
#[derive(Clone, Copy, PartialEq)]
enum May {
    /// Every message is there or counted as dead.
    LoseNothing,
    /// The last frames may be taken for a torn tail.
    LoseTheTail,
}

/// Opens a damaged store; how many messages it has lost.
fn check(disk: &MemoryDisk, messages: &BTreeSet<u64>, may: May, story: &str) -> u64 {
    let store = Store::open(Arc::new(disk.clone()), options()).unwrap_or_else(|error| panic!("{story}: {error}"));
    // Everything is read through the reader, if its declaration is still there, and found by looking.
    let reader = store.subscriptions().iter().find(|reader| reader.name == "r/t").map(|reader| reader.number);
    let fetched = reader.map(|reader| numbers(&drain(&store, reader))).unwrap_or_default();
    let mut found = BTreeSet::new();
    for channel in store.channels() {
        let page = store.browse(channel.number, 0, 100).unwrap();
        found.extend(numbers(&page.messages));
    }
    assert!(fetched.iter().all(|n| found.contains(n)), "{story}: fetched {fetched:?} of {found:?}");
    let damaged = store.counts().damaged;
    // What is settled may come again when the record that settled it is damaged.
    assert!(found.iter().all(|n| messages.contains(n) || *n == 1), "{story}: a phantom in {found:?}");
    let lost = messages.difference(&found).count() as u64;
    let kept = messages.iter().take_while(|n| found.contains(n)).count() as u64;
    let is_prefix = kept + lost == messages.len() as u64;
    let silent = lost.saturating_sub(damaged);
    assert!(
        silent == 0 || (may == May::LoseTheTail && is_prefix),
        "{story}: {lost} lost, {damaged} told of; {found:?}"
    );
    // It goes on as a sound one, and what was damaged is settled.
    queue(&store);
    store.close().unwrap();
    assert_eq!(open(disk).counts().damaged, 0, "{story}: found again");
    lost
}

/// The bytes worth trying: those that are not zero, their neighbours, and the borders of sectors.
fn places(bytes: &[u8]) -> Vec<usize> {
    let used = |at: usize| bytes.get(at).is_some_and(|byte| *byte != 0);
    (0..bytes.len()).filter(|at| used(*at) || used(at + 1) || used(at.wrapping_sub(1)) || at % 512 == 0).collect()
}

fn files(disk: &MemoryDisk) -> Vec<String> {
    let mut names: Vec<String> = disk.list("").unwrap().into_iter().map(|file| file.name).collect();
    names.sort();
    names
}

fn log_of(disk: &MemoryDisk) -> String {
    files(disk).into_iter().find(|name| name.ends_with(".log")).unwrap()
}

/// Flips every bit of every file.
fn flip_all(end: End) {
    flip(end, 0..8, 1);
}

/// Flips these bits of every so manyth byte of every file.
fn flip(end: End, bits: std::ops::Range<u8>, stride: usize) {
    let (disk, messages) = small_store(end);
    // After a crash the last frame cannot be told from a torn one.
    let length = disk.contents(&log_of(&disk)).unwrap().iter().rposition(|byte| *byte != 0).unwrap();
    let last = if end == End::Closed { usize::MAX } else { length / 4096 * 4096 };
    let mut losses = 0;
    for name in files(&disk) {
        let bytes = disk.contents(&name).unwrap();
        for at in places(&bytes).into_iter().step_by(stride) {
            let may = if name.ends_with(".log") && at >= last { May::LoseTheTail } else { May::LoseNothing };
            for bit in bits.clone() {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << bit;
                let damaged = disk.copy();
                damaged.plant(&name, flipped);
                let lost = check(&damaged, &messages, may, &format!("{end:?}: {name}, byte {at}, bit {bit}"));
                losses += u64::from(lost > 0);
            }
        }
    }
    let least = 500 * bits.len() / 8 / stride;
    assert!(losses as usize > least, "only {losses} flips did harm: the test does not look");
}

#[test]
fn p7_every_bit_flipped_in_a_store_that_was_closed() {
    flip_all(End::Closed);
}

#[test]
fn p7_every_bit_flipped_in_a_store_that_crashed() {
    flip_all(End::Crashed);
}

#[test]
fn p7_every_bit_flipped_in_a_store_that_crashed_before_its_first_checkpoint() {
    flip_all(End::CrashedEarly);
}

#[test]
fn p7_bits_flipped_in_an_encrypted_store() {
    // An encrypted file is the longer one: each bit is as good as its neighbour.
    encrypted(|| [End::Closed, End::Crashed, End::CrashedEarly].into_iter().for_each(|end| flip(end, 3..4, 3)));
}

#[test]
fn p7_cut_at_every_byte() {
    cut_all();
}

#[test]
fn p7_an_encrypted_store_cut_at_every_byte() {
    encrypted(cut_all);
}

fn cut_all() {
    for end in [End::Closed, End::Crashed, End::CrashedEarly] {
        let (disk, messages) = small_store(end);
        let mut losses = 0;
        for name in files(&disk) {
            let bytes = disk.contents(&name).unwrap();
            let may = if end == End::Closed || !name.ends_with(".log") { May::LoseNothing } else { May::LoseTheTail };
            for at in places(&bytes) {
                let damaged = disk.copy();
                damaged.plant(&name, bytes[..at].to_vec());
                losses += check(&damaged, &messages, may, &format!("{end:?}: {name} cut at {at}"));
            }
        }
        assert!(losses > 500, "{end:?}: only {losses} messages were lost: the test does not look");
    }
}

#[test]
fn verify_finds_every_flipped_bit_of_a_frame_and_changes_nothing() {
    verify_finds_all();
}

#[test]
fn verify_finds_every_flipped_bit_of_an_encrypted_frame() {
    encrypted(verify_finds_all);
}

fn verify_finds_all() {
    let (disk, _) = small_store(End::Closed);
    let sound = verify_with(&disk, &options().keys).unwrap();
    assert_eq!((sound.findings.as_slice(), sound.messages, sound.torn_bytes), ([].as_slice(), 6, 0));
    let log = files(&disk).into_iter().find(|name| name.ends_with(".log")).unwrap();
    let bytes = disk.contents(&log).unwrap();
    for at in places(&bytes).into_iter().filter(|at| bytes[*at] != 0) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x10;
        let damaged = disk.copy();
        damaged.plant(&log, flipped.clone());
        let report = verify_with(&damaged, &options().keys).unwrap();
        assert!(!report.findings.is_empty() || report.torn_bytes > 0, "byte {at} goes unnoticed");
        assert_eq!(damaged.contents(&log).unwrap(), flipped);
        assert!(damaged.list("quarantine").is_err());
    }
}

#[test]
fn a_message_damaged_on_disk_is_skipped_counted_and_copied_aside() {
    let disk = MemoryDisk::new();
    let store = open(&disk);
    let (channel, reader) = queue(&store);
    store.commit(puts(channel, 0..50, 500)).unwrap();
    store.close().unwrap();
    let log = files(&disk).into_iter().find(|name| name.ends_with(".log")).unwrap();
    let mut bytes = disk.contents(&log).unwrap();
    let at = bytes.windows(11).position(|window| window == b"message 20 ").unwrap();
    bytes[at + 40] ^= 1;
    disk.plant(&log, bytes);
    let store = open(&disk);
    assert!(matches!(store.read(channel, 20), Err(ReadError::Damaged)));
    assert_eq!(numbers(&drain(&store, reader)), (0..50).filter(|n| *n != 20).collect::<Vec<_>>());
    store.commit(settle(reader, Outcome::Delivered, [0])).unwrap();
    let counts = store.group_counts("r").unwrap();
    assert_eq!((counts.received, counts.stored, counts.ended(Outcome::Dead)), (50, 48, 1));
    assert_eq!(store.counts().damaged, 1);
    assert_eq!(disk.list("quarantine").unwrap().len(), 1);
    store.close().unwrap();
    assert_eq!(open(&disk).group_counts("r").unwrap().received, 48, "it is dead for good");
}
