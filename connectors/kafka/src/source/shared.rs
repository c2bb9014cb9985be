//! What a session's three parties share: the polling thread, the receiver and the settler.
//!
//! One mutex, taken once a batch by each and never held across a call of librdkafka. The thread waits at a condition
//! variable (for room, for a partition to be drained), the receiver at a `Notify`; neither waits for the other while it
//! holds something, so neither can wait for ever.

use super::{ledger::Ledger, mailbox::Mailbox};
use crate::lock;
use crossdock_connector::{Event, Received, Settlement, SourceError, Token};
use crossdock_model::Text;
use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::Notify;

/// A session.
#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    /// Wakes the receiver, and who waits for the session to begin.
    ready: Notify,
    /// Wakes the polling thread.
    moved: Condvar,
}

#[derive(Debug)]
struct State {
    mailbox: Mailbox,
    ledger: Ledger,
    phase: Phase,
    joined: bool,
    /// Whether the engine was told that the group is waited for.
    waited: bool,
    failure: Option<SourceError>,
}

/// How far a session is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Phase {
    /// Messages are received.
    Receiving,
    /// Nothing more is received; what was may still be settled.
    Settling,
    /// The thread is to say goodbye.
    Stopping,
    /// It has.
    Stopped,
}

/// What the polling thread is to do next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wanted {
    /// Poll.
    Messages,
    /// Look after the group, and take no messages.
    Patience,
    /// Say goodbye.
    End,
}

impl Shared {
    /// A session that has not begun.
    pub fn new(session: u32) -> Self {
        let state = State {
            mailbox: Mailbox::default(),
            ledger: Ledger::new(session),
            phase: Phase::Receiving,
            joined: false,
            waited: false,
            failure: None,
        };
        Self { state: Mutex::new(state), ready: Notify::new(), moved: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Reads or changes the ledger.
    pub fn ledger<T>(&self, work: impl FnOnce(&mut Ledger) -> T) -> T {
        work(&mut self.state().ledger)
    }

    /// Hands messages over. Their tokens carry the scope, their origins the offset; what is of a scope that ended is
    /// dropped.
    pub fn hand_over(&self, mut batch: Vec<Received>) {
        let mut state = self.state();
        let ledger = &mut state.ledger;
        batch.retain_mut(|received| {
            let offset = received.envelope.origin.offset.unwrap_or(0);
            let token = ledger.receive(received.token.scope, offset);
            received.token = token.unwrap_or(received.token);
            token.is_some()
        });
        state.mailbox.add(batch);
        drop(state);
        self.ready.notify_one();
    }

    /// Tells the engine something, behind the messages.
    pub fn tell(&self, event: Event) {
        self.state().mailbox.tell(event);
        self.ready.notify_one();
    }

    /// What is next for the engine, or how the session ended.
    pub async fn next(&self, credit: crossdock_connector::Credit) -> Result<Event, SourceError> {
        loop {
            {
                let mut state = self.state();
                if let Some(failure) = state.failure.clone() {
                    return Err(failure);
                }
                let had_room = state.mailbox.has_room();
                if let Some(event) = state.mailbox.take(credit) {
                    if !had_room && state.mailbox.has_room() {
                        self.moved.notify_all();
                    }
                    return Ok(event);
                }
            }
            self.ready.notified().await;
        }
    }

    /// Waits until the group has let us in (true) or `by` (false).
    pub async fn joined(&self, by: Instant) -> Result<bool, SourceError> {
        loop {
            {
                let state = self.state();
                if let Some(failure) = state.failure.clone() {
                    return Err(failure);
                }
                if state.joined {
                    return Ok(true);
                }
            }
            if tokio::time::timeout_at(by.into(), self.ready.notified()).await.is_err() {
                return Ok(false);
            }
        }
    }

    /// The group has let us in.
    pub fn join(&self) {
        let mut state = self.state();
        state.joined = true;
        if std::mem::take(&mut state.waited) {
            state.mailbox.tell(Event::Unblocked);
        }
        drop(state);
        self.ready.notify_one();
    }

    /// Tells the engine that the group is waited for, and takes it back when that is over.
    pub fn wait_on(&self, reason: String) {
        let mut state = self.state();
        if !state.joined {
            state.waited = true;
            state.mailbox.tell(Event::Blocked(reason));
        }
    }

    /// The session is lost; the first reason is kept.
    pub fn fail(&self, error: SourceError) {
        self.state().failure.get_or_insert(error);
        self.ready.notify_one();
    }

    /// Settlements came in. A message that is given back is read again.
    pub fn settle(&self, batch: &[(Token, Settlement)]) {
        let mut state = self.state();
        for (token, settlement) in batch {
            match settlement {
                Settlement::Stored { .. } | Settlement::Filtered | Settlement::Refused(_) => {
                    state.ledger.settle(*token, false);
                }
                Settlement::Again { .. } => state.ledger.settle(*token, true),
                // Nobody waits for an answer.
                Settlement::Reply(_) => {}
            }
        }
        drop(state);
        self.moved.notify_all();
    }

    /// The engine has nothing more to say of a scope.
    pub fn release(&self, scope: u32) {
        self.state().ledger.release(scope);
        self.moved.notify_all();
    }

    /// Goes on to a later phase.
    pub fn advance(&self, phase: Phase) {
        let mut state = self.state();
        state.phase = state.phase.max(phase);
        drop(state);
        self.moved.notify_all();
        self.ready.notify_one();
    }

    /// Waits until the thread has said goodbye, at most until `by`.
    pub async fn stopped(&self, by: Instant) {
        while self.state().phase != Phase::Stopped {
            if tokio::time::timeout_at(by.into(), self.ready.notified()).await.is_err() {
                return;
            }
        }
    }

    /// What the thread is to do; waits up to `patience` for room.
    pub fn wanted(&self, patience: Duration) -> Wanted {
        let until = Instant::now() + patience;
        let mut state = self.state();
        loop {
            if state.phase >= Phase::Stopping || state.failure.is_some() {
                return Wanted::End;
            }
            if state.phase == Phase::Receiving && state.mailbox.has_room() {
                return Wanted::Messages;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || state.phase == Phase::Settling {
                return Wanted::Patience;
            }
            state = self.wait(state, left);
        }
    }

    /// Partitions are taken away: what the engine has not taken is forgotten, it is told of the rest, and has until `by`.
    pub fn drain(&self, scopes: &[u32], by: Instant) {
        let mut state = self.state();
        state.mailbox.forget(scopes);
        if state.phase != Phase::Receiving || state.failure.is_some() {
            return;
        }
        for scope in scopes.iter().copied() {
            if state.ledger.is_open(scope) {
                state.mailbox.tell(Event::Revoking { scope, by });
            }
        }
        self.ready.notify_one();
        while scopes.iter().any(|scope| state.ledger.is_open(*scope)) && state.phase < Phase::Stopping {
            let left = by.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state = self.wait(state, left);
        }
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, most: Duration) -> MutexGuard<'a, State> {
        self.moved.wait_timeout(state, most).unwrap_or_else(PoisonError::into_inner).0
    }

    /// Forgets the messages of scopes that ended.
    pub fn forget(&self, scopes: &[u32]) {
        let mut state = self.state();
        state.mailbox.forget(scopes);
        state.ledger.end(scopes);
    }

    /// What may be committed and was not told yet.
    pub fn take_progress(&self) -> Vec<(Text, i32, i64)> {
        self.state().ledger.take_progress()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossdock_connector::{Credit, SourceErrorKind};
    use crossdock_model::{Envelope, MessageId, Timestamp};
    use std::{sync::Arc, thread};

    const CREDIT: Credit = Credit { messages: 100, bytes: 1 << 20 };

    fn received(scope: u32, offset: i64) -> Received {
        let mut envelope = Envelope::new(MessageId::from_bytes([0; 16]), Timestamp(0), "x".to_owned());
        envelope.origin.offset = Some(offset);
        Received { token: Token { session: 0, scope, seq: 0 }, envelope: Arc::new(envelope), claim: None }
    }

    fn stored(token: Token) -> (Token, Settlement) {
        (token, Settlement::Stored { id: MessageId::from_bytes([0; 16]), duplicate: false })
    }

    #[tokio::test]
    async fn a_partition_that_is_taken_away_is_drained_and_what_nobody_took_is_forgotten() {
        let shared = Arc::new(Shared::new(3));
        let scope = shared.ledger(|ledger| ledger.begin(&Text::from_static("t"), 0));
        shared.hand_over(vec![received(scope, 7)]);
        let Ok(Event::Messages(batch)) = shared.next(CREDIT).await else { panic!("no message") };
        shared.hand_over(vec![received(scope, 8)]);
        shared.drain(&[scope], Instant::now());
        let event = shared.next(CREDIT).await;
        assert!(matches!(event, Ok(Event::Revoking { scope: told, .. }) if told == scope), "{event:?}");
        let by = Instant::now() + Duration::from_secs(60);
        let thread = thread::spawn({
            let shared = Arc::clone(&shared);
            move || shared.drain(&[scope], by)
        });
        shared.settle(&[stored(batch[0].token)]);
        shared.release(scope);
        thread.join().unwrap();
        assert_eq!(shared.take_progress(), [(Text::from_static("t"), 0, 8)]);
    }

    #[tokio::test]
    async fn an_engine_that_says_nothing_holds_a_rebalance_no_longer_than_told() {
        let shared = Shared::new(0);
        let scope = shared.ledger(|ledger| ledger.begin(&Text::from_static("t"), 0));
        shared.hand_over(vec![received(scope, 0)]);
        drop(shared.next(CREDIT).await);
        shared.drain(&[scope], Instant::now() + Duration::from_millis(20));
        assert_eq!(shared.take_progress(), []);
    }

    #[tokio::test]
    async fn a_lost_session_ends_both_sides() {
        let shared = Shared::new(0);
        assert_eq!(shared.wanted(Duration::ZERO), Wanted::Messages);
        shared.fail(SourceError::new(SourceErrorKind::Connection, "first"));
        shared.fail(SourceError::new(SourceErrorKind::Missing, "second"));
        assert_eq!(shared.next(CREDIT).await.unwrap_err().text, "first");
        assert_eq!(shared.wanted(Duration::ZERO), Wanted::End);
        assert!(shared.joined(Instant::now()).await.is_err());
    }

    #[test]
    fn a_full_mailbox_asks_for_patience() {
        let shared = Shared::new(0);
        let scope = shared.ledger(|ledger| ledger.begin(&Text::from_static("t"), 0));
        shared.hand_over((0..5000).map(|offset| received(scope, offset)).collect());
        assert_eq!(shared.wanted(Duration::ZERO), Wanted::Patience);
        shared.advance(Phase::Settling);
        assert_eq!(shared.wanted(Duration::from_secs(60)), Wanted::Patience);
        shared.advance(Phase::Stopping);
        assert_eq!(shared.wanted(Duration::from_secs(60)), Wanted::End);
    }
}
