//! Channels, subscriptions, offsets and outcomes: what the rest of the store is about.

use crossdock_model::{Text, Timestamp};
use std::time::Duration;

/// The number under which the log knows a channel; never given twice.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ChannelNumber(pub u32);

/// The number under which the log knows a subscription; never given twice.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct SubscriptionNumber(pub u32);

/// How many readers a channel has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChannelKind {
    /// One: a message leaves when it is done.
    Queue,
    /// Any number.
    Topic,
}

/// What happens to a put for which a channel has no room.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum WhenFull {
    /// It is refused.
    #[default]
    Refuse,
    /// The oldest messages make room: they are dead for all who have not settled them.
    DropOldest,
}

/// What a channel shall be.
#[derive(Clone, PartialEq, Debug)]
pub struct ChannelSpec {
    /// Its name, unique in the store.
    pub name: Text,
    /// How many readers it has.
    pub kind: ChannelKind,
    /// Most bytes of messages in it.
    pub bytes_max: Option<u64>,
    /// Most messages in it.
    pub messages_max: Option<u64>,
    /// What happens to a put beyond that.
    pub when_full: WhenFull,
    /// Of a topic: what it keeps of what all subscriptions have settled.
    pub retain: Option<Retain>,
    /// The queue that [`WhenFull::DropOldest`] moves to what it drops, with a dead note; none where it is gone.
    pub dead_letter: Option<Text>,
}

/// How much of what all have settled a topic keeps, to be read again; whichever bound is reached first. What a
/// subscription has not settled stays regardless.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Retain {
    /// Longest time since it was appended.
    pub age: Option<Duration>,
    /// Most bytes of the newest messages; within a segment by the average.
    pub bytes: Option<u64>,
    /// How many of the newest messages.
    pub messages: Option<u64>,
}

impl ChannelSpec {
    /// A queue without bounds.
    #[must_use]
    pub fn queue(name: impl Into<Text>) -> Self {
        let (bytes_max, messages_max, when_full, retain) = (None, None, WhenFull::Refuse, None);
        Self {
            name: name.into(),
            kind: ChannelKind::Queue,
            bytes_max,
            messages_max,
            when_full,
            retain,
            dead_letter: None,
        }
    }
}

/// Where a new subscription begins to read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Start {
    /// With the oldest message that is kept.
    Earliest,
    /// With what comes from now on.
    Latest,
    /// With the first message appended at or after the time.
    At(Timestamp),
}

/// What a subscription shall be. `start` counts only when it is new.
#[derive(Clone, PartialEq, Debug)]
pub struct SubscriptionSpec {
    /// Its name, unique in the store: `ROUTE/TARGET`.
    pub name: Text,
    /// What it reads.
    pub channel: ChannelNumber,
    /// The group whose messages are done when the last of its subscriptions is: the route, or `queue:NAME`.
    pub group: Text,
    /// Where it begins.
    pub start: Start,
}

/// A change of what is declared; several of them in one frame.
#[derive(Clone, PartialEq, Debug)]
pub enum Amendment {
    /// The channel is called otherwise from now on.
    RenameChannel {
        /// Which.
        channel: ChannelNumber,
        /// Its new name.
        name: Text,
    },
    /// The subscription is called otherwise and belongs to another group from now on.
    RenameSubscription {
        /// Which.
        subscription: SubscriptionNumber,
        /// Its new name.
        name: Text,
        /// Its new group.
        group: Text,
    },
    /// The subscription ends: what it has not settled no longer keeps a message.
    RetireSubscription {
        /// Which.
        subscription: SubscriptionNumber,
    },
    /// The channel ends with its subscriptions and what stands in it.
    RetireChannel {
        /// Which.
        channel: ChannelNumber,
    },
}

/// How a message ended for a subscription. The order is that of a group's outcome: the greatest of its subscriptions'.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Outcome {
    /// Not wanted by it.
    Filtered,
    /// Its parts are messages of their own now.
    Split,
    /// Confirmed by the target.
    Delivered,
    /// Too old.
    Expired,
    /// Not taken.
    Refused,
    /// Given up.
    Dead,
}

impl Outcome {
    /// All of them, lowest first.
    pub const ALL: [Self; 6] = [Self::Filtered, Self::Split, Self::Delivered, Self::Expired, Self::Refused, Self::Dead];

    /// The name in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Filtered => "filtered",
            Self::Split => "split",
            Self::Delivered => "delivered",
            Self::Expired => "expired",
            Self::Refused => "refused",
            Self::Dead => "dead",
        }
    }
}

/// `count` offsets from `first` on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OffsetRun {
    /// The first offset.
    pub first: u64,
    /// How many.
    pub count: u64,
}

/// Offsets as runs, in the order they were added.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Offsets(Vec<OffsetRun>);

impl Offsets {
    /// No offsets.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// A single one.
    #[must_use]
    pub fn one(offset: u64) -> Self {
        Self(vec![OffsetRun { first: offset, count: 1 }])
    }

    /// Adds one, to the last run if it follows it.
    pub fn push(&mut self, offset: u64) {
        self.push_run(OffsetRun { first: offset, count: 1 });
    }

    /// Adds a run, to the last one if it follows it.
    pub fn push_run(&mut self, run: OffsetRun) {
        match self.0.last_mut() {
            Some(last) if last.first.checked_add(last.count) == Some(run.first) => last.count += run.count,
            Some(_) | None => self.0.push(run),
        }
    }

    /// The runs.
    #[must_use]
    pub fn runs(&self) -> &[OffsetRun] {
        &self.0
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those below a bound.
    pub(crate) fn below(&self, end: u64) -> Self {
        let within = self.0.iter().filter(|run| run.first < end);
        Self(within.map(|run| OffsetRun { first: run.first, count: run.count.min(end - run.first) }).collect())
    }

    /// Each offset.
    pub fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        self.0.iter().flat_map(|run| run.first..run.first.saturating_add(run.count))
    }
}

impl FromIterator<u64> for Offsets {
    fn from_iter<I: IntoIterator<Item = u64>>(offsets: I) -> Self {
        let mut runs = Self::new();
        for offset in offsets {
            runs.push(offset);
        }
        runs
    }
}
