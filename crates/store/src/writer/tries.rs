//! Tries that memory has no room for: when they are written to files, and when they are read back.

use super::{Writer, log::Trouble, space::remove_file};
use crate::{
    Txn,
    shared::Shared,
    state::{Pins, Place, Spill, State, TouchedMessage, count_pins},
    tries::{self, Entry, RunFile, file_name},
};
use std::{collections::BTreeMap, io, sync::Arc};

/// Files of tries, as the writer knows them.
#[derive(Default)]
pub struct TryFiles {
    /// The number of the next one.
    pub next: u64,
    /// Those that there are.
    pub all: Vec<u64>,
    /// Those that the checkpoint before the last names, and the last.
    pub named: [Vec<u64>; 2],
    /// How many messages of a subscription memory takes before more are written down, if that is not what the options
    /// say: after the volume had no room for them.
    pub patience: Option<usize>,
}

impl Writer {
    /// Takes what a group of decisions says of tries that files have back into memory, since it is to be changed. Blocks.
    pub fn recall_tried<'t>(&self, txns: impl Iterator<Item = &'t Txn>) {
        let touches = txns.flat_map(|txn| &txn.touches);
        self.recall(touches.map(|touch| (touch.subscription.0, touch.offset)));
    }

    /// Takes messages back into memory. One that cannot be read is known from its next try on, which is told.
    pub fn recall(&self, wanted: impl Iterator<Item = (u32, u64)>) {
        let found = {
            let state = self.state();
            if state.runs.is_empty() {
                return;
            }
            locate(&state, wanted)
        };
        for entries in found.into_iter().map(read_or_tell) {
            let mut state = self.state();
            for ((subscription, offset), message) in entries {
                state.recall(subscription, offset, message.map(|entry| entry.message));
            }
        }
    }

    /// Writes messages with tries on record to a file if a subscription has more in memory than it may. It is not synced: all that it
    /// says since the last checkpoint is in frames, and the next one syncs it.
    pub fn spill_when_many(&mut self) -> Result<(), Trouble> {
        let (state, most) = (self.state(), self.shared.options.tried_in_memory_max);
        let held = state.held_max();
        if held <= self.tries.patience.unwrap_or(most) || self.space.is_low() {
            return Ok(());
        }
        let spill = state.to_spill(most);
        drop(state);
        match spill.map_or(Ok(()), |spill| self.write_spill(&spill)) {
            Ok(()) => self.tries.patience = None,
            Err(Trouble::NoSpace) => {
                tracing::warn!("there is no room for a file of tries: they stay in memory");
                self.tries.patience = Some(held + most / 2);
            }
            Err(trouble) => return Err(trouble),
        }
        Ok(())
    }

    fn write_spill(&mut self, spill: &Spill) -> Result<(), Trouble> {
        let number = self.tries.next;
        self.tries.next += 1;
        let shared = Arc::clone(&self.shared);
        let counts = |file: u64, entry: &Entry| shared.state().is_spilled(file, entry.subscription, entry.offset);
        match tries::write(&*shared.disk, number, &shared.options, spill, &counts) {
            Ok(made) => {
                if let Some(made) = &made {
                    self.tries.all.push(number);
                    shared.meters.wrote(made.file.bytes());
                }
                self.state().take_spill(spill, made);
                Ok(())
            }
            Err(error) => {
                // What is there of it is nobody's.
                let _ = remove_file(&*shared.disk, &file_name(number));
                Err(Trouble::of("writing a file of tries", &error))
            }
        }
    }

    /// Makes the files of tries what a checkpoint may name: nothing in vain, under the current key, and durable.
    pub fn write_tries(&mut self) -> Result<(), Trouble> {
        self.state().forget_spent_runs();
        let rewrite = if self.rekeyed { self.state().to_rewrite() } else { None };
        if let Some(all) = rewrite {
            self.write_spill(&all)?;
        }
        // There may be room again.
        self.tries.patience = None;
        self.spill_when_many()?;
        self.count_pins();
        let unsynced: Vec<Arc<RunFile>> = {
            let state = self.state();
            state.runs.iter().filter(|run| !run.synced).map(|run| Arc::clone(&run.file)).collect()
        };
        for file in &unsynced {
            file.sync().map_err(|error| Trouble::fatal("syncing a file of tries", &error))?;
        }
        if !unsynced.is_empty() {
            // The checkpoint that names them may be durable before the next `sync_dir`.
            let named = self.shared.disk.sync_dir("");
            named.map_err(|error| Trouble::fatal("syncing the data folder", &error))?;
        }
        let mut state = self.state();
        state.runs.iter_mut().for_each(|run| run.synced = true);
        let numbers = state.runs.iter().map(|run| run.file.number()).collect();
        drop(state);
        self.extra.try_files = numbers;
        Ok(())
    }

    /// Finds out anew which records the files' entries need, where some of them have gone. What cannot be read pins what it
    /// pinned before.
    pub fn count_pins(&self) {
        let files = self.state().runs_to_count();
        for file in files {
            let counts = |entry: &Entry| self.state().is_spilled(file.number(), entry.subscription, entry.offset);
            match pins_of(&file, &counts) {
                Ok(pins) => self.state().counted_run(file.number(), pins),
                Err(error) => tracing::warn!(file = file_name(file.number()), %error, "a file of tries cannot be read"),
            }
        }
    }

    /// Removes the files of tries that neither checkpoint names any more.
    pub fn forget_old_tries(&mut self) -> Result<(), Trouble> {
        let [_, newer] = std::mem::take(&mut self.tries.named);
        let named = self.extra.try_files.clone();
        let is_named = |number: &u64| newer.contains(number) || named.contains(number);
        for number in self.tries.all.extract_if(.., |number| !is_named(number)).collect::<Vec<_>>() {
            remove_file(&*self.shared.disk, &file_name(number))
                .map_err(|error| Trouble::fatal("removing a file of tries", &error))?;
        }
        self.tries.named = [newer, named];
        Ok(())
    }
}

/// What the entries of a file that count need.
pub fn pins_of(file: &RunFile, counts: &dyn Fn(&Entry) -> bool) -> io::Result<Pins> {
    let mut pins = Pins::new();
    for block in 0..file.blocks() {
        let entries = file.sound_block(block)?;
        entries.iter().filter(|entry| counts(entry)).for_each(|entry| count_pins(&mut pins, &entry.message));
    }
    Ok(pins)
}

/// What is to be read of a block of a file.
pub struct Wanted {
    file: Arc<RunFile>,
    block: Option<usize>,
    offsets: Vec<(u32, u64)>,
}

/// Where what files have of messages is; those that are in memory are left out.
pub fn locate(state: &State, wanted: impl Iterator<Item = (u32, u64)>) -> Vec<Wanted> {
    let mut found: BTreeMap<(u64, Option<usize>), Wanted> = BTreeMap::new();
    for (subscription, offset) in wanted {
        let Some(file) = state.run_of(subscription, offset) else { continue };
        let block = file.block_of(subscription, offset);
        let wanted = found.entry((file.number(), block)).or_insert_with(|| Wanted { file, block, offsets: Vec::new() });
        wanted.offsets.push((subscription, offset));
    }
    found.into_values().collect()
}

/// What a message is called, and what is known of it.
pub type Read = ((u32, u64), Option<Entry>);

/// Reads messages of a block.
pub fn read_wanted(wanted: Wanted) -> io::Result<Vec<Read>> {
    let Wanted { file, block, offsets } = wanted;
    let entries = block.map_or_else(|| Ok(Vec::new()), |block| file.sound_block(block))?;
    let find = |place| entries.binary_search_by_key(&place, Entry::place).ok().and_then(|at| entries.get(at));
    Ok(offsets.into_iter().map(|place| (place, find(place).cloned())).collect())
}

/// The same; what cannot be read is told.
pub fn read_or_tell(wanted: Wanted) -> Vec<Read> {
    let offsets = wanted.offsets.clone();
    read_wanted(wanted).unwrap_or_else(|error| {
        tracing::error!(%error, "a file of tries cannot be read: the history of some messages is lost");
        offsets.into_iter().map(|place| (place, None)).collect()
    })
}

impl Shared {
    /// So many messages of a subscription with tries on record, from an offset on, in order; and where to go on. Blocks where
    /// files have them.
    pub fn touched_from(&self, subscription: u32, from: u64, most: usize) -> io::Result<(Vec<Entry>, Option<u64>)> {
        let (mut entries, mut spilled, mut next) = (Vec::new(), Vec::new(), None);
        let found = {
            let state = self.state();
            let Some(reader) = state.subscriptions.get(subscription) else { return Ok((Vec::new(), None)) };
            let mut at = reader.touched.next(from);
            while let Some(offset) = at {
                if entries.len() + spilled.len() >= most {
                    next = Some(offset);
                    break;
                }
                match reader.touched.held().get(&offset) {
                    Some(message) => entries.push(Entry { subscription, offset, message: message.clone() }),
                    None => spilled.push((subscription, offset)),
                }
                at = offset.checked_add(1).and_then(|from| reader.touched.next(from));
            }
            locate(&state, spilled.into_iter())
        };
        for wanted in found {
            entries.extend(read_wanted(wanted)?.into_iter().map(|((subscription, offset), entry)| {
                // One that cannot be read is still one that a fetch does not give.
                let message = TouchedMessage::default();
                entry.unwrap_or(Entry { subscription, offset, message })
            }));
        }
        entries.sort_unstable_by_key(Entry::place);
        Ok((entries, next))
    }

    /// How often a message was tried, and where the records of its tries are; nothing if it was not. Blocks where a file has it.
    pub fn tried(&self, subscription: u32, offset: u64) -> io::Result<Option<(u32, Vec<Place>)>> {
        let (entries, _) = self.touched_from(subscription, offset, 1)?;
        let entry = entries.into_iter().find(|entry| entry.offset == offset);
        Ok(entry.map(|Entry { message, .. }| (message.tries, message.history.iter().map(|(_, at)| *at).collect())))
    }
}
