//! Decisions: puts first, settlements last, each by itself.

use super::cluster::Cluster;
use crossdock_store::{
    Annotations, ChannelKind, ChannelNumber, CommitError, Committed, Fence, Outcome, Put, PutId, PutResult, Takes, Txn,
};
use std::collections::BTreeMap;

impl Cluster {
    /// Puts. What is known by its id is there already.
    pub fn put(&mut self, fences: &[Fence], txn: &mut Txn) -> Result<Committed, CommitError> {
        assert!(txn.sieve.is_none(), "no gate starts on these channels");
        assert!(txn.touches.is_empty(), "tries are annotations");
        self.check(fences, txn.settles.iter().map(|settle| settle.subscription))?;
        let puts = std::mem::take(&mut txn.puts);
        if txn.takes == Takes::All
            && let Some(channel) = self.full(&puts)
        {
            return Err(CommitError::Full { channel });
        }
        let mut committed = Committed::default();
        let mut puts = puts.into_iter().peekable();
        while let Some(first) = puts.next() {
            let mut bundle = vec![first];
            while let Some(next) = puts.next_if(|next| next.bundle == bundle[0].bundle) {
                bundle.push(next);
            }
            let count = bundle.len();
            if let Some(known) = bundle.iter().find_map(|put| self.seen(put)) {
                committed.puts.extend(vec![known; count]);
            } else if self.full(&bundle).is_some() {
                // Nothing is taken before what came earlier.
                committed.puts.extend(vec![PutResult::Full; count + puts.count()]);
                return Ok(committed);
            } else {
                committed.puts.extend(bundle.into_iter().map(|put| self.append(put)));
            }
        }
        Ok(committed)
    }

    /// What follows from the puts.
    pub fn settle(&mut self, fences: &[Fence], txn: Txn) -> Result<(), CommitError> {
        self.check(fences, txn.settles.iter().map(|settle| settle.subscription))?;
        for settle in txn.settles {
            for offset in settle.offsets.iter() {
                self.settle_one(settle.subscription.0, offset, settle.outcome);
            }
        }
        for operation in txn.operations {
            self.operations.insert(operation.id, operation);
        }
        Ok(())
    }

    pub fn annotate(&mut self, fences: &[Fence], annotations: Annotations) -> Result<Committed, CommitError> {
        self.check(fences, annotations.touches.iter().map(|touch| touch.subscription))?;
        for touch in annotations.touches {
            let Some(reader) = self.readers.get_mut(&touch.subscription.0) else { continue };
            if reader.is_open(touch.offset) {
                reader.note(touch);
            }
        }
        Ok(Committed::default())
    }

    /// The channel that has no room for all that is new.
    fn full(&self, puts: &[Put]) -> Option<ChannelNumber> {
        let mut more: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
        for put in puts.iter().filter(|put| !self.is_repeated(put)) {
            let channel = self.channels.get(&put.channel.0)?;
            let (messages, bytes) = more.entry(put.channel.0).or_default();
            *messages += 1;
            *bytes += put.message.len() as u64;
            let messages = channel.messages.len() as u64 + *messages;
            if channel.spec.messages_max.is_some_and(|max| messages > max)
                || channel.spec.bytes_max.is_some_and(|max| channel.bytes() + *bytes > max)
            {
                return Some(put.channel);
            }
        }
        None
    }

    fn is_repeated(&self, put: &Put) -> bool {
        put.id != PutId::Received && self.known.contains(&(put.channel.0, put.id))
    }

    fn seen(&self, put: &Put) -> Option<PutResult> {
        let now = self.now();
        put.keys.iter().find_map(|claim| {
            let (body, id, until) = self.keys.get(&(claim.scope.clone(), claim.hash))?;
            let (same, id) = (*body == claim.body, *id);
            let seen = if same { PutResult::Duplicate { id } } else { PutResult::Conflict { id } };
            (*until > now).then_some(seen)
        })
    }

    fn append(&mut self, put: Put) -> PutResult {
        let (now, is_repeated) = (self.now(), self.is_repeated(&put));
        let Some(channel) = self.channels.get_mut(&put.channel.0) else { return PutResult::Full };
        if is_repeated {
            return PutResult::Duplicate { id: put.message.id() };
        }
        let offset = channel.take_offset();
        channel.messages.insert(offset, put.message.stored(offset, now));
        if put.id != PutId::Received {
            self.known.insert((put.channel.0, put.id));
        }
        for claim in put.keys {
            self.keys.insert((claim.scope, claim.hash), (claim.body, claim.id, claim.until));
        }
        for (subscription, outcome) in put.settled_for {
            self.settle_one(subscription.0, offset, outcome);
        }
        self.rung.extend(self.readers_of(put.channel).map(|(number, _)| *number).collect::<Vec<_>>());
        self.forget_if_done(put.channel, offset);
        PutResult::Stored { offset }
    }

    fn settle_one(&mut self, subscription: u32, offset: u64, outcome: Outcome) {
        let Some(reader) = self.readers.get_mut(&subscription) else { return };
        let (channel, group) = (reader.channel, reader.group.clone());
        let stands = self.channels.get(&channel.0).is_some_and(|known| known.messages.contains_key(&offset));
        if !stands || !reader.is_open(offset) {
            return;
        }
        reader.settle(offset, outcome);
        if let Some(ended) = self.end_of_group(channel, &group, offset) {
            let counts = self.ended.entry(group).or_default();
            counts.append(1);
            counts.end(ended, 1);
        }
        self.forget_if_done(channel, offset);
    }

    /// What all have settled goes; so does what nobody reads, from a topic.
    fn forget_if_done(&mut self, number: ChannelNumber, offset: u64) {
        let is_queue = self.channels.get(&number.0).is_some_and(|known| known.spec.kind == ChannelKind::Queue);
        let open: Vec<bool> = self.readers_of(number).map(|(_, reader)| reader.is_open(offset)).collect();
        if open.contains(&true) || (open.is_empty() && is_queue) {
            return;
        }
        if let Some(channel) = self.channels.get_mut(&number.0) {
            channel.messages.remove(&offset);
        }
        for reader in self.readers.values_mut().filter(|reader| reader.channel == number) {
            reader.settled.remove(&offset);
        }
    }
}
