//! Space: what nothing needs is given back, what is read from disk is what was written, a full volume is survived.

#![cfg(test)]

mod common;

use common::*;
use crossdock_store::*;
use std::{
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

const SEGMENT: u64 = 64 << 10;

fn log_bytes(disk: &dyn Disk) -> u64 {
    disk.list("").unwrap().iter().filter(|file| file.name.ends_with(".log")).map(|file| file.bytes).sum()
}

fn segments(disk: &dyn Disk) -> usize {
    disk.list("").unwrap().iter().filter(|file| file.name.ends_with(".log")).count()
}

fn has_spare(disk: &dyn Disk) -> bool {
    disk.list("").unwrap().iter().any(|file| file.name == "spare")
}

#[test]
fn segments_without_live_messages_are_used_again_then_removed() {
    let below = MemoryDisk::new();
    let disk = FaultyDisk::new(Arc::new(below.clone()));
    let store = Store::open(Arc::new(disk.clone()), options()).unwrap();
    let (channel, reader) = queue(&store);
    let mut most = 0;
    for n in 0..500 {
        store.commit(puts(channel, [n], 6000)).unwrap();
        store.commit(settle(reader, Outcome::Delivered, [n])).unwrap();
        most = most.max(store.counts().bytes);
    }
    assert!(most < 9 * SEGMENT, "{most} bytes for what is settled at once");
    assert!(disk.count(DiskOperation::Rename) > 20, "no segment was used again");
    store.tidy().unwrap();
    assert!(!has_spare(&below));
    assert!(store.counts().bytes < 2 * SEGMENT, "{} bytes are left", store.counts().bytes);
    store.commit(puts(channel, [500], 6000)).unwrap();
    drop(store);
    assert_eq!(numbers(&drain(&open(&below), reader)), [500]);
}

#[test]
fn a_message_that_stays_keeps_its_segment_and_no_other() {
    let disk = MemoryDisk::new();
    let store = open(&disk);
    let (channel, reader) = queue(&store);
    for n in 0..500 {
        store.commit(puts(channel, [n], 3000)).unwrap();
    }
    let kept = [7, 8, 250, 499];
    store.commit(settle(reader, Outcome::Delivered, (0..500).filter(|n| !kept.contains(n)))).unwrap();
    store.tidy().unwrap();
    assert!(segments(&disk) <= 4, "{} segments", segments(&disk));
    for close in [false, true] {
        if close {
            store.close().unwrap();
        }
        let store = open(&disk.after_crash(CrashPolicy::LoseAll));
        assert_eq!(numbers(&drain(&store, reader)), kept);
    }
}

#[test]
fn tries_keep_the_segments_that_tell_of_them() {
    let disk = MemoryDisk::new();
    let store = open(&disk);
    let (channel, reader) = queue(&store);
    store.commit(puts(channel, [0], 10)).unwrap();
    for tries in 1..=3 {
        store.commit(Txn { touches: vec![touch(reader, 0, tries)], ..Txn::default() }).unwrap();
        for n in 0..60 {
            let stored = store.commit(puts(channel, [n], 6000)).unwrap();
            let [PutResult::Stored { offset }] = stored.puts[..] else { panic!("{stored:?}") };
            store.commit(settle(reader, Outcome::Delivered, [offset])).unwrap();
        }
    }
    store.tidy().unwrap();
    assert_eq!(store.history(reader, 0).unwrap().kept.len(), 3);
    assert!((3..=4).contains(&segments(&disk)), "{} segments", segments(&disk));
    store.commit(settle(reader, Outcome::Delivered, [0])).unwrap();
    store.tidy().unwrap();
    assert!(segments(&disk) <= 1);
}

#[test]
fn an_idle_store_tidies_itself() {
    let disk = MemoryDisk::new();
    let options = Options { idle: Duration::from_millis(20), ..options() };
    let store = Store::open(Arc::new(disk.clone()), options).unwrap();
    let (channel, reader) = queue(&store);
    for n in 0..100 {
        store.commit(puts(channel, [n], 6000)).unwrap();
    }
    store.commit(settle(reader, Outcome::Delivered, 0..100)).unwrap();
    await_that("the segments are gone", || log_bytes(&disk) < SEGMENT && !has_spare(&disk));
    store.commit(puts(channel, [100], 10)).unwrap();
    assert_eq!(numbers(&drain(&store, reader)), [100]);
}

/// Waits until it is so.
fn await_that(what: &str, is_so: impl Fn() -> bool) {
    let (_never, pause) = mpsc::channel::<()>();
    let end = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < end, "{what}");
        let _ = pause.recv_timeout(Duration::from_millis(2));
    }
}

#[test]
fn what_left_the_window_is_read_from_disk_in_order() {
    let disk = MemoryDisk::new();
    let store = open(&disk);
    let channels: Vec<_> = (0..7)
        .map(|n| {
            let channel = store.declare_channel(ChannelSpec::queue(format!("q{n}"))).unwrap();
            (channel, reader(&store, channel, &format!("r{n}"), &format!("r{n}")))
        })
        .collect();
    // Interleaved, of all sizes, with some gone in between.
    let sizes = [10, 5000, 100, 29_000, 700];
    for n in 0..700 {
        let (channel, _) = channels[n as usize % 7];
        store.commit(puts(channel, [n], sizes[n as usize % 5])).unwrap();
    }
    for (which, (_, reader)) in channels.iter().enumerate() {
        store.commit(settle(*reader, Outcome::Delivered, (0..100).filter(|offset| offset % 9 == 4))).unwrap();
        let expected: Vec<u64> =
            (0..100).filter(|offset| offset % 9 != 4).map(|offset| offset * 7 + which as u64).collect();
        let first = store.fetch(*reader, 1000, 1 << 30);
        assert_eq!((first.messages.len(), first.rest), (0, Rest::Cold));
        let mut fetched = Vec::new();
        // Small bites, so that every border is met.
        for bite in (1..).step_by(3) {
            let next = store.fetch_cold(*reader, bite, 40_000).unwrap();
            fetched.extend(numbers(&next.messages));
            if next.rest == Rest::Nothing {
                break;
            }
        }
        assert_eq!(fetched, expected);
        store.rewind(*reader, 50);
        assert_eq!(number(&store.fetch_cold(*reader, 1, 1).unwrap().messages[0]), 50 * 7 + which as u64);
    }
}

#[test]
fn an_index_that_is_gone_or_wrong_is_made_anew() {
    let disk = MemoryDisk::new();
    let store = open(&disk);
    let (_, reader) = queue(&store);
    let (channel, _) = queue(&store);
    for n in 0..100 {
        store.commit(puts(channel, [n], 3000)).unwrap();
    }
    store.close().unwrap();
    let indexes: Vec<String> =
        disk.list("").unwrap().into_iter().map(|file| file.name).filter(|name| name.ends_with(".index")).collect();
    assert!(indexes.len() >= 4);
    let damage: [&dyn Fn(Vec<u8>) -> Option<Vec<u8>>; 4] = [
        &|_| None,
        &|bytes| Some(bytes[..bytes.len() / 2].to_vec()),
        &|mut bytes| {
            bytes[70] ^= 1;
            Some(bytes)
        },
        &|mut bytes| {
            let length = bytes.len();
            bytes[length - 20..].fill(0x55);
            Some(bytes)
        },
    ];
    for (which, harm) in damage.iter().enumerate() {
        let disk = disk.copy();
        for name in &indexes {
            match harm(disk.contents(name).unwrap()) {
                Some(bytes) => disk.plant(name, bytes),
                None => disk.remove(name).unwrap(),
            }
        }
        let store = open(&disk);
        assert_eq!(numbers(&drain(&store, reader)), (0..100).collect::<Vec<_>>(), "harm {which}");
        assert_eq!(store.counts().damaged, 0, "harm {which}");
    }
}

#[test]
fn p9_a_full_volume_is_survived() {
    let disk = MemoryDisk::new();
    disk.set_bytes_max(Some(16 * SEGMENT));
    let mut store = open(&disk);
    let (channel, reader) = queue(&store);
    let dead = store.declare_channel(ChannelSpec::queue("q.dead")).unwrap();
    let letters = common::reader(&store, dead, "queue:q.dead", "queue:q.dead");
    let mut next = 0;
    for round in 0..6 {
        let mut stored = Vec::new();
        loop {
            match store.commit(puts(channel, [next], 3000)) {
                Ok(committed) => {
                    let [PutResult::Stored { offset }] = committed.puts[..] else { panic!("{committed:?}") };
                    stored.push((offset, next));
                }
                Err(CommitError::NoSpace) => break,
                Err(error) => panic!("{error}"),
            }
            next += 1;
            assert!(stored.len() < 1000, "the volume is never full");
        }
        assert!(stored.len() > 100, "round {round}: only {} fit", stored.len());
        assert!(store.counts().full);
        // Settlements and moves to the dead letters still go through, in the reserve.
        let moved = &stored[..3];
        for (offset, n) in moved {
            let puts = vec![Put { use_reserve: true, ..put(dead, *n, 3000) }];
            store.commit(Txn { puts, ..settle(reader, Outcome::Dead, [*offset]) }).unwrap();
        }
        store.commit(settle(reader, Outcome::Delivered, [stored[3].0])).unwrap();
        if round % 2 == 0 {
            let after = disk.after_crash(CrashPolicy::LoseAll);
            let left: Vec<u64> = numbers(&drain(&open(&after), reader));
            assert_eq!(left, stored[4..].iter().map(|(_, n)| *n).collect::<Vec<_>>(), "round {round}");
            store.close().unwrap();
            store = open(&disk);
        }
        // With room again everything goes on.
        store.commit(settle(reader, Outcome::Delivered, stored[4..].iter().map(|(offset, _)| *offset))).unwrap();
        let count = store.channel(dead).unwrap().messages;
        assert_eq!(count, 3);
        store.commit(settle(letters, Outcome::Delivered, 0..1000)).unwrap();
        await_that("there is room again", || match store.commit(puts(channel, [next], 3000)) {
            Ok(_) => true,
            Err(CommitError::NoSpace) => false,
            Err(error) => panic!("{error}"),
        });
        let again = numbers(&drain(&store, reader));
        assert_eq!(again.last(), Some(&next));
        store.commit(settle(reader, Outcome::Delivered, 0..1_000_000)).unwrap();
        next += 1;
    }
}

#[test]
fn a_reserve_that_is_used_up_holds_what_is_there() {
    let disk = MemoryDisk::new();
    disk.set_bytes_max(Some(16 * SEGMENT));
    let store = open(&disk);
    let (channel, reader) = queue(&store);
    let dead = store.declare_channel(ChannelSpec::queue("q.dead")).unwrap();
    let mut next = 0;
    while store.commit(puts(channel, [next], 3000)).is_ok() {
        next += 1;
    }
    let bury = |n: u64| {
        let puts = vec![Put { use_reserve: true, ..put(dead, n, 3000) }];
        store.commit(Txn { puts, ..settle(reader, Outcome::Dead, [n]) })
    };
    let buried = (0..next).take_while(|n| bury(*n).is_ok()).count() as u64;
    // Each move frees what it takes once its segment is empty, so it may go on for long, but never loses one.
    assert!(buried > 3);
    let channels = [store.channel(channel).unwrap().messages, store.channel(dead).unwrap().messages];
    assert_eq!(channels, [next - buried, buried]);
    drop(store);
    let store = open(&disk);
    assert_eq!(numbers(&drain(&store, reader)), (buried..next).collect::<Vec<_>>());
    assert_eq!(store.channel(dead).unwrap().messages, buried);
}

/// Stores messages until the volume is full; how many.
fn fill(store: &Store, channel: ChannelNumber) -> u64 {
    (0..).find(|n| store.commit(puts(channel, [*n], 3000)).is_err()).unwrap()
}

#[test]
fn starts_on_a_full_volume_do_not_use_up_the_reserve() {
    let disk = MemoryDisk::new();
    disk.set_bytes_max(Some(16 * SEGMENT));
    let store = open(&disk);
    let (channel, reader) = queue(&store);
    let stored = fill(&store, channel);
    drop(store);
    // Each process writes a little, as a route does whose target is down, and is killed.
    for tries in 1..12 {
        let store = open(&disk);
        let tried = Txn { touches: vec![touch(reader, 0, tries)], ..Txn::default() };
        store.commit(tried).unwrap_or_else(|error| panic!("start {tries}: {error}"));
        drop(store);
    }
    let store = open(&disk);
    assert_eq!(numbers(&drain(&store, reader)), (1..stored).collect::<Vec<_>>(), "beside the one that was tried");
    store.commit(settle(reader, Outcome::Delivered, 0..stored)).unwrap();
    await_that("there is room again", || store.commit(puts(channel, [stored], 3000)).is_ok());
}

#[test]
fn dead_letters_leave_room_to_settle_and_to_be_deleted() {
    let disk = MemoryDisk::new();
    disk.set_bytes_max(Some(16 * SEGMENT));
    let store = open(&disk);
    let (channel, reader) = queue(&store);
    let dead = store.declare_channel(ChannelSpec::queue("q.dead")).unwrap();
    let letters = common::reader(&store, dead, "queue:q.dead", "queue:q.dead");
    let stored = fill(&store, channel);
    // From everywhere, so that no segment is emptied by it.
    let bury = |n: u64| {
        let puts = vec![Put { use_reserve: true, ..put(dead, n, 3000) }];
        store.commit(Txn { puts, ..settle(reader, Outcome::Dead, [n]) })
    };
    let buried: Vec<u64> = (0..stored).step_by(3).take_while(|n| bury(*n).is_ok()).collect();
    assert!(buried.len() > 3 && (buried.len() as u64) < stored / 3, "{} letters found room", buried.len());
    // Far more settlements than their part of the reserve has frames for, none of which empties a segment.
    for n in (0..stored).filter(|n| n % 3 == 1).chain((0..1000).map(|_| 1)) {
        store.commit(settle(reader, Outcome::Delivered, [n])).unwrap_or_else(|error| panic!("settling {n}: {error}"));
    }
    assert!(matches!(bury(2), Err(CommitError::NoSpace)), "there was no need for the reserve");
    for offset in 0..buried.len() as u64 {
        store.commit(settle(letters, Outcome::Dead, [offset])).unwrap();
    }
    await_that("there is room for letters again", || bury(2).is_ok());
    drop(store);
    let store = open(&disk);
    let left: Vec<u64> = (0..stored).filter(|n| n % 3 != 1 && *n != 2 && !buried.contains(n)).collect();
    assert_eq!(numbers(&drain(&store, reader)), left);
    assert_eq!(numbers(&drain(&store, letters)), [2]);
}

#[test]
fn what_is_stored_after_a_write_found_no_room_is_there_after_a_crash() {
    for operation in 1..40 {
        let first = MemoryDisk::new();
        let store = open(&first);
        let (channel, _) = queue(&store);
        store.commit(puts(channel, [0], 50)).unwrap();
        drop(store);
        // After an unclean stop a new segment begins with the next frame.
        let disk = first.after_crash(CrashPolicy::KeepAll);
        let faulty = FaultyDisk::new(Arc::new(disk.clone()));
        let store = Store::open(Arc::new(faulty.clone()), options()).unwrap();
        faulty.plan(None, faulty.total() + operation, Mishap::NoSpace);
        let stored: Vec<u64> = (1..4).filter(|n| store.commit(puts(channel, [*n], 50)).is_ok()).collect();
        drop(store);
        let store = open(&disk.after_crash(CrashPolicy::LoseAll));
        let (_, reader) = queue(&store);
        let found = numbers(&drain(&store, reader));
        let lost: Vec<&u64> = stored.iter().filter(|n| !found.contains(n)).collect();
        assert!(lost.is_empty(), "{lost:?} of {stored:?} are lost, no room at operation {operation}");
    }
}
