//! Receiving: what comes in, and what is said of it when it is stored or refused.

use async_trait::async_trait;
use crossdock_model::{Digest, Envelope, MessageId, Refusal};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Opens a session with the peer. Both halves are dropped and `open` is called again, with a growing pause, whenever
/// either of them fails; what was received and not settled is then the peer's to give again.
#[async_trait]
pub trait Source: Send {
    /// Connects, subscribes, and gives the two halves, so that receiving never waits for settling.
    async fn open(&mut self) -> Result<(Box<dyn Receiver>, Box<dyn Settler>), SourceError>;
}

/// The receiving half.
#[async_trait]
pub trait Receiver: Send {
    /// Waits for what is next, of at most `credit`. Cancel-safe: what it has not returned it gives at the next call.
    async fn next(&mut self, credit: Credit) -> Result<Event, SourceError>;
}

/// The settling half.
#[async_trait]
pub trait Settler: Send {
    /// Tells the peer what became of messages, in any order. Tokens of an earlier session or scope are ignored.
    async fn settle(&mut self, batch: Vec<(Token, Settlement)>) -> Result<(), SourceError>;

    /// Answers [`Event::Revoking`]: everything of the scope that will be settled is settled.
    async fn released(&mut self, scope: u32);

    /// Sends what is left to say and says goodbye, until `by` at most.
    async fn close(self: Box<Self>, by: Instant);
}

/// How much the engine can take now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Credit {
    /// Messages, at least one.
    pub messages: usize,
    /// Bytes of payload; a first message may be larger.
    pub bytes: usize,
}

/// What comes from a peer.
#[derive(Debug)]
pub enum Event {
    /// Messages in order of receipt.
    Messages(Vec<Received>),
    /// What was sent and can be no message (a field that cannot be read, a body that is framed wrongly), and why. It is
    /// accounted for as received and refused, before the settler hears [`Settlement::Refused`] of each; `on_refused` has
    /// no say, for there is nothing to keep.
    Refused(Vec<(Token, Refusal)>),
    /// The peer takes a scope away (a Kafka partition): settle what is stored, then call [`Settler::released`].
    Revoking {
        /// The scope.
        scope: u32,
        /// Until when.
        by: Instant,
    },
    /// The peer lets nothing through for now, and why; the source is up.
    Blocked(String),
    /// It lets through again.
    Unblocked,
    /// Nothing more will come (`generate` with a `count`, files that are read).
    End,
}

/// A message as received.
#[derive(Debug)]
pub struct Received {
    /// What its settlement is said of.
    pub token: Token,
    /// The message, which from here on is handed over and not moved.
    pub envelope: Arc<Envelope>,
    /// A key by which the same message is known again; none where the protocol has none.
    pub claim: Option<Claim>,
}

/// A key under which a message is stored at most once within a time (store.md §7).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Claim {
    /// The key, with everything it belongs to (route, caller).
    pub key: Digest,
    /// The body: the same key with another body is a conflict. Equal for all where bodies are not compared.
    pub body: Digest,
    /// How long it is remembered.
    pub window: Duration,
    /// Where the message stands in the log that the source reads, within the scope of its token; none if it reads none. So the
    /// store notes many at once.
    pub place: Option<Place>,
}

/// A place in a log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// How often the log went back, within the scope: it may have been made anew.
    pub turn: u16,
    /// The number of the message; within a turn each is greater than the one before.
    pub at: i64,
}

/// Names a message towards its source.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Token {
    /// Counts the sessions of the source.
    pub session: u32,
    /// What is settled in order within itself: a channel, or a partition and its epoch.
    pub scope: u32,
    /// The order of receipt within the scope, from 0, without gaps.
    pub seq: u64,
}

/// What became of a message.
#[derive(Clone, Debug)]
pub enum Settlement {
    /// It is stored and synced, or was before.
    Stored {
        /// Its id; of a duplicate, the first one's.
        id: MessageId,
        /// Whether it had been stored before.
        duplicate: bool,
    },
    /// A filter at the door let it go.
    Filtered,
    /// It is not taken, and why.
    Refused(Refusal),
    /// It cannot be stored now (full, failing, stopping), and its sender, who waits for the answer, hears so: HTTP answers
    /// 503. Only a source that tells ([`crate::OnRefused::Tell`]) is told this: of others the engine keeps what finds no room and
    /// tries it again itself, so that it stays in order and is asked for once. A source that is told all the same
    /// settles nothing: the message is its peer's, at the latest in the next session.
    Again {
        /// When to try again.
        after: Option<Duration>,
    },
    /// The answer in request/reply; follows `Stored`.
    Reply(Box<Envelope>),
}

/// Why a session ended, and what that means.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{text}")]
pub struct SourceError {
    /// What it means for the reconnect loop.
    pub kind: SourceErrorKind,
    /// What happened; a lowercase fragment without secrets, shown as the reason.
    pub text: String,
}

/// What a source's error means. In each case the engine opens again after a growing pause.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SourceErrorKind {
    /// The peer could not be reached, or the connection broke.
    Connection,
    /// The peer refuses the credentials or the rights.
    Denied,
    /// The peer does not have what the source asks for (queue, topic).
    Missing,
    /// The peer broke the protocol, or something inside went wrong.
    Internal,
}

impl SourceError {
    /// An error of the kind.
    #[must_use]
    pub fn new(kind: SourceErrorKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }
}
