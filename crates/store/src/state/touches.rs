//! The messages of a subscription that have tries on record: the newest in memory, the others in files (`tries`).
//!
//! ```text
//! touched ─► held ──── more than are kept ────► spilled: a bit, in the set of the file that has it
//!             ▲                                    │
//!             └──── recalled, before it changes ───┘        settled: gone from either, nothing is read
//! ```

use super::{offsets::OffsetSet, subscription::TouchedMessage};
use crate::OffsetRun;
use std::collections::BTreeMap;

/// What is not settled and has tries on record. Each is held, or in the set of one file.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Touches {
    held: BTreeMap<u64, TouchedMessage>,
    /// By the number of the file.
    spilled: BTreeMap<u64, OffsetSet>,
}

impl Touches {
    /// As they were written down, all in memory.
    pub const fn of(held: BTreeMap<u64, TouchedMessage>) -> Self {
        Self { held, spilled: BTreeMap::new() }
    }

    /// Those in memory.
    pub const fn held(&self) -> &BTreeMap<u64, TouchedMessage> {
        &self.held
    }

    pub fn held_mut(&mut self, offset: u64) -> Option<&mut TouchedMessage> {
        self.held.get_mut(&offset)
    }

    /// Those in a file.
    pub fn spilled(&self, file: u64) -> Option<&OffsetSet> {
        self.spilled.get(&file)
    }

    pub fn len(&self) -> u64 {
        self.held.len() as u64 + self.spilled.values().map(OffsetSet::len).sum::<u64>()
    }

    pub fn has(&self, offset: u64) -> bool {
        self.held.contains_key(&offset) || self.file_of(offset).is_some()
    }

    /// The file that a message is in.
    pub fn file_of(&self, offset: u64) -> Option<u64> {
        self.spilled.iter().find(|(_, set)| set.has(offset)).map(|(file, _)| *file)
    }

    /// The first one from `from` on.
    pub fn next(&self, from: u64) -> Option<u64> {
        let held = self.held.range(from..).next().map(|(offset, _)| *offset);
        self.spilled.values().filter_map(|set| set.next(from)).chain(held).min()
    }

    /// What is known of a message, to be changed. What a file has of it counts no more.
    pub fn hold(&mut self, offset: u64) -> &mut TouchedMessage {
        self.let_go(offset);
        self.held.entry(offset).or_default()
    }

    /// Takes a message back into memory, with what its file has of it.
    pub fn recall(&mut self, offset: u64, message: TouchedMessage) {
        self.let_go(offset);
        self.held.insert(offset, message);
    }

    fn let_go(&mut self, offset: u64) {
        if let Some(file) = self.file_of(offset)
            && let Some(set) = self.spilled.get_mut(&file)
        {
            set.remove(offset);
        }
    }

    /// A message is in a file now; what memory held of it.
    pub fn spill(&mut self, offset: u64, file: u64) -> Option<TouchedMessage> {
        self.spilled.entry(file).or_default().insert(offset);
        self.held.remove(&offset)
    }

    /// Forgets what is settled; what memory held of it.
    pub fn settle(&mut self, run: OffsetRun) -> Vec<TouchedMessage> {
        for set in self.spilled.values_mut() {
            set.remove_run(run);
        }
        if self.held.is_empty() {
            return Vec::new();
        }
        let offsets: Vec<u64> = self.held.range(run.first..run.first + run.count).map(|(offset, _)| *offset).collect();
        offsets.into_iter().filter_map(|offset| self.held.remove(&offset)).collect()
    }

    /// Nothing of a file counts any more.
    pub fn forget_file(&mut self, file: u64) {
        self.spilled.remove(&file);
    }
}
