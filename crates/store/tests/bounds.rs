//! A channel's bounds, and those of decisions.

#![cfg(test)]

mod common;

use common::*;
use crossdock_model::Text;
use crossdock_store::*;

fn bounded(store: &Store, spec: ChannelSpec) -> (ChannelNumber, SubscriptionNumber) {
    let channel = store.declare_channel(spec).unwrap();
    (channel, reader(store, channel, "r/t", "r"))
}

fn of_messages(messages_max: u64) -> ChannelSpec {
    ChannelSpec { messages_max: Some(messages_max), ..ChannelSpec::queue("q") }
}

fn offsets(committed: &Committed) -> Vec<Option<u64>> {
    let offset = |result: &PutResult| match result {
        PutResult::Stored { offset } => Some(*offset),
        PutResult::Full => None,
        PutResult::Duplicate { .. } | PutResult::Conflict { .. } => panic!("no keys here"),
    };
    committed.puts.iter().map(offset).collect()
}

#[test]
fn a_full_queue_takes_all_or_nothing_or_what_fits() {
    let disk = MemoryDisk::new();
    let store = open(&disk);
    let (channel, reader) = bounded(&store, of_messages(5));
    assert_eq!(store.commit(puts(channel, 0..6, 10)), Err(CommitError::Full { channel }));
    assert_eq!(store.channel(channel).unwrap().messages, 0);
    let prefix = Txn { takes: Takes::Prefix, ..puts(channel, 0..7, 10) };
    let taken = store.commit(prefix).unwrap();
    assert_eq!(offsets(&taken), [Some(0), Some(1), Some(2), Some(3), Some(4), None, None]);
    assert_eq!(store.commit(puts(channel, [7], 10)), Err(CommitError::Full { channel }));
    store.commit(settle(reader, Outcome::Delivered, [3])).unwrap();
    assert_eq!(offsets(&store.commit(puts(channel, [7], 10)).unwrap()), [Some(5)]);
    // A dead letter keeps to the bounds as well: a full dead-letter queue holds the source.
    let letter = Txn { puts: vec![Put { use_reserve: true, ..put(channel, 8, 10) }], ..Txn::default() };
    assert_eq!(store.commit(letter), Err(CommitError::Full { channel }));
    // Bounds are the plan's: a restart with others has those.
    drop(store);
    let store = open(&disk);
    bounded(&store, of_messages(6));
    assert_eq!(offsets(&store.commit(puts(channel, [9], 10)).unwrap()), [Some(6)]);
    assert!(store.commit(puts(channel, [10], 10)).is_err());
}

#[test]
fn a_bundle_goes_to_all_its_channels_or_to_none() {
    let store = open(&MemoryDisk::new());
    let (small, _) = bounded(&store, of_messages(2));
    let large = store.declare_channel(ChannelSpec::queue("large")).unwrap();
    let bundle = |n: u64| [put(large, n, 10), put(small, n, 10)];
    let txn = Txn { puts: (0..3).flat_map(bundle).collect(), takes: Takes::Prefix, ..Txn::default() };
    let taken = store.commit(txn).unwrap();
    assert_eq!(offsets(&taken), [Some(0), Some(0), Some(1), Some(1), None, None]);
    assert_eq!(store.channel(large).unwrap().messages, 2);
}

#[test]
fn bytes_are_bounded_and_given_back() {
    let store = open(&MemoryDisk::new());
    let spec = ChannelSpec { bytes_max: Some(10_000), ..ChannelSpec::queue("q") };
    let (channel, reader) = bounded(&store, spec);
    let each = message(0, 1000).len() as u64;
    let taken = store.commit(Txn { takes: Takes::Prefix, ..puts(channel, 0..20, 1000) }).unwrap();
    assert_eq!(offsets(&taken).iter().flatten().count() as u64, 10_000 / each);
    assert_eq!(store.channel(channel).unwrap().bytes, 10_000 / each * each);
    store.commit(settle(reader, Outcome::Delivered, 0..5)).unwrap();
    assert_eq!(store.channel(channel).unwrap().bytes, (10_000 / each - 5) * each);
    store.commit(settle(reader, Outcome::Delivered, 5..20)).unwrap();
    assert_eq!(store.channel(channel).unwrap().bytes, 0);
}

#[test]
fn a_channel_that_drops_its_oldest_counts_them_as_dead() {
    let store = open(&MemoryDisk::new());
    let (channel, reader) = bounded(&store, ChannelSpec { when_full: WhenFull::DropOldest, ..of_messages(3) });
    store.commit(puts(channel, 0..2, 10)).unwrap();
    store.commit(puts(channel, 2..7, 10)).unwrap();
    assert_eq!(numbers(&drain(&store, reader)), [4, 5, 6]);
    let counts = store.group_counts("r").unwrap();
    assert_eq!((counts.received, counts.stored, counts.ended(Outcome::Dead)), (7, 3, 4));
    let spec = ChannelSpec { bytes_max: Some(100), when_full: WhenFull::DropOldest, ..ChannelSpec::queue("bytes") };
    let tiny = store.declare_channel(spec).unwrap();
    assert_eq!(store.commit(puts(tiny, [1], 500)), Err(CommitError::Full { channel: tiny }));
}

/// Drops from `q`, which holds three, to `d`, and checks what came where.
fn check_moved(letters_max: Option<u64>, batches: &[std::ops::Range<u64>], moved: &[u64], reopen: bool) {
    let disk = MemoryDisk::new();
    let started = || {
        let store = open(&disk);
        let letters =
            store.declare_channel(ChannelSpec { messages_max: letters_max, ..ChannelSpec::queue("d") }).unwrap();
        let (when_full, dead_letter) = (WhenFull::DropOldest, Some("d".into()));
        let (channel, _) = bounded(&store, ChannelSpec { when_full, dead_letter, ..of_messages(3) });
        (store, channel, letters)
    };
    let (mut store, channel, letters) = started();
    for batch in batches {
        if reopen {
            store.close().unwrap();
            store = started().0;
        }
        store.commit(puts(channel, batch.clone(), 10)).unwrap();
    }
    let found = store.browse(letters, 0, 100).unwrap().messages;
    assert_eq!(numbers(&found), moved);
    assert_eq!(numbers(&store.browse(channel, 0, 100).unwrap().messages), [4, 5, 6]);
    for letter in &found {
        let note = letter.dead_note().unwrap().unwrap();
        assert_eq!((&*note.cause.code, &*note.route, note.source.as_deref()), ("channel.dropped", "r", Some("q")));
    }
    let counts = store.group_counts("r").unwrap();
    assert_eq!(counts.received, counts.stored + counts.ended(Outcome::Dead));
    if !reopen {
        assert_eq!((counts.ended(Outcome::Dead), store.moved_into(letters)), (4, moved.len() as u64));
    }
}

#[test]
fn what_is_dropped_is_moved_in_the_same_frame_from_memory_from_disk_and_from_the_frame_itself() {
    check_moved(None, &[0..2, 2..4, 4..7], &[0, 1, 2, 3], false);
    check_moved(None, &[0..1, 1..7], &[0, 1, 2, 3], false);
    check_moved(None, &[0..2, 2..4, 4..7], &[0, 1, 2, 3], true);
    // What finds no room there is dropped all the same, and told.
    check_moved(Some(2), &[0..2, 2..7], &[0, 1], false);
}

#[test]
fn what_cannot_be_stored_is_refused_with_a_reason() {
    let store = open(&MemoryDisk::new());
    let (channel, reader) = queue(&store);
    let refused = |txn: Txn, about: &str| match store.commit(txn) {
        Err(CommitError::Invalid(why)) => assert!(why.contains(about), "{why}"),
        other => panic!("{other:?}"),
    };
    refused(puts(channel, [1], 40_000), "half a segment");
    refused(puts(channel, 0..10, 20_000), "split it");
    refused(puts(ChannelNumber(77), [1], 10), "no channel");
    refused(settle(SubscriptionNumber(77), Outcome::Dead, [1]), "no subscription");
    store.commit(puts(channel, [1], 30_000)).unwrap();
    assert_eq!(numbers(&drain(&store, reader)), [1]);
    // What is not there is not settled.
    store.commit(settle(reader, Outcome::Dead, [0, 5, 1_000_000])).unwrap();
    let counts = store.group_counts("r").unwrap();
    assert_eq!((counts.received, counts.stored, counts.ended(Outcome::Dead)), (1, 0, 1));
    let unusable = Options { segment_bytes: 1000, ..options() };
    let opened = Store::open(std::sync::Arc::new(MemoryDisk::new()), unusable);
    assert!(matches!(opened, Err(OpenError::Unusable { .. })));
}

#[test]
fn a_put_may_be_settled_for_some_from_the_start() {
    let store = open(&MemoryDisk::new());
    let channel = store.declare_channel(ChannelSpec::queue("q")).unwrap();
    let (a, b) = (reader(&store, channel, "r/a", "r"), reader(&store, channel, "r/b", "r"));
    let put = Put { settled_for: vec![(a, Outcome::Delivered)], ..put(channel, 1, 10) };
    store.commit(Txn { puts: vec![put], ..Txn::default() }).unwrap();
    assert_eq!((numbers(&drain(&store, a)), numbers(&drain(&store, b))), (vec![], vec![1]));
    store.commit(settle(b, Outcome::Delivered, [0])).unwrap();
    assert_eq!(store.group_counts("r").unwrap().ended(Outcome::Delivered), 1);
}

#[test]
fn operations_are_kept() {
    let disk = MemoryDisk::new();
    let store = open(&disk);
    let operation = |n: u64, state| Operation {
        id: id(n),
        kind: Text::from_static("redrive"),
        state,
        total: 10,
        done: n,
        failed: 1,
        body: vec![1, 2, 3].into(),
    };
    let commit = |store: &Store, n, state| {
        store.commit(Txn { operations: vec![operation(n, state)], ..Txn::default() }).unwrap();
    };
    commit(&store, 1, OperationState::Running);
    for n in 2..1100 {
        commit(&store, n, OperationState::Done);
    }
    commit(&store, 2000, OperationState::Cancelled);
    store.close().unwrap();
    let store = open(&disk);
    let kept = store.operations();
    assert_eq!(kept.len(), 1001);
    assert_eq!(kept[0], operation(1, OperationState::Running));
    assert_eq!(kept[1000], operation(2000, OperationState::Cancelled));
}

#[test]
fn what_a_frame_settles_makes_room_in_it_and_is_not_dropped_as_well() {
    let options = Options { ride: std::time::Duration::from_secs(60), ..options() };
    let store = Store::open(std::sync::Arc::new(MemoryDisk::new()), options).unwrap();
    let letters = store.declare_channel(ChannelSpec::queue("d")).unwrap();
    let (when_full, dead_letter) = (WhenFull::DropOldest, Some("d".into()));
    let (channel, reader) = bounded(&store, ChannelSpec { when_full, dead_letter, ..of_messages(3) });
    store.commit(puts(channel, 0..3, 10)).unwrap();
    // They ride the frame of what comes behind them: in it, 0 and 2 are settled, and then two messages come.
    let rides = Txn { rides: true, ..settle(reader, Outcome::Delivered, [0, 2]) };
    store.submit(rides, Box::new(|result| drop(result.unwrap())));
    store.commit(puts(channel, 3..5, 10)).unwrap();
    assert_eq!(numbers(&store.browse(channel, 0, 100).unwrap().messages), [1, 3, 4]);
    assert!(store.browse(letters, 0, 100).unwrap().messages.is_empty());
    // Now one has to go, and it is none that is settled in the frame.
    let rides = Txn { rides: true, ..settle(reader, Outcome::Delivered, [1]) };
    store.submit(rides, Box::new(|result| drop(result.unwrap())));
    store.commit(puts(channel, 5..7, 10)).unwrap();
    assert_eq!(numbers(&store.browse(channel, 0, 100).unwrap().messages), [4, 5, 6]);
    assert_eq!(numbers(&store.browse(letters, 0, 100).unwrap().messages), [3]);
    let counts = store.group_counts("r").unwrap();
    assert_eq!((counts.ended(Outcome::Delivered), counts.ended(Outcome::Dead), counts.stored), (3, 1, 3));
}

#[test]
fn who_settles_what_is_settled_is_told_if_he_asks() {
    let store = open(&MemoryDisk::new());
    let (channel, reader) = bounded(&store, ChannelSpec { when_full: WhenFull::DropOldest, ..of_messages(3) });
    store.commit(puts(channel, 0..4, 10)).unwrap();
    store.commit(settle(reader, Outcome::Delivered, [2])).unwrap();
    let asked = Txn { tells_late: true, ..settle(reader, Outcome::Delivered, [0, 1, 2]) };
    assert_eq!(store.commit(asked).unwrap().late, [0, 2]);
    assert_eq!(store.commit(settle(reader, Outcome::Delivered, [0, 1, 2])).unwrap().late, [0; 0]);
    // In one frame, and behind what drops it there.
    store.commit(puts(channel, 4..6, 10)).unwrap();
    let dropped =
        Txn { tells_late: true, settles: settle(reader, Outcome::Delivered, [3, 4]).settles, ..puts(channel, [6], 10) };
    assert_eq!(store.commit(dropped).unwrap().late, [3]);
}

#[test]
fn nothing_takes_the_place_of_what_has_ended() {
    let options = Options { ride: std::time::Duration::from_secs(60), ..options() };
    let store = Store::open(std::sync::Arc::new(MemoryDisk::new()), options).unwrap();
    let (channel, one) = bounded(&store, of_messages(10));
    let other = reader(&store, channel, "r/u", "r");
    let letters = store.declare_channel(ChannelSpec::queue("d")).unwrap();
    store.commit(puts(channel, 0..4, 10)).unwrap();
    let of = |readers: &[SubscriptionNumber], offset: u64| {
        let put = put(letters, 10 + offset, 10).in_place_of(readers[0], offset);
        let settles = readers.iter().flat_map(|reader| settle(*reader, Outcome::Dead, [offset]).settles);
        Txn { puts: vec![put], settles: settles.collect(), ..Txn::default() }
    };
    let is_stored = |txn| matches!(store.commit(txn).unwrap().puts[..], [PutResult::Stored { .. }]);
    store.commit(settle(one, Outcome::Delivered, [0, 1])).unwrap();
    // One is done with both; the other one is not.
    assert!(!is_stored(of(&[one], 0)) && is_stored(of(&[one, other], 1)) && !is_stored(of(&[one, other], 1)));
    assert!(is_stored(of(&[other], 0)) && is_stored(of(&[one, other], 2)));
    // Acknowledged in the frame, before.
    let rides = Txn { rides: true, ..settle(one, Outcome::Delivered, [3]) };
    store.submit(rides, Box::new(|result| drop(result.unwrap())));
    assert!(!is_stored(of(&[one], 3)));
    assert_eq!(numbers(&store.browse(letters, 0, 100).unwrap().messages), [11, 10, 12]);
    // And whoever acknowledges behind a decision of the frame is told.
    store.commit(puts(channel, [4], 10)).unwrap();
    let rides = Txn { rides: true, ..settle(one, Outcome::Dead, [4]) };
    store.submit(rides, Box::new(|result| drop(result.unwrap())));
    let asked = Txn { tells_late: true, ..settle(one, Outcome::Delivered, [4]) };
    assert_eq!(store.commit(asked).unwrap().late, [4]);
}
