//! What a queue's task hears.

use super::{handle::Leased, token::Token};
use crate::{MessageState, RequestError, route::Parcel};
use crossdock_store::{CommitError, Committed, Fetched, ReadError, StoredMessage};
use std::time::Duration;
use tokio::sync::oneshot;

/// Everything that a queue's task hears but the clock, the store's watch and the gateway's phase.
pub(crate) enum QueueEvent {
    /// A consumer wants messages.
    Receive {
        /// Most of them.
        messages_max: usize,
        /// How long it waits for the first one.
        wait: Duration,
        /// How long they are its own.
        lease: Duration,
        /// Where they go.
        answer: oneshot::Sender<Result<Vec<Leased>, RequestError>>,
    },
    /// A consumer is done with messages; answered when that is synced, with the leases that were stale.
    Acknowledge(Vec<Token>, Answer),
    /// A consumer gives messages back, to be given out again after a while; answered with the leases that were stale.
    GiveBack(Vec<Token>, Duration, Answer),
    /// A fetch from disk is through; none if the thread was lost.
    Cold(Option<Result<Fetched, ReadError>>),
    /// Messages that were given back are read again; none if the thread was lost.
    Recalled(Option<Vec<(u64, Result<StoredMessage, ReadError>)>>),
    /// What was settled and put off is committed, up to this flush.
    Flushed {
        /// The flush, and all before it.
        sequence: u64,
        /// What was in it.
        parcel: Parcel,
        /// What the store said.
        result: Result<Committed, CommitError>,
    },
    /// Nobody wants these messages any more. Each is told once.
    Expired(Vec<u64>),
    /// Somebody else settled this message: it was redriven or deleted as a dead letter.
    Gone(u64),
    /// Somebody asks where messages stand, by offset.
    Locate(Vec<u64>, oneshot::Sender<Vec<MessageState>>),
}

/// Where the stale ones of the leases of a request are told.
pub(crate) type Answer = oneshot::Sender<Result<Vec<Token>, RequestError>>;
