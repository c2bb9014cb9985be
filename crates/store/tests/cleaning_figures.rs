//! What cleaning costs and gives, in figures, which `--nocapture` shows; ten times larger with `CROSSDOCK_FIGURES=1`.

#![cfg(test)]

mod common;

use common::*;
use crossdock_store::*;
use std::{sync::Arc, time::Instant};

const PAYLOAD: usize = 512;

fn on_disk(name: &str) -> (Store, std::path::PathBuf) {
    let folder = std::env::temp_dir().join(format!("crossdock-{name}-{}", std::process::id()));
    let options = Options {
        segment_bytes: if is_large() { 32 << 20 } else { 8 << 20 },
        window_bytes: 16 << 20,
        sync: SyncPolicy::Never,
        ..options()
    };
    let disk = RealDisk::new(&folder).unwrap();
    (Store::open(Arc::new(disk), options).unwrap(), folder)
}

fn is_large() -> bool {
    std::env::var_os("CROSSDOCK_FIGURES").is_some()
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

#[test]
fn a_thousand_interleaved_queues() {
    let (store, folder) = on_disk("interleaved");
    let channels = store.declare_channels((0..1000).map(|n| ChannelSpec::queue(format!("q{n}"))).collect()).unwrap();
    let specs = channels.iter().map(|channel| SubscriptionSpec {
        name: format!("r{}", channel.0).into(),
        channel: *channel,
        group: "r".into(),
        start: Start::Earliest,
    });
    let readers = store.declare_subscriptions(specs.collect()).unwrap();
    let before = store.counts().bytes_written;
    let rounds = if is_large() { 400_u64 } else { 40 };
    for round in 0..rounds {
        let puts = channels.iter().map(|channel| put(*channel, round, PAYLOAD)).collect();
        store.commit(Txn { puts, ..Txn::default() }).unwrap();
    }
    let payload = rounds * 1000 * PAYLOAD as u64;
    let times = |bytes: u64| (bytes - before) as f64 / payload as f64;
    eprintln!("written before cleaning: {:.3} times the payload", times(store.counts().bytes_written));
    let speed = |reader: SubscriptionNumber| {
        let begun = Instant::now();
        let count = drain(&store, reader).len() as f64;
        assert_eq!(count, rounds as f64);
        count / begun.elapsed().as_secs_f64()
    };
    eprintln!("one queue read: {:.0} messages a second", speed(readers[500]));
    let begun = Instant::now();
    store.tidy().unwrap();
    let took = begun.elapsed().as_secs_f64();
    let written = times(store.counts().bytes_written);
    eprintln!("cleaned in {took:.1} s; written after: {written:.3} times; folder {:.0} MiB", mib(store.counts().bytes));
    eprintln!("one queue read: {:.0} messages a second", speed(readers[501]));
    assert!(written < 2.3);
    drop(store);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn dead_letters_among_many() {
    let (store, folder) = on_disk("dead");
    let (channel, reader) = queue(&store);
    let dead = store.declare_channel(ChannelSpec::queue("dead")).unwrap();
    let batch = 1000;
    for n in 0..if is_large() { 1000 } else { 100 } {
        store.commit(puts(channel, n * batch..(n + 1) * batch, PAYLOAD)).unwrap();
        // One of a thousand is dead, as in ten thousand among ten million.
        let buried = Txn { puts: vec![put(dead, n, PAYLOAD)], ..settle(reader, Outcome::Dead, [n * batch]) };
        store.commit(buried).unwrap();
        store.commit(settle(reader, Outcome::Delivered, n * batch + 1..(n + 1) * batch)).unwrap();
    }
    let live = store.channel(dead).unwrap().bytes;
    eprintln!("dead letters: {:.2} MiB; folder before rest {:.1} MiB", mib(live), mib(store.counts().bytes));
    let before = store.counts().bytes_written;
    store.tidy().unwrap();
    let counts = store.counts();
    eprintln!(
        "folder after {:.2} MiB, {:.2} times the dead letters; cleaning wrote {:.2} MiB",
        mib(counts.bytes),
        counts.bytes as f64 / live as f64,
        mib(counts.bytes_written - before)
    );
    assert!(counts.bytes < 2 * live + (1 << 20));
    drop(store);
    std::fs::remove_dir_all(folder).unwrap();
}
