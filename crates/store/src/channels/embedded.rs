//! The embedded log behind [`Channels`]. It is one process's, so that claims are counted in memory: the lock on its folder
//! keeps all other processes out.

use super::{
    Accountant, Annotations, Atomicity, Browsed, Browser, Channels, ClaimError, Cursor, Extension, Fence, FetchMax,
    LaneRange, Lease, claim::Stale,
};
use crate::{
    Amendment, ChannelInfo, ChannelNumber, ChannelSpec, CommitError, Completion, DeclareError, Ends, Fetched,
    FlightNotes, GroupCounts, History, Operation, Page, ReadError, Store, StoreCounts, StoredMessage, SubscriptionInfo,
    SubscriptionNumber, SubscriptionSpec, Touched, Txn, Watch,
};
use bytes::Bytes;
use crossdock_model::{MessageId, Text};
use std::{io, time::Duration};

/// Messages that are looked at at once for an id.
const FIND_PAGE: usize = 1000;

impl Store {
    /// Does something for the subscription of a claim.
    fn under<T>(&self, fence: &Fence, act: impl FnOnce(SubscriptionNumber) -> T) -> Result<T, Stale> {
        let of = |subscriptions: &[u32]| subscriptions.first().map(|number| act(SubscriptionNumber(*number)));
        self.claims().under(std::slice::from_ref(fence), of)?.ok_or(Stale)
    }
}

impl From<Stale> for ReadError {
    fn from(Stale: Stale) -> Self {
        Self::Fenced
    }
}

impl Channels for Store {
    fn store_id(&self) -> &str {
        Self::store_id(self)
    }

    fn atomicity(&self) -> Atomicity {
        Atomicity::Frame
    }

    fn failure(&self) -> Option<Text> {
        Self::failure(self)
    }

    fn close(&self) -> Result<(), CommitError> {
        Self::close(self)
    }

    fn channels(&self) -> Vec<ChannelInfo> {
        Self::channels(self)
    }

    fn channel(&self, channel: ChannelNumber) -> Option<ChannelInfo> {
        Self::channel(self, channel)
    }

    fn subscriptions(&self) -> Vec<SubscriptionInfo> {
        Self::subscriptions(self)
    }

    fn subscription(&self, subscription: SubscriptionNumber) -> Option<SubscriptionInfo> {
        Self::subscription(self, subscription)
    }

    fn declare_channels(&self, specs: Vec<ChannelSpec>) -> Result<Vec<ChannelNumber>, DeclareError> {
        Self::declare_channels(self, specs)
    }

    fn declare_subscriptions(&self, specs: Vec<SubscriptionSpec>) -> Result<Vec<SubscriptionNumber>, DeclareError> {
        Self::declare_subscriptions(self, specs)
    }

    fn amend(&self, amendments: Vec<Amendment>) -> Result<(), DeclareError> {
        Self::amend(self, amendments)
    }

    fn claim(&self, subscription: SubscriptionNumber, lanes: LaneRange) -> Result<Fence, ClaimError> {
        if lanes != LaneRange::ALL {
            return Err(ClaimError::Undivided);
        }
        if Self::subscription(self, subscription).is_none() {
            return Err(ClaimError::Unknown(subscription));
        }
        let (fence, taken_over) = self.claims().take(subscription);
        if taken_over {
            // The writer takes in turn what was submitted: when it has come to this, all of the older claim is through.
            Self::amend(self, Vec::new())?;
            self.rewind(subscription, 0);
        }
        Ok(fence)
    }

    fn watch(&self, fence: &Fence, watch: Watch) {
        // Under a stale claim there is nothing to be told.
        let _ = self.under(fence, |subscription| Self::watch(self, subscription, watch));
    }

    fn follow(&self, fence: &Fence, followed: SubscriptionNumber) {
        // Under a stale claim nothing is fetched.
        let _ = self.under(fence, |subscription| Self::follow(self, subscription, followed));
    }

    /// A read from disk cannot be given up, so that a wait is as long as it takes.
    fn fetch(&self, fence: &Fence, max: FetchMax, wait: Duration) -> Result<Fetched, ReadError> {
        let FetchMax { messages, bytes } = max;
        self.under(fence, |subscription| {
            if wait.is_zero() {
                Ok(Self::fetch(self, subscription, messages, bytes))
            } else {
                self.fetch_cold(subscription, messages, bytes)
            }
        })?
    }

    /// What was fetched is the claim's, for as long as that stands: there are no leases here.
    fn extend(&self, fence: &Fence, _: &Lease) -> Result<Extension, ReadError> {
        Ok(self.under(fence, |_| Extension::Over)?)
    }

    fn read(&self, fence: &Fence, offset: u64, wait: Duration) -> Result<Option<StoredMessage>, ReadError> {
        self.under(fence, |subscription| {
            let channel = Self::subscription(self, subscription).ok_or(ReadError::Gone)?.channel;
            if wait.is_zero() { Ok(self.peek(channel, offset)) } else { Self::read(self, channel, offset).map(Some) }
        })?
    }

    fn touched(&self, fence: &Fence) -> Result<Vec<Touched>, ReadError> {
        self.under(fence, |subscription| Self::touched(self, subscription))?
    }

    fn annotate(&self, fences: &[Fence], annotations: Annotations, completion: Completion) {
        let Annotations { touches, rides } = annotations;
        Channels::commit(self, fences, Txn { touches, rides, ..Txn::default() }, completion);
    }

    fn commit(&self, fences: &[Fence], txn: Txn, completion: Completion) {
        let mut submitted = Some((txn, completion));
        // A claim waits until what it makes stale is submitted, or refused.
        let _ = self.claims().under(fences, |claimed| {
            if let Some((txn, completion)) = submitted.take_if(|(txn, _)| txn.is_within(claimed)) {
                self.submit(txn, completion);
            }
        });
        if let Some((_, completion)) = submitted {
            completion(Err(CommitError::Fenced));
        }
    }

    fn operations(&self) -> Vec<Operation> {
        Self::operations(self)
    }

    fn history(&self, subscription: SubscriptionNumber, offset: u64) -> Result<History, ReadError> {
        Self::history(self, subscription, offset)
    }

    fn is_pending(&self, subscription: SubscriptionNumber, offset: u64) -> bool {
        Self::is_pending(self, subscription, offset)
    }

    fn flight_notes(&self, boot: [u8; 16]) -> io::Result<(FlightNotes, Ends)> {
        Self::flight_notes(self, boot)
    }

    fn browser(&self) -> Option<&dyn Browser> {
        Some(self)
    }

    fn accountant(&self) -> Option<&dyn Accountant> {
        Some(self)
    }
}

/// A cursor here is an offset.
impl Browser for Store {
    fn seek(&self, _: ChannelNumber, offset: u64) -> Cursor {
        Cursor::new(Bytes::copy_from_slice(&offset.to_le_bytes()))
    }

    fn browse(&self, channel: ChannelNumber, from: &Cursor, messages_max: usize) -> Result<Browsed, ReadError> {
        let from = from.bytes().as_ref().try_into().map_err(|_| ReadError::Cursor)?;
        let Page { messages, next } = Self::browse(self, channel, u64::from_le_bytes(from), messages_max)?;
        Ok(Browsed { messages, next: next.map(|next| self.seek(channel, next)) })
    }

    fn find(
        &self,
        channel: ChannelNumber,
        id: MessageId,
        messages_max: usize,
    ) -> Result<Vec<StoredMessage>, ReadError> {
        let (mut found, mut from) = (Vec::new(), Some(self.seek(channel, 0)));
        while let Some(cursor) = from {
            let page = Browser::browse(self, channel, &cursor, FIND_PAGE)?;
            let of_id = page.messages.into_iter().filter(|message| message.id() == id);
            found.extend(of_id.map(StoredMessage::detached).take(messages_max - found.len()));
            from = page.next.filter(|_| found.len() < messages_max);
        }
        Ok(found)
    }
}

impl Accountant for Store {
    fn group_counts(&self, group: &str) -> Option<GroupCounts> {
        Self::group_counts(self, group)
    }

    fn moved_into(&self, channel: ChannelNumber) -> u64 {
        Self::moved_into(self, channel)
    }

    fn counts(&self) -> StoreCounts {
        Self::counts(self)
    }
}
