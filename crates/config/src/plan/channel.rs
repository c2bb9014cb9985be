//! Channels: what is stored where, and how much of it.

use crossdock_model::Text;
use std::time::Duration;

/// A channel of the gateway.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Channel {
    /// Its name.
    pub name: Text,
    /// Queue or topic, with its limits.
    pub kind: ChannelKind,
    /// Why it is there.
    pub purpose: ChannelUse,
}

/// Why a channel is there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ChannelUse {
    /// The file declares it.
    Declared,
    /// A route's hidden queue between `accept` and `steps`, `route:NAME`.
    Hidden {
        /// The route.
        route: Text,
    },
    /// Dead letters go there, and the file does not declare it.
    DeadLetters,
}

/// What kind of channel it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ChannelKind {
    /// One reader; a message leaves when it is acknowledged.
    Queue(QueueLimits),
    /// Any number of subscriptions; a message stays until all have seen it and longer if `retain` says so.
    Topic(Retain),
}

/// How much a queue holds and what happens then.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct QueueLimits {
    /// Most bytes; none for as many as the disk holds.
    pub bytes_max: Option<u64>,
    /// Most messages.
    pub messages_max: Option<u64>,
    /// What happens to a message that has no room.
    pub when_full: WhenFull,
    /// How long a message stays there, dead letters too; none for ever. Only where no route reads the queue.
    pub expire_after: Option<Duration>,
}

/// What happens to a message that has no room.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum WhenFull {
    /// It is not taken; the sender hears so, or keeps it.
    #[default]
    Refuse,
    /// The oldest goes to make room: dead, and moved to a dead-letter queue if one is named.
    DropOldest {
        /// Where the oldest goes.
        dead_letter: Option<Text>,
    },
}

/// How long a topic keeps what all have seen; whichever is reached first.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Retain {
    /// Longest time.
    pub age: Option<Duration>,
    /// Most bytes.
    pub bytes: Option<u64>,
    /// Most messages.
    pub messages: Option<u64>,
}

impl Channel {
    /// Whether it is a queue.
    #[must_use]
    pub const fn is_queue(&self) -> bool {
        match self.kind {
            ChannelKind::Queue(_) => true,
            ChannelKind::Topic(_) => false,
        }
    }
}
