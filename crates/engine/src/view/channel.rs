//! Channels.

use crossdock_model::Text;
use crossdock_store::ChannelKind;
use std::time::Duration;

/// A channel with what stands in it.
#[derive(Clone, PartialEq, Debug)]
pub struct ChannelView {
    /// Its name.
    pub name: Text,
    /// Queue or topic.
    pub kind: ChannelKind,
    /// Messages that somebody has not settled.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How long the oldest of them has been there; none where there is none.
    pub oldest: Option<Duration>,
    /// Messages on their way to some target: each once.
    pub in_flight: u64,
    /// Messages that wait for their next try at some target or for a delay, and are on their way to none.
    pub scheduled: u64,
    /// Whether it is the hidden queue of a route.
    pub hidden: bool,
    /// Its readers.
    pub subscriptions: Vec<SubscriptionView>,
}

impl ChannelView {
    /// Messages that wait for nothing but their turn.
    #[must_use]
    pub fn ready(&self) -> u64 {
        self.messages.saturating_sub(self.in_flight).saturating_sub(self.scheduled)
    }
}

/// A reader of a channel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SubscriptionView {
    /// `ROUTE/TARGET`, or `queue:NAME` where no route reads it.
    pub name: Text,
    /// Messages that it has not settled.
    pub messages: u64,
}
