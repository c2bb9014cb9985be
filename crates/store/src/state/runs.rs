//! The files of tries: which of them count, what they keep from being removed, what goes into the next one.

use super::{
    State,
    offsets::OffsetSet,
    segments::{Place, Segments},
    subscription::TouchedMessage,
};
use crate::tries::{Entry, RunFile};
use std::{collections::BTreeMap, sync::Arc};

/// More files are merged.
const FILES_MAX: usize = 16;

/// Of how many records of each segment something counts.
pub type Pins = BTreeMap<u64, u64>;

/// A file of tries. It pins what its entries named when they were last counted, though some may have gone since: so
/// nothing is read to settle them.
pub struct Run {
    pub file: Arc<RunFile>,
    /// Whether a checkpoint may name it.
    pub synced: bool,
    pins: Pins,
    /// How many of its entries counted then.
    counted: u64,
}

/// What goes into a file: from memory, by subscription and offset, and from files that it replaces.
pub struct Spill {
    pub entries: Vec<Entry>,
    pub merged: Vec<Arc<RunFile>>,
}

/// A file that was written, and what is in it.
pub struct Made {
    pub file: RunFile,
    pub offsets: BTreeMap<u32, OffsetSet>,
    pub pins: Pins,
}

impl State {
    /// Whether a file has what counts of a message.
    pub fn is_spilled(&self, file: u64, subscription: u32, offset: u64) -> bool {
        let reader = self.subscriptions.get(subscription);
        reader.and_then(|reader| reader.touched.spilled(file)).is_some_and(|set| set.has(offset))
    }

    /// The file that has what counts of a message, if memory does not.
    pub fn run_of(&self, subscription: u32, offset: u64) -> Option<Arc<RunFile>> {
        let number = self.subscriptions.get(subscription)?.touched.file_of(offset)?;
        self.runs.iter().find(|run| run.file.number() == number).map(|run| Arc::clone(&run.file))
    }

    /// Most messages with tries on record that a subscription has in memory.
    pub fn held_max(&self) -> usize {
        self.subscriptions.iter().map(|(_, reader)| reader.touched.held().len()).max().unwrap_or(0)
    }

    /// How many entries of a file count.
    fn live(&self, file: u64) -> u64 {
        let sets = self.subscriptions.iter().filter_map(|(_, reader)| reader.touched.spilled(file));
        sets.map(OffsetSet::len).sum()
    }

    /// What is to be written down so that no subscription has more than `most` in memory; nothing if none has. Half of them stay:
    /// those that are due first, which change first.
    pub fn to_spill(&self, most: usize) -> Option<Spill> {
        let mut entries = Vec::new();
        for (subscription, reader) in self.subscriptions.iter().filter(|(_, r)| r.touched.held().len() > most) {
            let mut held: Vec<_> = reader.touched.held().iter().collect();
            held.sort_by_key(|(_, message)| message.due);
            let spilled = held.into_iter().skip(most / 2);
            entries.extend(spilled.map(|(offset, message)| Entry {
                subscription,
                offset: *offset,
                message: message.clone(),
            }));
        }
        if entries.is_empty() {
            return None;
        }
        entries.sort_unstable_by_key(Entry::place);
        let merged = self.to_merge(entries.len() as u64);
        Some(Spill { entries, merged })
    }

    /// All files, to be written anew as one.
    pub fn to_rewrite(&self) -> Option<Spill> {
        let merged: Vec<_> = self.runs.iter().map(|run| Arc::clone(&run.file)).collect();
        (!merged.is_empty()).then_some(Spill { entries: Vec::new(), merged })
    }

    /// The newest files that are replaced: none while there are few; else those that are not much larger than all that is
    /// newer, so that a message is written few times over, and as many as are too many.
    fn to_merge(&self, fresh: u64) -> Vec<Arc<RunFile>> {
        let Some(beyond) = self.runs.len().checked_sub(FILES_MAX) else { return Vec::new() };
        let (mut entries, mut merged) = (fresh, Vec::new());
        for run in self.runs.iter().rev() {
            let live = self.live(run.file.number());
            if merged.len() > beyond && live > entries.saturating_mul(2) {
                break;
            }
            entries += live;
            merged.push(Arc::clone(&run.file));
        }
        merged
    }

    /// A file was written of what was to be spilled. An entry that could not be read to be merged is not in it: of its message
    /// nothing is known but that it was tried.
    pub fn take_spill(&mut self, spill: &Spill, made: Option<Made>) {
        let has = |subscription, offset| {
            made.as_ref().and_then(|made| made.offsets.get(&subscription)).is_some_and(|set| set.has(offset))
        };
        for (number, reader) in self.subscriptions.iter_mut() {
            for file in &spill.merged {
                let offsets = reader.touched.spilled(file.number()).into_iter().flat_map(OffsetSet::iter);
                let lost: Vec<u64> = offsets.filter(|offset| !has(number, *offset)).collect();
                for offset in lost {
                    reader.touched.hold(offset);
                }
            }
        }
        if let Some(made) = made {
            self.add_run(made, false);
        }
        for file in &spill.merged {
            self.forget_run(file.number());
        }
    }

    /// A file counts from now on.
    pub fn add_run(&mut self, made: Made, synced: bool) {
        let Made { file, offsets, pins } = made;
        pin_all(&mut self.segments, &pins);
        for (subscription, set) in &offsets {
            let Some(reader) = self.subscriptions.get_mut(*subscription) else { continue };
            for message in set.iter().filter_map(|offset| reader.touched.spill(offset, file.number())) {
                message.history.iter().for_each(|(_, place)| self.segments.unpin(*place));
            }
        }
        let counted = self.live(file.number());
        self.runs.push(Run { file: Arc::new(file), synced, pins, counted });
    }

    fn forget_run(&mut self, file: u64) {
        for (_, reader) in self.subscriptions.iter_mut() {
            reader.touched.forget_file(file);
        }
        for run in self.runs.extract_if(.., |run| run.file.number() == file) {
            unpin_all(&mut self.segments, &run.pins);
        }
    }

    /// Forgets the files of which nothing counts.
    pub fn forget_spent_runs(&mut self) {
        let spent: Vec<u64> =
            self.runs.iter().map(|run| run.file.number()).filter(|file| self.live(*file) == 0).collect();
        spent.into_iter().for_each(|file| self.forget_run(file));
    }

    /// The files of which something has gone since what they pin was counted.
    pub fn runs_to_count(&self) -> Vec<Arc<RunFile>> {
        let gone = |run: &&Run| self.live(run.file.number()) < run.counted;
        self.runs.iter().filter(gone).map(|run| Arc::clone(&run.file)).collect()
    }

    /// What a file pins was counted anew.
    pub fn counted_run(&mut self, file: u64, pins: Pins) {
        let live = self.live(file);
        if let Some(run) = self.runs.iter_mut().find(|run| run.file.number() == file) {
            pin_all(&mut self.segments, &pins);
            unpin_all(&mut self.segments, &run.pins);
            (run.pins, run.counted) = (pins, live);
        }
    }

    /// Takes a message back into memory, if what its file has of it counts still. One of which the file can tell nothing is
    /// known from its next try on.
    pub fn recall(&mut self, subscription: u32, offset: u64, message: Option<TouchedMessage>) {
        let Some(reader) = self.subscriptions.get_mut(subscription) else { return };
        if reader.touched.file_of(offset).is_some() {
            let message = message.unwrap_or_default();
            message.history.iter().for_each(|(_, place)| self.segments.pin(*place));
            reader.touched.recall(offset, message);
        }
    }
}

/// Counts the records that an entry names.
pub fn count_pins(pins: &mut Pins, message: &TouchedMessage) {
    for (_, Place { segment, .. }) in &message.history {
        *pins.entry(*segment).or_default() += 1;
    }
}

fn pin_all(segments: &mut Segments, pins: &Pins) {
    for (number, count) in pins {
        if let Some(segment) = segments.get_mut(*number) {
            segment.pins += count;
        }
    }
}

fn unpin_all(segments: &mut Segments, pins: &Pins) {
    for (number, count) in pins {
        if let Some(segment) = segments.get_mut(*number) {
            segment.pins = segment.pins.saturating_sub(*count);
        }
    }
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Run").field("file", &self.file.number()).field("counted", &self.counted).finish_non_exhaustive()
    }
}
