//! A handle as the engine has it.

use super::{
    Handle, Request,
    cluster::{Channel, Cluster},
    reader::{Reader, fence},
};
use crossdock_model::{MessageId, Text};
use crossdock_store::{
    Accountant, Amendment, Annotations, Atomicity, Browsed, Browser, ChannelInfo, ChannelNumber, ChannelSpec, Channels,
    ClaimError, CommitError, Completion, Cursor, DeclareError, Disk, Ends, Extension, Fence, FetchMax, Fetched,
    FlightNotes, GroupCounts, History, LaneRange, Lease, Operation, ReadError, Rest, Start, StoreCounts, StoredMessage,
    SubscriptionInfo, SubscriptionNumber, SubscriptionSpec, Touched, Txn, Watch, WhenFull,
};
use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

/// How long a lease lasts: short, so that it has to be extended before most tests are through, and long beside what a busy machine stands still.
const LEASE: Duration = Duration::from_secs(1);

impl Channels for Handle {
    fn store_id(&self) -> &'static str {
        "stand-in"
    }

    fn atomicity(&self) -> Atomicity {
        Atomicity::Repeatable
    }

    fn failure(&self) -> Option<Text> {
        None
    }

    fn close(&self) -> Result<(), CommitError> {
        self.end();
        Ok(())
    }

    fn channels(&self) -> Vec<ChannelInfo> {
        self.backend.cluster().channels.iter().map(|(number, channel)| channel.info(*number)).collect()
    }

    fn channel(&self, channel: ChannelNumber) -> Option<ChannelInfo> {
        self.backend.cluster().channels.get(&channel.0).map(|known| known.info(channel.0))
    }

    fn subscriptions(&self) -> Vec<SubscriptionInfo> {
        let cluster = self.backend.cluster();
        cluster.readers.keys().filter_map(|number| cluster.subscription_info(*number)).collect()
    }

    fn subscription(&self, subscription: SubscriptionNumber) -> Option<SubscriptionInfo> {
        self.backend.cluster().subscription_info(subscription.0)
    }

    fn declare_channels(&self, specs: Vec<ChannelSpec>) -> Result<Vec<ChannelNumber>, DeclareError> {
        let mut cluster = self.backend.cluster();
        let declare = |spec: ChannelSpec| {
            assert!(spec.retain.is_none() && spec.when_full == WhenFull::Refuse, "no test asks for more");
            let known = cluster.channels.iter_mut().find(|(_, channel)| channel.spec.name == spec.name);
            if let Some((number, channel)) = known {
                channel.spec = spec;
                return ChannelNumber(*number);
            }
            let number = cluster.number();
            cluster.channels.insert(number, Channel::new(spec));
            ChannelNumber(number)
        };
        Ok(specs.into_iter().map(declare).collect())
    }

    fn declare_subscriptions(&self, specs: Vec<SubscriptionSpec>) -> Result<Vec<SubscriptionNumber>, DeclareError> {
        let mut cluster = self.backend.cluster();
        let declare = |spec: SubscriptionSpec| {
            if let Some((number, known)) = cluster.readers.iter_mut().find(|(_, reader)| reader.name == spec.name) {
                known.group = spec.group;
                return SubscriptionNumber(*number);
            }
            let channel = &cluster.channels[&spec.channel.0];
            let at_or_after = |time| channel.messages.iter().find(|(_, message)| message.appended_at >= time);
            let start = match spec.start {
                Start::Earliest => 0,
                Start::Latest => channel.next,
                Start::At(time) => at_or_after(time).map_or(channel.next, |(offset, _)| *offset),
            };
            let number = cluster.number();
            cluster.readers.insert(number, Reader::new(spec.name, spec.channel, spec.group, start));
            SubscriptionNumber(number)
        };
        Ok(specs.into_iter().map(declare).collect())
    }

    fn amend(&self, amendments: Vec<Amendment>) -> Result<(), DeclareError> {
        let mut cluster = self.backend.cluster();
        for amendment in amendments {
            match amendment {
                Amendment::RenameChannel { channel, name } => {
                    cluster.channels.get_mut(&channel.0).unwrap().spec.name = name;
                }
                Amendment::RenameSubscription { subscription, name, group } => {
                    let reader = cluster.readers.get_mut(&subscription.0).unwrap();
                    (reader.name, reader.group) = (name, group);
                }
                Amendment::RetireSubscription { subscription } => drop(cluster.readers.remove(&subscription.0)),
                Amendment::RetireChannel { channel } => drop(cluster.channels.remove(&channel.0)),
            }
        }
        Ok(())
    }

    fn claim(&self, subscription: SubscriptionNumber, lanes: LaneRange) -> Result<Fence, ClaimError> {
        if lanes != LaneRange::ALL {
            return Err(ClaimError::Undivided);
        }
        let mut cluster = self.backend.cluster();
        let reader = cluster.readers.get_mut(&subscription.0).ok_or(ClaimError::Unknown(subscription))?;
        Ok(fence(subscription.0, reader.claim()))
    }

    fn watch(&self, fence: &Fence, watch: Watch) {
        if let Ok(reader) = self.backend.cluster().reader(fence) {
            reader.watch = Some(watch);
        }
    }

    fn follow(&self, _: &Fence, _: SubscriptionNumber) {
        panic!("no gate starts on these channels");
    }

    fn fetch(&self, fence: &Fence, max: FetchMax, wait: Duration) -> Result<Fetched, ReadError> {
        fetch(&mut self.backend.cluster(), fence, max, wait)
    }

    fn extend(&self, fence: &Fence, lease: &Lease) -> Result<Extension, ReadError> {
        let lease = u64::from_be_bytes(lease.bytes().as_ref().try_into().unwrap());
        let (mut cluster, until, mut left) = (self.backend.cluster(), Instant::now() + LEASE, false);
        for (_, of) in cluster.reader(fence)?.leased.values_mut().filter(|(by, _)| *by == lease) {
            (*of, left) = (until, true);
        }
        Ok(if left { Extension::Extended } else { Extension::Over })
    }

    fn read(&self, fence: &Fence, offset: u64, wait: Duration) -> Result<Option<StoredMessage>, ReadError> {
        let mut cluster = self.backend.cluster();
        let channel = cluster.reader(fence)?.channel;
        // Nothing is at hand: every other store is across a network.
        if wait.is_zero() {
            return Ok(None);
        }
        cluster.channels[&channel.0].messages.get(&offset).cloned().map(Some).ok_or(ReadError::Gone)
    }

    fn touched(&self, fence: &Fence) -> Result<Vec<Touched>, ReadError> {
        Ok(self.backend.cluster().reader(fence)?.noted.values().map(|(touched, _)| touched.clone()).collect())
    }

    fn annotate(&self, fences: &[Fence], annotations: Annotations, completion: Completion) {
        self.submit(Request::Annotate(fences.to_vec(), annotations, completion));
    }

    fn commit(&self, fences: &[Fence], txn: Txn, completion: Completion) {
        self.submit(Request::Commit(fences.to_vec(), txn, completion));
    }

    fn operations(&self) -> Vec<Operation> {
        self.backend.cluster().operations.values().cloned().collect()
    }

    fn history(&self, subscription: SubscriptionNumber, offset: u64) -> Result<History, ReadError> {
        let cluster = self.backend.cluster();
        let noted = cluster.readers.get(&subscription.0).and_then(|reader| reader.noted.get(&offset));
        Ok(noted
            .map_or_else(History::default, |(touched, tries)| History { total: touched.tries, kept: tries.clone() }))
    }

    fn is_pending(&self, subscription: SubscriptionNumber, offset: u64) -> bool {
        let cluster = self.backend.cluster();
        let reader = cluster.readers.get(&subscription.0).filter(|reader| reader.is_open(offset));
        reader.is_some_and(|reader| cluster.channels[&reader.channel.0].messages.contains_key(&offset))
    }

    fn flight_notes(&self, boot: [u8; 16]) -> io::Result<(FlightNotes, Ends)> {
        let disk: Arc<dyn Disk> = Arc::new(self.backend.notes.clone());
        FlightNotes::open(disk, boot)
    }

    fn browser(&self) -> Option<&dyn Browser> {
        (!self.backend.lacks).then_some(self)
    }

    fn accountant(&self) -> Option<&dyn Accountant> {
        (!self.backend.lacks).then_some(self)
    }
}

/// Every other fetch that may not wait finds nothing at hand.
fn fetch(cluster: &mut Cluster, fence: &Fence, max: FetchMax, wait: Duration) -> Result<Fetched, ReadError> {
    let channel = cluster.reader(fence)?.channel.0;
    let stands: Vec<u64> = cluster.channels[&channel].messages.keys().copied().collect();
    let reader = cluster.reader(fence)?;
    let fresh: Vec<u64> = stands.into_iter().filter(|offset| reader.is_fresh(*offset)).collect();
    if fresh.is_empty() {
        return Ok(Fetched { messages: Vec::new(), rest: Rest::Nothing, lease: None });
    }
    cluster.leases += 1;
    let lease = cluster.leases;
    if wait.is_zero() && lease.is_multiple_of(2) {
        return Ok(Fetched { messages: Vec::new(), rest: Rest::Cold, lease: None });
    }
    let (mut messages, mut bytes) = (Vec::new(), 0);
    for offset in &fresh {
        if messages.len() >= max.messages || bytes >= max.bytes {
            break;
        }
        let message = cluster.channels[&channel].messages[offset].clone();
        bytes += message.len();
        messages.push(message);
    }
    let until = Instant::now() + LEASE;
    cluster.reader(fence)?.leased.extend(messages.iter().map(|message| (message.offset, (lease, until))));
    let rest = if messages.len() < fresh.len() { Rest::More } else { Rest::Nothing };
    let lease = Lease::new(lease.to_be_bytes().to_vec().into(), LEASE);
    Ok(Fetched { messages, rest, lease: Some(lease) })
}

/// A cursor is the offset behind the last message, in words.
impl Browser for Handle {
    fn seek(&self, _: ChannelNumber, offset: u64) -> Cursor {
        Cursor::new(format!("from {offset}").into())
    }

    fn browse(&self, channel: ChannelNumber, from: &Cursor, messages_max: usize) -> Result<Browsed, ReadError> {
        let text = std::str::from_utf8(from.bytes()).map_err(|_| ReadError::Cursor)?;
        let from: u64 = text.strip_prefix("from ").and_then(|from| from.parse().ok()).ok_or(ReadError::Cursor)?;
        let cluster = self.backend.cluster();
        let Some(known) = cluster.channels.get(&channel.0) else {
            return Ok(Browsed { messages: Vec::new(), next: None });
        };
        let mut behind = known.messages.range(from..).map(|(_, message)| message.clone());
        let messages: Vec<_> = behind.by_ref().take(messages_max).collect();
        let next = behind.next().map(|next| self.seek(channel, next.offset));
        Ok(Browsed { messages, next })
    }

    fn find(
        &self,
        channel: ChannelNumber,
        id: MessageId,
        messages_max: usize,
    ) -> Result<Vec<StoredMessage>, ReadError> {
        let cluster = self.backend.cluster();
        let stands = cluster.channels.get(&channel.0).into_iter().flat_map(|known| known.messages.values());
        Ok(stands.filter(|message| message.id() == id).take(messages_max).cloned().collect())
    }
}

impl Accountant for Handle {
    fn group_counts(&self, group: &str) -> Option<GroupCounts> {
        self.backend.cluster().group_counts(group)
    }

    fn moved_into(&self, _: ChannelNumber) -> u64 {
        0
    }

    fn counts(&self) -> StoreCounts {
        let bytes = self.backend.cluster().channels.values().map(Channel::bytes).sum();
        StoreCounts { bytes, ..StoreCounts::default() }
    }
}
