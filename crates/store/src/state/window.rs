//! The newest frames, in memory, for readers that keep up.

use bytes::Bytes;
use crossdock_model::Timestamp;
use std::collections::VecDeque;

/// A frame in memory.
#[derive(Clone, Debug)]
pub struct HeldFrame {
    pub buffer: Bytes,
    pub time: Timestamp,
    /// How many messages of which channel it has, in the order of their offsets.
    pub puts: Vec<(u32, u32)>,
}

/// The newest frames up to a bound, numbered from the first that there ever was.
#[derive(Debug, Default)]
pub struct Window {
    frames: VecDeque<HeldFrame>,
    first: u64,
    bytes: usize,
}

impl Window {
    /// The number that the next frame gets.
    pub fn next_number(&self) -> u64 {
        self.first + self.frames.len() as u64
    }

    pub fn len(&self) -> usize {
        self.frames.len()
    }

    pub fn push(&mut self, frame: HeldFrame) {
        self.bytes += frame.buffer.len();
        self.frames.push_back(frame);
    }

    /// Takes out the oldest frame, if more than so many bytes are held.
    pub fn pop_beyond(&mut self, bytes_max: usize) -> Option<HeldFrame> {
        if self.bytes <= bytes_max {
            return None;
        }
        let frame = self.frames.pop_front()?;
        self.bytes -= frame.buffer.len();
        self.first += 1;
        Some(frame)
    }

    pub fn get(&self, number: u64) -> Option<&HeldFrame> {
        let place = number.checked_sub(self.first)?;
        self.frames.get(usize::try_from(place).ok()?)
    }
}

/// Where a message is in the window.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slot {
    /// The number of its frame.
    pub frame: u64,
    /// The first byte of its body in the frame's buffer.
    pub at: u32,
    /// Bytes of its body.
    pub bytes: u32,
}

/// The messages of a channel that are in the window: they follow each other without a gap.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Recent {
    first: u64,
    slots: VecDeque<Slot>,
}

impl Recent {
    /// Adds a message; one that does not follow the last begins anew.
    pub fn push(&mut self, offset: u64, slot: Slot) {
        if self.first + self.slots.len() as u64 != offset {
            self.slots.clear();
            self.first = offset;
        }
        self.slots.push_back(slot);
    }

    /// Forgets the oldest ones that were in a frame which left the window.
    pub fn forget(&mut self, frame_end: u64) {
        while self.slots.front().is_some_and(|slot| slot.frame < frame_end) {
            self.slots.pop_front();
            self.first += 1;
        }
        if self.slots.is_empty() {
            self.slots.shrink_to(64);
        }
    }

    pub fn get(&self, offset: u64) -> Option<Slot> {
        let place = offset.checked_sub(self.first)?;
        self.slots.get(usize::try_from(place).ok()?).copied()
    }
}
