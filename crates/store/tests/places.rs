//! Keys of records of a log that somebody else keeps: noted by runs, known record by record.

#![cfg(test)]

mod common;

use common::*;
use crossdock_model::Timestamp;
use crossdock_store::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

const FAR: Timestamp = Timestamp(i64::MAX);

/// The record of a place in the log's n-th life, read in the given lane.
fn record(channel: ChannelNumber, lane: u64, life: u64, at: i64) -> Put {
    let n = at as u64;
    let claim = KeyClaim { place: Some(LogPlace { lane, turn: 0, at }), ..claim("door", life << 32 | n, 0, FAR, n) };
    Put { keys: vec![claim], ..put(channel, n, 50) }
}

/// Which of the records were stored, in one decision.
fn read(store: &Store, channel: ChannelNumber, (lane, life): (u64, u64), places: &[i64]) -> Vec<i64> {
    let puts = places.iter().map(|at| record(channel, lane, life, *at)).collect();
    let committed = store.commit(Txn { puts, takes: Takes::Prefix, ..Txn::default() }).unwrap();
    let stored = places.iter().zip(committed.puts).filter(|(_, result)| matches!(result, PutResult::Stored { .. }));
    stored.map(|(at, _)| *at).collect()
}

#[test]
fn p14_what_was_stored_and_is_read_again_is_known_over_restarts_and_crashes() {
    let mut disk = MemoryDisk::new();
    for round in 0..6_u64 {
        let store = open(&disk);
        let (channel, _) = queue(&store);
        let lane = (round, 1);
        // The last decision of before was not confirmed to the log's keeper: it comes again, cut otherwise.
        let behind = round as i64 * 10;
        if round > 0 {
            assert_eq!(
                read(&store, channel, lane, &[behind - 10, behind - 9, behind - 8]),
                [0_i64; 0],
                "round {round}"
            );
            let rest: Vec<i64> = (behind - 7..behind + 2).collect();
            assert_eq!(read(&store, channel, lane, &rest), [behind, behind + 1], "round {round}");
        } else {
            assert_eq!(read(&store, channel, lane, &[0, 1]), [0, 1]);
        }
        // Two decisions: two runs, one behind the other.
        let rest: Vec<i64> = (behind + 2..behind + 10).collect();
        assert_eq!(read(&store, channel, lane, &rest), rest);
        let all: Vec<i64> = (behind..behind + 10).collect();
        assert_eq!(read(&store, channel, (round + 100, 1), &all), [0_i64; 0], "both runs are known");
        disk = ended(store, disk, round);
    }
}

#[test]
fn a_log_that_was_made_anew_has_other_records_at_the_same_places() {
    let store = open(&MemoryDisk::new());
    let (channel, _) = queue(&store);
    let all = [0, 1, 2, 3, 4];
    assert_eq!(read(&store, channel, (1, 1), &all), all);
    assert_eq!(read(&store, channel, (2, 1), &[0, 1]), [0_i64; 0]);
    assert_eq!(read(&store, channel, (2, 2), &all), all, "in the same lane: it goes back");
    assert_eq!(read(&store, channel, (3, 1), &[0, 1]), [0_i64; 0]);
    assert_eq!(read(&store, channel, (4, 3), &[2, 3]), [2, 3], "in another lane");
}

#[test]
fn what_was_not_stored_is_not_known() {
    let store = open(&MemoryDisk::new());
    let (channel, _) = queue(&store);
    assert_eq!(read(&store, channel, (1, 1), &[0, 1, 3, 4]), [0, 1, 3, 4], "2 was refused");
    assert_eq!(read(&store, channel, (2, 1), &[0, 1, 2, 3, 4, 5]), [2, 5]);
    // Set back into the midst of a run: its rest is stored again, and what is behind is known.
    assert_eq!(read(&store, channel, (3, 1), &[4, 5]), [4]);
}

#[test]
fn what_is_left_of_one_reading_and_begins_the_next_is_stored_once() {
    let store = open(&MemoryDisk::new());
    let (channel, _) = queue(&store);
    let (left, again) = ([5, 6, 7], [5, 6, 7, 8]);
    let puts = left.map(|at| record(channel, 1, 1, at)).into_iter().chain(again.map(|at| record(channel, 2, 1, at)));
    let mut puts: Vec<Put> = puts.collect();
    (0_u32..).zip(&mut puts).for_each(|(bundle, put)| put.bundle = bundle);
    let stored = |result: &PutResult| matches!(result, PutResult::Stored { .. });
    let committed = store.commit(Txn { puts, ..Txn::default() }).unwrap().puts;
    assert_eq!(committed.iter().map(stored).collect::<Vec<_>>(), [true, true, true, false, false, false, true]);
}

#[test]
fn of_what_a_full_channel_does_not_take_nothing_is_noted() {
    let store = open(&MemoryDisk::new());
    let channel = store.declare_channel(ChannelSpec { messages_max: Some(3), ..ChannelSpec::queue("q") }).unwrap();
    let reader = reader(&store, channel, "r/t", "r");
    assert_eq!(read(&store, channel, (1, 1), &[0, 1, 2, 3, 4]), [0, 1, 2]);
    assert_eq!(read(&store, channel, (1, 1), &[3, 4]), [0_i64; 0]);
    store.commit(settle(reader, Outcome::Delivered, [0, 1, 2])).unwrap();
    assert_eq!(read(&store, channel, (2, 1), &[0, 1, 2, 3, 4]), [3, 4]);
    // All or nothing: what is refused leaves nothing behind, in the frame either.
    let puts = (5..9).map(|at| record(channel, 2, 1, at)).collect();
    assert!(matches!(store.commit(Txn { puts, ..Txn::default() }), Err(CommitError::Full { .. })));
    assert_eq!(read(&store, channel, (2, 1), &[5]), [5]);
}

/// What may happen to who reads a log.
#[derive(Clone, Debug)]
enum Step {
    /// Records are stored, but for those that are refused.
    Read(Vec<bool>),
    /// The group is set back.
    Back(i64),
    /// The gateway ends and comes back.
    Restart,
    /// The log is made anew.
    Anew,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => prop::collection::vec(prop::bool::weighted(0.9), 1..12).prop_map(Step::Read),
        2 => (0..30_i64).prop_map(Step::Back),
        1 => Just(Step::Restart),
        1 => Just(Step::Anew),
    ]
}

proptest! {
    /// However a group is set back and a log made anew: what is said to be stored was stored.
    #[test]
    fn what_is_known_was_stored(steps in prop::collection::vec(step(), 1..60)) {
        let disk = MemoryDisk::new();
        let mut store = open(&disk);
        let (mut channel, _) = queue(&store);
        let (mut lane, mut life, mut next) = (0, 0, 0);
        let mut stored = BTreeSet::new();
        for step in steps {
            match step {
                Step::Read(taken) => {
                    let places: Vec<i64> = (next..).zip(&taken).filter(|(_, taken)| **taken).map(|(at, _)| at).collect();
                    next += taken.len() as i64;
                    let new = read(&store, channel, (lane, life), &places);
                    for at in places.into_iter().filter(|at| !new.contains(at)) {
                        prop_assert!(stored.contains(&(life, at)), "{at} of life {life} is lost");
                    }
                    stored.extend(new.into_iter().map(|at| (life, at)));
                }
                Step::Back(by) => {
                    next = (next - by).max(0);
                    lane += 1;
                }
                Step::Restart => {
                    drop(store);
                    store = open(&disk);
                    channel = queue(&store).0;
                    lane += 1;
                }
                Step::Anew => (lane, life, next) = (lane + 1, life + 1, 0),
            }
        }
    }
}
