//! A request that waits for what becomes of its messages.

use crossdock_connector::Settlement;
use std::{
    future::poll_fn,
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Poll, Waker},
};

/// Shared by the request, which waits, and the session, which settles.
#[derive(Debug)]
pub(super) struct Pending(Mutex<State>);

#[derive(Debug)]
struct State {
    /// By the message's place in the request; none while it is open.
    outcomes: Vec<Option<Settlement>>,
    open: usize,
    waker: Option<Waker>,
}

impl Pending {
    /// A request of so many messages.
    pub(super) fn new(messages: usize) -> Self {
        let outcomes = std::iter::repeat_with(|| None).take(messages).collect();
        Self(Mutex::new(State { outcomes, open: messages, waker: None }))
    }

    /// Notes what became of a message; the first word counts. Gives whom to wake when it was the last one.
    pub(super) fn settle(&self, place: usize, settlement: Settlement) -> Option<Waker> {
        let mut state = self.lock();
        let outcome = state.outcomes.get_mut(place).filter(|outcome| outcome.is_none())?;
        *outcome = Some(settlement);
        state.open -= 1;
        if state.open == 0 { state.waker.take() } else { None }
    }

    /// Waits until all is said; gives it in order.
    pub(super) async fn outcomes(&self) -> Vec<Settlement> {
        let outcomes = poll_fn(|cx| {
            let mut state = self.lock();
            if state.open == 0 {
                return Poll::Ready(mem::take(&mut state.outcomes));
            }
            if !state.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                state.waker = Some(cx.waker().clone());
            }
            Poll::Pending
        });
        outcomes.await.into_iter().flatten().collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
