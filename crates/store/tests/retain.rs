//! What a topic retains of what all have seen: kept to be read again, then given back.

#![cfg(test)]

mod common;

use common::*;
use crossdock_store::*;
use std::{sync::Arc, time::Duration};

fn topic(store: &Store, retain: Option<Retain>) -> ChannelNumber {
    let spec = ChannelSpec { kind: ChannelKind::Topic, retain, ..ChannelSpec::queue("t") };
    store.declare_channel(spec).unwrap()
}

/// What a new subscription reads that begins with the oldest.
fn replayed(store: &Store, channel: ChannelNumber, name: &str) -> Vec<u64> {
    let new = reader(store, channel, name, name);
    let read = numbers(&drain(store, new));
    store.amend(vec![Amendment::RetireSubscription { subscription: new }]).unwrap();
    read
}

/// A hundred messages, one a second, all seen but the last `unseen`; what can be read again after `rest` more seconds.
fn check(retain: Retain, unseen: u64, rest: u64, expected: std::ops::Range<u64>) {
    let (disk, clock) = (MemoryDisk::new(), TestClock::new());
    let store = Store::open(Arc::new(disk.clone()), options_at(&clock)).unwrap();
    let channel = topic(&store, Some(retain));
    let seeing = reader(&store, channel, "r", "r");
    for n in 0..100 {
        clock.advance(Duration::from_secs(1));
        store.commit(puts(channel, [n], 1000)).unwrap();
    }
    store.commit(settle(seeing, Outcome::Delivered, 0..100 - unseen)).unwrap();
    clock.advance(Duration::from_secs(rest));
    store.tidy().unwrap();
    let expected: Vec<u64> = expected.collect();
    assert_eq!(replayed(&store, channel, "new"), expected, "{retain:?}");
    // Nobody sees who retains, and it is there after a restart.
    let names = |store: &Store| store.subscriptions().into_iter().map(|s| s.name.to_string()).collect::<Vec<_>>();
    assert_eq!(names(&store), ["r"]);
    let after = disk.after_crash(CrashPolicy::LoseAll);
    let store = Store::open(Arc::new(after), options_at(&clock)).unwrap();
    assert_eq!(replayed(&store, channel, "newer"), expected, "{retain:?}, after a crash");
    let left: Vec<u64> = (100 - unseen..100).collect();
    assert_eq!(numbers(&drain(&store, seeing)), left, "what it has not seen");
    assert_eq!(store.group_counts("r").unwrap().stored, unseen);
    // Where nothing is retained any more, what all have seen goes at once.
    topic(&store, None);
    assert_eq!(replayed(&store, channel, "last"), left, "{retain:?}, taken back");
    assert_eq!(store.channel(channel).unwrap().messages, unseen);
}

#[test]
fn what_all_have_seen_is_kept_within_each_bound() {
    let nothing = Retain::default();
    let age = |seconds| Retain { age: Some(Duration::from_secs(seconds)), ..nothing };
    check(age(1000), 0, 0, 0..100);
    check(age(30), 0, 0, 69..100);
    check(age(30), 0, 20, 89..100);
    check(age(30), 0, 500, 100..100);
    check(Retain { messages: Some(7), ..nothing }, 0, 0, 93..100);
    check(Retain { messages: Some(0), ..nothing }, 0, 0, 100..100);
    check(Retain { bytes: Some(20_700), ..nothing }, 0, 0, 80..100);
    check(Retain { messages: Some(50), ..age(30) }, 0, 0, 69..100);
    check(Retain { messages: Some(20), ..age(30) }, 0, 0, 80..100);
}

#[test]
fn what_a_subscription_has_not_seen_stays_beyond_every_bound() {
    check(Retain { messages: Some(7), ..Retain::default() }, 40, 0, 60..100);
    check(Retain { age: Some(Duration::from_secs(5)), ..Retain::default() }, 40, 500, 60..100);
}

#[test]
fn a_topic_that_nobody_reads_retains_for_who_comes_and_gives_back() {
    let (disk, clock) = (MemoryDisk::new(), TestClock::new());
    let store = Store::open(Arc::new(disk.clone()), options_at(&clock)).unwrap();
    let channel = topic(&store, Some(Retain { age: Some(Duration::from_secs(60)), ..Retain::default() }));
    for n in 0..200 {
        store.commit(puts(channel, [n], 3000)).unwrap();
    }
    assert_eq!(replayed(&store, channel, "new"), (0..200).collect::<Vec<_>>());
    clock.advance(Duration::from_secs(61));
    store.tidy().unwrap();
    assert_eq!(replayed(&store, channel, "late"), [0_u64; 0]);
    assert!(store.counts().bytes < 128 << 10, "{} bytes are left", store.counts().bytes);
}
