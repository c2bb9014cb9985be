//! What the gateway tells about itself, as plain values; the admin API gives them their JSON.

mod channel;
mod message;
mod operation;
mod route;

pub use channel::{ChannelView, SubscriptionView};
pub use message::{Attempt, DeadFilter, DeadGroup, DeadLetter, HistoryEvent, MessageState, MessageView};
pub use operation::{OperationView, Redrive, RedriveRequest};
pub use route::{Counts, RouteState, RouteView, SourceState, SourceView, TargetView};

use crossdock_model::{Text, Timestamp};
use std::time::Duration;

/// The gateway as a whole.
#[derive(Clone, PartialEq, Debug)]
pub struct Status {
    /// Names the store; drawn when it was made.
    pub store_id: Text,
    /// When this process began to work.
    pub started_at: Timestamp,
    /// How long ago that was.
    pub uptime: Duration,
    /// Why it is not ready; none if it is.
    pub unready: Option<Text>,
    /// Bytes of the store's files.
    pub store_bytes: u64,
    /// Whether the volume is full, so that only deliveries and dead letters go on.
    pub store_full: bool,
    /// The routes in the order of the file.
    pub routes: Vec<RouteView>,
    /// Channels and subscriptions that hold messages though the plan does not name them.
    pub orphans: Vec<Text>,
}

/// A part of a list.
#[derive(Clone, PartialEq, Debug)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where to go on; opaque, none at the end.
    pub next: Option<Text>,
}

/// Why a request was not done.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RequestError {
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// The request makes no sense: a cursor that none gave out.
    #[error("{0}")]
    Invalid(String),
    /// It makes sense and cannot be done: `accept` refuses the message, or what it is meant for is gone.
    #[error("{0}")]
    Unprocessable(String),
    /// What it brings is larger than the store takes.
    #[error("{0}")]
    TooLarge(String),
    /// It contradicts what is there: a queue that a route reads, an operation that has ended.
    #[error("{0}")]
    Conflict(String),
    /// It cannot be done now: a full channel, a volume without room, a store that stopped.
    #[error("{0}")]
    Unavailable(String),
    /// The channels of this gateway are of a kind that cannot do it.
    #[error("{0}")]
    Unsupported(String),
    /// Something inside went wrong.
    #[error("{0}")]
    Internal(String),
}
