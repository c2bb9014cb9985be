//! Between the requests and the engine: a bounded queue one way, settlements the other.
//!
//! ```text
//!  request ─ submit ─► queue ─ take(credit) ─► engine        a lock and a wake-up each way; what waits is taken whole
//!  request ◄─ wake ── waiting[seq] ◄─ settle(batch) ── engine
//! ```
//!
//! A request that can be no message goes the same way, so that it is counted before its sender hears of it.
//!
//! It cannot deadlock: submitting never waits, it is refused (503) where there is no room; settling never waits either.

use super::{endpoint::Endpoint, pending::Pending};
use async_trait::async_trait;
use crossdock_connector::{Claim, Credit, Event, Received, Receiver, Settlement, Settler, SourceError, Token};
use crossdock_model::{DenseMap, Envelope, Refusal};
use std::{
    collections::VecDeque,
    future::poll_fn,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    task::{Poll, Waker},
    time::Instant,
};
use tokio::task::yield_now;

/// Most messages that wait for the engine, of one source. A batch is taken whole if there is room for its first.
const QUEUE_MESSAGES_MAX: usize = 8192;
/// Most bytes of payload that wait for the engine, of one source.
const QUEUE_BYTES_MAX: usize = 64 << 20;

/// Counts the sessions of all sources; a token of another one is ignored.
static SESSIONS: AtomicU32 = AtomicU32::new(0);

/// An open source.
#[derive(Debug)]
pub(super) struct Session {
    number: u32,
    state: Mutex<State>,
    endpoint: Arc<Endpoint>,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Received>,
    queue_bytes: usize,
    /// What can be no message and the engine has not heard of.
    refused: Vec<(Token, Refusal)>,
    /// What is submitted and not settled, by sequence number: whose it is and its place there.
    waiting: DenseMap<(Arc<Pending>, usize)>,
    seq_next: u64,
    receiver: Option<Waker>,
    closed: bool,
}

impl Session {
    /// Opens the endpoint: from now on its requests come here.
    pub(super) fn open(endpoint: &Arc<Endpoint>) -> Arc<Self> {
        let number = SESSIONS.fetch_add(1, Ordering::Relaxed);
        let session = Arc::new(Self { number, state: Mutex::default(), endpoint: Arc::clone(endpoint) });
        endpoint.session.store(Some(Arc::clone(&session)));
        session
    }

    /// Hands messages of one request to the engine; gives where to wait. None if there is no room.
    pub(super) fn submit(&self, messages: Vec<(Arc<Envelope>, Option<Claim>)>) -> Option<Arc<Pending>> {
        let pending = Arc::new(Pending::new(messages.len()));
        let mut state = self.lock();
        if state.closed || state.queue.len() >= QUEUE_MESSAGES_MAX || state.queue_bytes >= QUEUE_BYTES_MAX {
            return None;
        }
        for (place, (envelope, claim)) in messages.into_iter().enumerate() {
            let token = self.enter(&mut state, &pending, place);
            state.queue_bytes += envelope.bytes().len();
            state.queue.push_back(Received { token, envelope, claim });
        }
        wake_receiver(state);
        Some(pending)
    }

    /// Tells the engine of a request that can be no message; gives where to wait. None if there is no room.
    pub(super) fn refuse(&self, refusal: Refusal) -> Option<Arc<Pending>> {
        let pending = Arc::new(Pending::new(1));
        let mut state = self.lock();
        if state.closed || state.refused.len() >= QUEUE_MESSAGES_MAX {
            return None;
        }
        let token = self.enter(&mut state, &pending, 0);
        state.refused.push((token, refusal));
        wake_receiver(state);
        Some(pending)
    }

    /// The name of what a request waits for at that place.
    fn enter(&self, state: &mut State, pending: &Arc<Pending>, place: usize) -> Token {
        let seq = state.seq_next;
        state.seq_next += 1;
        state.waiting.insert(seq, (Arc::clone(pending), place));
        Token { session: self.number, scope: 0, seq }
    }

    /// Ready when something waits.
    fn poll_waiting(&self, waker: &Waker) -> Poll<()> {
        let mut state = self.lock();
        if state.queue.is_empty() && state.refused.is_empty() {
            state.receiver = Some(waker.clone());
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    /// What waits, as much as may be taken.
    fn take(&self, credit: Credit) -> Event {
        let mut state = self.lock();
        if !state.refused.is_empty() {
            return Event::Refused(std::mem::take(&mut state.refused));
        }
        let mut bytes = 0;
        let fitting = state.queue.iter().take(credit.messages.max(1)).enumerate().take_while(|(at, message)| {
            bytes += message.envelope.bytes().len();
            *at == 0 || bytes <= credit.bytes
        });
        let count = fitting.count();
        let messages: Vec<_> = state.queue.drain(..count).collect();
        state.queue_bytes -= messages.iter().map(|message| message.envelope.bytes().len()).sum::<usize>();
        Event::Messages(messages)
    }

    fn settle(&self, batch: Vec<(Token, Settlement)>) {
        let mut wakers = Vec::with_capacity(batch.len());
        let mut state = self.lock();
        for (token, settlement) in batch {
            // A reply follows what settled the message, for which nobody waits any more: HTTP answers 202 at once.
            if token.session == self.number
                && let Some((pending, place)) = state.waiting.remove(&token.seq)
            {
                wakers.extend(pending.settle(place, settlement));
            }
        }
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Takes nothing more, and says so to those whose messages the engine did not take.
    fn close_queue(self: &Arc<Self>) {
        let current = self.endpoint.session.load();
        if current.as_ref().is_some_and(|current| Arc::ptr_eq(current, self)) {
            // Not if a newer session has come in between.
            self.endpoint.session.compare_and_swap(&current, None);
        }
        let mut state = self.lock();
        state.closed = true;
        state.queue_bytes = 0;
        let unheard = std::mem::take(&mut state.refused).into_iter().map(|(token, _)| token);
        let left: Vec<_> = state.queue.drain(..).map(|message| message.token).chain(unheard).collect();
        drop(state);
        self.settle(left.into_iter().map(|token| (token, again())).collect());
    }

    /// Tells everybody who still waits that his message was not taken.
    fn close(self: &Arc<Self>) {
        self.close_queue();
        let left: Vec<_> = self.lock().waiting.keys().copied().collect();
        self.settle(left.into_iter().map(|seq| (Token { session: self.number, scope: 0, seq }, again())).collect());
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes the engine's half, behind the lock.
fn wake_receiver(mut state: MutexGuard<'_, State>) {
    let receiver = state.receiver.take();
    drop(state);
    if let Some(receiver) = receiver {
        receiver.wake();
    }
}

const fn again() -> Settlement {
    Settlement::Again { after: None }
}

/// The half that gives the engine what waits.
pub(super) struct QueueReceiver(Arc<Session>);

impl QueueReceiver {
    pub(super) fn new(session: &Arc<Session>) -> Self {
        Self(Arc::clone(session))
    }
}

#[async_trait]
impl Receiver for QueueReceiver {
    async fn next(&mut self, credit: Credit) -> Result<Event, SourceError> {
        poll_fn(|cx| self.0.poll_waiting(cx.waker())).await;
        // The request that woke this task is rarely alone: those that are ready on other connections come along, and a
        // batch costs the engine and the disk hardly more than one message.
        yield_now().await;
        Ok(self.0.take(credit))
    }
}

impl Drop for QueueReceiver {
    fn drop(&mut self) {
        self.0.close_queue();
    }
}

/// The half that answers requests.
pub(super) struct AnswerSettler(Arc<Session>);

impl AnswerSettler {
    pub(super) const fn new(session: Arc<Session>) -> Self {
        Self(session)
    }
}

#[async_trait]
impl Settler for AnswerSettler {
    async fn settle(&mut self, batch: Vec<(Token, Settlement)>) -> Result<(), SourceError> {
        self.0.settle(batch);
        Ok(())
    }

    async fn released(&mut self, _scope: u32) {}

    async fn close(self: Box<Self>, _by: Instant) {
        self.0.close();
    }
}

impl Drop for AnswerSettler {
    fn drop(&mut self) {
        self.0.close();
    }
}
