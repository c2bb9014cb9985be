//! What the frame in the making makes of a channel's bounds.

use crate::{WhenFull, state::Channel};

/// What the frame in the making has changed in a channel.
#[derive(Clone, Copy)]
pub struct Growth {
    pub next_offset: u64,
    pub messages: u64,
    pub bytes: u64,
    /// All below was dropped to make room.
    pub dropped_below: u64,
}

impl Growth {
    /// A channel as it stands.
    pub fn of(channel: &Channel) -> Self {
        Self {
            next_offset: channel.next_offset,
            messages: channel.messages,
            bytes: channel.bytes,
            dropped_below: channel.done.floor(),
        }
    }

    /// Counts a message in that the channel has room for; otherwise nothing happens.
    pub fn takes(&mut self, channel: &Channel, bytes: u64) -> bool {
        let mut after = *self;
        after.messages += 1;
        after.bytes += bytes;
        let fits = match channel.bounds.when_full {
            WhenFull::Refuse => channel.bounds.hold(after.messages, after.bytes),
            WhenFull::DropOldest => channel.bounds.hold(1, bytes),
        };
        if fits {
            *self = after;
        }
        fits
    }

    /// Counts a message in.
    pub fn append(&mut self, bytes: u64) {
        self.next_offset += 1;
        self.messages += 1;
        self.bytes += bytes;
    }

    /// The oldest message that nobody has settled, in this frame neither, which goes because the channel is beyond its bounds;
    /// none if it is not. The newest stays.
    pub fn drop_oldest(&mut self, channel: &Channel, has_ended: impl Fn(u64) -> bool) -> Option<u64> {
        if channel.bounds.hold(self.messages, self.bytes) {
            return None;
        }
        let mut oldest = channel.done.next_open(self.dropped_below);
        while has_ended(oldest) {
            oldest = channel.done.next_open(oldest + 1);
        }
        if oldest + 1 >= self.next_offset {
            return None;
        }
        self.dropped_below = oldest + 1;
        self.remove(channel, oldest);
        Some(oldest)
    }

    /// Counts a message out.
    pub fn remove(&mut self, channel: &Channel, offset: u64) {
        let average = self.bytes / self.messages.max(1);
        let bytes = channel.recent.get(offset).map_or(average, |slot| u64::from(slot.bytes));
        self.messages = self.messages.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}
