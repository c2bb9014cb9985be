//! Operations on many messages, which go on in the background and after a restart.

use super::DeadFilter;
use crossdock_model::{MessageId, Text};
use crossdock_settings::Rate;
use crossdock_store::OperationState;

/// What is to be redriven, and how.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct RedriveRequest {
    /// Which dead letters.
    pub filter: DeadFilter,
    /// How fast, evenly and without a burst; none for as fast as it goes.
    pub rate: Option<Rate>,
    /// How many at most.
    pub max: Option<u64>,
    /// Whether they are only counted.
    pub dry_run: bool,
}

/// What became of a request to redrive or delete.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Redrive {
    /// The operation that does it; none for a dry run.
    pub operation: Option<MessageId>,
    /// How many dead letters are meant.
    pub matched: u64,
}

/// An operation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OperationView {
    /// Its id.
    pub id: MessageId,
    /// `redrive` or `delete`.
    pub kind: Text,
    /// Where it stands.
    pub state: OperationState,
    /// How many messages it is about.
    pub total: u64,
    /// How many are done.
    pub done: u64,
    /// How many could not be done (gone meanwhile, or refused by `accept`).
    pub failed: u64,
    /// Why the last of them could not; none of a process before this one.
    pub reason: Option<Text>,
}
