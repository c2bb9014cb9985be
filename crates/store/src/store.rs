//! The handle to an open store.

use crate::{
    Amendment, ChannelInfo, ChannelNumber, ChannelSpec, CommitError, Committed, Completion, DeclareError, Disk, Ends,
    Fetched, FlightNotes, GroupCounts, History, OpenError, Operation, Options, Page, ReadError, Start, StoreCounts,
    StoredMessage, SubscriptionInfo, SubscriptionNumber, SubscriptionSpec, Touched, Txn,
    channels::Claims,
    cleaner::is_retaining,
    recover,
    shared::Shared,
    writer::{Declare, Request, refuse},
};
use crossdock_model::Text;
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::Ordering::Relaxed,
        mpsc::{SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// Called, from the writer's thread, when there may be something new to fetch: must not block.
pub type Watch = Arc<dyn Fn() + Send + Sync>;

/// An open store; clones are handles to the same one. Dropping the last without [`Store::close`] leaves what a crash
/// would leave.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
    writer: Arc<WriterThread>,
}

/// The writer's thread, which ends with the last handle.
struct WriterThread {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl WriterThread {
    /// Waits for its end, unless it is the caller.
    fn join(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread.filter(|thread| thread.thread().id() != thread::current().id()) {
            // A panic in it was caught there and told as the store's failure.
            let _ = thread.join();
        }
    }
}

impl Drop for WriterThread {
    fn drop(&mut self) {
        self.shared.queue.abandon();
        self.join();
    }
}

impl Store {
    /// Opens the store in the disk's folder, or makes one, and brings it to where it stood: a torn tail is cut, damage
    /// is skipped and noted. Blocks.
    ///
    /// # Errors
    /// See [`OpenError`]; each says how to mend it.
    pub fn open(disk: Arc<dyn Disk>, options: Options) -> Result<Self, OpenError> {
        let (shared, writer) = recover::open(disk, options)?;
        let thread = thread::Builder::new().name("store".to_owned()).spawn(move || writer.run());
        let thread =
            thread.map_err(|source| OpenError::Io { doing: Text::from_static("starting a thread"), source })?;
        let writer = WriterThread { shared: Arc::clone(&shared), thread: Mutex::new(Some(thread)) };
        Ok(Self { shared, writer: Arc::new(writer) })
    }

    /// The number drawn when the store was made, as eight hexadecimal digits.
    #[must_use]
    pub fn store_id(&self) -> &str {
        &self.shared.store_id
    }

    /// Commits what waits, writes the closing frame and a checkpoint, and lets go of the folder. Blocks.
    ///
    /// # Errors
    /// If that could not be written; the store is then as after a crash.
    pub fn close(&self) -> Result<(), CommitError> {
        let result = self.ask(Request::Close, Err);
        self.writer.join();
        result
    }

    /// Writes checkpoints and gives back the room that nothing needs, which otherwise happens as the log grows and when
    /// nothing goes on for [`Options::idle`]. Blocks.
    ///
    /// # Errors
    /// If the store cannot write.
    pub fn tidy(&self) -> Result<(), CommitError> {
        self.ask(Request::Tidy, Err)
    }

    /// Why the store stopped, if it has: readiness depends on it.
    #[must_use]
    pub fn failure(&self) -> Option<Text> {
        self.shared.failure().cloned()
    }

    /// Who works on which subscription.
    pub(crate) fn claims(&self) -> &Claims {
        &self.shared.claims
    }

    /// Puts a request and waits for its answer; without one the store is closed.
    fn ask<T>(&self, request: impl FnOnce(SyncSender<T>) -> Request, late: impl FnOnce(CommitError) -> T) -> T {
        let (reply, answer) = sync_channel(1);
        if let Err(request) = self.shared.queue.push(request(reply)) {
            refuse(request, &self.shared);
        }
        answer.recv().unwrap_or_else(|_| late(CommitError::Closed))
    }

    // ---- what is declared ----

    /// Declares a channel, or changes its bounds. Blocks until it is durable.
    ///
    /// # Errors
    /// If the store has a channel of that name and another kind, or cannot write.
    pub fn declare_channel(&self, spec: ChannelSpec) -> Result<ChannelNumber, DeclareError> {
        let numbers = self.declare_channels(vec![spec])?;
        numbers.first().copied().ok_or_else(|| CommitError::Closed.into())
    }

    /// Declares many channels in one frame; numbers in the order given.
    ///
    /// # Errors
    /// As for [`Self::declare_channel`]; then none is declared.
    pub fn declare_channels(&self, specs: Vec<ChannelSpec>) -> Result<Vec<ChannelNumber>, DeclareError> {
        Ok(self.declare(Declare::Channels(specs))?.into_iter().map(ChannelNumber).collect())
    }

    /// Declares a subscription; one of that name on that channel is taken as it stands. Blocks until it is durable.
    ///
    /// # Errors
    /// If the name belongs to a subscription of another channel, the channel is not known, or the store cannot write.
    pub fn declare_subscription(&self, spec: SubscriptionSpec) -> Result<SubscriptionNumber, DeclareError> {
        let numbers = self.declare_subscriptions(vec![spec])?;
        numbers.first().copied().ok_or_else(|| CommitError::Closed.into())
    }

    /// Declares many subscriptions in one frame; numbers in the order given.
    ///
    /// # Errors
    /// As for [`Self::declare_subscription`]; then none is declared.
    pub fn declare_subscriptions(&self, specs: Vec<SubscriptionSpec>) -> Result<Vec<SubscriptionNumber>, DeclareError> {
        let offset = |spec: &SubscriptionSpec| match spec.start {
            Start::At(time) => self.shared.offset_at(spec.channel.0, time),
            Start::Earliest | Start::Latest => None,
        };
        let specs = specs.into_iter().map(|spec| (offset(&spec), spec)).map(|(offset, spec)| (spec, offset)).collect();
        Ok(self.declare(Declare::Subscriptions(specs))?.into_iter().map(SubscriptionNumber).collect())
    }

    /// Renames and retires, all in one frame. Blocks until it is durable.
    ///
    /// # Errors
    /// If a name is taken, something is not known, or the store cannot write; then nothing is changed.
    pub fn amend(&self, amendments: Vec<Amendment>) -> Result<(), DeclareError> {
        self.declare(Declare::Amendments(amendments)).map(drop)
    }

    fn declare(&self, declare: Declare) -> Result<Vec<u32>, DeclareError> {
        self.ask(|reply| Request::Declare(declare, reply), |late| Err(late.into()))
    }

    /// All channels that the store holds, by number.
    #[must_use]
    pub fn channels(&self) -> Vec<ChannelInfo> {
        let numbers: Vec<u32> = self.shared.state().channels.iter().map(|(number, _)| number).collect();
        numbers.into_iter().filter_map(|number| self.channel(ChannelNumber(number))).collect()
    }

    /// All subscriptions that the store holds, by number.
    #[must_use]
    pub fn subscriptions(&self) -> Vec<SubscriptionInfo> {
        let state = self.shared.state();
        let shown = state.subscriptions.iter().filter(|(_, reader)| !is_retaining(&reader.name));
        shown.filter_map(|(number, _)| state.subscription_info(number)).collect()
    }

    // ---- writing ----

    /// Submits a decision and returns at once. `completion` is called exactly once, when its frame is synced (or
    /// written, as [`crate::SyncPolicy`] says) or why it was not; in the order submitted among those that are written.
    pub fn submit(&self, txn: Txn, completion: Completion) {
        if let Err(request) = self.shared.queue.push(Request::Txn(txn, completion)) {
            refuse(request, &self.shared);
        }
    }

    /// Submits and waits. Blocks.
    ///
    /// # Errors
    /// See [`CommitError`].
    pub fn commit(&self, txn: Txn) -> Result<Committed, CommitError> {
        let (reply, answer) = sync_channel(1);
        self.submit(txn, Box::new(move |result| drop(reply.send(result))));
        answer.recv().unwrap_or(Err(CommitError::Closed))
    }

    // ---- reading ----

    /// The next messages for a subscription, from memory: each that it has not settled and that has no tries on record,
    /// once, in order of offset. At most `messages_max`, and no more once `bytes_max` is reached. Never blocks.
    #[must_use]
    pub fn fetch(&self, subscription: SubscriptionNumber, messages_max: usize, bytes_max: usize) -> Fetched {
        self.shared.fetch(subscription, messages_max, bytes_max)
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
        self.shared.fetch_cold(subscription, messages_max, bytes_max)
    }

    /// Sets the read cursor back, so that what is not settled from there on is fetched again.
    pub fn rewind(&self, subscription: SubscriptionNumber, to: u64) {
        self.shared.rewind(subscription, to);
    }

    /// One message, if it is in memory. Never blocks.
    #[must_use]
    pub fn peek(&self, channel: ChannelNumber, offset: u64) -> Option<StoredMessage> {
        self.shared.peek(channel, offset)
    }

    /// One message, also from disk. Blocks.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn read(&self, channel: ChannelNumber, offset: u64) -> Result<StoredMessage, ReadError> {
        self.shared.read(channel, offset)
    }

    /// What stands in a channel (not settled by all) from an offset on, without consuming it. Blocks.
    ///
    /// # Errors
    /// If the system fails.
    pub fn browse(&self, channel: ChannelNumber, from: u64, messages_max: usize) -> Result<Page, ReadError> {
        self.shared.browse(channel, from, messages_max)
    }

    /// Has `watch` called when there may be something new to fetch; replaces the one before.
    pub fn watch(&self, subscription: SubscriptionNumber, watch: Watch) {
        self.shared.watch(subscription, watch);
    }

    /// Has a subscription fetch only what another one of its channel has settled, with all before, from now until the
    /// store is closed. It is watched for what that one settles, too.
    pub fn follow(&self, subscription: SubscriptionNumber, followed: SubscriptionNumber) {
        self.shared.follow(subscription, followed);
    }

    /// The messages with tries on record, by offset: after opening, what [`Self::fetch`] does not give. Blocks.
    ///
    /// # Errors
    /// If the system fails.
    pub fn touched(&self, subscription: SubscriptionNumber) -> Result<Vec<Touched>, ReadError> {
        self.shared.touched(subscription)
    }

    /// The tries of a message that is not settled, with their faults. Blocks.
    ///
    /// # Errors
    /// If the system fails; a try whose record is damaged is left out.
    pub fn history(&self, subscription: SubscriptionNumber, offset: u64) -> Result<History, ReadError> {
        self.shared.history(subscription, offset)
    }

    /// Whether the subscription has the message still to settle.
    #[must_use]
    pub fn is_pending(&self, subscription: SubscriptionNumber, offset: u64) -> bool {
        self.shared.state().is_pending(subscription.0, offset)
    }

    /// What is in flight, and what was when the last processes ended (see [`FlightNotes::open`]). Blocks.
    ///
    /// # Errors
    /// What the disk says.
    pub fn flight_notes(&self, boot: [u8; 16]) -> std::io::Result<(FlightNotes, Ends)> {
        FlightNotes::open(Arc::clone(&self.shared.disk), boot)
    }

    // ---- the account ----

    /// The account of a group; `None` if no subscription is in it.
    #[must_use]
    pub fn group_counts(&self, group: &str) -> Option<GroupCounts> {
        self.shared.state().group_counts(group)
    }

    /// One channel.
    #[must_use]
    pub fn channel(&self, channel: ChannelNumber) -> Option<ChannelInfo> {
        let info = self.shared.state().channel_info(channel.0)?;
        let oldest_appended_at = self.shared.oldest_appended_at(channel.0);
        Some(ChannelInfo { oldest_appended_at, ..info })
    }

    /// How many messages came to a channel because others dropped them, since the store was opened: the account of who
    /// reads it has received them, though nobody put them there.
    #[must_use]
    pub fn moved_into(&self, channel: ChannelNumber) -> u64 {
        self.shared.state().channels.get(channel.0).map_or(0, |channel| channel.moved_in)
    }

    /// One subscription.
    #[must_use]
    pub fn subscription(&self, subscription: SubscriptionNumber) -> Option<SubscriptionInfo> {
        self.shared.state().subscription_info(subscription.0)
    }

    /// The account of the whole.
    #[must_use]
    pub fn counts(&self) -> StoreCounts {
        let meters = &self.shared.meters;
        let files = self.shared.disk.list("");
        let (damaged, keys_forgotten, tried_in_memory) = {
            let state = self.shared.state();
            (state.damaged, state.keys.forgotten, state.held_max() as u64)
        };
        StoreCounts {
            bytes: files.iter().flatten().map(|file| file.bytes).sum(),
            frames: meters.frames.load(Relaxed),
            bytes_written: meters.bytes_written.load(Relaxed),
            syncs: meters.syncs.load(Relaxed),
            sync_time: Duration::from_nanos(meters.sync_nanos.load(Relaxed)),
            damaged,
            keys_forgotten,
            tried_in_memory,
            full: meters.full.load(Relaxed),
        }
    }

    /// The background operations: all that run, and the last 1,000 others, oldest first.
    #[must_use]
    pub fn operations(&self) -> Vec<Operation> {
        self.shared.state().operations.clone()
    }
}
