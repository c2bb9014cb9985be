//! The segments: what is live in each, and where its messages are while no index on disk tells.

use crate::{
    cipher::KeyId,
    format::{Seal, SegmentKind},
};
use crossdock_model::Timestamp;
use std::collections::BTreeMap;

/// A place in the log: a record's first byte.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Place {
    pub segment: u64,
    pub at: u32,
}

/// A segment.
#[derive(Clone, PartialEq, Debug)]
pub struct Segment {
    pub kind: SegmentKind,
    pub incarnation: u64,
    /// The key that its records are encrypted under; none where they are plain.
    pub key: Option<KeyId>,
    /// The sequence of its first frame; of its last, once it has one.
    pub first_sequence: u64,
    pub last_sequence: u64,
    /// Bytes up to the end of its last frame.
    pub end: u64,
    /// Its messages that somebody has not settled.
    pub live: u64,
    /// Its `Touch` records that belong to the history of a message.
    pub pins: u64,
    /// Whether no frame will be added.
    pub sealed: bool,
}

impl Segment {
    pub fn seal(&self) -> Seal {
        Seal::new(self.incarnation).under(self.key)
    }

    /// Whether nothing in it is needed but for recovery.
    pub const fn is_idle(&self) -> bool {
        self.live == 0 && self.pins == 0
    }
}

/// All segments by number.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Segments(BTreeMap<u64, Segment>);

impl Segments {
    pub fn get(&self, number: u64) -> Option<&Segment> {
        self.0.get(&number)
    }

    pub fn get_mut(&mut self, number: u64) -> Option<&mut Segment> {
        self.0.get_mut(&number)
    }

    pub fn insert(&mut self, number: u64, segment: Segment) {
        self.0.insert(number, segment);
    }

    pub fn remove(&mut self, number: u64) {
        self.0.remove(&number);
    }

    pub fn iter(&self) -> impl Iterator<Item = (u64, &Segment)> {
        self.0.iter().map(|(number, segment)| (*number, segment))
    }

    /// Counts messages that are settled by all.
    pub fn settle(&mut self, number: u64, count: u64) {
        if let Some(segment) = self.0.get_mut(&number) {
            segment.live = segment.live.saturating_sub(count);
        }
    }

    /// Counts messages that were moved to it.
    pub fn revive(&mut self, number: u64, count: u64) {
        if let Some(segment) = self.0.get_mut(&number) {
            segment.live += count;
        }
    }

    pub fn pin(&mut self, place: Place) {
        if let Some(segment) = self.0.get_mut(&place.segment) {
            segment.pins += 1;
        }
    }

    pub fn unpin(&mut self, place: Place) {
        if let Some(segment) = self.0.get_mut(&place.segment) {
            segment.pins = segment.pins.saturating_sub(1);
        }
    }
}

/// A stretch of a channel's messages in a segment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PlacedRun {
    pub channel: u32,
    pub first: u64,
    /// The first byte of each one's record.
    pub positions: Vec<u32>,
}

impl PlacedRun {
    fn position(&self, offset: u64) -> Option<u32> {
        self.positions.get(usize::try_from(offset.checked_sub(self.first)?).ok()?).copied()
    }
}

/// Where frames and messages are in a segment: what its index on disk is made of.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct OpenIndex {
    /// First byte and time of each frame, in order.
    pub frames: Vec<(u32, Timestamp)>,
    /// In the order in which they began.
    pub runs: Vec<PlacedRun>,
    /// Each by its channel and first offset.
    by_first: BTreeMap<(u32, u64), usize>,
}

impl OpenIndex {
    pub fn push(&mut self, channel: u32, offset: u64, position: u32) {
        let last = self.by_first.range((channel, 0)..=(channel, u64::MAX)).next_back();
        let known = last.and_then(|(_, run)| self.runs.get_mut(*run));
        match known.filter(|run| run.first + run.positions.len() as u64 == offset) {
            Some(run) => run.positions.push(position),
            None => {
                self.by_first.insert((channel, offset), self.runs.len());
                self.runs.push(PlacedRun { channel, first: offset, positions: vec![position] });
            }
        }
    }

    pub fn position(&self, channel: u32, offset: u64) -> Option<u32> {
        let (_, run) = self.by_first.range((channel, 0)..=(channel, offset)).next_back()?;
        self.runs.get(*run)?.position(offset)
    }

    /// The time of the frame that a position is in.
    pub fn time_at(&self, position: u32) -> Option<Timestamp> {
        time_at(&self.frames, position)
    }
}

/// The time of the frame that a position is in.
pub fn time_at(frames: &[(u32, Timestamp)], position: u32) -> Option<Timestamp> {
    let after = frames.partition_point(|(start, _)| *start <= position);
    frames.get(after.checked_sub(1)?).map(|(_, time)| *time)
}
