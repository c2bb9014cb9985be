//! What `drop_oldest` drops: read before the frame is planned, since planning reads no disk; moved in the frame that drops
//! it, or told by its id.

use super::{draft::Draft, growth::Growth, plan::weight};
use crate::{
    DeadNote, DecodeError, EncodedMessage, Notes, StoredMessage, Txn, WhenFull,
    read::Loaded,
    shared::Shared,
    state::{Channel, State},
};
use crossdock_model::{Fault, Text, Timestamp};
use std::collections::{BTreeMap, HashMap};

/// Messages that may be dropped, and how much of them a frame has room for.
#[derive(Default)]
pub struct Rescued {
    messages: HashMap<(u32, u64), StoredMessage>,
    room: u64,
}

impl Rescued {
    /// Reads what a group of decisions may drop. Blocks where that is on disk.
    pub fn read<'t>(shared: &Shared, txns: impl Iterator<Item = &'t Txn> + Clone, frame_bytes_max: u64) -> Self {
        let wanted = {
            let state = shared.state();
            let drops = |channel: &Channel| channel.bounds.when_full == WhenFull::DropOldest;
            let mut puts = txns.clone().flat_map(|txn| &txn.puts);
            if !puts.any(|put| state.channels.get(put.channel.0).is_some_and(drops)) {
                return Self::default();
            }
            dropped(&state, txns.clone())
        };
        let used: u64 = txns.map(weight).sum();
        let mut rescued = Self { messages: HashMap::new(), room: frame_bytes_max.saturating_sub(used) };
        for (channel, offsets) in wanted {
            match shared.load(channel, &offsets) {
                Ok(loaded) => {
                    let messages = loaded.into_iter().filter_map(Loaded::message);
                    rescued.messages.extend(messages.map(|stored| ((channel, stored.offset), stored)));
                }
                Err(error) => tracing::error!(channel, %error, "what is to be dropped cannot be read: it is not moved"),
            }
        }
        rescued
    }

    /// A message of the frame in the making, which may be dropped in it.
    pub fn keep(&mut self, channel: u32, offset: u64, appended_at: Timestamp, message: &EncodedMessage) {
        let stored = StoredMessage { offset, appended_at, id: message.id, body: message.body.clone(), own: false };
        self.messages.insert((channel, offset), stored);
    }

    /// A message that is dropped.
    pub fn take(&mut self, channel: u32, offset: u64) -> Option<StoredMessage> {
        self.messages.remove(&(channel, offset))
    }

    /// Whether the frame has room for a letter of so many bytes; if so, it is taken.
    pub fn fits(&mut self, bytes: usize) -> bool {
        // A run of the settlement besides, at most.
        let cost = Draft::growth(bytes) + Draft::growth(20);
        let fits = cost <= self.room;
        self.room -= if fits { cost } else { 0 };
        fits
    }
}

/// What the decisions drop, at most: as if every put were stored.
fn dropped<'t>(state: &State, txns: impl Iterator<Item = &'t Txn>) -> BTreeMap<u32, Vec<u64>> {
    let mut grown: HashMap<u32, Growth> = HashMap::new();
    let mut dropped: BTreeMap<u32, Vec<u64>> = BTreeMap::new();
    for put in txns.flat_map(|txn| &txn.puts) {
        let number = put.channel.0;
        let drops = |channel: &&Channel| channel.bounds.when_full == WhenFull::DropOldest;
        let Some(channel) = state.channels.get(number).filter(drops) else { continue };
        let growth = grown.entry(number).or_insert_with(|| Growth::of(channel));
        growth.append(put.message.len() as u64);
        while let Some(offset) = growth.drop_oldest(channel, |_| false) {
            if offset < channel.next_offset {
                dropped.entry(number).or_default().push(offset);
            }
        }
    }
    dropped
}

/// The dead letter of a message that is dropped. One that is a dead letter already stays the one that it is.
pub fn letter(from: &Channel, stored: &StoredMessage, now: Timestamp) -> Result<EncodedMessage, DecodeError> {
    let (envelope, notes) = (stored.envelope()?, stored.notes()?);
    let route =
        from.groups.first().map_or_else(|| Text::from(format!("queue:{}", from.name)), |group| group.name.clone());
    let text = format!("dropped from `{}`, which was full, to make room", from.name);
    let note = DeadNote {
        cause: Fault::rejected("channel.dropped", text),
        route,
        target: None,
        dead_since: now,
        source: Some(from.name.clone()),
        tries_total: 0,
        tries: Vec::new(),
    };
    let dead = Some(notes.dead.clone().unwrap_or(note));
    Ok(EncodedMessage::with_notes(&envelope, &Notes { dead, ..notes }))
}
