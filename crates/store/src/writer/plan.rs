//! From decisions to records: keys resolved, offsets given, bounds kept, all against the state and what the frame in the
//! making has already changed.

use super::{
    claims::sieve_weight,
    draft::Draft,
    ended::Ended,
    growth::Growth,
    keys::Recalled,
    rescue::{Rescued, letter},
    reserve::Room,
    runs::{Passing, Run},
};
use crate::{
    CommitError, Committed, EncodedMessage, Offsets, Outcome, Put, PutResult, StoredMessage, Takes, Txn, WhenFull,
    format::{BLOCK_BYTES, RecordKind, put_operation, put_settle, put_touch},
    state::{Channel, State},
};
use crossdock_model::{Digest, MessageId, Text, Timestamp};
use hashbrown::HashMap;

/// A frame in the making, with what it will have changed.
pub struct Plan<'a> {
    pub(super) state: &'a State,
    pub(super) draft: Draft,
    pub(super) now: Timestamp,
    limits: Limits,
    pub(super) channels: HashMap<u32, Growth>,
    pub(super) keys: HashMap<(u32, Digest), (Digest, MessageId)>,
    pub(super) scopes: Vec<Text>,
    /// The scope that was looked for last: most keys of a frame are of one.
    pub(super) last_scope: Option<(Text, u32)>,
    /// Records of logs that this decision stores.
    pub(super) runs: Vec<Run>,
    /// Runs that are read again.
    pub(super) passing: Passing,
    pub(super) recalled: Recalled,
    rescued: Rescued,
    /// Letters by the channel to which they were moved.
    moved: HashMap<u32, u64>,
    pub(super) ended: Ended,
    /// Whether a decision of the frame asks what was settled before it.
    pub(super) asks_late: bool,
}

/// What a plan has to keep to.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of the largest message.
    pub message_bytes_max: u64,
    /// Bytes of the largest frame that a segment holds.
    pub frame_bytes_max: u64,
    /// For whom the volume has room.
    pub room: Room,
}

/// What will become of a put.
#[derive(Clone, Copy)]
enum Fate {
    Stored,
    Known(PutResult),
    Full,
}

impl<'a> Plan<'a> {
    /// A plan without decisions; the draft is empty.
    pub fn new(
        state: &'a State,
        (draft, passing): (Draft, Passing),
        (now, limits): (Timestamp, Limits),
        (recalled, rescued): (Recalled, Rescued),
    ) -> Self {
        let (channels, keys) = (HashMap::new(), HashMap::new());
        Self {
            state,
            draft,
            now,
            limits,
            channels,
            keys,
            scopes: Vec::new(),
            last_scope: None,
            runs: Vec::new(),
            passing,
            recalled,
            rescued,
            moved: HashMap::new(),
            ended: Ended::default(),
            asks_late: false,
        }
    }

    /// The frame, how many letters it moves to which channel, and the runs that are read again.
    pub fn into_parts(self) -> (Draft, HashMap<u32, u64>, Passing) {
        (self.draft, self.moved, self.passing)
    }

    /// Adds a decision, or says why not; then nothing of it is added.
    pub fn add(&mut self, txn: &Txn) -> Result<Committed, CommitError> {
        self.check(txn)?;
        let fates = self.fates(txn)?;
        let mut committed = Committed { puts: Vec::with_capacity(fates.len()), late: Vec::new() };
        let mut settled: Vec<(u32, Outcome, Offsets)> = Vec::new();
        for (put, fate) in txn.puts.iter().zip(fates) {
            committed.puts.push(match fate {
                Fate::Stored => PutResult::Stored { offset: self.store(put, &mut settled) },
                Fate::Known(result) => result,
                Fate::Full => PutResult::Full,
            });
        }
        self.note_runs();
        for touch in &txn.touches {
            let number = touch.subscription.0;
            if touch.offset < self.next_offset_of(number) {
                self.draft.push_small(RecordKind::Touch, number, touch.offset, |to| put_touch(to, touch));
            }
        }
        for (subscription, outcome, offsets) in &settled {
            self.settle(*subscription, *outcome, offsets);
        }
        for settle in &txn.settles {
            if txn.tells_late {
                let late = settle.offsets.iter().filter(|offset| self.is_late(settle.subscription.0, *offset));
                committed.late.extend(late);
            }
            self.settle(settle.subscription.0, settle.outcome, &settle.offsets);
        }
        if let Some(sieve) = &txn.sieve {
            self.sift(sieve);
        }
        for operation in &txn.operations {
            self.draft.push_small(RecordKind::Operation, 0, 0, |to| put_operation(to, operation));
        }
        Ok(committed)
    }

    /// Refuses what names something unknown, cannot fit, or may not be taken now.
    fn check(&self, txn: &Txn) -> Result<(), CommitError> {
        for put in &txn.puts {
            if self.state.channels.get(put.channel.0).is_none() {
                return Err(invalid(format!("the store has no channel of number {}", put.channel.0)));
            }
            if put.message.len() as u64 > self.limits.message_bytes_max {
                let (has, max) = (put.message.len(), self.limits.message_bytes_max);
                return Err(invalid(format!("a message of {has} bytes is larger than half a segment ({max} bytes)")));
            }
        }
        let settled = txn.puts.iter().flat_map(|put| put.settled_for.iter().map(|(reader, _)| reader));
        let readers = settled.chain(txn.settles.iter().map(|settle| &settle.subscription));
        let sieve = txn.sieve.iter().flat_map(|sieve| sieve.others.iter().chain([&sieve.subscription]));
        for reader in readers.chain(txn.touches.iter().map(|touch| &touch.subscription)).chain(sieve) {
            if self.state.subscriptions.get(reader.0).is_none() {
                return Err(invalid(format!("the store has no subscription of number {}", reader.0)));
            }
        }
        if !self.limits.room.takes(txn) {
            return Err(CommitError::NoSpace);
        }
        let bytes = weight(txn);
        if bytes > self.limits.frame_bytes_max {
            let max = self.limits.frame_bytes_max;
            return Err(invalid(format!("a decision of {bytes} bytes does not fit a frame ({max} bytes): split it")));
        }
        Ok(())
    }

    /// What will become of each put.
    fn fates(&mut self, txn: &Txn) -> Result<Vec<Fate>, CommitError> {
        let mut fates = Vec::with_capacity(txn.puts.len());
        let mut grown: HashMap<u32, Growth> = HashMap::new();
        let mut taken = Vec::new();
        self.keys.reserve(txn.puts.iter().map(|put| put.keys.len()).sum());
        let mut puts = txn.puts.as_slice();
        while let Some(first) = puts.first() {
            let count = puts.iter().take_while(|put| put.bundle == first.bundle).count();
            let (bundle, rest) = puts.split_at(count);
            puts = rest;
            let known = bundle.iter().flat_map(|put| &put.keys).find_map(|claim| self.known(claim));
            let known = known.or_else(|| self.gone(txn, first));
            let fate = match known {
                Some(result) => Fate::Known(result),
                None => match self.full(bundle, &mut grown) {
                    None => Fate::Stored,
                    Some(channel) if txn.takes == Takes::All => {
                        self.give_back(&taken);
                        return Err(CommitError::Full { channel: crate::ChannelNumber(channel) });
                    }
                    Some(_) => {
                        // What comes behind would be taken before it: the order is kept by taking none.
                        fates.resize(txn.puts.len(), Fate::Full);
                        return Ok(fates);
                    }
                },
            };
            if let Fate::Stored = fate {
                bundle.iter().flat_map(|put| &put.keys).for_each(|claim| self.take(claim, &mut taken));
            }
            fates.resize(fates.len() + count, fate);
        }
        Ok(fates)
    }

    pub(super) fn growth(&self, number: u32, channel: &Channel) -> Growth {
        self.channels.get(&number).copied().unwrap_or_else(|| Growth::of(channel))
    }

    /// The channel that has no room for its part of the bundle; otherwise counts the bundle in.
    fn full(&self, bundle: &[Put], grown: &mut HashMap<u32, Growth>) -> Option<u32> {
        if let [put] = bundle {
            let channel = self.state.channels.get(put.channel.0)?;
            let growth = grown.entry(put.channel.0).or_insert_with(|| self.growth(put.channel.0, channel));
            return if growth.takes(channel, put.message.len() as u64) { None } else { Some(put.channel.0) };
        }
        let mut after = Vec::with_capacity(bundle.len());
        for put in bundle {
            let number = put.channel.0;
            let channel = self.state.channels.get(number)?;
            let before = after.iter().rev().find(|(known, _)| *known == number).map(|(_, growth)| *growth);
            let mut growth: Growth =
                before.or_else(|| grown.get(&number).copied()).unwrap_or_else(|| self.growth(number, channel));
            if !growth.takes(channel, put.message.len() as u64) {
                return Some(number);
            }
            after.push((number, growth));
        }
        grown.extend(after);
        None
    }

    /// Adds the records of a put; returns its offset.
    fn store(&mut self, put: &Put, settled: &mut Vec<(u32, Outcome, Offsets)>) -> u64 {
        let number = put.channel.0;
        let Some(channel) = self.state.channels.get(number) else { return 0 };
        let mut growth = self.growth(number, channel);
        let offset = growth.next_offset;
        growth.append(put.message.len() as u64);
        if channel.bounds.when_full == WhenFull::DropOldest {
            // The next one may drop it again before anybody reads it.
            self.rescued.keep(number, offset, self.now, &put.message);
            self.make_room(number, channel, &mut growth, channel.dead_letter);
        }
        self.channels.insert(number, growth);
        self.push_message(number, offset, &put.message);
        for claim in &put.keys {
            self.claim(claim);
        }
        for (reader, outcome) in &put.settled_for {
            match settled.iter_mut().find(|(known, how, _)| (*known, *how) == (reader.0, *outcome)) {
                Some((_, _, offsets)) => offsets.push(offset),
                None => settled.push((reader.0, *outcome, Offsets::one(offset))),
            }
        }
        offset
    }

    fn push_message(&mut self, channel: u32, offset: u64, message: &EncodedMessage) {
        self.draft.push_message(channel, offset, message.clone());
    }

    /// Settles what has been given of these offsets. A record of others would, read again after damage, tell of messages
    /// that never were.
    pub(super) fn settle(&mut self, subscription: u32, outcome: Outcome, offsets: &Offsets) {
        let next = self.next_offset_of(subscription);
        let beyond = offsets.runs().iter().any(|run| run.first.saturating_add(run.count) > next);
        let within = if beyond { offsets.below(next) } else { Offsets::new() };
        let offsets = if beyond { &within } else { offsets };
        self.end(subscription, offsets);
        self.push_settle(subscription, outcome, offsets);
    }

    fn push_settle(&mut self, subscription: u32, outcome: Outcome, offsets: &Offsets) {
        if let Some(first) = offsets.runs().first() {
            let body = |to: &mut Vec<u8>| put_settle(to, outcome, offsets);
            self.draft.push_small(RecordKind::Settle, subscription, first.first, body);
        }
    }

    /// The offset that the next message gets of the channel that a subscription reads.
    pub(super) fn next_offset_of(&self, subscription: u32) -> u64 {
        let channel = self.state.subscriptions.get(subscription).map(|reader| reader.channel);
        let known = channel.and_then(|number| Some((number, self.state.channels.get(number)?)));
        known.map_or(0, |(number, channel)| self.growth(number, channel).next_offset)
    }

    /// Drops the oldest messages, as dead, until the channel is within its bounds; those that can be are moved.
    fn make_room(&mut self, number: u32, channel: &Channel, growth: &mut Growth, to: Option<u32>) {
        let mut dropped = Offsets::new();
        while let Some(offset) = growth.drop_oldest(channel, |offset| self.ended.has(number, offset)) {
            dropped.push(offset);
            let stored = self.rescued.take(number, offset);
            let moved = stored.as_ref().zip(to).is_some_and(|(stored, to)| self.move_letter(channel, stored, to));
            if !moved {
                let (id, appended_at) =
                    stored.map(|stored| (stored.id().to_string(), stored.appended_at.to_string())).unzip();
                tracing::warn!(channel = %channel.name, offset, id, appended_at, "the channel is full: its oldest message was dropped");
            }
        }
        for reader in channel.subscriptions.iter().filter(|_| !dropped.is_empty()) {
            self.push_settle(*reader, Outcome::Dead, &dropped);
        }
    }

    /// Moves a message that is dropped to where the channel says; false if there is no room for it. What that drops in
    /// its turn is gone.
    fn move_letter(&mut self, from: &Channel, stored: &StoredMessage, to: u32) -> bool {
        let (Some(channel), Ok(message)) = (self.state.channels.get(to), letter(from, stored, self.now)) else {
            return false;
        };
        let mut growth = self.growth(to, channel);
        let offset = growth.next_offset;
        growth.append(message.len() as u64);
        let holds = match channel.bounds.when_full {
            WhenFull::Refuse => channel.bounds.hold(growth.messages, growth.bytes),
            WhenFull::DropOldest => channel.bounds.hold(1, message.len() as u64),
        };
        if !holds || !self.rescued.fits(message.len()) {
            return false;
        }
        if channel.bounds.when_full == WhenFull::DropOldest {
            self.make_room(to, channel, &mut growth, None);
        }
        self.channels.insert(to, growth);
        self.push_message(to, offset, &message);
        *self.moved.entry(to).or_default() += 1;
        true
    }
}

/// Bytes of a frame that a decision may need, at most.
pub fn weight(txn: &Txn) -> u64 {
    let puts = txn.puts.iter().map(|put| {
        let settled = put.settled_for.len() as u64 * Draft::growth(30);
        let keys = put.keys.iter().map(|key| Draft::growth(64) + Draft::growth(key.scope.len() + 16)).sum::<u64>();
        Draft::growth(put.message.len()) + settled + keys
    });
    let settles = txn.settles.iter().map(|settle| Draft::growth(12 + settle.offsets.runs().len() * 20));
    let touches = txn.touches.iter().map(|touch| Draft::growth(64) + fault_bytes(touch));
    let operations = txn.operations.iter().map(|operation| Draft::growth(operation.body.len() + 128));
    let records: u64 = puts.chain(settles).chain(touches).chain(operations).sum();
    records + txn.sieve.as_deref().map_or(0, sieve_weight) + BLOCK_BYTES as u64
}

fn fault_bytes(touch: &crate::Touch) -> u64 {
    let fault = touch.fault.as_ref();
    fault.map_or(0, |f| f.code.len() + f.text.len() + f.step.as_ref().map_or(0, |step| step.len())) as u64
}

fn invalid(why: String) -> CommitError {
    CommitError::Invalid(Text::from(why))
}
