//! Channels as whoever works with them sees them, without a word about what stands behind: the embedded log
//! ([`crate::Store`]), or several gateways' common one.
//!
//! ```text
//!  claim ─► fence ─┬─► fetch(max, wait) ─► messages, and a lease that `extend` prolongs
//!                  ├─► read, touched, watch, follow
//!                  ├─► annotate: tries, charges, due times, causes
//!                  └─► commit: puts first, each with an id that a repetition has too; settlements last
//!  capabilities: Browser (browse, find), Accountant (how messages ended)
//! ```
//!
//! What holds
//! - Whatever is done for a subscription carries the [`Fence`] of a claim on it. A later claim makes it stale: nothing is
//!   done under it any more, and what was is done before the later one begins. What only looks carries none.
//! - Fences, leases and cursors are bytes that only their maker reads.
//! - A message is known by its channel and offset, which never change. Offsets of a channel grow; that there are no gaps
//!   between them is the embedded log's, and nobody else's, promise.
//! - A decision is taken whole, or may be repeated without harm ([`Atomicity`]).
//! - A call without a wait returns at once. All others may block.

mod claim;
mod embedded;
mod opaque;

pub use claim::{ClaimError, Claims, LaneRange};
pub use opaque::{Cursor, Fence, Lease};

use crate::{
    Amendment, ChannelInfo, ChannelNumber, ChannelSpec, CommitError, Completion, DeclareError, Ends, Fetched,
    FlightNotes, GroupCounts, History, Operation, ReadError, StoreCounts, StoredMessage, SubscriptionInfo,
    SubscriptionNumber, SubscriptionSpec, Touch, Touched, Txn, Watch,
};
use crossdock_model::{MessageId, Text};
use std::{io, time::Duration};

/// What a crash leaves of a decision.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Atomicity {
    /// All of it or nothing.
    Frame,
    /// Perhaps its puts without its settlements. Who meets a message again that was not settled decides as before, and
    /// the puts of that are known by their ids ([`crate::PutId`]): a message is never absent from both places. Keys and a
    /// settlement are two things here, so that no [`crate::Sieve`] is taken.
    Repeatable,
}

/// The most that a fetch gives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FetchMax {
    /// How many messages.
    pub messages: usize,
    /// Bytes of them after which there are no more.
    pub bytes: usize,
}

/// Tries, charges and due times of messages that are not done.
#[derive(Clone, PartialEq, Debug)]
pub struct Annotations {
    /// What is noted.
    pub touches: Vec<Touch>,
    /// Whether it may wait a little for company.
    pub rides: bool,
}

/// A part of what stands in a channel.
#[derive(Debug)]
pub struct Browsed {
    /// The messages, in order of offset.
    pub messages: Vec<StoredMessage>,
    /// Where to go on.
    pub next: Option<Cursor>,
}

/// Where a lease stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Extension {
    /// It begins anew.
    Extended,
    /// Nothing is left of it: its messages are settled, or it had run out and they are fetched again.
    Over,
}

/// Named, durable, ordered sequences of messages, and the places of their readers.
pub trait Channels: Send + Sync {
    // ---- the whole ----

    /// What tells these channels from all others.
    fn store_id(&self) -> &str;

    /// What a crash leaves of a decision.
    fn atomicity(&self) -> Atomicity;

    /// Why they stopped, if they have: readiness depends on it.
    fn failure(&self) -> Option<Text>;

    /// Commits what waits, and ends.
    ///
    /// # Errors
    /// If that could not be written.
    fn close(&self) -> Result<(), CommitError>;

    // ---- what is declared ----

    /// All channels, by number.
    fn channels(&self) -> Vec<ChannelInfo>;

    /// A channel.
    fn channel(&self, channel: ChannelNumber) -> Option<ChannelInfo>;

    /// All subscriptions, by number.
    fn subscriptions(&self) -> Vec<SubscriptionInfo>;

    /// A subscription.
    fn subscription(&self, subscription: SubscriptionNumber) -> Option<SubscriptionInfo>;

    /// Declares channels, or changes their bounds; numbers in the order given.
    ///
    /// # Errors
    /// If one of them is there with another kind, or it cannot be made durable; then none is declared.
    fn declare_channels(&self, specs: Vec<ChannelSpec>) -> Result<Vec<ChannelNumber>, DeclareError>;

    /// Declares subscriptions; one that is there is taken as it stands. Numbers in the order given.
    ///
    /// # Errors
    /// If a name belongs to a subscription of another channel, or it cannot be made durable; then none is declared.
    fn declare_subscriptions(&self, specs: Vec<SubscriptionSpec>) -> Result<Vec<SubscriptionNumber>, DeclareError>;

    /// Renames and retires, all or nothing.
    ///
    /// # Errors
    /// If a name is taken, something is not known, or it cannot be made durable.
    fn amend(&self, amendments: Vec<Amendment>) -> Result<(), DeclareError>;

    // ---- for a subscription, under a claim ----

    /// Takes some lanes of a subscription over from whoever had them. What is done under an older claim on any of them
    /// is refused from now on. Fetching begins with the oldest message that is not settled.
    ///
    /// # Errors
    /// See [`ClaimError`].
    fn claim(&self, subscription: SubscriptionNumber, lanes: LaneRange) -> Result<Fence, ClaimError>;

    /// Has `watch` called when there may be something new to fetch; replaces the one before.
    fn watch(&self, fence: &Fence, watch: Watch);

    /// Has it fetch only what another subscription of its channel has settled, with all before.
    fn follow(&self, fence: &Fence, followed: SubscriptionNumber);

    /// The next messages: each that is not settled and has no tries on record, in order. Without a wait what is at hand;
    /// otherwise what is there wherever it is, as long as that takes, but for a network no longer than told. Nobody waits
    /// for what is yet to come: that is told to the watch.
    ///
    /// # Errors
    /// See [`ReadError`]; the place is then where it was.
    fn fetch(&self, fence: &Fence, max: FetchMax, wait: Duration) -> Result<Fetched, ReadError>;

    /// Prolongs a lease: what was fetched with it is not given to anybody meanwhile. Does not wait for an answer.
    ///
    /// # Errors
    /// If the claim is stale.
    fn extend(&self, fence: &Fence, lease: &Lease) -> Result<Extension, ReadError>;

    /// A message that was fetched or noted before; none only without a wait, where it is not at hand.
    ///
    /// # Errors
    /// See [`ReadError`].
    fn read(&self, fence: &Fence, offset: u64, wait: Duration) -> Result<Option<StoredMessage>, ReadError>;

    /// The messages with tries on record, by offset: what no fetch gives. Blocks.
    ///
    /// # Errors
    /// See [`ReadError`].
    fn touched(&self, fence: &Fence) -> Result<Vec<Touched>, ReadError>;

    /// Notes tries, charges, due times and causes. Returns at once, as for [`Self::commit`].
    fn annotate(&self, fences: &[Fence], annotations: Annotations, completion: Completion);

    // ---- decisions ----

    /// Submits a decision and returns at once: `completion` is called exactly once. It is refused unless all fences
    /// stand and there is one for each subscription that it settles for. Tries are not part of it: [`Self::annotate`].
    fn commit(&self, fences: &[Fence], txn: Txn, completion: Completion);

    /// The background operations: all that run, and the last others.
    fn operations(&self) -> Vec<Operation>;

    // ---- what only looks ----

    /// The tries of a message that is not settled, with their causes.
    ///
    /// # Errors
    /// See [`ReadError`].
    fn history(&self, subscription: SubscriptionNumber, offset: u64) -> Result<History, ReadError>;

    /// Whether the subscription has the message still to settle.
    fn is_pending(&self, subscription: SubscriptionNumber, offset: u64) -> bool;

    /// What is in flight in this process, and what was when the last ones ended (see [`FlightNotes::open`]).
    ///
    /// # Errors
    /// What the disk says.
    fn flight_notes(&self, boot: [u8; 16]) -> io::Result<(FlightNotes, Ends)>;

    // ---- what may be lacking ----

    /// Messages where they stand, if they can be looked at.
    fn browser(&self) -> Option<&dyn Browser>;

    /// How messages ended, if that is counted.
    fn accountant(&self) -> Option<&dyn Accountant>;
}

/// Looking at messages where they stand, without consuming them.
pub trait Browser {
    /// Where looking goes on with the first message at an offset or behind.
    fn seek(&self, channel: ChannelNumber, offset: u64) -> Cursor;

    /// What stands in a channel, that is not settled by all.
    ///
    /// # Errors
    /// See [`ReadError`].
    fn browse(&self, channel: ChannelNumber, from: &Cursor, messages_max: usize) -> Result<Browsed, ReadError>;

    /// The messages of an id that stand in a channel, at most so many.
    ///
    /// # Errors
    /// See [`ReadError`].
    fn find(&self, channel: ChannelNumber, id: MessageId, messages_max: usize)
    -> Result<Vec<StoredMessage>, ReadError>;
}

/// The account of what ended how.
pub trait Accountant {
    /// The account of a group; `None` if no subscription is in it.
    fn group_counts(&self, group: &str) -> Option<GroupCounts>;

    /// How many messages came to a channel because others dropped them: received by who reads it, though nobody put them
    /// there.
    fn moved_into(&self, channel: ChannelNumber) -> u64;

    /// The account of the whole.
    fn counts(&self) -> StoreCounts;
}
