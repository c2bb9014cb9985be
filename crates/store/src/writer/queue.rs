//! What waits for the writer.

use crate::{Amendment, ChannelSpec, CommitError, Completion, DeclareError, SubscriptionSpec, Txn};
use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError, mpsc::SyncSender},
    time::{Duration, Instant},
};

/// Something for the writer to do.
pub enum Request {
    /// A decision.
    Txn(Txn, Completion),
    /// A declaration, answered with the numbers.
    Declare(Declare, SyncSender<Result<Vec<u32>, DeclareError>>),
    /// Give back space now.
    Tidy(SyncSender<Result<(), CommitError>>),
    /// Write what waits, then a closing frame, then end.
    Close(SyncSender<Result<(), CommitError>>),
}

impl Request {
    /// How many messages it puts; what puts none counts as one.
    fn weight(&self) -> usize {
        match self {
            Self::Txn(txn, _) => txn.puts.len().max(1),
            Self::Declare(..) | Self::Tidy(_) | Self::Close(_) => 1,
        }
    }
}

/// What is declared.
pub enum Declare {
    Channels(Vec<ChannelSpec>),
    /// The offset to begin with stands beside each, where a time was given.
    Subscriptions(Vec<(SubscriptionSpec, Option<u64>)>),
    Amendments(Vec<Amendment>),
}

/// The requests in order of arrival. A lock is held for as long as it takes to push or take them.
#[derive(Default)]
pub struct Queue {
    inner: Mutex<Inner>,
    wake: Condvar,
}

#[derive(Default)]
struct Inner {
    requests: VecDeque<Request>,
    /// The weight of those that do not ride.
    pressing: usize,
    /// When the first of those that ride came.
    riding_since: Option<Instant>,
    /// What weight of pressing ones the writer waits for; 0 if it does not wait.
    wanted: usize,
    phase: Phase,
}

#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Phase {
    #[default]
    Open,
    /// No more is taken.
    Closed,
    /// The last handle is gone: the writer ends at once.
    Abandoned,
}

/// Why the writer goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Woken {
    /// There are requests to take.
    Requests,
    /// The time is up.
    Time,
    /// It is to end.
    Abandoned,
}

impl Queue {
    /// Adds a request; gives it back if the queue is closed.
    #[expect(clippy::result_large_err, reason = "a request comes back only from a store that is closed")]
    pub fn push(&self, request: Request) -> Result<(), Request> {
        let rides = matches!(&request, Request::Txn(txn, _) if txn.may_ride());
        let weight = request.weight();
        let mut inner = self.lock();
        if inner.phase != Phase::Open {
            return Err(request);
        }
        inner.requests.push_back(request);
        let wakes = if rides {
            let first = inner.riding_since.is_none();
            inner.riding_since.get_or_insert_with(Instant::now);
            first && inner.wanted > 0
        } else {
            inner.pressing += weight;
            inner.wanted > 0 && inner.pressing >= inner.wanted
        };
        drop(inner);
        if wakes {
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Waits for something to do, at most until `until`. Riders count once they have ridden for `ride`.
    pub fn wait(&self, ride: Duration, until: Option<Instant>) -> Woken {
        let mut inner = self.lock();
        loop {
            if inner.phase == Phase::Abandoned {
                return Woken::Abandoned;
            }
            if inner.pressing > 0 {
                return Woken::Requests;
            }
            let now = Instant::now();
            let ready = inner.riding_since.map(|since| since + ride);
            if ready.is_some_and(|ready| ready <= now) {
                return Woken::Requests;
            }
            if until.is_some_and(|until| until <= now) {
                return Woken::Time;
            }
            let next = ready.into_iter().chain(until).min();
            inner.wanted = 1;
            inner = match next {
                None => self.wake.wait(inner).unwrap_or_else(PoisonError::into_inner),
                Some(next) => {
                    let wait = next.saturating_duration_since(now);
                    self.wake.wait_timeout(inner, wait).unwrap_or_else(PoisonError::into_inner).0
                }
            };
            inner.wanted = 0;
        }
    }

    /// How many messages wait to be put, without those that ride.
    pub fn pressing(&self) -> usize {
        self.lock().pressing
    }

    /// Waits until so many messages are there to be put, at most for a time; returns how many there are.
    pub fn gather(&self, wanted: usize, at_most: Duration) -> usize {
        let mut inner = self.lock();
        let end = Instant::now() + at_most;
        while inner.pressing < wanted && inner.phase == Phase::Open {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            inner.wanted = wanted;
            inner = self.wake.wait_timeout(inner, left).unwrap_or_else(PoisonError::into_inner).0;
            inner.wanted = 0;
        }
        inner.pressing
    }

    /// Takes all that is there into `to`, which is empty; tells how many messages are to be put.
    pub fn take(&self, to: &mut VecDeque<Request>) -> usize {
        let mut inner = self.lock();
        std::mem::swap(&mut inner.requests, to);
        inner.riding_since = None;
        std::mem::take(&mut inner.pressing)
    }

    /// Takes no more; what is there stays to be taken.
    pub fn close(&self) {
        let mut inner = self.lock();
        if inner.phase == Phase::Open {
            inner.phase = Phase::Closed;
        }
    }

    /// Whether there is something to take, or the writer is to end.
    pub fn has_waiting(&self, ride: Duration) -> bool {
        let inner = self.lock();
        let riders = inner.riding_since.is_some_and(|since| since.elapsed() >= ride);
        inner.pressing > 0 || riders || inner.phase == Phase::Abandoned
    }

    /// Has the writer end at once.
    pub fn abandon(&self) {
        self.lock().phase = Phase::Abandoned;
        self.wake.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
