//! Senders that note what was acknowledged: the ledger of every test that kills.

use crate::{Client, lock, pause};
use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// Senders at work.
#[derive(Debug)]
pub struct Load {
    shared: Arc<Shared>,
    senders: Vec<JoinHandle<()>>,
}

/// Makes a request's body of its name.
type Body = dyn Fn(&str) -> String + Send + Sync;

#[derive(Debug, Default)]
struct Shared {
    is_over: AtomicBool,
    acknowledged: Mutex<BTreeSet<String>>,
    statuses: Mutex<BTreeSet<u16>>,
    sent: AtomicU64,
}

impl Load {
    /// So many senders, each over a connection of its own, post to the path what `body` makes of a name, one after the
    /// other. Whoever is cut off connects again. A name counts as acknowledged when its answer is 202, and is never sent
    /// twice, so that the ledger tells of each request what the gateway said of it.
    #[must_use]
    pub fn start(port: u16, path: &str, senders: usize, body: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        let (shared, body): (Arc<Shared>, Arc<Body>) = (Arc::default(), Arc::new(body));
        let senders = (0..senders).map(|sender| {
            let (shared, body, path) = (Arc::clone(&shared), Arc::clone(&body), path.to_owned());
            thread::spawn(move || send_all(&shared, port, &path, sender, body.as_ref()))
        });
        let senders = senders.collect();
        Self { shared, senders }
    }

    /// How many were acknowledged so far.
    #[must_use]
    pub fn acknowledged(&self) -> usize {
        lock(&self.shared.acknowledged).len()
    }

    /// With what statuses requests were answered so far.
    #[must_use]
    pub fn statuses(&self) -> BTreeSet<u16> {
        lock(&self.shared.statuses).clone()
    }

    /// Ends the load; gives the names that were acknowledged, and how many requests were sent.
    ///
    /// # Panics
    /// A sender panicked.
    #[must_use]
    pub fn stop(self) -> (BTreeSet<String>, u64) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        for sender in self.senders {
            sender.join().expect("a sender's thread");
        }
        (std::mem::take(&mut lock(&self.shared.acknowledged)), self.shared.sent.load(Ordering::SeqCst))
    }
}

fn send_all(shared: &Shared, port: u16, path: &str, sender: usize, body: &Body) {
    let (mut client, mut number) = (None::<Client>, 0_u64);
    while !shared.is_over.load(Ordering::SeqCst) {
        let Some(open) = client.take().or_else(|| Client::new(port, Duration::from_secs(10)).ok()) else {
            // Nobody listens: the gateway is being started again.
            pause(Duration::from_millis(5));
            continue;
        };
        number += 1;
        let name = format!("o-{sender}-{number}");
        shared.sent.fetch_add(1, Ordering::SeqCst);
        let mut open = open;
        if let Ok(answer) = open.send("POST", path, &[("content-type", "application/json")], body(&name).as_bytes()) {
            lock(&shared.statuses).insert(answer.status);
            if answer.status == 202 {
                lock(&shared.acknowledged).insert(name);
            }
            let stays = answer.header("connection").is_none_or(|value| !value.eq_ignore_ascii_case("close"));
            client = stays.then_some(open);
        }
    }
}
