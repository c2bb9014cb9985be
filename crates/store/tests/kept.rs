//! Stores that were kept from earlier versions, and one of this: each is verified, opened, read to the last message, and
//! works on (P24).
//!
//! `tests/kept/VERSION-STATE` holds the files of a store that [`life`] made, as the version wrote them. To keep one of a new
//! version: `KEEP=v3 cargo test -p crossdock-store --test kept`, which adds folders and changes none.

#![cfg(test)]

mod common;

use common::*;
use crossdock_model::{Envelope, Fault, FaultClass, Text, Timestamp};
use crossdock_store::*;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

const FAR: Timestamp = Timestamp(i64::MAX);
/// Messages of the queue.
const COUNT: u64 = 120;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/kept")
}

/// What the store has, by name.
struct Names {
    queue: ChannelNumber,
    topic: ChannelNumber,
    dead: ChannelNumber,
    targets: [SubscriptionNumber; 2],
    late: SubscriptionNumber,
}

fn names(store: &Store) -> Names {
    let topic = ChannelSpec { kind: ChannelKind::Topic, ..ChannelSpec::queue("t") };
    let specs = vec![ChannelSpec::queue("q"), topic, ChannelSpec::queue("q.dead")];
    let channels = store.declare_channels(specs).unwrap();
    let [queue, topic, dead] = channels[..] else { panic!("three were declared") };
    let targets = ["r/a", "r/b"].map(|name| reader(store, queue, name, "r"));
    reader(store, dead, "queue:q.dead", "queue:q.dead");
    let late = reader(store, topic, "s/x", "s");
    Names { queue, topic, dead, targets, late }
}

fn bytes(n: u64) -> usize {
    (n % 7) as usize * 400 + 20
}

fn is_settled(n: u64) -> bool {
    n < 30 || n.is_multiple_of(3)
}

fn is_dead(n: u64) -> bool {
    n % 40 == 33
}

/// A message of the topic, with more than its payload.
fn rich(n: u64) -> Envelope {
    let mut envelope = Envelope::new(id(n), Timestamp(n as i64), format!("message {n} ä"));
    envelope.properties.content_type = Some(Text::from_static("text/plain"));
    envelope.properties.correlation_id = Some(format!("c-{n}").into());
    envelope.properties.expires_at = Some(FAR);
    envelope
}

/// What happened in a store that is kept.
fn life(store: &Store) {
    let Names { queue, topic, dead, targets: [a, b], .. } = names(store);
    for n in 0..COUNT {
        let mut put = put(queue, n, bytes(n));
        put.keys = vec![claim("door", n, n, FAR, n)];
        store.commit(Txn { puts: vec![put], ..Txn::default() }).unwrap();
        if n == COUNT / 2 {
            // The checkpoint has one half of everything, the log the other.
            store.tidy().unwrap();
        }
        store
            .commit(Txn { puts: vec![Put::new(topic, EncodedMessage::new(&rich(n), None), 0)], ..Txn::default() })
            .unwrap();
    }
    for n in (0..COUNT).filter(|n| is_settled(*n)) {
        store.commit(settle(a, Outcome::Delivered, [n])).unwrap();
    }
    store.commit(settle(b, Outcome::Filtered, 0..COUNT - 10)).unwrap();
    for n in (0..COUNT).filter(|n| is_dead(*n) && !is_settled(*n)) {
        let note = DeadNote {
            cause: Fault::new(FaultClass::Failed, "http.500", "it is broken"),
            route: Text::from_static("r"),
            target: Some(Text::from_static("a")),
            dead_since: Timestamp(77),
            source: Some(Text::from_static("q")),
            tries_total: 1,
            tries: Vec::new(),
        };
        let envelope = message_of(n);
        let puts = vec![Put::new(dead, EncodedMessage::new(&envelope, Some(&note)), 0)];
        let settle = |subscription| Settle { subscription, outcome: Outcome::Dead, offsets: Offsets::one(n) };
        store.commit(Txn { puts, settles: vec![settle(a), settle(b)], ..Txn::default() }).unwrap();
    }
    let touches = (1..=3).map(|tries| touch(a, 31, tries)).collect();
    let operation = Operation {
        id: id(5),
        kind: Text::from_static("redrive"),
        state: OperationState::Running,
        total: 7,
        done: 3,
        failed: 1,
        body: b"a body".as_slice().into(),
    };
    store.commit(Txn { touches, operations: vec![operation], ..Txn::default() }).unwrap();
}

fn message_of(n: u64) -> Envelope {
    let mut payload = format!("message {n} ").into_bytes();
    payload.resize(bytes(n).max(payload.len()), b'.');
    Envelope::new(id(n), Timestamp(n as i64), payload)
}

/// Everything that [`life`] left is there, and nothing else.
fn check(store: &Store, later: u64) {
    let Names { queue, topic, dead, targets: [a, b], late } = names(store);
    let open: BTreeSet<u64> = (0..COUNT).filter(|n| !is_settled(*n) && !is_dead(*n)).collect();
    let fetched = drain(store, a);
    let of_life: Vec<&StoredMessage> = fetched.iter().filter(|stored| stored.offset < COUNT).collect();
    let expected: Vec<u64> = open.iter().copied().filter(|n| *n != 31).collect();
    assert_eq!(of_life.iter().map(|stored| number(stored)).collect::<Vec<_>>(), expected, "31 was tried");
    assert!(of_life.iter().all(|stored| stored.envelope().unwrap() == message_of(stored.offset)));
    assert_eq!(fetched.len() - of_life.len(), later as usize);
    let left = drain(store, b).into_iter().filter(|stored| stored.offset < COUNT).map(|stored| number(&stored));
    assert_eq!(
        left.collect::<Vec<_>>(),
        (COUNT - 10..COUNT).filter(|n| !is_dead(*n) || is_settled(*n)).collect::<Vec<_>>()
    );
    let told = drain(store, late);
    assert_eq!(told.len() as u64, COUNT);
    for (n, stored) in told.iter().enumerate() {
        assert_eq!(stored.envelope().unwrap(), rich(n as u64));
    }
    assert_eq!(store.read(queue, 31).unwrap().envelope().unwrap(), message_of(31));
    let [touched] = &store.touched(a).unwrap()[..] else { panic!("one was tried") };
    assert_eq!((touched.offset, touched.tries, touched.charges, touched.due), (31, 3, 1, Some(Timestamp(1003))));
    let history = store.history(a, 31).unwrap();
    let texts: Vec<String> = history.kept.iter().map(|tried| tried.fault.as_ref().unwrap().text.to_string()).collect();
    assert_eq!(texts, ["try 1", "try 2", "try 3"]);
    let letters = store.browse(dead, 0, 100).unwrap().messages;
    let expected: Vec<u64> = (0..COUNT).filter(|n| is_dead(*n) && !is_settled(*n)).collect();
    assert_eq!(
        letters.iter().map(|stored| stored.envelope().unwrap().received_at.0 as u64).collect::<Vec<_>>(),
        expected
    );
    let note = letters[0].notes().unwrap().dead.unwrap();
    assert_eq!((&*note.cause.code, note.source.as_deref(), note.dead_since), ("http.500", Some("q"), Timestamp(77)));
    let [operation] = &store.operations()[..] else { panic!("one operation") };
    assert_eq!((operation.id, operation.total, operation.done, &operation.body[..]), (id(5), 7, 3, &b"a body"[..]));
    let again = (0..COUNT).map(|n| Put { keys: vec![claim("door", n, n, FAR, 9999)], ..put(topic, n, 1) }).collect();
    let again = store.commit(Txn { puts: again, ..Txn::default() }).unwrap();
    let known: Vec<_> = (0..COUNT).map(|n| PutResult::Duplicate { id: id(n) }).collect();
    assert_eq!(again.puts, known);
}

/// The states in which stores are kept.
const STATES: [&str; 3] = ["closed", "crashed", "encrypted"];

fn make(state: &str) -> MemoryDisk {
    let disk = MemoryDisk::new();
    let make = || {
        let store = open(&disk);
        life(&store);
        match state {
            "crashed" => return disk.after_crash(CrashPolicy::LoseAll),
            _ => store.close().unwrap(),
        }
        disk.copy()
    };
    if state == "encrypted" { encrypted(make) } else { make() }
}

fn read_back(path: &Path) -> MemoryDisk {
    let disk = MemoryDisk::new();
    for entry in fs::read_dir(path).unwrap() {
        let entry = entry.unwrap();
        let bytes = fs::read(entry.path()).unwrap();
        disk.plant(entry.file_name().to_str().unwrap(), bytes);
    }
    disk
}

fn check_kept(name: &str, disk: MemoryDisk) {
    println!("{name}");
    let keys = if name.ends_with("encrypted") { Keyring::new(Some(key('a')), vec![]) } else { Keyring::default() };
    let sound = |disk: &MemoryDisk, crashed: bool| {
        let report = verify_with(disk, &keys).unwrap();
        // What a crash left behind the last frame is no damage.
        assert!(report.findings.is_empty() || crashed, "{name}: {:?}", report.findings);
    };
    sound(&disk, name.ends_with("crashed"));
    let open = |disk: &MemoryDisk| {
        let options = Options { keys: keys.clone(), ..options() };
        Store::open(Arc::new(disk.clone()), options).unwrap()
    };
    for round in 0..3_u64 {
        let store = open(&disk);
        check(&store, round);
        // It works on.
        let Names { queue, .. } = names(&store);
        store.commit(puts(queue, [COUNT + round], 100)).unwrap();
        store.close().unwrap();
        sound(&disk, false);
    }
}

#[test]
fn p24_every_kept_store_is_verified_read_and_written_on() {
    let mut kept = BTreeSet::new();
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        check_kept(&name, read_back(&path));
        kept.insert(name);
    }
    for version in ["v1", "v2"] {
        for state in STATES {
            assert!(kept.contains(&format!("{version}-{state}")), "{version}-{state} is not kept: {kept:?}");
        }
    }
}

#[test]
fn p24_what_this_version_writes_could_be_kept() {
    for state in STATES {
        let disk = make(state);
        if let Ok(version) = std::env::var("KEEP") {
            keep(&disk, &folder().join(format!("{version}-{state}")));
        }
        check_kept(state, disk);
    }
}

fn keep(disk: &MemoryDisk, path: &Path) {
    assert!(!path.exists(), "{} is kept already", path.display());
    fs::create_dir_all(path).unwrap();
    for file in disk.list("").unwrap() {
        fs::write(path.join(&file.name), disk.contents(&file.name).unwrap()).unwrap();
    }
}
