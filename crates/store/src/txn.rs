//! What is submitted to the store: one decision, and what became of it.

use crate::{ChannelNumber, EncodedMessage, Offsets, Outcome, SubscriptionNumber};
use bytes::Bytes;
use crossdock_model::{Digest, Fault, MessageId, Text, Timestamp};
use std::time::Duration;

/// One decision: everything in it is in one frame, so after a crash all of it is there or nothing.
#[derive(Default, Debug)]
pub struct Txn {
    /// Messages to append, in order.
    pub puts: Vec<Put>,
    /// Messages that are done for a subscription.
    pub settles: Vec<Settle>,
    /// Tries that went wrong, and charges.
    pub touches: Vec<Touch>,
    /// Background operations whose state changed.
    pub operations: Vec<Operation>,
    /// Messages that were appended before, and whose keys are looked at now.
    pub sieve: Option<Box<Sieve>>,
    /// What happens when a channel has no room for all puts.
    pub takes: Takes,
    /// Whether it may wait, up to [`crate::Options::ride`], for a frame that is written anyway; only heeded where there
    /// are no puts and no operations.
    pub rides: bool,
    /// Whether [`Committed::late`] is asked for.
    pub tells_late: bool,
}

impl Txn {
    /// Whether it does nothing for other subscriptions than these.
    pub(crate) fn is_within(&self, subscriptions: &[u32]) -> bool {
        let settles = self.settles.iter().map(|settle| settle.subscription);
        let sieve = self.sieve.iter().flat_map(|sieve| sieve.others.iter().copied().chain([sieve.subscription]));
        let touches = self.touches.iter().map(|touch| touch.subscription);
        settles.chain(sieve).chain(touches).all(|of| subscriptions.contains(&of.0))
    }

    /// Whether it forces no frame.
    pub(crate) fn may_ride(&self) -> bool {
        self.rides && self.puts.is_empty() && self.operations.is_empty()
    }
}

/// What a [`Txn`] does when a channel is full.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Takes {
    /// All puts or nothing: [`CommitError::Full`].
    #[default]
    All,
    /// The bundles of puts up to the first that does not fit; the others are [`PutResult::Full`].
    Prefix,
}

/// A message to append.
#[derive(Debug)]
pub struct Put {
    /// The channel it goes to.
    pub channel: ChannelNumber,
    /// What it is known by in this channel.
    pub id: PutId,
    /// The message.
    pub message: EncodedMessage,
    /// Keys that must not have been seen: all of them are noted with the message, or it is not stored.
    pub keys: Vec<KeyClaim>,
    /// Subscriptions of the channel for which it is settled from the start (a redrive goes only to the target that
    /// failed).
    pub settled_for: Vec<(SubscriptionNumber, Outcome)>,
    /// Whether it may take from the reserve of a full volume: moves to dead letters. The channel's bounds hold for it
    /// like for any other.
    pub use_reserve: bool,
    /// Puts that stand side by side with an equal number here stand or fall together (a message for several channels):
    /// a duplicate or full first one is the result of all.
    pub bundle: u32,
}

impl Put {
    /// A put of its own bundle without keys, of a message that was received.
    #[must_use]
    pub fn new(channel: ChannelNumber, message: EncodedMessage, bundle: u32) -> Self {
        let (id, keys, settled_for) = (PutId::Received, Vec::new(), Vec::new());
        Self { channel, id, message, keys, settled_for, use_reserve: false, bundle }
    }

    /// The same, of a message that takes the place of another one, which is settled in the same decision. If that one has
    /// ended meanwhile for all for whom the decision settles it, nothing is stored, and the answer is
    /// [`PutResult::Duplicate`].
    #[must_use]
    pub fn in_place_of(mut self, subscription: SubscriptionNumber, offset: u64) -> Self {
        self.id = PutId::InPlaceOf { subscription, offset };
        self
    }
}

/// What a put is known by in its channel, where a crash may have it done again ([`crate::Atomicity::Repeatable`]): the same
/// decision made again gives the same.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum PutId {
    /// It came from outside. Who sends it again says so by a key, if at all ([`Put::keys`]): equal ids are no proof, since
    /// a peer may give one twice.
    Received,
    /// It takes the place of a message that the decision settles, and that gives each channel one put at most.
    InPlaceOf {
        /// For whom that one is settled.
        subscription: SubscriptionNumber,
        /// Which it is.
        offset: u64,
    },
}

/// A claim that a key is new within a scope until a time.
#[derive(Clone, PartialEq, Debug)]
pub struct KeyClaim {
    /// What the key is unique in: a route's door, a `dedupe` step.
    pub scope: Text,
    /// The key.
    pub hash: Digest,
    /// What the sender sent under it: another body under the same key is a conflict.
    pub body: Digest,
    /// When it is forgotten.
    pub until: Timestamp,
    /// The id that a repetition is answered with.
    pub id: MessageId,
    /// How many keys of the scope are remembered: the oldest is forgotten for one that comes beyond.
    pub keys_max: u64,
    /// Where it stands in the log that it comes from; none if it comes from none.
    pub place: Option<LogPlace>,
}

/// A place in a log that somebody else keeps and whose records come in its order. What is stored of a decision one behind the
/// other is noted together, by the key of the first record and the place of the last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LogPlace {
    /// The log, and since when it is read: who begins anew takes another number, since the log may have been made anew.
    pub lane: u64,
    /// How often places went back since then: a log that did may have been made anew, too.
    pub turn: u16,
    /// The number of the record; greater than that of the one before in the turn.
    pub at: i64,
}

/// Messages of a channel that go on only if their keys are new: of one that does, the keys are noted; one whose key was
/// seen is done for all, as filtered. Either is in the frame that settles them for the subscription whose place tells
/// how far this has come ([`crate::Store::follow`]).
#[derive(Clone, PartialEq, Debug)]
pub struct Sieve {
    /// For which all of them are settled, as filtered.
    pub subscription: SubscriptionNumber,
    /// For which those are settled whose keys were seen.
    pub others: Vec<SubscriptionNumber>,
    /// The messages, in order.
    pub messages: Vec<Sifted>,
}

/// A message of a [`Sieve`].
#[derive(Clone, PartialEq, Debug)]
pub struct Sifted {
    /// Which.
    pub offset: u64,
    /// Its id.
    pub id: MessageId,
    /// When it was received: windows count from then on, however late it is looked at.
    pub received_at: Timestamp,
    /// Whether it was sent back from dead letters: its own key may be noted already.
    pub redriven: bool,
    /// Keys that must not have been seen within their windows: all of them are noted, or it goes no further.
    pub keys: Vec<SieveKey>,
}

/// A key of a [`Sifted`] message.
#[derive(Clone, PartialEq, Debug)]
pub struct SieveKey {
    /// What the key is unique in: a `dedupe` step.
    pub scope: Text,
    /// The key.
    pub hash: Digest,
    /// How far apart two messages of the key must have been received, or the later one goes no further.
    pub window: Duration,
    /// How many keys of the scope are remembered: the oldest is forgotten for one that comes beyond.
    pub keys_max: u64,
}

/// Messages that are done for a subscription. What is settled already stays as it is.
#[derive(Clone, Debug)]
pub struct Settle {
    /// Whose.
    pub subscription: SubscriptionNumber,
    /// How they ended.
    pub outcome: Outcome,
    /// Which.
    pub offsets: Offsets,
}

/// What is known about a message that was tried and is not done: replaces what was known before.
#[derive(Clone, PartialEq, Debug)]
pub struct Touch {
    /// Whose.
    pub subscription: SubscriptionNumber,
    /// Which.
    pub offset: u64,
    /// How often it was tried. One more than before makes an entry of the history; the same is a charge or a new due
    /// time.
    pub tries: u32,
    /// How many attempts it was charged.
    pub charges: u32,
    /// When it may be tried again; `None` at once.
    pub due: Option<Timestamp>,
    /// When this try ended.
    pub at: Timestamp,
    /// What went wrong.
    pub fault: Option<Fault>,
}

/// A background operation (a redrive) that goes on after a restart.
#[derive(Clone, PartialEq, Debug)]
pub struct Operation {
    /// Its identity.
    pub id: MessageId,
    /// What it does: `redrive`, `delete`.
    pub kind: Text,
    /// Where it stands.
    pub state: OperationState,
    /// How much there is to do.
    pub total: u64,
    /// How much is done.
    pub done: u64,
    /// How much could not be done.
    pub failed: u64,
    /// What it needs to go on, in a form of its owner's.
    pub body: Bytes,
}

/// Where an [`Operation`] stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OperationState {
    /// At work.
    Running,
    /// Through.
    Done,
    /// Stopped by somebody.
    Cancelled,
    /// Given up.
    Failed,
}

impl OperationState {
    /// The name in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
        }
    }
}

/// What became of a [`Txn`] that was committed.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Committed {
    /// One for each put, in order.
    pub puts: Vec<PutResult>,
    /// Offsets of `settles` that somebody else had settled before, in order: dropped from a full channel, redriven, deleted.
    /// Empty unless the decision asked.
    pub late: Vec<u64>,
}

/// What became of a [`Put`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PutResult {
    /// It is stored.
    Stored {
        /// Its place in the channel.
        offset: u64,
    },
    /// A message with the same key and body is stored already; so is, where that is told apart, this very put
    /// ([`PutId::InPlaceOf`]).
    Duplicate {
        /// The id that was noted with the key.
        id: MessageId,
    },
    /// Another body is stored under the same key.
    Conflict {
        /// The id that was noted with the key.
        id: MessageId,
    },
    /// The channel has no room for it ([`Takes::Prefix`]).
    Full,
}

/// Called once with what became of a [`Txn`], from the writer's thread: must not block.
pub type Completion = Box<dyn FnOnce(Result<Committed, CommitError>) + Send>;

/// Why a [`Txn`] was not committed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CommitError {
    /// The volume is full but for the reserve. Nothing was written; it may be tried again.
    #[error("the volume of the data folder is full: free some space; what is stored is safe and deliveries go on")]
    NoSpace,
    /// A channel has no room for all of it ([`Takes::All`]). Nothing was written; it may be tried again.
    #[error("a channel is full")]
    Full {
        /// Which.
        channel: ChannelNumber,
    },
    /// Somebody else has claimed a subscription that it settles for. Nothing was written.
    #[error("a subscription was taken over by somebody else")]
    Fenced,
    /// It names what the store does not have, or is larger than a frame may be. Nothing was written.
    #[error("{0}")]
    Invalid(Text),
    /// A write or sync failed, which is final: what is in doubt is read back after a restart.
    #[error("the store stopped: {0}; mend the volume, then start again")]
    Failed(Text),
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
}
