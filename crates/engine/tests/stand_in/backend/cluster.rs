//! What all gateways share: channels, readers, keys.

use super::reader::{Reader, appended, parse_fence};
use crossdock_engine::Clock;
use crossdock_model::{Digest, MessageId, Text, Timestamp};
use crossdock_store::{
    ChannelInfo, ChannelNumber, ChannelSpec, CommitError, Fence, GroupCounts, Operation, Outcome, PutId, ReadError,
    StoredMessage, SubscriptionInfo, SubscriptionNumber, Watch,
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    time::Instant,
};

/// What stands between two offsets of a channel, and what the first one is.
const GAP: u64 = 3;
const FIRST: u64 = 1000;

#[derive(Default)]
pub struct Cluster {
    pub channels: BTreeMap<u32, Channel>,
    pub readers: BTreeMap<u32, Reader>,
    pub keys: HashMap<(Text, Digest), (Digest, MessageId, Timestamp)>,
    pub known: HashSet<(u32, PutId)>,
    pub operations: BTreeMap<MessageId, Operation>,
    /// How messages ended for groups, since the last gateway began.
    pub ended: HashMap<Text, GroupCounts>,
    pub clock: Option<Clock>,
    pub leases: u64,
    /// Who has to be told of something new.
    pub rung: BTreeSet<u32>,
    pub next: u32,
}

pub struct Channel {
    pub spec: ChannelSpec,
    pub messages: BTreeMap<u64, StoredMessage>,
    pub next: u64,
}

impl Channel {
    pub fn new(spec: ChannelSpec) -> Self {
        Self { spec, messages: BTreeMap::new(), next: FIRST }
    }

    pub fn bytes(&self) -> u64 {
        self.messages.values().map(|message| message.len() as u64).sum()
    }

    pub fn take_offset(&mut self) -> u64 {
        let offset = self.next;
        self.next += GAP;
        offset
    }

    pub fn info(&self, number: u32) -> ChannelInfo {
        ChannelInfo {
            number: ChannelNumber(number),
            name: self.spec.name.clone(),
            kind: self.spec.kind,
            messages: self.messages.len() as u64,
            bytes: self.bytes(),
            oldest_appended_at: appended(self.messages.values().next()),
            next_offset: self.next,
            expiring_below: self.next,
        }
    }
}

impl Cluster {
    pub fn now(&self) -> Timestamp {
        self.clock.as_ref().map_or(Timestamp(0), |clock| clock())
    }

    pub fn number(&mut self) -> u32 {
        self.next += 1;
        self.next
    }

    /// The reader of a claim that stands.
    pub fn reader(&mut self, fence: &Fence) -> Result<&mut Reader, ReadError> {
        let (subscription, claim) = parse_fence(fence).ok_or(ReadError::Fenced)?;
        self.readers.get_mut(&subscription).filter(|reader| reader.claims == claim).ok_or(ReadError::Fenced)
    }

    /// Whether all claims stand, and there is one on each of these subscriptions.
    pub fn check(
        &self,
        fences: &[Fence],
        mut subscriptions: impl Iterator<Item = SubscriptionNumber>,
    ) -> Result<(), CommitError> {
        let claims: Option<BTreeMap<u32, u64>> = fences.iter().map(parse_fence).collect();
        let claims = claims.ok_or(CommitError::Fenced)?;
        let stands = |(of, claim): (&u32, &u64)| self.readers.get(of).is_some_and(|reader| reader.claims == *claim);
        let stand = claims.iter().all(stands) && subscriptions.all(|of| claims.contains_key(&of.0));
        if stand { Ok(()) } else { Err(CommitError::Fenced) }
    }

    pub fn readers_of(&self, channel: ChannelNumber) -> impl Iterator<Item = (&u32, &Reader)> {
        self.readers.iter().filter(move |(_, reader)| reader.channel == channel)
    }

    pub fn subscription_info(&self, number: u32) -> Option<SubscriptionInfo> {
        let reader = self.readers.get(&number)?;
        let messages = &self.channels.get(&reader.channel.0)?.messages;
        let mut open = messages.keys().filter(|offset| reader.is_open(**offset));
        Some(SubscriptionInfo {
            number: SubscriptionNumber(number),
            name: reader.name.clone(),
            channel: reader.channel,
            group: reader.group.clone(),
            floor: open.clone().next().copied().unwrap_or(0),
            pending: open.by_ref().count() as u64,
            touched: reader.noted.len() as u64,
        })
    }

    /// How a message ended for the group of a reader, if all its members have settled it.
    pub fn end_of_group(&self, channel: ChannelNumber, group: &str, offset: u64) -> Option<Outcome> {
        let members = self.readers_of(channel).map(|(_, reader)| reader).filter(|reader| reader.group == group);
        let outcomes: Option<Vec<_>> =
            members.filter(|member| member.start <= offset).map(|member| member.settled.get(&offset)).collect();
        outcomes?.into_iter().max().copied()
    }

    /// What some member of a group has not settled, and how the rest ended since the last gateway began.
    pub fn group_counts(&self, group: &str) -> Option<GroupCounts> {
        let members: Vec<&Reader> = self.readers.values().filter(|reader| reader.group == group).collect();
        let channel = members.first()?.channel;
        let messages = &self.channels.get(&channel.0)?.messages;
        let open = messages.keys().filter(|offset| members.iter().any(|member| member.is_open(**offset)));
        let mut counts = self.ended.get(group).cloned().unwrap_or_default();
        counts.received += open.clone().count() as u64;
        counts.stored = open.count() as u64;
        Some(counts)
    }

    /// Gives back what leases that ran out were on; who may fetch it.
    pub fn run_out(&mut self) -> Vec<Watch> {
        let now = Instant::now();
        for (number, reader) in &mut self.readers {
            let before = reader.leased.len();
            reader.leased.retain(|_, (_, until)| *until > now);
            if reader.leased.len() < before {
                self.rung.insert(*number);
            }
        }
        self.news()
    }

    /// Who has to be told, once.
    pub fn news(&mut self) -> Vec<Watch> {
        let rung = std::mem::take(&mut self.rung);
        rung.iter().filter_map(|number| self.readers.get(number)?.watch.clone()).collect()
    }
}
