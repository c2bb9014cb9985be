//! Reading: from the window while it holds what is asked for, else from the segments by their indexes.

mod cold;
mod index;
mod subscription;

pub use cold::Spans;
pub use index::Indexes;

use crate::{
    ChannelNumber, OffsetRun, Offsets, Outcome, Page, ReadError, Settle, StoredMessage, SubscriptionNumber, Txn,
    message::id_of,
    shared::Shared,
    state::{Slot, State},
    writer::Request,
};
use cold::Place;
use crossdock_model::Timestamp;
use std::io;

/// What became of a message that was to be loaded.
pub enum Loaded {
    Message(StoredMessage),
    Damaged(u64),
}

/// The messages in memory, and those that are to be read.
struct Wanted {
    hot: Vec<StoredMessage>,
    cold: Vec<Place>,
    /// Live by the state, and nowhere to be found.
    lost: Vec<u64>,
}

impl Shared {
    /// One message, if it is in memory and not settled by all.
    pub fn peek(&self, channel: ChannelNumber, offset: u64) -> Option<StoredMessage> {
        let state = self.state();
        let known = state.channels.get(channel.0).filter(|known| !known.done.has(offset))?;
        in_window(&state, known.recent.get(offset)?, offset)
    }

    /// One message.
    pub fn read(&self, channel: ChannelNumber, offset: u64) -> Result<StoredMessage, ReadError> {
        {
            let state = self.state();
            let known = state.channels.get(channel.0).ok_or(ReadError::Gone)?;
            if known.done.has(offset) || offset >= known.next_offset {
                return Err(ReadError::Gone);
            }
        }
        match self.load(channel.0, &[offset])?.pop() {
            Some(Loaded::Message(message)) => Ok(message),
            Some(Loaded::Damaged(_)) => Err(ReadError::Damaged),
            None => Err(ReadError::Gone),
        }
    }

    /// What stands in a channel from an offset on.
    pub fn browse(&self, channel: ChannelNumber, from: u64, messages_max: usize) -> Result<Page, ReadError> {
        let (offsets, next) = {
            let state = self.state();
            let Some(known) = state.channels.get(channel.0) else {
                return Ok(Page { messages: Vec::new(), next: None });
            };
            let mut offsets = Vec::new();
            let mut at = known.done.next_open(from);
            while at < known.next_offset && offsets.len() < messages_max {
                offsets.push(at);
                at = known.done.next_open(at + 1);
            }
            (offsets, (at < known.next_offset).then_some(at))
        };
        let messages = self.load(channel.0, &offsets)?.into_iter().filter_map(Loaded::message).collect();
        Ok(Page { messages, next })
    }

    /// Loads messages of a channel, in the order of their offsets; those that were settled by all meanwhile are left out.
    /// What is damaged is settled as dead.
    pub fn load(&self, channel: u32, offsets: &[u64]) -> Result<Vec<Loaded>, ReadError> {
        let wanted = locate(&self.state(), channel, offsets);
        let mut loaded: Vec<Loaded> = wanted.hot.into_iter().map(Loaded::Message).collect();
        loaded.extend(self.read_moving(channel, wanted.cold)?);
        loaded.extend(wanted.lost.into_iter().map(Loaded::Damaged));
        let damaged: Vec<u64> = loaded.iter().filter_map(Loaded::damaged).collect();
        if !damaged.is_empty() {
            let gone = self.give_up(channel, &damaged);
            loaded.retain(|one| one.damaged().is_none_or(|offset| !gone.contains(&offset)));
        }
        loaded.sort_by_key(Loaded::offset);
        Ok(loaded)
    }

    /// Reads what is on disk. What the cleaner moved while it was being read is read where it is now.
    fn read_moving(&self, channel: u32, mut places: Vec<Place>) -> io::Result<Vec<Loaded>> {
        let mut read = Vec::new();
        loop {
            let mut found = self.read_cold(channel, &places)?;
            let mut damaged: Vec<_> = found.extract_if(.., |one| one.damaged().is_some()).collect();
            read.append(&mut found);
            let stands = |place: &Place| {
                places.iter().any(|before| (before.offset, before.segment) == (place.offset, place.segment))
            };
            let moved = |one: &Loaded| {
                let place = cold::place(&self.state(), channel, one.damaged()?)?;
                (!stands(&place)).then_some(place)
            };
            let again: Vec<_> = damaged.iter().filter_map(moved).collect();
            damaged.retain(|one| again.iter().all(|place| place.offset != one.offset()));
            read.append(&mut damaged);
            if again.is_empty() {
                return Ok(read);
            }
            places = again;
        }
    }

    /// Has what is damaged settled as dead, for all who have not settled it. Returns what was settled by all before, and
    /// so is not damaged but gone.
    fn give_up(&self, channel: u32, offsets: &[u64]) -> Vec<u64> {
        let mut txn = Txn { rides: true, ..Txn::default() };
        let mut gone = Vec::new();
        {
            let mut state = self.state();
            let state = &mut *state;
            let Some(known) = state.channels.get(channel) else { return offsets.to_vec() };
            let mut open = Offsets::new();
            for offset in offsets {
                if known.done.has(*offset) {
                    gone.push(*offset);
                } else {
                    open.push_run(OffsetRun { first: *offset, count: 1 });
                }
            }
            for offset in open.iter() {
                if state.given_up.insert((channel, offset)) {
                    state.damaged += 1;
                    tracing::error!(channel = %known.name, offset, "a message is damaged and counts as dead (store.damaged)");
                }
            }
            let settle = |reader: &u32| Settle {
                subscription: SubscriptionNumber(*reader),
                outcome: Outcome::Dead,
                offsets: open.clone(),
            };
            if !open.is_empty() {
                txn.settles = known.subscriptions.iter().map(settle).collect();
            }
        }
        if !txn.settles.is_empty() {
            // If the store cannot write it any more, the next start finds the damage again.
            let _ = self.queue.push(Request::Txn(txn, Box::new(|_| ())));
        }
        gone
    }

    /// When a message was appended, if that can be told.
    pub fn appended_at(&self, channel: u32, offset: u64) -> Option<Timestamp> {
        let place = {
            let state = self.state();
            let known = state.channels.get(channel)?;
            if let Some(frame) = known.recent.get(offset).and_then(|slot| state.window.get(slot.frame)) {
                return Some(frame.time);
            }
            cold::place(&state, channel, offset)?
        };
        self.time_of(channel, &place)
    }

    /// When the oldest message that stands in a channel was appended. May read an index.
    pub fn oldest_appended_at(&self, channel: u32) -> Option<Timestamp> {
        let offset = {
            let state = self.state();
            let known = state.channels.get(channel).filter(|known| known.messages > 0)?;
            let oldest = known.done.floor();
            match known.oldest {
                Some((offset, time)) if offset == oldest => return Some(time),
                Some(_) | None => oldest,
            }
        };
        let time = self.appended_at(channel, offset)?;
        if let Some(known) = self.state().channels.get_mut(channel) {
            known.oldest = Some((offset, time));
        }
        Some(time)
    }

    /// The first offset of a channel that was appended at or after a time.
    pub fn offset_at(&self, channel: u32, time: Timestamp) -> Option<u64> {
        let (runs, end): (Vec<(u64, u64)>, u64) = {
            let state = self.state();
            let known = state.channels.get(channel)?;
            let runs = known.runs.iter().filter(|run| run.live > 0);
            (runs.map(|run| (run.first.max(known.done.floor()), run.end())).collect(), known.next_offset)
        };
        let later = |offset: u64| self.appended_at(channel, offset).is_none_or(|at| at >= time);
        for (first, stop) in runs.into_iter().filter(|(first, stop)| first < stop) {
            if !later(stop - 1) {
                continue;
            }
            let (mut low, mut high) = (first, stop - 1);
            while low < high {
                let middle = low.midpoint(high);
                if later(middle) { high = middle } else { low = middle + 1 }
            }
            return Some(low);
        }
        Some(end)
    }
}

impl Loaded {
    pub fn message(self) -> Option<StoredMessage> {
        match self {
            Self::Message(message) => Some(message),
            Self::Damaged(_) => None,
        }
    }

    fn damaged(&self) -> Option<u64> {
        match self {
            Self::Message(_) => None,
            Self::Damaged(offset) => Some(*offset),
        }
    }

    pub fn offset(&self) -> u64 {
        match self {
            Self::Message(message) => message.offset,
            Self::Damaged(offset) => *offset,
        }
    }
}

/// A message that is in the window.
pub fn in_window(state: &State, slot: Slot, offset: u64) -> Option<StoredMessage> {
    let frame = state.window.get(slot.frame)?;
    let body = frame.buffer.slice(slot.at as usize..(slot.at + slot.bytes) as usize);
    Some(StoredMessage { offset, appended_at: frame.time, id: id_of(&body).ok()?, body, own: false })
}

/// Finds where messages are.
fn locate(state: &State, channel: u32, offsets: &[u64]) -> Wanted {
    let (mut hot, mut cold, mut lost) = (Vec::new(), Vec::new(), Vec::new());
    let Some(known) = state.channels.get(channel) else { return Wanted { hot, cold, lost } };
    for offset in offsets.iter().copied().filter(|offset| !known.done.has(*offset)) {
        match known.recent.get(offset).and_then(|slot| in_window(state, slot, offset)) {
            Some(message) => hot.push(message),
            None => match cold::place(state, channel, offset) {
                Some(place) => cold.push(place),
                None => lost.push(offset),
            },
        }
    }
    Wanted { hot, cold, lost }
}
