//! When the messages of a target expire: the earliest deadline first.
//!
//! What leaves the target before its deadline leaves its entry here, since nobody looks for it in the middle. So that they do
//! not pile up by rate times time to live, the entries are made anew from the messages that are there when most are left over.

use super::live::LiveMap;
use crossdock_model::Timestamp;
use std::{cmp::Reverse, collections::BinaryHeap};

/// Entries beyond twice the messages before they are made anew: 16 bytes each.
const LEFT_OVER_MAX: usize = 1024;

/// Deadlines by time; one for each message that has one, and some of messages that are gone.
#[derive(Default)]
pub(crate) struct Deadlines(BinaryHeap<Reverse<(Timestamp, u64)>>);

impl Deadlines {
    /// Notes the deadline of a message. One that was noted before may be noted again.
    pub fn note(&mut self, deadline: Timestamp, offset: u64, live: &LiveMap) {
        if self.0.len() > live.len() * 2 + LEFT_OVER_MAX {
            let deadlines = live.iter().filter_map(|(offset, live)| Some(Reverse((live.deadline?, *offset))));
            self.0 = deadlines.collect();
        }
        self.0.push(Reverse((deadline, offset)));
    }

    /// The earliest.
    pub fn first(&self) -> Option<Timestamp> {
        self.0.peek().map(|Reverse((deadline, _))| *deadline)
    }

    /// Takes the message with the earliest deadline if that has passed; it may be gone.
    pub fn take_passed(&mut self, now: Timestamp) -> Option<u64> {
        self.first().filter(|deadline| *deadline <= now)?;
        self.0.pop().map(|Reverse((_, offset))| offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::live::{Live, Stage};

    fn waiting(deadline: i64) -> Live {
        Live { stage: Stage::Waiting, loaded: None, deadline: Some(Timestamp(deadline)), due: None }
    }

    #[test]
    fn what_is_gone_leaves_little_behind() {
        let (mut deadlines, mut live) = (Deadlines::default(), LiveMap::default());
        // A hundred stay, in turn with ten thousand that pass.
        for offset in 0..10_000 {
            let deadline = 1_000_000 - i64::try_from(offset).unwrap();
            live.insert(offset, waiting(deadline));
            deadlines.note(Timestamp(deadline), offset, &live);
            assert!(deadlines.0.len() <= live.len() * 2 + LEFT_OVER_MAX + 1, "{}", deadlines.0.len());
            if offset % 100 != 0 {
                live.remove(&offset);
            }
        }
        assert_eq!(deadlines.first(), Some(Timestamp(990_001)), "the earliest, though it is gone");
        let passed = std::iter::from_fn(|| deadlines.take_passed(Timestamp(995_000)));
        let there: Vec<u64> = passed.filter(|offset| live.contains_key(offset)).collect();
        let expected: Vec<u64> = (5000..10_000).rev().filter(|offset| offset % 100 == 0).collect();
        assert_eq!(there, expected, "all that have passed, the earliest first");
    }
}
