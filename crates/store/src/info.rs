//! What the store tells about itself.

use crate::{ChannelKind, ChannelNumber, Lease, Outcome, StoredMessage, SubscriptionNumber};
use crossdock_model::{Fault, Text, Timestamp};
use std::time::Duration;

/// A channel that the store holds, whether or not a plan names it.
#[derive(Clone, PartialEq, Debug)]
pub struct ChannelInfo {
    /// Its number.
    pub number: ChannelNumber,
    /// Its name.
    pub name: Text,
    /// How many readers it has.
    pub kind: ChannelKind,
    /// Messages that somebody has not settled.
    pub messages: u64,
    /// Their bytes as encoded. Exact while they are hot or all there; within a segment that is partly settled cold, by
    /// its average.
    pub bytes: u64,
    /// When the oldest of them was appended.
    pub oldest_appended_at: Option<Timestamp>,
    /// The offset that the next message gets.
    pub next_offset: u64,
    /// From this offset on no message says of itself when it expires; [`Self::next_offset`] where that is not known.
    pub expiring_below: u64,
}

/// A subscription that the store holds, whether or not a plan names it.
#[derive(Clone, PartialEq, Debug)]
pub struct SubscriptionInfo {
    /// Its number.
    pub number: SubscriptionNumber,
    /// Its name.
    pub name: Text,
    /// What it reads.
    pub channel: ChannelNumber,
    /// Its group.
    pub group: Text,
    /// All below is settled.
    pub floor: u64,
    /// Messages that it has not settled.
    pub pending: u64,
    /// How many of them have tries on record.
    pub touched: u64,
}

/// The account of a group since the store was opened: `received` is what stood there then and what was appended
/// since; at all times received = stored + the sum of the outcomes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct GroupCounts {
    /// What stood there at the start and what was appended since.
    pub received: u64,
    /// What some subscription of the group has not settled.
    pub stored: u64,
    outcomes: [u64; Outcome::ALL.len()],
}

impl GroupCounts {
    /// How many messages ended so for the group.
    #[must_use]
    pub fn ended(&self, outcome: Outcome) -> u64 {
        Outcome::ALL.into_iter().zip(self.outcomes).find(|(o, _)| *o == outcome).map_or(0, |(_, n)| n)
    }

    /// Counts messages that were appended.
    pub fn append(&mut self, count: u64) {
        self.received += count;
        self.stored += count;
    }

    /// Counts messages that ended.
    pub fn end(&mut self, outcome: Outcome, count: u64) {
        self.stored = self.stored.saturating_sub(count);
        for (of, ended) in Outcome::ALL.into_iter().zip(&mut self.outcomes) {
            *ended += if of == outcome { count } else { 0 };
        }
    }

    pub(crate) fn plus(mut self, other: &Self) -> Self {
        self.received += other.received;
        self.stored += other.stored;
        for (sum, more) in self.outcomes.iter_mut().zip(other.outcomes) {
            *sum += more;
        }
        self
    }
}

/// The account of the whole store.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct StoreCounts {
    /// Bytes of its files.
    pub bytes: u64,
    /// Frames written since it was opened.
    pub frames: u64,
    /// Bytes written since it was opened, all files.
    pub bytes_written: u64,
    /// Syncs of the log since it was opened.
    pub syncs: u64,
    /// How long they took together.
    pub sync_time: Duration,
    /// Messages found damaged since it was opened, dead with code `store.damaged`.
    pub damaged: u64,
    /// Keys that were forgotten before they ran out since it was opened, because their scope was full.
    pub keys_forgotten: u64,
    /// Messages with tries on record that are in memory, of the subscription that has most of them.
    pub tried_in_memory: u64,
    /// Whether only settlements and moves to dead letters are taken because the volume is full.
    pub full: bool,
}

/// A message with tries on record that is not settled.
#[derive(Clone, PartialEq, Debug)]
pub struct Touched {
    /// Which.
    pub offset: u64,
    /// How often it was tried.
    pub tries: u32,
    /// How many attempts it was charged.
    pub charges: u32,
    /// When it may be tried again; `None` at once.
    pub due: Option<Timestamp>,
}

/// One try of a message.
#[derive(Clone, PartialEq, Debug)]
pub struct Try {
    /// The first is 1.
    pub number: u32,
    /// When it ended.
    pub at: Timestamp,
    /// The target; where it is not told it is that of the subscription.
    pub target: Option<Text>,
    /// What went wrong.
    pub fault: Option<Fault>,
}

/// The tries of a message: its first [`History::FIRST`] and last [`History::LAST`].
#[derive(Clone, PartialEq, Debug, Default)]
pub struct History {
    /// How many there were.
    pub total: u32,
    /// Those that are kept, in order.
    pub kept: Vec<Try>,
}

impl History {
    /// How many of the first tries are kept.
    pub const FIRST: usize = 5;
    /// How many of the last tries are kept.
    pub const LAST: usize = 20;
}

/// What a fetch gave.
#[derive(Debug)]
pub struct Fetched {
    /// The messages, in order of offset.
    pub messages: Vec<StoredMessage>,
    /// What stands behind them.
    pub rest: Rest,
    /// How long they are whose they are now; without one for as long as the claim stands.
    pub lease: Option<Lease>,
}

/// What stands behind the messages that were fetched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rest {
    /// Nothing: wait for the watch.
    Nothing,
    /// More, in memory.
    More,
    /// More, which must be read from disk: fetch it cold, from a thread that may block.
    Cold,
}

/// A part of what stands in a channel.
#[derive(Debug)]
pub struct Page {
    /// The messages, in order of offset.
    pub messages: Vec<StoredMessage>,
    /// Where to go on.
    pub next: Option<u64>,
}
