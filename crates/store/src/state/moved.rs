//! Taking over what the cleaner copied: from then on it is where the copies are.

use super::{OpenIndex, Place, Run, Segment, State};
use std::collections::{BTreeSet, VecDeque};

/// A run of which all live messages were copied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MovedRun {
    pub channel: u32,
    pub first: u64,
    /// The segment where it was.
    pub from: u64,
}

/// A try whose record was copied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MovedTouch {
    pub subscription: u32,
    pub offset: u64,
    pub from: Place,
    /// `None` if the record is damaged: the try is left out.
    pub to: Option<Place>,
}

/// A segment of copies, which is synced.
#[derive(Debug)]
pub struct Copies {
    pub number: u64,
    pub segment: Segment,
    pub index: OpenIndex,
    pub runs: Vec<MovedRun>,
    pub touches: Vec<MovedTouch>,
}

impl State {
    /// Has the copies count. What was settled since they were made is not live there either; what is no longer where it
    /// was copied from is left alone. Tries are moved one by one ([`Self::move_touch`]).
    pub fn take_over(&mut self, copies: Copies) {
        let Copies { number, segment, index, runs, touches: _ } = copies;
        self.segments.insert(number, segment);
        self.open_indexes.insert(number, index);
        let mut changed = BTreeSet::new();
        for moved in runs {
            let Some(channel) = self.channels.get_mut(moved.channel) else { continue };
            let at = channel.runs.partition_point(|run| run.first < moved.first);
            let run = channel.runs.get_mut(at);
            let Some(run) = run.filter(|run| run.first == moved.first && run.segment == moved.from) else { continue };
            run.segment = number;
            self.segments.settle(moved.from, run.live);
            self.segments.revive(number, run.live);
            changed.insert(moved.channel);
        }
        for channel in changed {
            if let Some(channel) = self.channels.get_mut(channel) {
                channel.runs = joined(std::mem::take(&mut channel.runs), number);
            }
        }
    }

    /// Has the copy of a try count. What is known of the message must be in memory.
    pub fn move_touch(&mut self, moved: MovedTouch) {
        let reader = self.subscriptions.get_mut(moved.subscription);
        let Some(message) = reader.and_then(|reader| reader.touched.held_mut(moved.offset)) else { return };
        let Some(at) = message.history.iter().position(|(_, place)| *place == moved.from) else { return };
        match (moved.to, message.history.get_mut(at)) {
            (Some(to), Some((_, place))) => {
                *place = to;
                self.segments.pin(to);
            }
            (Some(_) | None, _) => drop(message.history.remove(at)),
        }
        self.segments.unpin(moved.from);
    }
}

/// The runs, with those that follow each other in one segment made one. What is between them is settled.
fn joined(runs: VecDeque<Run>, segment: u64) -> VecDeque<Run> {
    let mut all: VecDeque<Run> = VecDeque::with_capacity(runs.len());
    for run in runs {
        match all.back_mut() {
            Some(last) if last.segment == segment && run.segment == segment => {
                last.count = run.end() - last.first;
                last.live += run.live;
                last.live_bytes += run.live_bytes;
            }
            Some(_) | None => all.push_back(run),
        }
    }
    all
}
