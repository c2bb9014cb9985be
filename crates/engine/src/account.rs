//! The account: received = delivered + filtered + refused + dead + expired + stored, for each route and each queue that no
//! route reads.
//!
//! The sides are counted independently of each other, so that a lost message shows. What came in is counted here: at the
//! door when a source's messages are settled, and per channel when an append is answered. What was taken off a channel,
//! and what still stands there, is the store's own count of what it holds.
//!
//! ```text
//!  door ── refused, filtered, dead ─► ended there
//!    │ appended (counted on the channel)
//!    ▼
//!  channel ── the store: delivered, filtered, dead, expired, refused, stored
//! ```

use crate::Counts;
use crossdock_model::Text;
use crossdock_store::{ChannelNumber, Channels, EncodedMessage, Outcome, Put, SubscriptionNumber};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

/// A channel of the plan, as the store knows it.
#[derive(Debug)]
pub(crate) struct Channel {
    /// Its name.
    pub name: Text,
    /// Its number in the store.
    pub number: ChannelNumber,
    /// Whether it is the hidden queue of a route.
    pub hidden: bool,
    /// Whether a route's dead letters go there.
    pub dead_letters: bool,
    /// Most bytes that it holds: a larger message never finds room.
    pub bytes_max: Option<u64>,
    /// Subscriptions that nobody reads any more though they hold messages: they take nothing new.
    pub closed: Vec<SubscriptionNumber>,
    appended: AtomicU64,
}

/// What happened to messages at a connector source's door.
#[derive(Default, Debug)]
pub(crate) struct Door {
    received: AtomicU64,
    appended: AtomicU64,
    delivered: AtomicU64,
    filtered: AtomicU64,
    refused: AtomicU64,
    dead: AtomicU64,
}

/// Where a message ended at the door.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum DoorEnd {
    /// Appended to the route's hidden queue, where its way goes on.
    Appended,
    /// Appended to the channels that are its targets.
    Delivered,
    /// Not wanted, or there already.
    Filtered,
    /// Not taken.
    Refused,
    /// Not taken, and moved to the dead letters.
    Dead,
    /// Turned away before it counts as received.
    NotReceived,
}

/// Those who take a channel's messages off: a route, or whoever reads a queue that no route reads.
#[derive(Debug)]
pub(crate) struct Group {
    /// The route's name, or `queue:NAME`.
    pub name: Text,
    /// The channel.
    pub channel: Arc<Channel>,
    /// What stood there when the gateway started, and what the store gave up on when it was opened.
    before: u64,
}

/// The account of a route, or of a queue that no route reads.
#[derive(Debug)]
pub(crate) struct Account {
    /// The route's name, or `queue:NAME`.
    pub name: Text,
    /// The door, if it has a connector source.
    pub door: Option<Arc<Door>>,
    /// The channel it reads, if it reads one.
    pub group: Option<Group>,
}

impl Channel {
    /// A channel to which nothing was appended yet.
    pub const fn new(name: Text, number: ChannelNumber) -> Self {
        let closed = Vec::new();
        Self { name, number, hidden: false, dead_letters: false, bytes_max: None, closed, appended: AtomicU64::new(0) }
    }

    /// A put into it, settled from the start for those who take nothing new.
    pub fn put(&self, message: EncodedMessage, bundle: u32) -> Put {
        let mut put = Put::new(self.number, message, bundle);
        put.settled_for = self.closed.iter().map(|subscription| (*subscription, Outcome::Filtered)).collect();
        put
    }

    /// Counts messages whose append was answered.
    pub fn count_appended(&self, messages: u64) {
        self.appended.fetch_add(messages, Relaxed);
    }

    /// Why a message of so many bytes never finds room there, if that is so.
    pub fn never_holds(&self, bytes: usize) -> Option<String> {
        let max = self.bytes_max.filter(|max| bytes as u64 > *max)?;
        let name = &self.name;
        Some(format!(
            "{bytes} bytes are more than the channel `{name}` holds at all ({max}): send less, or raise its `max_bytes`"
        ))
    }
}

impl Door {
    /// Counts messages that are settled at the source, in whatever way but `Again`.
    pub fn count_received(&self, messages: u64) {
        self.received.fetch_add(messages, Relaxed);
    }

    /// Counts messages by where they ended here.
    pub fn count_end(&self, end: DoorEnd, messages: u64) {
        let counter = match end {
            DoorEnd::Appended => &self.appended,
            DoorEnd::Delivered => &self.delivered,
            DoorEnd::Filtered => &self.filtered,
            DoorEnd::Refused => &self.refused,
            DoorEnd::Dead => &self.dead,
            DoorEnd::NotReceived => return,
        };
        counter.fetch_add(messages, Relaxed);
    }
}

impl Group {
    /// A group as it stands now, before anything of the gateway runs.
    pub fn new(name: Text, channel: Arc<Channel>, channels: &dyn Channels) -> Self {
        let counts = channels.accountant().and_then(|accountant| accountant.group_counts(&name));
        let before = counts.map_or(0, |counts| counts.received);
        Self { name, channel, before }
    }
}

impl Account {
    /// The account now. While messages are between two places it need not add up; at rest it does. Where nobody counts what
    /// is taken off a channel it is that of the door alone.
    pub fn counts(&self, channels: &dyn Channels) -> Counts {
        let mut counts = Counts::default();
        if let Some(door) = &self.door {
            let ended = if self.group.is_some() { door.appended.load(Relaxed) } else { 0 };
            counts.received = door.received.load(Relaxed).saturating_sub(ended);
            counts.delivered = door.delivered.load(Relaxed);
            counts.filtered = door.filtered.load(Relaxed);
            counts.refused = door.refused.load(Relaxed);
            counts.dead = door.dead.load(Relaxed);
        }
        if let Some((group, accountant)) = self.group.as_ref().zip(channels.accountant()) {
            let ends = accountant.group_counts(&group.name).unwrap_or_default();
            let moved = accountant.moved_into(group.channel.number);
            counts.received += group.before + group.channel.appended.load(Relaxed) + moved;
            // What was split is delivered as far as its own account goes: its parts are messages of their own.
            counts.delivered += ends.ended(Outcome::Delivered) + ends.ended(Outcome::Split);
            counts.filtered += ends.ended(Outcome::Filtered);
            counts.refused += ends.ended(Outcome::Refused);
            counts.dead += ends.ended(Outcome::Dead);
            counts.expired += ends.ended(Outcome::Expired);
            counts.stored += ends.stored;
        }
        counts
    }
}
