//! What a frame in the making settles, where that is asked for: in channels that drop their oldest messages it makes room
//! and is not dropped as well, and of two decisions in one frame only the first puts something in a message's place.

use super::plan::Plan;
use crate::{
    Offsets, Put, PutId, PutResult, Settle, SubscriptionNumber, Txn, WhenFull,
    state::{Channel, State},
};
use hashbrown::HashSet;

/// The messages that the frame settles.
#[derive(Default)]
pub struct Ended {
    /// By reader and offset.
    settled: HashSet<(u32, u64)>,
    /// By channel and offset: nobody has them any more.
    ended: HashSet<(u32, u64)>,
}

impl Ended {
    /// Notes that a reader is done with a message; true if now all are, and one was not before.
    pub fn settle(&mut self, state: &State, (number, channel): (u32, &Channel), reader: u32, offset: u64) -> bool {
        let had = |reader: u32| state.subscriptions.get(reader).is_none_or(|reader| reader.settled.has(offset));
        if had(reader) || !self.settled.insert((reader, offset)) {
            return false;
        }
        let is_done = |reader: &u32| had(*reader) || self.settled.contains(&(*reader, offset));
        channel.subscriptions.iter().all(is_done) && self.ended.insert((number, offset))
    }

    /// Whether the frame settles a message for a reader.
    pub fn was_settled(&self, reader: u32, offset: u64) -> bool {
        self.settled.contains(&(reader, offset))
    }

    /// Whether the frame settles a message for the last that had it.
    pub fn has(&self, channel: u32, offset: u64) -> bool {
        !self.ended.is_empty() && self.ended.contains(&(channel, offset))
    }
}

impl Plan<'_> {
    /// Looks whether one of the decisions to come asks what was settled before it.
    pub fn look_ahead<'t>(&mut self, mut txns: impl Iterator<Item = &'t Txn>) {
        let replaces = |put: &Put| matches!(put.id, PutId::InPlaceOf { .. });
        self.asks_late = txns.any(|txn| txn.tells_late || txn.puts.iter().any(replaces));
    }

    /// What becomes of a put in the place of a message that has ended meanwhile for all for whom the decision settles it:
    /// it was dropped, or acknowledged. Nothing takes its place: it would have two ends.
    pub(super) fn gone(&self, txn: &Txn, put: &Put) -> Option<PutResult> {
        let PutId::InPlaceOf { subscription, offset } = put.id else { return None };
        if !self.is_late(subscription.0, offset) {
            return None;
        }
        let channel = |reader: SubscriptionNumber| self.state.subscriptions.get(reader.0).map(|reader| reader.channel);
        let of_it = |settle: &&Settle| {
            channel(settle.subscription) == channel(subscription) && settle.offsets.iter().any(|other| other == offset)
        };
        let all = txn.settles.iter().filter(of_it).all(|settle| self.is_late(settle.subscription.0, offset));
        all.then(|| PutResult::Duplicate { id: put.message.id() })
    }

    /// Whether a message was settled before this decision, for the subscription or for all.
    pub(super) fn is_late(&self, subscription: u32, offset: u64) -> bool {
        let Some(reader) = self.state.subscriptions.get(subscription) else { return true };
        let dropped_below = self.channels.get(&reader.channel).map_or(0, |growth| growth.dropped_below);
        offset < dropped_below || reader.settled.has(offset) || self.ended.was_settled(subscription, offset)
    }

    /// Notes what the frame settles, where somebody asks: it makes room in a channel that drops its oldest, and is late for
    /// whoever comes behind.
    pub(super) fn end(&mut self, subscription: u32, offsets: &Offsets) {
        let number = self.state.subscriptions.get(subscription).map(|reader| reader.channel);
        let Some((number, channel)) = number.and_then(|number| Some((number, self.state.channels.get(number)?))) else {
            return;
        };
        let drops = channel.bounds.when_full == WhenFull::DropOldest;
        if drops || self.asks_late {
            let mut growth = self.growth(number, channel);
            for offset in offsets.iter() {
                if offset >= growth.dropped_below
                    && self.ended.settle(self.state, (number, channel), subscription, offset)
                    && drops
                {
                    growth.remove(channel, offset);
                }
            }
            if drops {
                self.channels.insert(number, growth);
            }
        }
    }
}
