//! The writer: one thread through which everything goes that changes the store.
//!
//! It takes all that waits, plans it into a frame, writes the frame, syncs, applies it to the state, and answers. A
//! frame is planned only after the one before was applied, so a plan never has to be taken back: what was not written
//! was never there. While a frame syncs, what comes in gathers for the next.

mod checkpoint;
mod claims;
mod commit;
mod company;
mod declare;
mod draft;
mod ended;
mod frames;
mod growth;
mod keys;
mod log;
mod plan;
mod queue;
mod rescue;
mod reserve;
mod runs;
mod space;
mod tries;

pub use company::Company;
pub use draft::{Draft, Stamp};
pub use frames::Frames;
pub use keys::read_keys;
pub use log::{Log, SPARE, Trouble};
pub use queue::{Declare, Queue, Request, Woken};
pub use runs::Passing;
pub use space::{Watermark, remove_file};
pub use tries::{TryFiles, locate, pins_of, read_or_tell};

use crate::{CommitError, DiskLock, SyncPolicy, checkpoint::Extra, cleaner::Cleaner, shared::Shared, state::State};
use crossdock_model::Text;
use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, MutexGuard, mpsc::SyncSender},
    time::{Duration, Instant},
};

/// The writer's own: nobody else touches it.
pub struct Writer {
    pub shared: Arc<Shared>,
    pub log: Log,
    /// Empty; kept for its memory.
    pub draft: Draft,
    /// Runs of records of logs that are read again.
    pub passing: Passing,
    pub extra: Extra,
    /// Of the last checkpoint; and the sequence of the last frame in it and in the one before.
    pub generation: u64,
    pub checkpointed: [u64; 2],
    pub next_key_file: u64,
    /// Files of keys that there are.
    pub key_files: Vec<u64>,
    /// Those that the checkpoint before the last names, and the last.
    pub named_key_files: [Vec<u64>; 2],
    pub tries: TryFiles,
    pub bytes_since_checkpoint: u64,
    /// Whether the store was written under another key than now, or plain: the files of keys and tries are written anew.
    pub rekeyed: bool,
    /// Bounds the wait for company: how long a sync takes, on average.
    pub sync_time: Duration,
    /// Whether those who were answered come back.
    pub company: Company,
    pub space: space::Watermark,
    pub cleaner: Cleaner,
    /// When the last frame was written, and whether the store was tidied since.
    pub last_frame: Instant,
    pub tidy: bool,
    /// Held for as long as the store is open.
    pub _lock: Box<dyn DiskLock>,
}

/// How the loop ended.
enum End {
    Closed(SyncSender<Result<(), CommitError>>, Result<(), CommitError>),
    Abandoned,
}

impl Writer {
    /// Runs until the store is closed, abandoned, or has failed.
    pub fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let end = catch_unwind(AssertUnwindSafe(|| self.work())).unwrap_or_else(|_| {
            shared.fail(&Text::from_static("the store's writer panicked, which is a bug"));
            End::Abandoned
        });
        shared.queue.close();
        let mut left = VecDeque::new();
        shared.queue.take(&mut left);
        left.into_iter().for_each(|request| refuse(request, &shared));
        // Whoever waits for the close may open the folder again: the lock goes first.
        drop(self);
        if let End::Closed(reply, result) = end {
            let _ = reply.send(result);
        }
    }

    fn work(&mut self) -> End {
        let mut requests = VecDeque::new();
        loop {
            match self.shared.queue.wait(self.shared.options.ride, self.next_chore()) {
                Woken::Abandoned => return End::Abandoned,
                Woken::Time => {
                    if let Err(trouble) = self.chores() {
                        self.give_up(&trouble);
                    }
                }
                Woken::Requests => {
                    let count = self.shared.queue.take(&mut requests);
                    if let Some(end) = self.serve(&mut requests) {
                        return end;
                    }
                    self.company.gather(&self.shared.queue, count, self.sync_time);
                }
            }
            if self.shared.failure().is_some() {
                return End::Abandoned;
            }
        }
    }

    /// Serves all requests, decisions in groups.
    fn serve(&mut self, requests: &mut VecDeque<Request>) -> Option<End> {
        while let Some(request) = requests.pop_front() {
            match request {
                Request::Txn(txn, completion) => {
                    requests.push_front(Request::Txn(txn, completion));
                    self.commit_group(requests);
                }
                Request::Declare(declare, reply) => {
                    let result = self.declare(declare);
                    let _ = reply.send(result);
                }
                Request::Tidy(reply) => {
                    let result = self.answered(|writer| writer.tidy_up(true));
                    let _ = reply.send(result);
                }
                Request::Close(reply) => {
                    self.shared.queue.close();
                    let mut late = VecDeque::new();
                    self.shared.queue.take(&mut late);
                    late.into_iter().for_each(|request| refuse(request, &self.shared));
                    let result = self.answered(Self::close);
                    return Some(End::Closed(reply, result));
                }
            }
        }
        None
    }

    /// When there is something to do though nobody asks.
    fn next_chore(&self) -> Option<Instant> {
        let sync = match self.shared.options.sync {
            SyncPolicy::Every(every) => self.log.unsynced.then(|| self.last_frame + every),
            SyncPolicy::Always | SyncPolicy::Never => None,
        };
        let tidy = (!self.tidy).then(|| self.last_frame + self.shared.options.idle);
        sync.into_iter().chain(tidy).chain(self.cleaner.next_step(self.last_frame)).chain(self.next_release()).min()
    }

    fn chores(&mut self) -> Result<(), Trouble> {
        let since = self.last_frame.elapsed();
        if let SyncPolicy::Every(every) = self.shared.options.sync
            && since >= every
        {
            self.log.sync()?;
        }
        self.release_when_due()?;
        if !self.tidy && since >= self.shared.options.idle {
            return match self.tidy_up(false) {
                // Put off, and not tried again at once and without end.
                Err(Trouble::NoSpace) => {
                    self.last_frame = Instant::now();
                    Ok(())
                }
                tidied => tidied,
            };
        }
        self.clean_when_due()
    }

    /// Does something for somebody who waits for how it went.
    fn answered(&mut self, act: fn(&mut Self) -> Result<(), Trouble>) -> Result<(), CommitError> {
        if let Some(why) = self.shared.failure() {
            return Err(CommitError::Failed(why.clone()));
        }
        act(self).map_err(|trouble| self.give_up(&trouble))
    }

    /// What trouble means for whoever asked; if it is final, the store stops.
    pub fn give_up(&self, trouble: &Trouble) -> CommitError {
        match trouble {
            Trouble::NoSpace => CommitError::NoSpace,
            Trouble::Fatal(why) => {
                self.shared.fail(why);
                CommitError::Failed(why.clone())
            }
        }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state()
    }
}

/// Tells whoever made the request that it is too late.
pub fn refuse(request: Request, shared: &Shared) {
    let why = shared.failure().map_or(CommitError::Closed, |why| CommitError::Failed(why.clone()));
    match request {
        Request::Txn(_, completion) => completion(Err(why)),
        Request::Declare(_, reply) => drop(reply.send(Err(why.into()))),
        Request::Tidy(reply) | Request::Close(reply) => drop(reply.send(Err(why))),
    }
}
