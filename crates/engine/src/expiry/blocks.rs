//! When to look at which part of a channel for messages that nobody wants any more. Pure; times are arguments.
//!
//! ```text
//!   offsets   0 ……… 4095 │ 4096 …… 8191 │ 8192 …………… │ cursor ………………… next offset
//!   known     earliest: 7 │ no deadline  │ earliest: 12 │ not looked at yet
//! ```
//!
//! Of each block of offsets the earliest deadline is known, and nothing of its messages: 10 million messages with
//! deadlines make 2,442 entries, messages without make none. A block is looked at when its earliest deadline has passed,
//! and then tells the next one. What has passed is told once; whoever reads the channel settles it.

use crossdock_model::{Moment, Timestamp};
use std::{collections::BTreeMap, time::Duration};

/// Offsets in a block: looking at it takes some milliseconds.
pub(super) const BLOCK_OFFSETS: u64 = 4096;
/// How long a block is left alone after a look, so that messages that expire one after the other do not cost a look
/// each. It is how late a message may expire.
pub(super) const BLOCK_PAUSE: Duration = Duration::from_millis(250);

/// What is known of a channel's deadlines.
#[derive(Default, Debug)]
pub(super) struct Blocks {
    blocks: BTreeMap<u64, Block>,
    /// All below was looked at.
    cursor: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Block {
    /// The earliest deadline that has not been told.
    earliest: Timestamp,
    /// Not to be looked at before.
    rests_until: Moment,
}

impl Blocks {
    /// Where to go on with what was not looked at yet.
    pub const fn cursor(&self) -> u64 {
        self.cursor
    }

    /// All below was looked at, each with [`Self::note`] if it has a deadline.
    pub fn looked_to(&mut self, offset: u64) {
        self.cursor = self.cursor.max(offset);
    }

    /// A message has a deadline that has not passed.
    pub fn note(&mut self, offset: u64, deadline: Timestamp) {
        let fresh = Block { earliest: deadline, rests_until: Moment(0) };
        let block = self.blocks.entry(offset / BLOCK_OFFSETS).or_insert(fresh);
        block.earliest = block.earliest.min(deadline);
    }

    /// A block whose earliest deadline has passed, as the range of its offsets that were looked at before. It is taken to
    /// be empty until [`Self::note`] says otherwise.
    pub fn due(&mut self, time: Timestamp, now: Moment) -> Option<(u64, u64)> {
        let is_due = |block: &Block| block.earliest <= time && block.rests_until <= now;
        let number = self.blocks.iter().find(|(_, block)| is_due(block)).map(|(number, _)| *number)?;
        self.blocks.remove(&number);
        let first = number * BLOCK_OFFSETS;
        Some((first, first.saturating_add(BLOCK_OFFSETS).min(self.cursor)))
    }

    /// A block of [`Self::due`] was looked at: it rests.
    pub fn rest(&mut self, first: u64, now: Moment) {
        if let Some(block) = self.blocks.get_mut(&(first / BLOCK_OFFSETS)) {
            block.rests_until = now.after(BLOCK_PAUSE);
        }
    }

    /// A block of [`Self::due`] could not be looked at: it is due again when it has rested.
    pub fn again(&mut self, first: u64, deadline: Timestamp, now: Moment) {
        self.note(first, deadline);
        self.rest(first, now);
    }

    /// How long from now until a block is due; none if there is none.
    pub fn due_in(&self, time: Timestamp, now: Moment) -> Option<Duration> {
        self.blocks.values().map(|block| block.earliest.since(time).max(block.rests_until.since(now))).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// A channel whose messages have deadlines, and what was told of them.
    struct Model {
        blocks: Blocks,
        open: BTreeMap<u64, i64>,
        told: Vec<(u64, i64)>,
        looks: usize,
    }

    impl Model {
        fn new(deadlines: impl IntoIterator<Item = (u64, i64)>) -> Self {
            let open: BTreeMap<_, _> = deadlines.into_iter().collect();
            let mut model = Self { blocks: Blocks::default(), open, told: Vec::new(), looks: 0 };
            let end = model.open.keys().next_back().map_or(0, |last| last + 1);
            model.blocks.looked_to(end);
            model.look(0, end, 0);
            model
        }

        fn look(&mut self, from: u64, to: u64, time: i64) {
            let here: Vec<_> = self.open.range(from..to).map(|(offset, deadline)| (*offset, *deadline)).collect();
            for (offset, deadline) in here {
                if deadline <= time {
                    self.open.remove(&offset);
                    self.told.push((offset, time));
                } else {
                    self.blocks.note(offset, Timestamp(deadline));
                }
            }
        }

        /// Time goes by, one clock like the other.
        fn run(&mut self, until: i64) {
            let mut time = 0;
            loop {
                let now = Moment(time as u64);
                while let Some((from, to)) = self.blocks.due(Timestamp(time), now) {
                    self.looks += 1;
                    self.look(from, to, time);
                    self.blocks.rest(from, now);
                }
                let Some(wait) = self.blocks.due_in(Timestamp(time), now) else { return };
                assert!(!wait.is_zero(), "it is due and was not given");
                time += wait.as_millis() as i64;
                if time > until {
                    return;
                }
            }
        }
    }

    fn check(deadlines: impl IntoIterator<Item = (u64, i64)>, looks_max: usize) {
        let deadlines: BTreeMap<u64, i64> = deadlines.into_iter().collect();
        let mut model = Model::new(deadlines.clone());
        assert!(model.blocks.blocks.len() as u64 <= deadlines.len() as u64 / BLOCK_OFFSETS + 2);
        model.run(1 << 40);
        assert!(model.open.is_empty(), "{} were never told", model.open.len());
        for (offset, time) in &model.told {
            let late = time - deadlines[offset];
            assert!((0..=BLOCK_PAUSE.as_millis() as i64).contains(&late), "{offset} is {late} ms late");
        }
        assert!(model.looks <= looks_max, "{} looks", model.looks);
    }

    #[test]
    fn every_message_is_told_in_time_and_looks_are_few() {
        check([], 0);
        check([(7, 1000)], 1);
        // A constant time to live at ten messages a millisecond: a block passes in 0.4 s.
        check((0..50_000).map(|offset| (offset, 60_000 + offset as i64 / 10)), 3 * 13);
        // The youngest expire first.
        check((0..20_000).map(|offset| (offset, 100_000 - offset as i64 * 3)), 20_000);
        // As it comes, over ten seconds: a look in each pause.
        check((0..8192).map(|offset| (offset, (offset as i64 * 7919) % 10_000)), 2 * 41);
    }

    #[test]
    fn what_was_not_looked_at_is_not_in_a_block_that_is_due() {
        let mut blocks = Blocks::default();
        blocks.note(10, Timestamp(5));
        blocks.looked_to(11);
        assert_eq!(blocks.due(Timestamp(4), Moment(0)), None);
        assert_eq!(blocks.due(Timestamp(5), Moment(0)), Some((0, 11)));
        blocks.again(0, Timestamp(5), Moment(0));
        assert_eq!(blocks.due(Timestamp(5), Moment(249)), None);
        assert_eq!(blocks.due_in(Timestamp(5), Moment(0)), Some(BLOCK_PAUSE));
        assert_eq!(blocks.due(Timestamp(5), Moment(250)), Some((0, 11)));
        assert_eq!(blocks.due_in(Timestamp(9), Moment(900)), None);
    }
}
