//! The handle to an open store.

use crate::{
    Amendment, ChannelInfo, ChannelNumber, ChannelSpec, CommitError, Committed, Completion, DeclareError, Disk,
    Fetched, GroupCounts, History, OpenError, Operation, Options, Page, ReadError, StoreCounts, StoredMessage,
    SubscriptionInfo, SubscriptionNumber, SubscriptionSpec, Touched, Txn,
};
use crossdock_model::Text;
use std::sync::Arc;

/// Called, from the writer's thread, when there may be something new to fetch: must not block.
pub type Watch = Arc<dyn Fn() + Send + Sync>;

/// An open store; clones are handles to the same one. Dropping the last without [`Store::close`] leaves what a crash
/// would leave.
#[derive(Clone)]
pub struct Store;

impl Store {
    /// Opens the store in the disk's folder, or makes one, and brings it to where it stood: a torn tail is cut, damage
    /// is skipped and noted. Blocks.
    ///
    /// # Errors
    /// See [`OpenError`]; each says how to mend it.
    pub fn open(disk: Arc<dyn Disk>, options: Options) -> Result<Self, OpenError> {
        todo!("{options:?}{}", disk.list("").is_ok())
    }

    /// The number drawn when the store was made, as eight hexadecimal digits.
    #[must_use]
    pub fn store_id(&self) -> &str {
        todo!()
    }

    /// Commits what waits, writes the closing frame and a checkpoint, and lets go of the folder. Blocks.
    ///
    /// # Errors
    /// If that could not be written; the store is then as after a crash.
    pub fn close(&self) -> Result<(), CommitError> {
        todo!()
    }

    /// Why the store stopped, if it has: readiness depends on it.
    #[must_use]
    pub fn failure(&self) -> Option<Text> {
        todo!()
    }

    // ---- what is declared ----

    /// Declares a channel, or changes its bounds. Blocks until it is durable.
    ///
    /// # Errors
    /// If the store has a channel of that name and another kind, or cannot write.
    pub fn declare_channel(&self, spec: ChannelSpec) -> Result<ChannelNumber, DeclareError> {
        todo!("{spec:?}")
    }

    /// Declares many channels in one frame; numbers in the order given.
    ///
    /// # Errors
    /// As for [`Self::declare_channel`]; then none is declared.
    pub fn declare_channels(&self, specs: Vec<ChannelSpec>) -> Result<Vec<ChannelNumber>, DeclareError> {
        todo!("{specs:?}")
    }

    /// Declares a subscription; one of that name on that channel is taken as it stands. Blocks until it is durable.
    ///
    /// # Errors
    /// If the name belongs to a subscription of another channel, the channel is not known, or the store cannot write.
    pub fn declare_subscription(&self, spec: SubscriptionSpec) -> Result<SubscriptionNumber, DeclareError> {
        todo!("{spec:?}")
    }

    /// Declares many subscriptions in one frame; numbers in the order given.
    ///
    /// # Errors
    /// As for [`Self::declare_subscription`]; then none is declared.
    pub fn declare_subscriptions(&self, specs: Vec<SubscriptionSpec>) -> Result<Vec<SubscriptionNumber>, DeclareError> {
        todo!("{specs:?}")
    }

    /// Renames and retires, all in one frame. Blocks until it is durable.
    ///
    /// # Errors
    /// If a name is taken, something is not known, or the store cannot write; then nothing is changed.
    pub fn amend(&self, amendments: Vec<Amendment>) -> Result<(), DeclareError> {
        todo!("{amendments:?}")
    }

    /// All channels that the store holds, by number.
    #[must_use]
    pub fn channels(&self) -> Vec<ChannelInfo> {
        todo!()
    }

    /// All subscriptions that the store holds, by number.
    #[must_use]
    pub fn subscriptions(&self) -> Vec<SubscriptionInfo> {
        todo!()
    }

    // ---- writing ----

    /// Submits a decision and returns at once. `completion` is called exactly once, when its frame is synced (or
    /// written, as [`crate::SyncPolicy`] says) or why it was not; in the order submitted among those that are written.
    pub fn submit(&self, txn: Txn, completion: Completion) {
        let _ = (txn, completion);
        todo!()
    }

    /// Submits and waits. Blocks.
    ///
    /// # Errors
    /// See [`CommitError`].
    pub fn commit(&self, txn: Txn) -> Result<Committed, CommitError> {
        todo!("{txn:?}")
    }

    // ---- reading ----

    /// The next messages for a subscription, from memory: each that it has not settled and that has no tries on record,
    /// once, in order of offset. At most `messages_max`, and no more once `bytes_max` is reached. Never blocks.
    #[must_use]
    pub fn fetch(&self, subscription: SubscriptionNumber, messages_max: usize, bytes_max: usize) -> Fetched {
        todo!("{subscription:?}{messages_max}{bytes_max}")
    }

    /// The same, also from disk. Blocks.
    ///
    /// # Errors
    /// If the system fails; the cursor stays where it was. Damaged messages are skipped and settled as dead.
    pub fn fetch_cold(
        &self,
        subscription: SubscriptionNumber,
        messages_max: usize,
        bytes_max: usize,
    ) -> Result<Fetched, ReadError> {
        todo!("{subscription:?}{messages_max}{bytes_max}")
    }

    /// Sets the read cursor back, so that what is not settled from there on is fetched again.
    pub fn rewind(&self, subscription: SubscriptionNumber, to: u64) {
        todo!("{subscription:?}{to}")
    }

    /// One message, if it is in memory. Never blocks.
    #[must_use]
    pub fn peek(&self, channel: ChannelNumber, offset: u64) -> Option<StoredMessage> {
        todo!("{channel:?}{offset}")
    }

    /// One message, also from disk. Blocks.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn read(&self, channel: ChannelNumber, offset: u64) -> Result<StoredMessage, ReadError> {
        todo!("{channel:?}{offset}")
    }

    /// What stands in a channel (not settled by all) from an offset on, without consuming it. Blocks.
    ///
    /// # Errors
    /// If the system fails.
    pub fn browse(&self, channel: ChannelNumber, from: u64, messages_max: usize) -> Result<Page, ReadError> {
        todo!("{channel:?}{from}{messages_max}")
    }

    /// Has `watch` called when there may be something new to fetch; replaces the one before.
    pub fn watch(&self, subscription: SubscriptionNumber, watch: Watch) {
        let _ = (subscription, watch);
        todo!()
    }

    /// The messages with tries on record, by offset: after opening, what [`Self::fetch`] does not give.
    #[must_use]
    pub fn touched(&self, subscription: SubscriptionNumber) -> Vec<Touched> {
        todo!("{subscription:?}")
    }

    /// The tries of a message that is not settled, with their faults. Blocks.
    ///
    /// # Errors
    /// If the system fails; a try whose record is damaged is left out.
    pub fn history(&self, subscription: SubscriptionNumber, offset: u64) -> Result<History, ReadError> {
        todo!("{subscription:?}{offset}")
    }

    // ---- the account ----

    /// The account of a group; `None` if no subscription is in it.
    #[must_use]
    pub fn group_counts(&self, group: &str) -> Option<GroupCounts> {
        todo!("{group}")
    }

    /// One channel.
    #[must_use]
    pub fn channel(&self, channel: ChannelNumber) -> Option<ChannelInfo> {
        todo!("{channel:?}")
    }

    /// One subscription.
    #[must_use]
    pub fn subscription(&self, subscription: SubscriptionNumber) -> Option<SubscriptionInfo> {
        todo!("{subscription:?}")
    }

    /// The account of the whole.
    #[must_use]
    pub fn counts(&self) -> StoreCounts {
        todo!()
    }

    /// The background operations: all that run, and the last 1,000 others, oldest first.
    #[must_use]
    pub fn operations(&self) -> Vec<Operation> {
        todo!()
    }
}
