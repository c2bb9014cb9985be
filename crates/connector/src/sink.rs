//! Sending: what goes out, and what the peer said of it.

use crate::Outgoing;
use async_trait::async_trait;
use crossdock_model::{Fault, Text};
use std::{sync::Arc, time::Instant};

/// Opens a session with the peer.
#[async_trait]
pub trait Sink: Send {
    /// Connects, and gives the half that sends. Results of all that it takes are posted to `done`.
    ///
    /// # Errors
    /// Why the peer is not there, usually `Unreachable`; the engine opens again when blame.md's probe says so.
    async fn open(&mut self, done: Completions) -> Result<Box<dyn Sender>, Fault>;
}

/// The half that sends.
#[async_trait]
pub trait Sender: Send {
    /// Takes a batch and returns when it is taken, not when it is sent; waits where the peer pushes back. For each
    /// message exactly one result is posted, in any order, so that one slow message holds up no other.
    ///
    /// # Errors
    /// The session is gone. All messages of the batch, and all that were taken and have no result yet, get one first.
    async fn submit(&mut self, batch: Vec<Outgoing>) -> Result<(), SinkError>;

    /// Waits until `by` for the results of what was taken, posts a fault for the rest, and says goodbye.
    async fn close(self: Box<Self>, by: Instant);
}

/// The session is gone; the engine drops the sender and opens another.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct SinkError(pub String);

/// Names a message towards its sink.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Ticket(pub u64);

/// What the peer said when it took a message.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Receipt {
    /// The fields of the envelope that the protocol could not carry (mapping.md), by name; empty almost always.
    pub lost: Vec<Text>,
}

/// What the peer said of each message.
pub type Results = Vec<(Ticket, Result<Receipt, Fault>)>;

/// Where a sink posts results; exactly one per ticket. Posting never waits.
#[derive(Clone)]
pub struct Completions(Arc<dyn Fn(Results) + Send + Sync>);

impl Completions {
    /// Results go to this function, which must not wait.
    #[must_use]
    pub fn new(take: impl Fn(Results) + Send + Sync + 'static) -> Self {
        Self(Arc::new(take))
    }

    /// Posts results.
    pub fn post(&self, results: Results) {
        (self.0)(results);
    }
}

impl std::fmt::Debug for Completions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Completions")
    }
}
