//! Waiting for room in channels that were full.

use crate::limits::{FULL_PAUSE, ROOM_LOOK_MAX, ROOM_PAUSE_MIN};
use crossdock_store::{ChannelNumber, Channels};
use std::time::Duration;
use tokio::time::Instant;

/// When something that found no room is tried again: once a quarter of what stood there has gone, so that a small queue does not
/// slow down what flows through it and a try is worth a frame, and now and then in any case. Tries that come to
/// nothing become seldom.
#[derive(Debug)]
pub(crate) struct RoomWatch {
    /// What stood in each channel when there was no room: messages, bytes.
    full: Vec<(ChannelNumber, u64, u64)>,
    since: Instant,
    pause: Duration,
    at: Instant,
    /// It is tried once without a look: what was settled may wait for company, and does not show before.
    eager: bool,
}

impl RoomWatch {
    /// Nothing was full yet.
    pub fn new() -> Self {
        let now = Instant::now();
        Self { full: Vec::new(), since: now, pause: ROOM_PAUSE_MIN, at: now, eager: false }
    }

    /// There was no room in one of these channels, though `some` of what was tried found room before the rest did not.
    /// Gives when it is to be looked at.
    pub fn found_none(
        &mut self,
        some: bool,
        channels: &dyn Channels,
        numbers: impl Iterator<Item = ChannelNumber>,
    ) -> Instant {
        self.pause = if some { ROOM_PAUSE_MIN } else { (self.pause * 2).min(FULL_PAUSE) };
        self.since = Instant::now();
        self.at = self.since + self.pause;
        self.eager = some;
        self.full.clear();
        self.full.extend(numbers.filter_map(|number| {
            let info = channels.channel(number)?;
            Some((number, info.messages, info.bytes))
        }));
        self.at
    }

    /// When it is to be looked at.
    pub const fn at(&self) -> Instant {
        self.at
    }

    /// When it is to be looked at again; none if it is to be tried now.
    pub fn look(&mut self, channels: &dyn Channels) -> Option<Instant> {
        let now = Instant::now();
        if now < self.at {
            return Some(self.at);
        }
        let waited = now - self.since;
        let blindly = std::mem::take(&mut self.eager) || waited >= FULL_PAUSE || self.full.is_empty();
        if blindly || self.full.iter().any(|full| has_room(full, channels)) {
            return None;
        }
        self.at = now + waited.clamp(ROOM_PAUSE_MIN, ROOM_LOOK_MAX);
        Some(self.at)
    }

    /// How many messages have gone since there was no room.
    pub fn freed(&self, channels: &dyn Channels) -> u64 {
        let stands = |number| channels.channel(number).map_or(0, |info| info.messages);
        self.full.iter().map(|(number, messages, _)| messages.saturating_sub(stands(*number))).sum()
    }
}

fn has_room((number, messages, bytes): &(ChannelNumber, u64, u64), channels: &dyn Channels) -> bool {
    let part = |before: u64, now: u64| now == 0 || now + (before / 4).max(1) <= before;
    channels.channel(*number).is_none_or(|info| part(*messages, info.messages) || part(*bytes, info.bytes))
}
