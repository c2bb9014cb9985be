//! What a route's task hears.

use super::{
    Parcel, Reader,
    grave::{Exhumed, Letter},
    report::RouteReport,
};
use crate::MessageState;
use crossdock_connector::Results;
use crossdock_store::{CommitError, Committed, Fetched, ReadError, Sifted, StoredMessage};
use tokio::sync::oneshot;

/// What was submitted, to be submitted again if the volume has no room.
pub(crate) enum Flight {
    /// Tries or settlements.
    Parcel(Parcel),
    /// Messages at the gate.
    Sieve(Vec<Sifted>),
}

/// Everything that a route's task hears but the clock, the store's watch and its own futures.
pub(crate) enum RouteEvent {
    /// A sink posted results.
    Results {
        /// The target's place in the list.
        target: usize,
        /// The session that posted them; those of an earlier one are void.
        session: u64,
        /// The results.
        results: Results,
    },
    /// A session ended; behind all results that it posted.
    Lost {
        /// The target's place in the list.
        target: usize,
        /// The session.
        session: u64,
        /// Why, for those of its messages that have no result.
        loss: Loss,
        /// Messages that were to be sent in it, and were not handed over.
        unsent: Vec<u64>,
    },
    /// A fetch from disk is through.
    Cold {
        /// For whom.
        reader: Reader,
        /// What it gave; none if the thread was lost.
        fetched: Option<Result<Fetched, ReadError>>,
    },
    /// Messages whose payload had been let go are read again, to be sent.
    Recalled {
        /// The target's place in the list.
        target: usize,
        /// What reading each gave.
        messages: Vec<(u64, Result<StoredMessage, ReadError>)>,
    },
    /// Settlements and touches are committed.
    Flushed {
        /// The flush, and all before it.
        sequence: u64,
        /// What was in it.
        flight: Flight,
        /// What the store said.
        result: Result<Committed, CommitError>,
    },
    /// Messages were to be moved to a target that is a channel.
    Moved {
        /// The target's place in the list.
        target: usize,
        /// Which.
        offsets: Vec<u64>,
        /// What the store said.
        result: Result<Committed, CommitError>,
    },
    /// Dead letters whose originals and tries were read.
    Exhumed(Vec<(Letter, Exhumed)>),
    /// Dead letters were to be stored.
    Buried {
        /// Which.
        letters: Vec<Letter>,
        /// What the store said.
        result: Result<Committed, CommitError>,
    },
    /// Nobody wants these messages any more. Each is told once.
    Expired(Vec<u64>),
    /// The route is to stop or to go on delivering; answered when it does.
    Pause(bool, oneshot::Sender<()>),
    /// Somebody asks what is to be shown.
    Report(oneshot::Sender<RouteReport>),
    /// Somebody asks where messages stand, by offset.
    Locate(Vec<u64>, oneshot::Sender<Vec<MessageState>>),
}

/// Why a session ended.
pub(crate) enum Loss {
    /// It was lost.
    Gone(String),
    /// The connector panicked over these messages.
    Panicked {
        /// The text of the panic.
        panic: crossdock_model::Text,
        /// The batch that it was given.
        batch: Vec<u64>,
    },
}
