//! The settling half at work: one call at a time, while the source goes on receiving.

use crate::tasks::caught;
use crossdock_connector::{Settlement, Settler, SourceError, SourceErrorKind, Token};
use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::time::Instant;

type Call = Pin<Box<dyn Future<Output = (Box<dyn Settler>, Result<(), SourceError>)> + Send>>;

/// A settler and what it has to say. Settlements are said in the order they are added, and a scope is released behind
/// what was added before.
pub(crate) struct Settling {
    state: State,
    outbox: VecDeque<Job>,
}

enum State {
    Idle(Box<dyn Settler>),
    Busy(Call),
    /// A panic took it, or it was closed.
    Gone,
}

enum Job {
    Settle(Vec<(Token, Settlement)>),
    Release(u32),
}

impl Settling {
    /// A settler that has nothing to say.
    pub fn new(settler: Box<dyn Settler>) -> Self {
        Self { state: State::Idle(settler), outbox: VecDeque::new() }
    }

    /// Adds settlements.
    pub fn add(&mut self, settlements: impl ExactSizeIterator<Item = (Token, Settlement)>) {
        if let Some(Job::Settle(batch)) = self.outbox.back_mut() {
            batch.extend(settlements);
        } else if settlements.len() > 0 {
            self.outbox.push_back(Job::Settle(settlements.collect()));
        }
    }

    /// Adds that a scope is released.
    pub fn release(&mut self, scope: u32) {
        self.outbox.push_back(Job::Release(scope));
    }

    /// Whether everything was said.
    pub fn is_idle(&self) -> bool {
        self.outbox.is_empty() && matches!(self.state, State::Idle(_) | State::Gone)
    }

    /// Begins the next call, if none is under way; polls the one that is. Ready when one has ended.
    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<(), SourceError>> {
        if matches!(self.state, State::Idle(_)) && !self.outbox.is_empty() {
            self.begin();
        }
        let State::Busy(call) = &mut self.state else { return Poll::Pending };
        let Poll::Ready((settler, result)) = call.as_mut().poll(context) else { return Poll::Pending };
        self.state = State::Idle(settler);
        Poll::Ready(result)
    }

    fn begin(&mut self) {
        let State::Idle(mut settler) = std::mem::replace(&mut self.state, State::Gone) else { return };
        let Some(job) = self.outbox.pop_front() else {
            self.state = State::Idle(settler);
            return;
        };
        self.state = State::Busy(Box::pin(async move {
            let result = caught(async {
                match job {
                    Job::Settle(batch) => settler.settle(batch).await,
                    Job::Release(scope) => {
                        settler.released(scope).await;
                        Ok(())
                    }
                }
            });
            let result = result.await.unwrap_or_else(|panic| Err(panicked(&panic)));
            (settler, result)
        }));
    }

    /// Lets the call under way end and says what is left, though the session is lost: a connector may know by it what comes
    /// again.
    pub async fn tell(mut self, by: Instant) {
        let rest = async {
            while !self.is_idle() {
                drop(std::future::poll_fn(|context| self.poll(context)).await);
            }
        };
        drop(tokio::time::timeout_at(by, rest).await);
    }

    /// Lets the call under way end, says what is left and goodbye.
    pub async fn close(mut self, by: Instant) {
        let rest = async {
            while !self.is_idle() {
                if std::future::poll_fn(|context| self.poll(context)).await.is_err() {
                    break;
                }
            }
        };
        drop(tokio::time::timeout_at(by, rest).await);
        if let State::Idle(settler) = self.state {
            drop(caught(tokio::time::timeout_at(by, settler.close(by.into_std()))).await);
        }
    }
}

/// A panic inside a connector ends the session.
pub(crate) fn panicked(panic: &str) -> SourceError {
    SourceError::new(SourceErrorKind::Internal, format!("the connector panicked ({panic}): report this"))
}
