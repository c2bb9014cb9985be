//! Measures the log against a raw append-and-sync loop of the same batch size, alternating, in one run.
//!
//! `cargo bench -p crossdock-store --bench log -- [FOLDER] [SECONDS] [MEASURE]`
//!
//! Three measures, or the one that is named, each a line `name value unit`:
//! - `flow`: batches of 256 messages of 512 bytes appended, fetched and settled, a sync per group: CPU and bytes
//!   written a message;
//! - `appenders`: 256 appenders with one message each on its way, beside the raw loop, which overwrites one file or, as a log
//!   does, writes where nothing was written before;
//! - `cold`: a backlog written, then fetched from disk and settled, with the process's resident set.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement, not part of the gateway")]

mod common;

use common::*;
use crossdock_store::*;
use std::{
    fs,
    os::unix::fs::FileExt,
    path::Path,
    sync::{
        Arc,
        atomic::{
            AtomicBool, AtomicU64,
            Ordering::{Relaxed, SeqCst},
        },
    },
    time::{Duration, Instant},
};

fn main() {
    let arguments = Arguments::read();
    let (folder, time) = (&arguments.folder, arguments.time);
    for round in 0..3 {
        if arguments.is_wanted("appenders") {
            let raw =
                |overwrites| raw(&folder.path().join("raw"), BATCH * PAYLOAD_BYTES, time, overwrites) * BATCH as f64;
            let (over, anew) = (raw(true), raw(false));
            show("raw.overwriting.messages_per_second", over, round);
            show("raw.appending.messages_per_second", anew, round);
            let appended = appenders(&folder.path().join(format!("appenders{round}")), time);
            show("appenders.messages_per_second", appended, round);
            show("appenders.share_of_raw_appending", appended / anew, round);
        }
        if arguments.is_wanted("flow") {
            flow(&folder.path().join(format!("flow{round}")), time, round);
        }
    }
    if arguments.is_wanted("cold") {
        cold(&folder.path().join("cold"), 1_000_000);
    }
}

/// Writes and syncs batches, one after the other, with room made before; batches a second. Either into one file over and over, or,
/// as a log does, always into blocks that were never written: the file system notes of each that it has been, for which a sync
/// waits.
fn raw(path: &Path, bytes: usize, time: Duration, overwrites: bool) -> f64 {
    let length = 32_u64 << 20;
    let make = || {
        let file = fs::File::create(path).unwrap();
        rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, length).unwrap();
        file
    };
    let buffer = vec![b'x'; bytes];
    let (mut file, begun, mut count, mut at) = (make(), Instant::now(), 0_u64, 0);
    while begun.elapsed() < time {
        file.write_all_at(&buffer, at).unwrap();
        file.sync_data().unwrap();
        at += bytes as u64;
        count += 1;
        if at + bytes as u64 > length {
            at = 0;
            if !overwrites {
                fs::remove_file(path).unwrap();
                file = make();
            }
        }
    }
    let rate = count as f64 / begun.elapsed().as_secs_f64();
    fs::remove_file(path).unwrap();
    rate
}

/// How often a thread looks for an answer before it sleeps: some microseconds.
const LOOKS: u32 = 1000;

/// 256 appenders, each with one message on its way, which appends the next one when it is answered; messages a second.
/// One thread runs them all, so that what is measured is the store and not the waking of 256 threads.
fn appenders(folder: &Path, time: Duration) -> f64 {
    let store = open(folder);
    let (channel, _) = queue(&store);
    let payload = payload();
    let (answered, sleeper) = (Arc::new(AtomicU64::new(0)), std::thread::current());
    let is_asleep = Arc::new(AtomicBool::new(false));
    let submit = || {
        let txn = Txn { puts: vec![Put::new(channel, message(&payload), 0)], ..Txn::default() };
        let (answered, is_asleep, sleeper) = (Arc::clone(&answered), Arc::clone(&is_asleep), sleeper.clone());
        store.submit(
            txn,
            Box::new(move |result| {
                // What is under way when the time is up is refused, as the store is closed.
                if matches!(result, Err(crossdock_store::CommitError::Closed)) {
                    return;
                }
                drop(result.unwrap());
                answered.fetch_add(1, SeqCst);
                if is_asleep.swap(false, SeqCst) {
                    sleeper.unpark();
                }
            }),
        );
    };
    let (begun, mut total, mut idle) = (Instant::now(), 0, 0);
    (0..BATCH).for_each(|_| submit());
    while begun.elapsed() < time {
        match answered.swap(0, SeqCst) {
            // It sleeps while there is nothing to do: spinning on, it would take from the processor what the kernel needs for
            // the sync. It looks again for a moment before that, as a runtime's threads do, or each answer would wake it anew.
            0 if idle < LOOKS => {
                idle += 1;
                std::hint::spin_loop();
            }
            0 => {
                idle = 0;
                is_asleep.store(true, SeqCst);
                if answered.load(SeqCst) == 0 {
                    std::thread::park();
                }
                is_asleep.store(false, SeqCst);
            }
            ready => {
                idle = 0;
                total += ready;
                (0..ready).for_each(|_| submit());
            }
        }
    }
    let (rate, counts) = (total as f64 / begun.elapsed().as_secs_f64(), store.counts());
    let sync_time = counts.sync_time.as_micros() as f64 / counts.syncs as f64;
    let outside = begun.elapsed().saturating_sub(counts.sync_time).as_secs_f64() * 1e6 / total as f64;
    println!(
        "  {total} messages in {} frames, a sync {sync_time:.0} µs, beside syncs {outside:.2} µs a message",
        counts.frames
    );
    drop(store);
    fs::remove_dir_all(folder).unwrap();
    rate
}

/// One thread appends batches with two under way, another fetches and settles.
fn flow(folder: &Path, time: Duration, round: usize) {
    let store = open(folder);
    let (channel, reader) = queue(&store);
    let bell = Arc::new(Bell::default());
    store.watch(reader, {
        let bell = Arc::clone(&bell);
        Arc::new(move || bell.ring())
    });
    let (cpu, written, begun) = (cpu_seconds(), written_bytes(), Instant::now());
    let total = AtomicU64::new(0);
    let done = AtomicU64::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let payload = payload();
            let answered = Arc::new(Bell::default());
            let (mut sent, mut seen) = (0, 0);
            while begun.elapsed() < time {
                let puts = (0..BATCH).map(|n| Put::new(channel, message(&payload), n as u32)).collect();
                let tell = Arc::clone(&answered);
                store.submit(
                    Txn { puts, ..Txn::default() },
                    Box::new(move |result| {
                        result.unwrap();
                        tell.ring();
                    }),
                );
                sent += 1;
                total.fetch_add(BATCH as u64, Relaxed);
                while sent - seen > 1 {
                    seen = answered.wait_beyond(seen);
                }
            }
            done.store(1, Relaxed);
            bell.ring();
        });
        scope.spawn(|| {
            let (mut count, mut seen) = (0, 0);
            loop {
                let fetched = store.fetch_cold(reader, 1024, 1 << 20).unwrap();
                if fetched.messages.is_empty() {
                    if done.load(Relaxed) == 1 && count == total.load(Relaxed) {
                        return;
                    }
                    seen = bell.wait_beyond(seen);
                    continue;
                }
                count += fetched.messages.len() as u64;
                let bytes: usize = fetched.messages.iter().map(|m| m.envelope().unwrap().bytes().len()).sum();
                assert_eq!(bytes, fetched.messages.len() * PAYLOAD_BYTES);
                let offsets = fetched.messages.iter().map(|message| message.offset).collect();
                store.submit(settle(reader, Outcome::Delivered, offsets), Box::new(|r| drop(r.unwrap())));
            }
        });
    });
    let (messages, took) = (total.load(Relaxed) as f64, begun.elapsed().as_secs_f64());
    store.close().unwrap();
    let payload = messages * PAYLOAD_BYTES as f64;
    show("flow.messages_per_second", messages / took, round);
    show("flow.cpu_microseconds_per_message", (cpu_seconds() - cpu) * 1e6 / messages, round);
    show("flow.bytes_written_per_payload_byte", store.counts().bytes_written as f64 / payload, round);
    show("flow.block_bytes_per_payload_byte", (written_bytes() - written) as f64 / payload, round);
    fs::remove_dir_all(folder).unwrap();
}

/// A backlog that is written, then read from disk.
fn cold(folder: &Path, messages: u64) {
    let store = open(folder);
    let (channel, reader) = queue(&store);
    let payload = payload();
    let (begun, idle) = (Instant::now(), resident_bytes());
    for _ in 0..messages / 1000 {
        let puts = (0..1000).map(|n| Put::new(channel, message(&payload), n)).collect();
        store.commit(Txn { puts, ..Txn::default() }).unwrap();
    }
    show("cold.write_messages_per_second", messages as f64 / begun.elapsed().as_secs_f64(), 0);
    show("cold.resident_growth_mib", (resident_bytes() - idle) / f64::from(1 << 20), 0);
    let (begun, mut count) = (Instant::now(), 0);
    while count < messages {
        let fetched = store.fetch_cold(reader, 1024, 1 << 20).unwrap();
        count += fetched.messages.len() as u64;
        let offsets = fetched.messages.iter().map(|message| message.offset).collect();
        store.submit(settle(reader, Outcome::Delivered, offsets), Box::new(|r| drop(r.unwrap())));
    }
    show("cold.read_messages_per_second", messages as f64 / begun.elapsed().as_secs_f64(), 0);
    store.tidy().unwrap();
    show("cold.store_mib_after", store.counts().bytes as f64 / f64::from(1 << 20), 0);
    drop(store);
    let begun = Instant::now();
    let store = open(folder);
    show("cold.open_seconds", begun.elapsed().as_secs_f64(), 0);
    assert_eq!(store.channel(channel).unwrap().messages, 0);
}

fn written_bytes() -> u64 {
    let text = fs::read_to_string("/proc/self/io").unwrap();
    text.lines().find_map(|line| line.strip_prefix("write_bytes: ")?.parse().ok()).unwrap()
}

fn resident_bytes() -> f64 {
    let text = fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse::<f64>().unwrap() * 4096.0
}
