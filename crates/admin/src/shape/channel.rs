//! A channel.

use serde::{Deserialize, Serialize};

/// A queue or topic.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Channel {
    /// Its name; `route:NAME` is the hidden queue of a route.
    pub name: String,
    /// Queue or topic.
    pub kind: ChannelKind,
    /// Whether it is the hidden queue of a route.
    pub hidden: bool,
    /// Messages that somebody still has to take.
    pub messages: u64,
    /// Their bytes in the store.
    pub bytes: u64,
    /// How long the oldest of them has been here, in seconds; none where there is none.
    pub oldest_seconds: Option<f64>,
    /// Messages that wait for nothing but their turn.
    pub ready: u64,
    /// Messages on their way to a target.
    pub in_flight: u64,
    /// Messages that wait for their next try.
    pub scheduled: u64,
    /// Its readers.
    pub subscriptions: Vec<ChannelSubscription>,
}

/// Queue or topic.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChannelKind {
    /// Each message goes to one reader.
    Queue,
    /// Each message goes to every subscription.
    Topic,
}

/// A reader of a channel.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ChannelSubscription {
    /// `ROUTE/TARGET`, or `queue:NAME` where no route reads the channel.
    pub name: String,
    /// Messages that it still has to settle.
    pub messages: u64,
}
