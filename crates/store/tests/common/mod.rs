//! What the tests of the store share.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]

pub mod model;

use crossdock_model::{Digest, DigestBuilder, Envelope, Fault, FaultClass, MessageId, Text, Timestamp};
use crossdock_store::*;
use std::cell::RefCell;
use std::sync::{
    Arc,
    atomic::{AtomicI64, AtomicU64, Ordering::SeqCst},
};
use std::time::Duration;

/// A clock that a test sets.
#[derive(Clone)]
pub struct TestClock(Arc<AtomicI64>);

impl TestClock {
    pub fn new() -> Self {
        Self(Arc::new(AtomicI64::new(1_795_000_000_000)))
    }

    pub fn now(&self) -> Timestamp {
        Timestamp(self.0.load(SeqCst))
    }

    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(by.as_millis() as i64, SeqCst);
    }
}

thread_local! {
    static KEYS: RefCell<Keyring> = RefCell::default();
}

/// Does something with stores that are opened with these keys.
pub fn with_keys<T>(keys: Keyring, act: impl FnOnce() -> T) -> T {
    KEYS.set(keys);
    let done = act();
    KEYS.set(Keyring::default());
    done
}

/// The same with a key.
pub fn encrypted<T>(act: impl FnOnce() -> T) -> T {
    with_keys(Keyring::new(Some(key('a')), vec![key('b')]), act)
}

/// The same without a key, then with one.
pub fn either_way(act: impl Fn()) {
    act();
    encrypted(act);
}

/// The key of 64 equal digits.
pub fn key(digit: char) -> MasterKey {
    MasterKey::from_hex(&digit.to_string().repeat(64)).unwrap()
}

/// Small segments, little memory for what was tried, a clock that stands still, numbers that are no secret, and nothing done behind the test's back.
pub fn options() -> Options {
    options_at(&TestClock::new())
}

pub fn options_at(clock: &TestClock) -> Options {
    let (clock, count) = (clock.clone(), Arc::new(AtomicU64::new(0)));
    let mut options = Options::new(Arc::new(move || clock.now()));
    options.random = Arc::new(move || count.fetch_add(0x9E37_79B9_7F4A_7C15, SeqCst) ^ 0x5DEE_CE66_D1CE_4E5B);
    options.segment_bytes = 64 << 10;
    options.window_bytes = 32 << 10;
    options.ride = Duration::ZERO;
    options.tried_in_memory_max = 4;
    options.keys = KEYS.with_borrow(Clone::clone);
    options.idle = Duration::from_secs(3600);
    options
}

pub fn id(n: u64) -> MessageId {
    MessageId::from_digest(digest(n))
}

pub fn digest(n: u64) -> Digest {
    DigestBuilder::new("test").part(&n.to_le_bytes()).finish()
}

/// A message whose payload tells its number, `bytes` long.
pub fn message(n: u64, bytes: usize) -> EncodedMessage {
    let mut payload = format!("message {n} ").into_bytes();
    payload.resize(bytes.max(payload.len()), b'.');
    EncodedMessage::new(&Envelope::new(id(n), Timestamp(n as i64), payload), None)
}

/// The number that a message was made with; panics if anything of it is not as it was made.
pub fn number(stored: &StoredMessage) -> u64 {
    let envelope = stored.envelope().unwrap();
    let n = envelope.received_at.0 as u64;
    assert_eq!((stored.id(), envelope.id), (id(n), id(n)));
    assert!(envelope.bytes().starts_with(format!("message {n} ").as_bytes()));
    n
}

pub fn numbers(messages: &[StoredMessage]) -> Vec<u64> {
    messages.iter().map(number).collect()
}

pub fn put(channel: ChannelNumber, n: u64, bytes: usize) -> Put {
    Put::new(channel, message(n, bytes), n as u32)
}

pub fn puts(channel: ChannelNumber, numbers: impl IntoIterator<Item = u64>, bytes: usize) -> Txn {
    Txn { puts: numbers.into_iter().map(|n| put(channel, n, bytes)).collect(), ..Txn::default() }
}

pub fn settle(subscription: SubscriptionNumber, outcome: Outcome, offsets: impl IntoIterator<Item = u64>) -> Txn {
    let settle = Settle { subscription, outcome, offsets: offsets.into_iter().collect() };
    Txn { settles: vec![settle], ..Txn::default() }
}

pub fn touch(subscription: SubscriptionNumber, offset: u64, tries: u32) -> Touch {
    let fault = Some(Fault::new(FaultClass::Failed, "http.500", format!("try {tries}")));
    let (due, at) = (Some(Timestamp(1000 + i64::from(tries))), Timestamp(i64::from(tries)));
    Touch { subscription, offset, tries, charges: tries / 2, due, at, fault }
}

/// Ends a store in one way of three, by round: dropped, closed, or the machine crashed. What is there then.
pub fn ended(store: Store, disk: MemoryDisk, round: u64) -> MemoryDisk {
    match round % 3 {
        0 => drop(store),
        1 => store.close().unwrap(),
        _ => {
            store.tidy().unwrap();
            return disk.after_crash(CrashPolicy::LoseAll);
        }
    }
    disk
}

pub fn claim(scope: &str, key: u64, body: u64, until: Timestamp, n: u64) -> KeyClaim {
    let (scope, keys_max) = (Text::from(scope), 1_000_000);
    KeyClaim { scope, hash: digest(key), body: digest(body), until, id: id(n), keys_max, place: None }
}

/// A queue `q` with the one reader `r/t` of the group `r`.
pub fn queue(store: &Store) -> (ChannelNumber, SubscriptionNumber) {
    let channel = store.declare_channel(ChannelSpec::queue("q")).unwrap();
    (channel, reader(store, channel, "r/t", "r"))
}

pub fn reader(store: &Store, channel: ChannelNumber, name: &str, group: &str) -> SubscriptionNumber {
    let (name, group, start) = (Text::from(name), Text::from(group), Start::Earliest);
    store.declare_subscription(SubscriptionSpec { name, channel, group, start }).unwrap()
}

/// All that is left to fetch, from memory and disk.
pub fn drain(store: &Store, subscription: SubscriptionNumber) -> Vec<StoredMessage> {
    let mut all = Vec::new();
    loop {
        let fetched = store.fetch_cold(subscription, 100, 1 << 20).unwrap();
        all.extend(fetched.messages);
        if matches!(fetched.rest, Rest::Nothing) {
            return all;
        }
    }
}

pub fn open(disk: &MemoryDisk) -> Store {
    Store::open(Arc::new(disk.clone()), options()).unwrap()
}
