//! A channel in memory: nothing per waiting message.

use super::{segments::Segments, settled::Settled, window::Recent};
use crate::{ChannelKind, GroupCounts, OffsetRun, Retain, WhenFull};
use crossdock_model::{Text, Timestamp};
use std::collections::VecDeque;

/// A channel.
#[derive(Clone, PartialEq, Debug)]
pub struct Channel {
    pub name: Text,
    pub kind: ChannelKind,
    pub bounds: Bounds,
    pub next_offset: u64,
    /// From this offset on no message says of itself when it expires, as far as they were seen when they were appended.
    pub expiring_below: u64,
    /// What is settled by all.
    pub done: Settled,
    /// Where its messages are, by offset. A run without a live message is not kept, but for the last.
    pub runs: VecDeque<Run>,
    /// Live messages and their bytes as encoded.
    pub messages: u64,
    pub bytes: u64,
    /// Numbers of its subscriptions.
    pub subscriptions: Vec<u32>,
    pub groups: Vec<Group>,
    pub recent: Recent,
    /// The channel to which it moves what it drops; set by whoever declares it, not stored.
    pub dead_letter: Option<u32>,
    /// Messages that came here because other channels dropped them, since the store was opened.
    pub moved_in: u64,
    /// When the oldest live message was appended, once somebody asked.
    pub oldest: Option<(u64, Timestamp)>,
}

/// What a channel takes; set by whoever declares it, not stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Bounds {
    pub bytes_max: Option<u64>,
    pub messages_max: Option<u64>,
    pub when_full: WhenFull,
    pub retain: Option<Retain>,
}

impl Bounds {
    /// Whether so many messages of so many bytes are within them.
    pub fn hold(self, messages: u64, bytes: u64) -> bool {
        self.messages_max.is_none_or(|max| messages <= max) && self.bytes_max.is_none_or(|max| bytes <= max)
    }
}

/// A stretch of messages in a segment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Run {
    pub first: u64,
    pub count: u64,
    pub segment: u64,
    /// Those of them that somebody has not settled, and their bytes.
    pub live: u64,
    pub live_bytes: u64,
}

impl Run {
    pub const fn end(&self) -> u64 {
        self.first + self.count
    }
}

/// The subscriptions whose settlements make one outcome.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Group {
    pub name: Text,
    pub members: Vec<u32>,
    pub counts: GroupCounts,
}

impl Channel {
    pub fn new(kind: ChannelKind, name: Text) -> Self {
        Self {
            name,
            kind,
            bounds: Bounds::default(),
            next_offset: 0,
            expiring_below: 0,
            done: Settled::default(),
            runs: VecDeque::new(),
            messages: 0,
            bytes: 0,
            subscriptions: Vec::new(),
            groups: Vec::new(),
            recent: Recent::default(),
            dead_letter: None,
            moved_in: 0,
            oldest: None,
        }
    }

    /// Whether a message that nobody reads is kept: a queue waits for its reader.
    pub fn keeps(&self) -> bool {
        match self.kind {
            ChannelKind::Queue => true,
            ChannelKind::Topic => !self.subscriptions.is_empty(),
        }
    }

    /// Adds a message at `next_offset`.
    pub fn append(&mut self, segment: u64, bytes: u64, segments: &mut Segments) {
        let offset = self.next_offset;
        self.next_offset += 1;
        let live = self.keeps();
        if live {
            self.messages += 1;
            self.bytes += bytes;
            if let Some(segment) = segments.get_mut(segment) {
                segment.live += 1;
            }
        } else {
            self.done.settle(OffsetRun { first: offset, count: 1 });
        }
        let (live, live_bytes) = if live { (1, bytes) } else { (0, 0) };
        match self.runs.back_mut() {
            Some(run) if run.segment == segment && run.end() == offset => {
                run.count += 1;
                run.live += live;
                run.live_bytes += live_bytes;
            }
            last => {
                let is_empty = last.is_some_and(|run| run.live == 0);
                if is_empty {
                    self.runs.pop_back();
                }
                self.runs.push_back(Run { first: offset, count: 1, segment, live, live_bytes });
            }
        }
    }

    /// The run that an offset is in.
    pub fn run_of(&self, offset: u64) -> Option<&Run> {
        let after = self.runs.partition_point(|run| run.first <= offset);
        self.runs.get(after.checked_sub(1)?).filter(|run| offset < run.end())
    }

    /// Lets go of messages that are settled by all.
    pub fn release(&mut self, done: OffsetRun, segments: &mut Segments) {
        self.messages = self.messages.saturating_sub(done.count);
        let (mut at, end) = (done.first, done.first + done.count);
        while at < end {
            let next = self.runs.partition_point(|run| run.end() <= at);
            let Some(run) = self.runs.get_mut(next).filter(|run| run.first < end) else { return };
            let (first, stop) = (at.max(run.first), end.min(run.end()));
            let count = (stop - first).min(run.live);
            let bytes = bytes_of(run, &self.recent, first, stop);
            run.live -= count;
            run.live_bytes -= bytes;
            self.bytes = self.bytes.saturating_sub(bytes);
            segments.settle(run.segment, count);
            if run.live == 0 && next + 1 < self.runs.len() {
                self.runs.remove(next);
            }
            at = stop;
        }
    }
}

/// The bytes of messages of a run: exact for those in the window, the run's average for others, and all that is left for
/// the last.
fn bytes_of(run: &Run, recent: &Recent, first: u64, stop: u64) -> u64 {
    if stop - first >= run.live {
        return run.live_bytes;
    }
    let average = run.live_bytes / run.live.max(1);
    let bytes = (first..stop).map(|offset| recent.get(offset).map_or(average, |slot| u64::from(slot.bytes))).sum();
    run.live_bytes.min(bytes)
}
