//! Cleaning: what is live leaves segments that are mostly settled, what lies interleaved is sorted, and nothing is lost,
//! doubled or changed by it, whatever operation of the disk is the last one. Each test without a key and with one.

#![cfg(test)]

mod common;

use common::{
    model::{Dice, Life, Model},
    *,
};
use crossdock_store::*;
use std::{sync::Arc, time::Duration};

const SEGMENT: u64 = 64 << 10;

fn log_files(disk: &dyn Disk) -> Vec<String> {
    let files = disk.list("").unwrap().into_iter();
    files.filter(|file| file.name.ends_with(".log")).map(|file| file.name).collect()
}

/// How many segments of which kind there are: of the log, moved once, moved twice.
fn kinds(disk: &MemoryDisk) -> [usize; 3] {
    let mut kinds = [0; 3];
    for name in log_files(disk) {
        kinds[usize::from(disk.contents(&name).unwrap()[6]) - 1] += 1;
    }
    kinds
}

fn log_bytes(disk: &dyn Disk) -> u64 {
    disk.list("").unwrap().iter().filter(|file| file.name.ends_with(".log")).map(|file| file.bytes).sum()
}

fn sound(disk: &MemoryDisk) {
    let report = verify_with(&disk.copy(), &options().keys).unwrap();
    assert_eq!((report.findings, report.torn_bytes), (Vec::new(), 0));
}

/// Messages that are settled but for one in `every`.
fn thin_out(store: &Store, messages: u64, every: u64) -> (ChannelNumber, SubscriptionNumber, Vec<u64>) {
    let (channel, reader) = queue(store);
    for n in 0..messages {
        store.commit(puts(channel, [n], 2500)).unwrap();
    }
    store.commit(settle(reader, Outcome::Delivered, (0..messages).filter(|n| n % every != 0))).unwrap();
    (channel, reader, (0..messages).filter(|n| n % every == 0).collect())
}

#[test]
fn what_stays_is_moved_out_of_what_is_settled() {
    either_way(|| {
        let disk = MemoryDisk::new();
        let clock = TestClock::new();
        let store = Store::open(Arc::new(disk.clone()), options_at(&clock)).unwrap();
        let (_, reader, left) = thin_out(&store, 1000, 25);
        assert!(log_bytes(&disk) > 20 * SEGMENT);
        let appended: Vec<_> = drain(&store, reader).iter().map(|message| message.appended_at).collect();
        clock.advance(Duration::from_secs(60));
        store.tidy().unwrap();
        assert!(log_bytes(&disk) < 4 * SEGMENT, "{} bytes are left", log_bytes(&disk));
        assert!(kinds(&disk)[1] >= 1, "{:?}", kinds(&disk));
        for round in 0..3 {
            let after = disk.after_crash(CrashPolicy::LoseAll);
            sound(&after);
            let store = open(&after);
            let found = drain(&store, reader);
            assert_eq!(numbers(&found), left, "round {round}");
            assert_eq!(found.iter().map(|message| message.appended_at).collect::<Vec<_>>(), appended);
            assert_eq!(store.counts().damaged, 0);
            store.close().unwrap();
        }
    });
}

#[test]
fn an_index_of_copies_is_made_anew_and_damage_in_one_costs_one() {
    either_way(|| {
        let disk = MemoryDisk::new();
        let store = open(&disk);
        let (_, reader, left) = thin_out(&store, 1000, 25);
        store.tidy().unwrap();
        store.close().unwrap();
        for file in disk.list("").unwrap().iter().filter(|file| file.name.ends_with(".index")) {
            disk.remove(&file.name).unwrap();
        }
        assert_eq!(numbers(&drain(&open(&disk), reader)), left);
        // A byte in the middle of the copies.
        let copies = log_files(&disk).into_iter().find(|name| disk.contents(name).unwrap()[6] == 2).unwrap();
        let mut bytes = disk.contents(&copies).unwrap();
        let middle = 4096 + 20_000;
        bytes[middle] ^= 0xFF;
        disk.plant(&copies, bytes);
        assert_eq!(
            verify_with(&disk.copy(), &options().keys).unwrap().findings.len(),
            2,
            "the record, and the message that is lost"
        );
        let store = open(&disk);
        let found = numbers(&drain(&store, reader));
        assert_eq!((found.len(), store.counts().damaged), (left.len() - 1, 1));
    });
}

#[test]
fn a_message_is_moved_twice_and_no_more() {
    either_way(|| {
        let disk = MemoryDisk::new();
        let store = open(&disk);
        let (_, reader, mut left) = thin_out(&store, 1600, 8);
        store.tidy().unwrap();
        for expected in [[false, true, false], [false, false, true], [false, false, true]] {
            let has = kinds(&disk);
            assert_eq!(has[1..].iter().map(|n| *n > 0).collect::<Vec<_>>(), expected[1..], "{has:?}");
            let gone: Vec<u64> = left.iter().copied().filter(|n| n % 24 != 0 || left.len() < 100).collect();
            left.retain(|n| !gone.contains(n));
            if left.is_empty() {
                left = vec![gone[0]];
            }
            store.commit(settle(reader, Outcome::Delivered, gone.into_iter().filter(|n| !left.contains(n)))).unwrap();
            store.tidy().unwrap();
            store.rewind(reader, 0);
            assert_eq!(numbers(&drain(&store, reader)), left);
        }
        sound(&disk.after_crash(CrashPolicy::LoseAll));
    });
}

#[test]
fn tries_go_with_their_messages() {
    either_way(|| {
        let disk = MemoryDisk::new();
        let store = open(&disk);
        let (channel, reader) = queue(&store);
        store.commit(puts(channel, [0], 10)).unwrap();
        for tries in 1..=6 {
            store.commit(Txn { touches: vec![touch(reader, 0, tries)], ..Txn::default() }).unwrap();
            let first = store.channel(channel).unwrap().next_offset;
            for n in 0..60 {
                store.commit(puts(channel, [n], 6000)).unwrap();
            }
            store.commit(settle(reader, Outcome::Delivered, first..first + 60)).unwrap();
        }
        let before = store.history(reader, 0).unwrap();
        store.tidy().unwrap();
        assert!(log_bytes(&disk) <= 2 * SEGMENT, "{:?}", kinds(&disk));
        assert_eq!(store.history(reader, 0).unwrap(), before);
        let store = open(&disk.after_crash(CrashPolicy::LoseAll));
        assert_eq!((store.history(reader, 0).unwrap(), before.kept.len()), (before, 6));
        assert_eq!(number(&store.read(channel, 0).unwrap()), 0);
    });
}

#[test]
fn interleaved_queues_are_sorted_and_what_is_settled_at_once_is_not_moved() {
    either_way(|| {
        let disk = MemoryDisk::new();
        let store = Store::open(Arc::new(disk.clone()), Options { segment_bytes: 1 << 20, ..options() }).unwrap();
        let specs = (0..200).map(|n| ChannelSpec::queue(format!("q{n}"))).collect();
        let channels = store.declare_channels(specs).unwrap();
        let readers: Vec<_> = channels.iter().map(|c| reader(&store, *c, &format!("r{}", c.0), "r")).collect();
        let (rounds, declared) = (50, store.counts().bytes_written);
        for round in 0..rounds {
            let puts = channels.iter().map(|channel| put(*channel, round, 500)).collect();
            store.commit(Txn { puts, ..Txn::default() }).unwrap();
        }
        store.tidy().unwrap();
        assert!(kinds(&disk)[1] >= 3, "{:?}", kinds(&disk));
        let written = store.counts().bytes_written - declared;
        let payload = rounds * channels.len() as u64 * 500;
        assert!(written * 10 < payload * 23, "{written} bytes for {payload}");
        for store in [&store, &open_large(&disk.after_crash(CrashPolicy::LoseAll))] {
            for reader in &readers {
                store.rewind(*reader, 0);
                assert_eq!(numbers(&drain(store, *reader)), (0..rounds).collect::<Vec<_>>());
            }
            store.tidy().unwrap();
        }
        assert_eq!(kinds(&disk)[2], 0, "what is sorted is not moved again");
    });
}

fn open_large(disk: &MemoryDisk) -> Store {
    Store::open(Arc::new(disk.clone()), Options { segment_bytes: 1 << 20, ..options() }).unwrap()
}

#[test]
fn what_is_settled_in_the_window_is_written_once() {
    either_way(|| {
        let disk = MemoryDisk::new();
        let store = open(&disk);
        let (channel, reader) = queue(&store);
        for n in 0..2000 {
            store.commit(puts(channel, [n], 3000)).unwrap();
            if let Some(done) = u64::checked_sub(n, 5) {
                store.commit(Txn { rides: true, ..settle(reader, Outcome::Delivered, [done]) }).unwrap();
            }
        }
        assert_eq!(kinds(&disk)[1..], [0, 0]);
    });
}

#[test]
fn readers_find_what_is_moved_under_them() {
    either_way(|| {
        let disk = MemoryDisk::new();
        let store = open(&disk);
        let (channel, reader, left) = thin_out(&store, 1500, 25);
        std::thread::scope(|scope| {
            let reading: Vec<_> = (0..2)
                .map(|_| {
                    scope.spawn(|| {
                        for _ in 0..30 {
                            let page = store.browse(channel, 0, 2000).unwrap();
                            assert_eq!(numbers(&page.messages), left);
                        }
                    })
                })
                .collect();
            store.tidy().unwrap();
            reading.into_iter().for_each(|thread| thread.join().unwrap());
        });
        assert_eq!(store.counts().damaged, 0);
        assert_eq!(numbers(&drain(&store, reader)), left);
    });
}

/// A life in which most is settled and cleaned several times, on a disk that ends at its `last` operation.
fn cleaning_life(seed: u64, last: u64, mishap: Mishap) -> (MemoryDisk, Model, u64) {
    let below = MemoryDisk::new();
    let disk = FaultyDisk::new(Arc::new(below.clone()));
    disk.plan(None, last, mishap);
    let (mut model, mut dice) = (Model::default(), Dice(seed));
    if let Ok(life) = Life::begin(Arc::new(disk.clone()), options()) {
        for _ in 0..3 {
            if life.live(&mut model, &mut dice, 30).is_err() || life.store.tidy().is_err() {
                break;
            }
        }
    }
    (below, model, disk.total())
}

fn check_every_operation(seed: u64, mishap: Mishap, policy: impl Fn(u64) -> CrashPolicy) {
    let (disk, _, total) = cleaning_life(seed, u64::MAX, mishap);
    assert!(kinds(&disk)[1] + kinds(&disk)[2] > 0, "nothing was cleaned: {:?}", kinds(&disk));
    for last in 1..=total {
        let (disk, mut model, _) = cleaning_life(seed, last, mishap);
        let story = format!("seed {seed}, {mishap:?} at operation {last} of {total}");
        let mut disk = disk.after_crash(policy(last));
        for round in 0..2 {
            let life = Life::begin(Arc::new(disk.clone()), options()).unwrap_or_else(|e| panic!("{story}: {e}"));
            life.check(&mut model, &format!("{story}, round {round}"));
            life.store.tidy().unwrap_or_else(|error| panic!("{story}: {error}"));
            life.check(&mut model, &format!("{story}, cleaned in round {round}"));
            assert_eq!(life.store.counts().damaged, 0, "{story}");
            let after = disk.after_crash(policy(last));
            drop(life);
            sound(&after);
            disk = after;
        }
    }
}

#[test]
fn p1_a_crash_at_every_operation_of_cleaning_forgets_what_was_not_synced() {
    either_way(|| check_every_operation(21, Mishap::Ends, |_| CrashPolicy::LoseAll));
}

#[test]
fn p1_a_crash_at_every_operation_of_cleaning_tears_writes_and_names() {
    either_way(|| check_every_operation(22, Mishap::Ends, |last| CrashPolicy::Tear { seed: last }));
}

#[test]
fn a_write_torn_at_every_operation_of_cleaning_loses_nothing() {
    either_way(|| check_every_operation(23, Mishap::Tears, |last| CrashPolicy::Tear { seed: last }));
}

#[test]
fn a_full_volume_at_every_operation_of_cleaning_loses_nothing() {
    either_way(|| check_every_operation(24, Mishap::NoSpace, |_| CrashPolicy::KeepAll));
}
