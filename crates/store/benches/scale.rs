//! Measures what size and number cost: queues, backlog, latency at a steady rate.
//!
//! `cargo bench -p crossdock-store --bench scale -- [FOLDER] [SECONDS] [MEASURE]`
//!
//! Each measure, or the one that is named, is a line `name value`:
//! - `queues`: batches of 256 messages of 512 bytes through 10 queues and through 1,000, in turn, in one run: CPU a message.
//!   Each batch goes to one queue, the queues take turns; `spread` is the worst there is: each message to another queue;
//! - `interleaved`: a backlog of 1,000 queues, each message to the next one; cleaned; then one queue after another drained
//!   from disk;
//! - `dead`: one message of a thousand left among those that were delivered, and the folder after a rest;
//! - `latency`: 10,000 messages a second, ten at a time, from the append until a reader has them, beside what the syncs took.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a measurement, not part of the gateway"
)]

mod common;

use common::*;
use crossdock_store::*;
use std::{
    collections::VecDeque,
    fs,
    path::Path,
    sync::{Arc, Condvar, Mutex},
    time::{Duration, Instant},
};

fn main() {
    let arguments = Arguments::read();
    let (folder, time) = (&arguments.folder, arguments.time);
    for round in 0..3 {
        for count in [10, 1000].into_iter().filter(|_| arguments.is_wanted("queues")) {
            for run in [BATCH, 1] {
                let cpu = queues(&folder.path().join(format!("q{round}-{count}-{run}")), count, run, time);
                let spread = if run == 1 { "spread." } else { "" };
                show(&format!("queues.{count}.{spread}cpu_microseconds_per_message"), cpu, round);
            }
        }
        if arguments.is_wanted("latency") {
            latency(&folder.path().join(format!("latency{round}")), time, round);
        }
    }
    if arguments.is_wanted("interleaved") {
        interleaved(&folder.path().join("interleaved"), 2000);
    }
    if arguments.is_wanted("dead") {
        dead(&folder.path().join("dead"), 2_000_000);
    }
}

/// What was answered, for whoever waits until no more than so many are on their way.
#[derive(Default)]
struct OnTheirWay(Mutex<usize>, Condvar);

impl OnTheirWay {
    fn submit(self: &Arc<Self>, store: &Store, txn: Txn) {
        *self.0.lock().unwrap() += 1;
        let own = Arc::clone(self);
        let answered = move |result: Result<Committed, CommitError>| {
            drop(result.unwrap());
            *own.0.lock().unwrap() -= 1;
            own.1.notify_one();
        };
        store.submit(txn, Box::new(answered));
    }

    fn wait(&self, at_most: usize) {
        drop(self.1.wait_while(self.0.lock().unwrap(), |count| *count > at_most).unwrap());
    }
}

/// Microseconds of CPU a message that is appended, fetched and settled; `run` messages go to one queue before the next.
fn queues(folder: &Path, count: usize, run: usize, time: Duration) -> f64 {
    let store = open(folder);
    let queues = declare(&store, count);
    let payload = payload();
    let (puts_under_way, settles_under_way) = (Arc::new(OnTheirWay::default()), Arc::new(OnTheirWay::default()));
    let (cpu, begun, mut next, mut total, mut written) = (cpu_seconds(), Instant::now(), 0, 0_u64, VecDeque::new());
    while begun.elapsed() < time {
        let at = next;
        let puts = (0..BATCH).map(|n| Put::new(queues[(at + n / run) % count].0, message(&payload), n as u32));
        puts_under_way.submit(&store, Txn { puts: puts.collect(), ..Txn::default() });
        let addressed = BATCH / run;
        next = (next + addressed) % count;
        written.push_back((at, addressed));
        puts_under_way.wait(1);
        // The batch before the last one is stored.
        while written.len() > 2 {
            let (at, addressed) = written.pop_front().unwrap();
            let mut txn = Txn { rides: true, ..Txn::default() };
            for n in 0..addressed.min(count) {
                let reader = queues[(at + n) % count].1;
                let fetched = store.fetch_cold(reader, 1024, 1 << 20).unwrap();
                total += fetched.messages.len() as u64;
                let offsets: Offsets = fetched.messages.iter().map(|message| message.offset).collect();
                if !fetched.messages.is_empty() {
                    txn.settles.push(Settle { subscription: reader, outcome: Outcome::Delivered, offsets });
                }
            }
            settles_under_way.submit(&store, txn);
            settles_under_way.wait(8);
        }
    }
    puts_under_way.wait(0);
    settles_under_way.wait(0);
    let used = cpu_seconds() - cpu;
    drop(store);
    fs::remove_dir_all(folder).unwrap();
    used * 1e6 / total as f64
}

/// From the append until the reader has it.
fn latency(folder: &Path, time: Duration, round: usize) {
    let syncs = Arc::new(Mutex::new(Vec::new()));
    let noting = Arc::clone(&syncs);
    let on_sync = move |took: Duration| noting.lock().unwrap().push(took);
    let noted = Options { on_sync: Some(Arc::new(on_sync)), ..options() };
    let store = Store::open(Arc::new(RealDisk::new(folder).unwrap()), noted).unwrap();
    let (channel, reader) = queue(&store);
    let payload = payload();
    let (appended, bell) = (Arc::new(Mutex::new(VecDeque::new())), Arc::new(Bell::default()));
    store.watch(reader, {
        let bell = Arc::clone(&bell);
        Arc::new(move || bell.ring())
    });
    let (begun, steps) = (Instant::now(), time.as_millis() as u32);
    let mut took = std::thread::scope(|scope| {
        let taking = scope.spawn(|| {
            let (mut took, mut seen) = (Vec::new(), 0);
            while took.len() < steps as usize * 10 {
                let fetched = store.fetch_cold(reader, 1024, 1 << 20).unwrap();
                if fetched.messages.is_empty() {
                    seen = bell.wait_beyond(seen);
                    continue;
                }
                let now = Instant::now();
                let mut appended = appended.lock().unwrap();
                took.extend(appended.drain(..fetched.messages.len()).map(|at| now.duration_since(at)));
                drop(appended);
                let offsets = fetched.messages.iter().map(|message| message.offset).collect();
                // The last ones ride with a frame that does not come.
                store.submit(settle(reader, Outcome::Delivered, offsets), Box::new(drop));
            }
            took
        });
        for step in 0..steps {
            std::thread::park_timeout(
                (begun + Duration::from_millis(u64::from(step))).saturating_duration_since(Instant::now()),
            );
            for _ in 0..10 {
                let txn = Txn { puts: vec![Put::new(channel, message(&payload), 0)], ..Txn::default() };
                let mut appended = appended.lock().unwrap();
                appended.push_back(Instant::now());
                store.submit(txn, Box::new(|result| drop(result.unwrap())));
            }
        }
        taking.join().unwrap()
    });
    took.sort_unstable();
    let mut syncs = std::mem::take(&mut *syncs.lock().unwrap());
    syncs.sort_unstable();
    let at = |sorted: &[Duration], share: f64| sorted[(sorted.len() as f64 * share) as usize].as_secs_f64() * 1e6;
    show("latency.half_within_microseconds", at(&took, 0.5), round);
    show("latency.p99_within_microseconds", at(&took, 0.99), round);
    show("latency.half_of_the_syncs_within_microseconds", at(&syncs, 0.5), round);
    show("latency.p99_of_the_syncs_within_microseconds", at(&syncs, 0.99), round);
    show("latency.half_in_times_of_the_half_of_the_syncs", at(&took, 0.5) / at(&syncs, 0.5), round);
    show("latency.p99_in_times_of_the_p99_of_the_syncs", at(&took, 0.99) / at(&syncs, 0.99), round);
    drop(store);
    fs::remove_dir_all(folder).unwrap();
}

/// A backlog of a thousand queues of so many messages each, written in turn.
fn interleaved(folder: &Path, each: u64) {
    let store = open(folder);
    let queues = declare(&store, 1000);
    let payload = payload();
    let (before, under_way, begun) = (store.counts().bytes_written, Arc::new(OnTheirWay::default()), Instant::now());
    for _ in 0..each {
        let puts = queues.iter().map(|(channel, _)| Put::new(*channel, message(&payload), 0)).collect();
        under_way.submit(&store, Txn { puts, ..Txn::default() });
        under_way.wait(2);
    }
    under_way.wait(0);
    let messages = each as f64 * 1000.0;
    let times = |bytes: u64| (bytes - before) as f64 / (messages * PAYLOAD_BYTES as f64);
    show("interleaved.write_messages_per_second", messages / begun.elapsed().as_secs_f64(), 0);
    let begun = Instant::now();
    store.tidy().unwrap();
    show("interleaved.cleaning_seconds", begun.elapsed().as_secs_f64(), 0);
    show("interleaved.bytes_written_per_payload_byte", times(store.counts().bytes_written), 0);
    for round in 0..3 {
        let (begun, mut count) = (Instant::now(), 0);
        for (_, reader) in queues.iter().skip(round * 100).take(100) {
            let mut of_queue = 0;
            while of_queue < each {
                let fetched = store.fetch_cold(*reader, 1024, 1 << 20).unwrap();
                of_queue += fetched.messages.len() as u64;
                let offsets = fetched.messages.iter().map(|message| message.offset).collect();
                under_way.submit(&store, settle(*reader, Outcome::Delivered, offsets));
            }
            count += of_queue;
        }
        show("interleaved.drain_messages_per_second", count as f64 / begun.elapsed().as_secs_f64(), round);
    }
    under_way.wait(0);
    drop(store);
    fs::remove_dir_all(folder).unwrap();
}

/// One of a thousand is moved to the dead letters.
fn dead(folder: &Path, messages: u64) {
    let store = open(folder);
    let (channel, reader) = queue(&store);
    let dead = store.declare_channel(ChannelSpec::queue("dead")).unwrap();
    let payload = payload();
    let (before, under_way) = (store.counts().bytes_written, Arc::new(OnTheirWay::default()));
    for first in (0..messages).step_by(1000) {
        let puts = (0..1000).map(|n| Put::new(channel, message(&payload), n)).collect();
        store.commit(Txn { puts, ..Txn::default() }).unwrap();
        let offsets = std::iter::once(first).collect();
        let letter = vec![Put::new(dead, message(&payload), 0)];
        under_way.submit(&store, Txn { puts: letter, rides: false, ..settle(reader, Outcome::Dead, offsets) });
        let offsets = (first + 1..first + 1000).collect();
        under_way.submit(&store, settle(reader, Outcome::Delivered, offsets));
        under_way.wait(4);
    }
    under_way.wait(0);
    let written = store.counts().bytes_written - before;
    show("dead.bytes_written_per_payload_byte", written as f64 / (messages * PAYLOAD_BYTES as u64) as f64, 0);
    store.tidy().unwrap();
    let letters = store.channel(dead).unwrap().bytes;
    show("dead.folder_in_times_of_the_letters", store.counts().bytes as f64 / letters as f64, 0);
    drop(store);
    fs::remove_dir_all(folder).unwrap();
}
