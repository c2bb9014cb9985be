//! The embedded log behind `Channels`: whoever claims a subscription has it, and whoever had it can do nothing more.

#![cfg(test)]

mod common;

use common::*;
use crossdock_model::Timestamp;
use crossdock_store::*;
use std::{
    sync::{Arc, mpsc::channel},
    time::Duration,
};

const NO: Duration = Duration::ZERO;
const LONG: Duration = Duration::from_secs(30);
const MAX: FetchMax = FetchMax { messages: 100, bytes: 1 << 20 };

/// Submits and waits.
fn commit(channels: &dyn Channels, fences: &[Fence], txn: Txn) -> Result<Committed, CommitError> {
    let (told, heard) = channel();
    channels.commit(fences, txn, Box::new(move |result| told.send(result).unwrap()));
    heard.recv().unwrap()
}

fn annotate(channels: &dyn Channels, fences: &[Fence], touches: Vec<Touch>) -> Result<Committed, CommitError> {
    let (told, heard) = channel();
    let annotations = Annotations { touches, rides: true };
    channels.annotate(fences, annotations, Box::new(move |result| told.send(result).unwrap()));
    heard.recv().unwrap()
}

/// A queue with messages, and its reader.
fn filled(count: u64) -> (Arc<dyn Channels>, ChannelNumber, SubscriptionNumber) {
    let store = open(&MemoryDisk::new());
    let (channel, reader) = queue(&store);
    for first in (0..count).step_by(50) {
        store.commit(puts(channel, first..count.min(first + 50), 200)).unwrap();
    }
    (Arc::new(store), channel, reader)
}

fn fetched(channels: &dyn Channels, fence: &Fence, wait: Duration) -> Vec<u64> {
    let fetched = channels.fetch(fence, MAX, wait).unwrap();
    assert!(fetched.lease.is_none());
    numbers(&fetched.messages)
}

#[test]
fn under_a_claim_messages_are_fetched_noted_and_settled() {
    let (channels, _, reader) = filled(6);
    let channels = &*channels;
    let fence = channels.claim(reader, LaneRange::ALL).unwrap();
    let fences = std::slice::from_ref(&fence);
    assert_eq!(fetched(channels, &fence, NO), [0, 1, 2, 3, 4, 5]);
    annotate(channels, fences, vec![touch(reader, 2, 1), touch(reader, 2, 2)]).unwrap();
    commit(channels, fences, settle(reader, Outcome::Delivered, [0, 1])).unwrap();
    let touched = channels.touched(&fence).unwrap();
    assert_eq!(touched.iter().map(|touched| (touched.offset, touched.tries)).collect::<Vec<_>>(), [(2, 2)]);
    assert_eq!(channels.history(reader, 2).unwrap().total, 2);
    assert_eq!([1, 2, 9].map(|offset| channels.is_pending(reader, offset)), [false, true, false]);
    assert_eq!(number(&channels.read(&fence, 3, NO).unwrap().unwrap()), 3);
    assert_eq!(number(&channels.read(&fence, 3, LONG).unwrap().unwrap()), 3);
    assert!(channels.read(&fence, 0, NO).unwrap().is_none());
    assert!(matches!(channels.read(&fence, 0, LONG), Err(ReadError::Gone)));
    assert_eq!((channels.atomicity(), channels.subscription(reader).unwrap().pending), (Atomicity::Frame, 4));
}

#[test]
fn a_later_claim_makes_the_older_one_stale_for_everything_and_begins_anew() {
    let (channels, channel, reader) = filled(6);
    let channels = &*channels;
    let first = channels.claim(reader, LaneRange::ALL).unwrap();
    let old = std::slice::from_ref(&first);
    assert_eq!(fetched(channels, &first, NO).len(), 6);
    commit(channels, old, settle(reader, Outcome::Delivered, [0])).unwrap();
    let second = channels.claim(reader, LaneRange::ALL).unwrap();

    let stale = |result: Result<(), ReadError>| assert!(matches!(result, Err(ReadError::Fenced)), "{result:?}");
    stale(channels.fetch(&first, MAX, NO).map(drop));
    stale(channels.fetch(&first, MAX, LONG).map(drop));
    stale(channels.read(&first, 1, NO).map(drop));
    stale(channels.read(&first, 1, LONG).map(drop));
    stale(channels.touched(&first).map(drop));
    stale(channels.extend(&first, &Lease::new("any".into(), LONG)).map(drop));
    assert_eq!(annotate(channels, old, vec![touch(reader, 1, 1)]), Err(CommitError::Fenced));
    assert_eq!(commit(channels, old, settle(reader, Outcome::Dead, [1])), Err(CommitError::Fenced));
    assert_eq!(commit(channels, old, puts(channel, 6..7, 9)), Err(CommitError::Fenced), "with what it puts");
    let both = [first.clone(), second.clone()];
    assert_eq!(commit(channels, &both, settle(reader, Outcome::Dead, [1])), Err(CommitError::Fenced));
    assert!(channels.touched(&second).unwrap().is_empty());
    assert_eq!((channels.channel(channel).unwrap().messages, channels.subscription(reader).unwrap().pending), (5, 5));

    assert_eq!(fetched(channels, &second, NO), [1, 2, 3, 4, 5], "what the older one has and did not settle");
    commit(channels, &[second], settle(reader, Outcome::Delivered, 1..6)).unwrap();
    assert_eq!(channels.channel(channel).unwrap().messages, 0);
}

#[test]
fn what_was_submitted_under_the_older_claim_is_through_when_the_later_one_begins() {
    let (channels, q, reader) = filled(500);
    for round in 0..20 {
        let fence = channels.claim(reader, LaneRange::ALL).unwrap();
        let (told, heard) = channel::<Result<Committed, CommitError>>();
        for offset in round * 20..round * 20 + 20 {
            let told = told.clone();
            let txn = Txn { rides: offset % 2 == 0, ..settle(reader, Outcome::Delivered, [offset]) };
            channels.commit(std::slice::from_ref(&fence), txn, Box::new(move |result| told.send(result).unwrap()));
        }
        channels.claim(reader, LaneRange::ALL).unwrap();
        assert_eq!(channels.channel(q).unwrap().messages, 500 - 20 * (round + 1), "in round {round}");
        assert!((0..20).all(|_| heard.recv().unwrap().is_ok()));
    }
}

#[test]
fn nothing_is_settled_without_a_claim_on_it() {
    let store = open(&MemoryDisk::new());
    let (q, mine) = queue(&store);
    let other = reader(&store, q, "s/t", "s");
    store.commit(puts(q, 0..3, 20)).unwrap();
    let channels: &dyn Channels = &store;
    let fence = channels.claim(mine, LaneRange::ALL).unwrap();
    let fences = std::slice::from_ref(&fence);
    assert_eq!(commit(channels, &[], settle(mine, Outcome::Dead, [0])), Err(CommitError::Fenced));
    assert_eq!(commit(channels, fences, settle(other, Outcome::Dead, [0])), Err(CommitError::Fenced));
    assert_eq!(annotate(channels, fences, vec![touch(other, 0, 1)]), Err(CommitError::Fenced));
    let (others, messages) = (vec![other], Vec::new());
    let sieve = Some(Box::new(Sieve { subscription: mine, others, messages }));
    assert_eq!(commit(channels, fences, Txn { sieve, ..Txn::default() }), Err(CommitError::Fenced));
    commit(channels, &[], puts(q, 3..4, 20)).unwrap();
    // A claim on one harms no claim on another.
    channels.claim(other, LaneRange::ALL).unwrap();
    commit(channels, fences, settle(mine, Outcome::Delivered, 0..4)).unwrap();
    assert_eq!((store.subscription(mine).unwrap().pending, store.subscription(other).unwrap().pending), (0, 4));
}

#[test]
fn what_cannot_be_claimed_is_told() {
    let (channels, _, reader) = filled(1);
    let some = LaneRange::new(0, 1 << 20).unwrap();
    assert_eq!((some.bounds(), LaneRange::new(2, 1)), ((0, 1 << 20), None));
    assert!(matches!(channels.claim(reader, some), Err(ClaimError::Undivided)));
    let nobody = SubscriptionNumber(999);
    assert!(matches!(channels.claim(nobody, LaneRange::ALL), Err(ClaimError::Unknown(known)) if known == nobody));
    let strange = Fence::new("another store's".into());
    assert!(matches!(channels.fetch(&strange, MAX, NO), Err(ReadError::Fenced)));
}

#[test]
fn a_cursor_goes_on_where_the_page_ended_and_an_id_is_found() {
    let (channels, q, reader) = filled(25);
    let browser = channels.browser().unwrap();
    let fence = channels.claim(reader, LaneRange::ALL).unwrap();
    commit(&*channels, &[fence], settle(reader, Outcome::Delivered, [3, 11])).unwrap();
    let (mut seen, mut from) = (Vec::new(), Some(browser.seek(q, 2)));
    while let Some(cursor) = from {
        let page = browser.browse(q, &cursor, 4).unwrap();
        seen.extend(numbers(&page.messages));
        from = page.next;
    }
    assert_eq!(seen, (2..25).filter(|n| ![3, 11].contains(n)).collect::<Vec<_>>());
    for bytes in ["", "1234567", "123456789"] {
        let wrong = browser.browse(q, &Cursor::new(bytes.into()), 4);
        assert!(matches!(wrong, Err(ReadError::Cursor)), "{bytes}: {wrong:?}");
    }
    assert_eq!(numbers(&browser.find(q, id(24), 9).unwrap()), [24]);
    assert!(browser.find(q, id(3), 9).unwrap().is_empty(), "it is settled");
    commit(&*channels, &[], puts(q, [7, 7, 7], 20)).unwrap();
    let found = |most| browser.find(q, id(7), most).unwrap().iter().map(|message| message.offset).collect::<Vec<_>>();
    assert_eq!([found(1), found(2), found(9)], [vec![7], vec![7, 25], vec![7, 25, 26, 27]]);
    assert_eq!(channels.accountant().unwrap().group_counts("r").unwrap().ended(Outcome::Delivered), 2);
    assert!(channels.store_id().len() == 8 && Timestamp(0) < channels.channel(q).unwrap().oldest_appended_at.unwrap());
}
