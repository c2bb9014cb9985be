//! Messages whose keys are looked at behind the door: in the frame that lets them go on, or drops them.

#![cfg(test)]

mod common;

use common::*;
use crossdock_model::{Digest, Text, Timestamp};
use crossdock_store::*;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

const WINDOW: Duration = Duration::from_secs(60);

/// A channel with a reader that stands at its gate and two that follow it, all of one group.
struct Gated {
    store: Store,
    channel: ChannelNumber,
    gate: SubscriptionNumber,
    targets: [SubscriptionNumber; 2],
}

fn gated(store: Store) -> Gated {
    let channel = store.declare_channel(ChannelSpec::queue("q")).unwrap();
    let declare = |name: &'static str| {
        let (name, group) = (Text::from_static(name), Text::from_static("r"));
        store.declare_subscription(SubscriptionSpec { name, channel, group, start: Start::Earliest }).unwrap()
    };
    let (gate, targets) = (declare("steps:r"), [declare("r/a"), declare("r/b")]);
    targets.iter().for_each(|target| store.follow(*target, gate));
    Gated { store, channel, gate, targets }
}

impl Gated {
    fn append(&self, count: u64) {
        let puts = (0..count).map(|n| put(self.channel, n, 50)).collect();
        self.store.commit(Txn { puts, ..Txn::default() }).unwrap();
    }

    /// Looks at messages: offset, key, and the second of their receipt.
    fn sift(&self, messages: &[(u64, u64, i64)]) {
        let one = |(offset, key, second): &(u64, u64, i64)| {
            let mut hash = [0; 16];
            hash[..8].copy_from_slice(&key.to_le_bytes());
            let keys = vec![SieveKey {
                scope: Text::from_static("dedupe"),
                hash: Digest(hash),
                window: WINDOW,
                keys_max: 1_000_000,
            }];
            Sifted { offset: *offset, id: id(*offset), received_at: Timestamp(second * 1000), redriven: false, keys }
        };
        let messages = messages.iter().map(one).collect();
        let sieve = Sieve { subscription: self.gate, others: self.targets.to_vec(), messages };
        self.store.commit(Txn { sieve: Some(Box::new(sieve)), ..Txn::default() }).unwrap();
    }

    fn fetched(&self, target: usize) -> Vec<u64> {
        let fetched = self.store.fetch_cold(self.targets[target], 1000, 1 << 20).unwrap();
        fetched.messages.iter().map(|message| message.offset).collect()
    }

    fn filtered(&self) -> u64 {
        self.store.group_counts("r").unwrap().ended(Outcome::Filtered)
    }
}

#[test]
fn the_first_of_a_key_goes_on_and_the_others_are_filtered_for_all() {
    let gated = gated(open(&MemoryDisk::new()));
    gated.append(6);
    assert!(gated.fetched(0).is_empty(), "nothing was looked at");
    gated.sift(&[(0, 1, 0), (1, 1, 0), (2, 2, 0)]);
    assert_eq!((gated.fetched(0), gated.fetched(1)), (vec![0, 2], vec![0, 2]));
    // In a later frame, and looked at a second time.
    gated.sift(&[(0, 1, 0), (3, 2, 1), (4, 1, 59), (5, 3, 0)]);
    assert_eq!((gated.fetched(0), gated.fetched(1)), (vec![5], vec![5]));
    assert_eq!(gated.filtered(), 3);
    let counts = gated.store.group_counts("r").unwrap();
    assert_eq!((counts.received, counts.stored), (6, 3));
    for target in gated.targets {
        gated.store.commit(settle(target, Outcome::Delivered, [0, 2, 5])).unwrap();
    }
    let counts = gated.store.group_counts("r").unwrap();
    assert_eq!((counts.stored, counts.ended(Outcome::Delivered), counts.ended(Outcome::Filtered)), (0, 3, 3));
    assert_eq!(gated.store.channel(gated.channel).unwrap().messages, 0);
}

#[test]
fn a_window_counts_from_receipt_whenever_it_is_looked_at() {
    let gated = gated(open(&MemoryDisk::new()));
    gated.append(5);
    // An old backlog, read at once: what was received an hour later is another message, in whatever order they come.
    gated.sift(&[(0, 1, 0), (1, 1, 3600), (2, 1, 3659), (3, 1, 3600 - 59), (4, 1, 3660)]);
    assert_eq!(gated.fetched(0), [0, 1, 4]);
}

#[test]
fn what_was_decided_stands_over_restarts_and_crashes() {
    let mut disk = MemoryDisk::new();
    for round in 0..6_u64 {
        let gated = gated(open(&disk));
        gated.append(1);
        gated.sift(&[(round, 7, 0)]);
        let expected: &[u64] = &[0];
        assert_eq!(gated.fetched(0), expected, "round {round}");
        assert_eq!(gated.store.is_pending(gated.targets[1], round), round == 0);
        match round % 3 {
            0 => drop(gated),
            1 => gated.store.close().unwrap(),
            _ => {
                gated.store.tidy().unwrap();
                disk = disk.after_crash(CrashPolicy::LoseAll);
            }
        }
    }
}

#[test]
fn who_follows_is_told_when_the_gate_has_come_further_and_not_past_a_gap() {
    let gated = gated(open(&MemoryDisk::new()));
    let rings = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&rings);
    gated.store.watch(
        gated.targets[0],
        Arc::new(move || {
            counted.fetch_add(1, SeqCst);
        }),
    );
    gated.append(4);
    let before = rings.load(SeqCst);
    gated.sift(&[(1, 1, 0)]);
    assert_eq!(rings.load(SeqCst), before, "message 0 was not looked at");
    assert!(gated.fetched(0).is_empty());
    gated.sift(&[(0, 2, 0)]);
    assert!(rings.load(SeqCst) > before);
    assert_eq!(gated.fetched(0), [0, 1]);
    // What others settle for the gate counts as well.
    gated.store.commit(settle(gated.gate, Outcome::Filtered, [2])).unwrap();
    assert_eq!(gated.fetched(0), [2]);
}

#[test]
fn what_is_on_disk_is_not_read_past_the_gate_either() {
    let disk = MemoryDisk::new();
    let gated = gated(open(&disk));
    gated.append(20);
    gated.sift(&(0..10).map(|n| (n, n, 0)).collect::<Vec<_>>());
    gated.store.tidy().unwrap();
    assert_eq!(gated.store.fetch(gated.targets[0], 100, 1 << 20).rest, Rest::Cold);
    assert_eq!(gated.fetched(0), (0..10).collect::<Vec<_>>());
    assert!(gated.fetched(0).is_empty());
    assert_eq!(gated.store.fetch(gated.targets[0], 100, 1 << 20).rest, Rest::Nothing);
    gated.sift(&(10..20).map(|n| (n, n, 0)).collect::<Vec<_>>());
    assert_eq!(gated.fetched(0), (10..20).collect::<Vec<_>>());
}
