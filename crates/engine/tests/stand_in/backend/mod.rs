//! Channels that stand in for a replicated store. Several gateways may work on the same ones; each has a handle.
//!
//! ```text
//!  commit, annotate ─► queue ─► the handle's thread: puts ─ a crash may come here ─ settlements ─► completion
//!  fetch ◄── leases that run out: what was fetched and is neither settled nor noted comes again
//! ```
//!
//! What differs from the embedded log, as far as the engine could notice
//! - A decision is repeatable, not atomic. Puts that take the place of others are known by their ids.
//! - Offsets have gaps. Cursors, fences and leases look otherwise.
//! - Leases run out.
//! - Any handle may claim any subscription at any time.

mod channels;
mod cluster;
mod decide;
mod reader;

use cluster::Cluster;
use crossdock_config::Plan;
use crossdock_engine::Options;
use crossdock_store::{Annotations, Channels, CommitError, Completion, Fence, MemoryDisk, Txn};
use std::{
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering::SeqCst},
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// Whether a decision is taken whole, so that a route may have a gate. not where a decision can be torn.
pub const GATES: bool = false;

/// What outlives a gateway.
#[derive(Clone, Default)]
pub struct Backend {
    cluster: Arc<Mutex<Cluster>>,
    /// Where each gateway notes what is in flight: its own machine's.
    notes: MemoryDisk,
    /// Whether messages can be neither looked at nor counted.
    lacks: bool,
    /// Whether the next decision that puts and settles ends its handle between the two.
    pub tears: Arc<AtomicBool>,
}

/// A gateway's handle.
struct Handle {
    backend: Backend,
    requests: Mutex<Option<Sender<Request>>>,
    /// Set when the handle is gone, or was torn from what it did: nothing is done for it any more.
    cut: Arc<AtomicBool>,
    worker: Mutex<Option<JoinHandle<()>>>,
}

enum Request {
    Commit(Vec<Fence>, Txn, Completion),
    Annotate(Vec<Fence>, Annotations, Completion),
}

/// How often it is looked whether a lease has run out.
const TICK: Duration = Duration::from_millis(10);

impl Backend {
    /// Channels that can be neither looked at nor counted.
    pub fn lacking() -> Self {
        Self { lacks: true, ..Self::default() }
    }

    /// The channels, as they were left.
    pub fn open(&self, _: &Plan, options: &Options) -> Arc<dyn Channels> {
        self.cluster().clock = Some(Arc::clone(&options.clock));
        self.cluster().ended.clear();
        let (requests, taken) = channel();
        let cut = Arc::<AtomicBool>::default();
        let (backend, stop) = (self.clone(), Arc::clone(&cut));
        let worker = thread::spawn(move || work(&backend, &taken, &stop));
        let (requests, worker) = (Mutex::new(Some(requests)), Mutex::new(Some(worker)));
        Arc::new(Handle { backend: self.clone(), requests, cut, worker })
    }

    fn cluster(&self) -> MutexGuard<'_, Cluster> {
        self.cluster.lock().unwrap()
    }

    /// How many messages stand in a channel.
    pub fn messages(&self, channel: &str) -> usize {
        let cluster = self.cluster();
        cluster.channels.values().find(|known| known.spec.name == channel).map_or(0, |known| known.messages.len())
    }
}

impl Handle {
    fn submit(&self, request: Request) {
        let requests = self.requests.lock().unwrap();
        match requests.as_ref().filter(|_| !self.cut.load(SeqCst)) {
            // The thread ends with the handle alone.
            Some(requests) => requests.send(request).unwrap(),
            None => request.refuse(),
        }
    }

    /// Does what waits, and ends.
    fn end(&self) {
        drop(self.requests.lock().unwrap().take());
        if let Some(worker) = self.worker.lock().unwrap().take() {
            worker.join().unwrap();
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // As a kill does: what waits is not done.
        self.cut.store(true, SeqCst);
        self.end();
    }
}

impl Request {
    fn refuse(self) {
        match self {
            Self::Commit(_, _, completion) | Self::Annotate(_, _, completion) => completion(Err(CommitError::Closed)),
        }
    }
}

/// Does what is asked for, one after the other.
fn work(backend: &Backend, requests: &Receiver<Request>, cut: &AtomicBool) {
    loop {
        let request = match requests.recv_timeout(TICK) {
            Ok(request) => request,
            Err(RecvTimeoutError::Timeout) => {
                let watches = backend.cluster().run_out();
                watches.into_iter().for_each(|watch| watch());
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => return,
        };
        if cut.load(SeqCst) {
            request.refuse();
            continue;
        }
        match request {
            Request::Commit(fences, mut txn, completion) => {
                let both = !txn.puts.is_empty() && !txn.settles.is_empty();
                let put = backend.cluster().put(&fences, &mut txn);
                if both && put.is_ok() && backend.tears.swap(false, SeqCst) {
                    // The gateway is gone before anybody hears of it.
                    cut.store(true, SeqCst);
                    continue;
                }
                let result = put.and_then(|committed| {
                    backend.cluster().settle(&fences, txn)?;
                    Ok(committed)
                });
                let watches = backend.cluster().news();
                completion(result);
                watches.into_iter().for_each(|watch| watch());
            }
            Request::Annotate(fences, annotations, completion) => {
                let result = backend.cluster().annotate(&fences, annotations);
                completion(result);
            }
        }
    }
}
