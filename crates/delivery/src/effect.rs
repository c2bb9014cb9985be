//! What the caller has to do: start sends, commit settlements and notes.

use crossdock_model::Fault;
use std::time::Duration;

/// A send to be started. Its answer is due to [`Scheduler::finished`](crate::Scheduler::finished), exactly once, or to
/// [`Scheduler::unsent`](crate::Scheduler::unsent) if it could not be started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Start {
    /// Which message.
    pub offset: u64,
    /// Which try of it this is, from 1.
    pub attempt: u32,
    /// The last try failed after sending began: where the protocol opens a connection per request or pools them, take
    /// a new one (after `Failed`, HTTP retries on a new connection).
    pub new_connection: bool,
    /// It may kill the process: nothing else may be in flight in the whole process while it is sent, and the note of
    /// what is in flight must say that it was alone.
    pub alone: bool,
}

/// What the caller has to commit to the store.
#[derive(Clone, PartialEq, Debug)]
pub enum Effect {
    /// The target confirmed it: settle it as delivered. The scheduler has forgotten it.
    Delivered {
        /// Which message.
        offset: u64,
        /// Tries in all, the one that passed included.
        tries: u32,
    },
    /// It will not be sent again: move it to the dead letters. The scheduler has forgotten it.
    Dead {
        /// Which message.
        offset: u64,
        /// Tries in all.
        tries: u32,
        /// How many of them were charged to it.
        charges: u32,
        /// The cause.
        fault: Fault,
        /// Whether the fault is that of a try that ended just now; false if it died of another one's success.
        tried: bool,
    },
    /// A try failed, or was charged: note it durably. The message stays with the scheduler.
    Touch {
        /// Which message.
        offset: u64,
        /// Failed tries in all.
        tries: u32,
        /// How many of them were charged to it.
        charges: u32,
        /// How long from now until it may be tried again.
        wait: Duration,
        /// The fault of its last try that failed.
        fault: Fault,
        /// Whether a try ended just now; false if an earlier one, already noted, was charged now.
        tried: bool,
    },
}
