//! The way of a message through a queue, over restarts.

#![cfg(test)]

mod common;

use common::*;
use crossdock_model::{Envelope, Text, Timestamp};
use crossdock_store::*;
use std::sync::Arc;

fn check_counts(store: &Store, group: &str, received: u64, stored: u64, ended: &[(Outcome, u64)]) {
    let counts = store.group_counts(group).unwrap();
    assert_eq!((counts.received, counts.stored), (received, stored), "{counts:?}");
    for outcome in Outcome::ALL {
        let expected = ended.iter().find(|(of, _)| *of == outcome).map_or(0, |(_, n)| *n);
        assert_eq!(counts.ended(outcome), expected, "{} in {counts:?}", outcome.name());
    }
}

#[test]
fn what_is_appended_is_fetched_once_and_gone_when_settled() {
    let disk = MemoryDisk::new();
    let store = open(&disk);
    let (channel, reader) = queue(&store);
    let committed = store.commit(puts(channel, 0..10, 100)).unwrap();
    assert_eq!(committed.puts[9], PutResult::Stored { offset: 9 });
    let first = store.fetch(reader, 4, 1 << 20);
    assert_eq!((numbers(&first.messages), first.rest), (vec![0, 1, 2, 3], Rest::More));
    let rest = store.fetch(reader, 100, 1 << 20);
    assert_eq!((numbers(&rest.messages), rest.rest), ((4..10).collect(), Rest::Nothing));
    store.commit(settle(reader, Outcome::Delivered, [0, 1, 2, 5])).unwrap();
    store.commit(settle(reader, Outcome::Dead, [3, 5])).unwrap();
    check_counts(&store, "r", 10, 5, &[(Outcome::Delivered, 4), (Outcome::Dead, 1)]);
    assert_eq!(store.channel(channel).unwrap().messages, 5);
    assert!(matches!(store.read(channel, 5), Err(ReadError::Gone)));
    assert_eq!(number(&store.read(channel, 6).unwrap()), 6);
    store.close().unwrap();

    let store = open(&disk);
    assert_eq!(queue(&store), (channel, reader));
    check_counts(&store, "r", 5, 5, &[]);
    assert_eq!(numbers(&drain(&store, reader)), [4, 6, 7, 8, 9]);
    let page = store.browse(channel, 0, 3).unwrap();
    assert_eq!((numbers(&page.messages), page.next), (vec![4, 6, 7], Some(8)));
}

#[test]
fn a_crash_loses_nothing_that_was_answered() {
    let disk = MemoryDisk::new();
    let store = open(&disk);
    let (channel, reader) = queue(&store);
    for n in 0..500 {
        store.commit(puts(channel, [n], 700)).unwrap();
        if n % 3 == 0 {
            store.commit(settle(reader, Outcome::Delivered, [n])).unwrap();
        }
    }
    let after = disk.after_crash(CrashPolicy::LoseAll);
    drop(store);
    let store = open(&after);
    assert_eq!(numbers(&drain(&store, reader)), (0..500).filter(|n| n % 3 != 0).collect::<Vec<_>>());
    assert!(after.list("quarantine").is_err(), "nothing was damaged");
}

#[test]
fn tries_are_remembered_and_such_messages_are_not_fetched_again() {
    let disk = MemoryDisk::new();
    let store = open(&disk);
    let (channel, reader) = queue(&store);
    store.commit(puts(channel, 0..5, 10)).unwrap();
    for tries in 1..=30 {
        let touches = vec![touch(reader, 2, tries)];
        store.commit(Txn { touches, rides: true, ..Txn::default() }).unwrap();
    }
    // A charge alone is no try.
    store
        .commit(Txn { touches: vec![Touch { charges: 77, fault: None, ..touch(reader, 2, 30) }], ..Txn::default() })
        .unwrap();
    let crashed = disk.after_crash(CrashPolicy::LoseAll);
    store.close().unwrap();
    for disk in [disk, crashed] {
        let store = open(&disk);
        let touched = store.touched(reader).unwrap();
        assert_eq!(touched.len(), 1);
        assert_eq!((touched[0].offset, touched[0].tries, touched[0].charges), (2, 30, 77));
        let history = store.history(reader, 2).unwrap();
        assert_eq!(history.total, 30);
        let shown: Vec<u32> = history.kept.iter().map(|one| one.number).collect();
        assert_eq!(shown, (1..=5).chain(11..=30).collect::<Vec<_>>());
        assert_eq!(history.kept[0].fault.as_ref().unwrap().text, "try 1");
        assert_eq!(numbers(&drain(&store, reader)), [0, 1, 3, 4]);
        store.commit(settle(reader, Outcome::Dead, [2])).unwrap();
        assert!(store.touched(reader).unwrap().is_empty());
    }
}

#[test]
fn a_group_has_one_outcome_when_its_last_member_settles() {
    let store = open(&MemoryDisk::new());
    let channel = store.declare_channel(ChannelSpec::queue("q")).unwrap();
    let (a, b) = (reader(&store, channel, "r/a", "r"), reader(&store, channel, "r/b", "r"));
    store.commit(puts(channel, 0..6, 10)).unwrap();
    store.commit(settle(a, Outcome::Filtered, 0..5)).unwrap();
    check_counts(&store, "r", 6, 6, &[]);
    for (offset, outcome) in
        [(0, Outcome::Delivered), (1, Outcome::Filtered), (2, Outcome::Dead), (3, Outcome::Expired), (5, Outcome::Dead)]
    {
        store.commit(settle(b, outcome, [offset])).unwrap();
    }
    store.commit(settle(a, Outcome::Delivered, [5])).unwrap();
    let ended = [(Outcome::Delivered, 1), (Outcome::Filtered, 1), (Outcome::Dead, 2), (Outcome::Expired, 1)];
    check_counts(&store, "r", 6, 1, &ended);
    assert_eq!(store.channel(channel).unwrap().messages, 1);
}

#[test]
fn readers_of_a_topic_do_not_see_each_other() {
    let disk = MemoryDisk::new();
    let store = open(&disk);
    let spec = ChannelSpec { kind: ChannelKind::Topic, ..ChannelSpec::queue("t") };
    let channel = store.declare_channel(spec).unwrap();
    let early = reader(&store, channel, "one/x", "one");
    store.commit(puts(channel, 0..3, 10)).unwrap();
    let spec = |name: &'static str, start| SubscriptionSpec {
        name: Text::from_static(name),
        channel,
        group: Text::from_static(name),
        start,
    };
    let late = store.declare_subscription(spec("late", Start::Latest)).unwrap();
    let all = store.declare_subscription(spec("all", Start::Earliest)).unwrap();
    store.commit(puts(channel, 3..5, 10)).unwrap();
    store.commit(settle(early, Outcome::Delivered, 0..5)).unwrap();
    check_counts(&store, "one", 5, 0, &[(Outcome::Delivered, 5)]);
    check_counts(&store, "late", 2, 2, &[]);
    assert_eq!(numbers(&drain(&store, late)), [3, 4]);
    assert_eq!(numbers(&drain(&store, all)), (0..5).collect::<Vec<_>>());
    store.amend(vec![Amendment::RetireSubscription { subscription: all }]).unwrap();
    assert_eq!(store.channel(channel).unwrap().messages, 2);
    store.commit(settle(late, Outcome::Delivered, [3])).unwrap();
    store.close().unwrap();
    let store = open(&disk);
    assert_eq!(numbers(&drain(&store, late)), [4]);
    assert_eq!(store.subscriptions().len(), 2);
}

#[test]
fn names_may_change_and_numbers_stay() {
    let disk = MemoryDisk::new();
    let store = open(&disk);
    let (channel, reader) = queue(&store);
    store.commit(puts(channel, 0..3, 10)).unwrap();
    let group = Text::from_static("new");
    store
        .amend(vec![
            Amendment::RenameChannel { channel, name: Text::from_static("q2") },
            Amendment::RenameSubscription { subscription: reader, name: Text::from_static("new/t"), group },
        ])
        .unwrap();
    check_counts(&store, "new", 3, 3, &[]);
    assert!(store.group_counts("r").is_none());
    let other = store.declare_channel(ChannelSpec::queue("q")).unwrap();
    assert_ne!(other, channel);
    let taken = Amendment::RenameChannel { channel: other, name: Text::from_static("q2") };
    assert!(matches!(store.amend(vec![taken]), Err(DeclareError::Conflict(_))));
    let topic = ChannelSpec { kind: ChannelKind::Topic, ..ChannelSpec::queue("q2") };
    assert!(matches!(store.declare_channel(topic), Err(DeclareError::Conflict(_))));
    store.amend(vec![Amendment::RetireChannel { channel: other }]).unwrap();
    store.close().unwrap();
    let store = open(&disk);
    let names: Vec<_> = store.channels().into_iter().map(|c| (c.number, c.name.to_string(), c.messages)).collect();
    assert_eq!(names, [(channel, "q2".to_owned(), 3)]);
    assert_eq!(store.subscriptions()[0].name, "new/t");
    assert_ne!(store.declare_channel(ChannelSpec::queue("q")).unwrap(), other);
}

#[test]
fn a_move_to_another_channel_is_one_frame() {
    let disk = MemoryDisk::new();
    let store = open(&disk);
    let (channel, reader) = queue(&store);
    let (dead, _) = {
        let dead = store.declare_channel(ChannelSpec::queue("q.dead")).unwrap();
        (dead, common::reader(&store, dead, "queue:q.dead", "queue:q.dead"))
    };
    store.commit(puts(channel, [1], 10)).unwrap();
    let message = store.read(channel, 0).unwrap();
    let note = DeadNote {
        cause: crossdock_model::Fault::rejected("http.404", "no such order"),
        route: Text::from_static("r"),
        target: Some(Text::from_static("t")),
        dead_since: TestClock::new().now(),
        source: Some(Text::from_static("q")),
        tries_total: 1,
        tries: Vec::new(),
    };
    let put =
        Put { use_reserve: true, ..Put::new(dead, EncodedMessage::new(&message.envelope().unwrap(), Some(&note)), 0) };
    let before = store.counts().frames;
    store.commit(Txn { puts: vec![put], ..settle(reader, Outcome::Dead, [0]) }).unwrap();
    assert_eq!(store.counts().frames, before + 1);
    let letter = store.read(dead, 0).unwrap();
    assert_eq!((letter.id(), letter.dead_note().unwrap()), (message.id(), Some(note)));
    assert_eq!(store.channel(channel).unwrap().messages, 0);
}

#[test]
fn a_second_process_is_kept_out() {
    let disk = MemoryDisk::new();
    let store = open(&disk);
    let second = Store::open(Arc::new(disk.clone()), options());
    assert!(matches!(second, Err(OpenError::Held)));
    let id = store.store_id().to_owned();
    assert_eq!(id.len(), 8);
    drop(store);
    assert_eq!(open(&disk).store_id(), id);
}

#[test]
fn which_messages_may_expire_by_themselves_is_known_of_those_that_were_seen_coming() {
    either_way(|| {
        let disk = MemoryDisk::new();
        let store = open(&disk);
        let (channel, reader) = queue(&store);
        let below = |store: &Store| store.channel(channel).unwrap().expiring_below;
        let expiring = |n| {
            let mut envelope = Envelope::new(id(n), Timestamp(n as i64), format!("message {n} "));
            envelope.properties.content_type = Some(Text::from_static("text/plain"));
            envelope.properties.expires_at = Some(Timestamp(1_000_000));
            Txn { puts: vec![Put::new(channel, EncodedMessage::new(&envelope, None), 0)], ..Txn::default() }
        };
        store.commit(puts(channel, 0..3, 50)).unwrap();
        assert_eq!(below(&store), 0, "none of them says when it expires");
        store.commit(expiring(3)).unwrap();
        store.commit(puts(channel, 4..6, 50)).unwrap();
        assert_eq!(below(&store), 4);
        store.commit(settle(reader, Outcome::Delivered, 0..2)).unwrap();
        assert_eq!(below(&store), 4);
        store.close().unwrap();

        let store = open(&disk);
        assert_eq!(below(&store), 6, "what was there before was not looked at");
        store.commit(puts(channel, 6..8, 50)).unwrap();
        assert_eq!(below(&store), 6);
    });
}
