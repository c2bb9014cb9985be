//! What the measurements of the store have in common: where and how long they run, stores, queues, messages, and the meter of
//! CPU.

use crossdock_model::{Envelope, MessageId, Timestamp};
use crossdock_store::*;
use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// As the program has it.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Messages of a batch.
pub const BATCH: usize = 256;
pub const PAYLOAD_BYTES: usize = 512;

/// `[FOLDER] [SECONDS] [MEASURE]`.
pub struct Arguments {
    /// A new folder in the one that was named; removed at the end.
    pub folder: tempfile::TempDir,
    /// How long each part takes.
    pub time: Duration,
    only: Option<String>,
}

impl Arguments {
    pub fn read() -> Self {
        // Cargo adds `--bench` to what it is given.
        let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
        let folder = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
        let seconds = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(3);
        let folder = tempfile::tempdir_in(folder).unwrap();
        Self { folder, time: Duration::from_secs(seconds), only: arguments.next() }
    }

    pub fn is_wanted(&self, name: &str) -> bool {
        self.only.as_deref().is_none_or(|only| only == name)
    }
}

pub fn show(name: &str, value: f64, round: usize) {
    println!("{name:50} {value:14.3} round {round}");
    std::io::stdout().flush().unwrap();
}

pub fn options() -> Options {
    let clock = || Timestamp(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64);
    Options::new(Arc::new(clock))
}

pub fn open(folder: &Path) -> Store {
    Store::open(Arc::new(RealDisk::new(folder).unwrap()), options()).unwrap()
}

/// Queues with a reader each.
pub fn declare(store: &Store, count: usize) -> Vec<(ChannelNumber, SubscriptionNumber)> {
    let channels = store.declare_channels((0..count).map(|n| ChannelSpec::queue(format!("q{n}"))).collect()).unwrap();
    let specs = channels.iter().map(|channel| SubscriptionSpec {
        name: format!("r{}/t", channel.0).into(),
        channel: *channel,
        group: "r".into(),
        start: Start::Earliest,
    });
    let readers = store.declare_subscriptions(specs.collect()).unwrap();
    channels.into_iter().zip(readers).collect()
}

/// A queue with a reader.
pub fn queue(store: &Store) -> (ChannelNumber, SubscriptionNumber) {
    declare(store, 1).pop().unwrap()
}

pub fn payload() -> bytes::Bytes {
    bytes::Bytes::from(vec![b'x'; PAYLOAD_BYTES])
}

static NEXT: AtomicU64 = AtomicU64::new(0);

/// A message with an id of its own.
pub fn message(payload: &bytes::Bytes) -> EncodedMessage {
    let n = NEXT.fetch_add(1, Relaxed);
    let id = MessageId::from_time_and_random(n, &[7; 10]);
    EncodedMessage::new(&Envelope::new(id, Timestamp(1_795_000_000_000 + n as i64), payload.clone()), None)
}

pub fn settle(subscription: SubscriptionNumber, outcome: Outcome, offsets: Offsets) -> Txn {
    Txn { settles: vec![Settle { subscription, outcome, offsets }], rides: true, ..Txn::default() }
}

/// A counter that a thread can wait on.
#[derive(Default)]
pub struct Bell(Mutex<u64>, Condvar);

impl Bell {
    pub fn ring(&self) {
        *self.0.lock().unwrap() += 1;
        self.1.notify_all();
    }

    pub fn wait_beyond(&self, seen: u64) -> u64 {
        let count = self.1.wait_while(self.0.lock().unwrap(), |count| *count <= seen).unwrap();
        *count
    }
}

/// User and system time of the process, in ticks of 10 ms.
pub fn cpu_seconds() -> f64 {
    let text = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = text.rsplit(") ").next().unwrap().split(' ').collect();
    let ticks = |field: usize| fields.get(field).and_then(|text| text.parse::<f64>().ok()).unwrap();
    (ticks(11) + ticks(12)) / 100.0
}
