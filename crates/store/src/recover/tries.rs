//! The files of tries that a checkpoint names, and tries while frames are taken in.

use super::{failed, sealed};
use crate::{
    Disk, Keyring, OpenError, Options,
    checkpoint::Extra,
    cipher::FileError,
    disk::is_full,
    format::RecordKind,
    state::{AppliedFrame, Made, OffsetSet, Pins, State},
    tries::{self, Entry, RunError, RunFile, file_name},
    writer::{locate, pins_of, read_or_tell, remove_file},
};
use std::{collections::BTreeMap, io};

/// Opens the files that a checkpoint names and finds out what of them counts. All of them is read: so damage is found at
/// the start, and told.
pub fn load(disk: &dyn Disk, extra: &Extra, keys: &Keyring, state: &mut State) -> Result<(), OpenError> {
    let mut newest_first = Vec::new();
    let mut known: BTreeMap<u32, OffsetSet> = BTreeMap::new();
    for number in extra.try_files.iter().rev() {
        let name = file_name(*number);
        let file = match tries::open(disk, *number, keys) {
            Ok(file) => file,
            Err(RunError::Io(error)) => return Err(failed("reading tries", &name, error)),
            Err(RunError::Key(why @ FileError::NoKey(_))) => return Err(sealed(why, keys)),
            Err(why @ (RunError::Damaged(_) | RunError::Key(_))) => {
                tracing::error!(file = name, %why, "a file of tries is damaged: its messages count as never tried");
                continue;
            }
        };
        let made = live_of(file, state, &mut known).map_err(|error| failed("reading tries", &name, error))?;
        newest_first.push(made);
    }
    for made in newest_first.into_iter().rev() {
        state.add_run(made, true);
    }
    Ok(())
}

/// What counts of a file, given what newer ones have.
fn live_of(file: RunFile, state: &State, known: &mut BTreeMap<u32, OffsetSet>) -> io::Result<Made> {
    let (mut offsets, mut pins) = (BTreeMap::<u32, OffsetSet>::new(), Pins::new());
    for block in 0..file.blocks() {
        for Entry { subscription, offset, message } in file.sound_block(block)? {
            let counts = state
                .subscriptions
                .get(subscription)
                .is_some_and(|reader| !reader.settled.has(offset) && !reader.touched.held().contains_key(&offset));
            if counts && known.entry(subscription).or_default().insert(offset) {
                offsets.entry(subscription).or_default().insert(offset);
                crate::state::count_pins(&mut pins, &message);
            }
        }
    }
    Ok(Made { file, offsets, pins })
}

/// Keeps the tries in memory few while frames are taken in.
pub struct Tries<'a> {
    disk: &'a dyn Disk,
    options: &'a Options,
    /// The number of the next file.
    next: u64,
    /// Most in memory before some are written down; more once the volume had no room for them.
    most: usize,
}

impl<'a> Tries<'a> {
    /// Files get numbers that no checkpoint has named: what it names stays as it is.
    pub fn new(disk: &'a dyn Disk, options: &'a Options) -> io::Result<Self> {
        let most = options.tried_in_memory_max;
        let next = files(disk)?.into_iter().max().map_or(1, |last| last + 1);
        Ok(Self { disk, options, next, most })
    }

    /// Takes into memory what a frame is about to change.
    pub fn before(state: &mut State, frame: &AppliedFrame) {
        let touches = frame.records.iter().filter(|record| record.sound && record.entry.kind == RecordKind::Touch);
        let wanted = touches.map(|record| (record.entry.number, record.entry.offset));
        for wanted in locate(state, wanted) {
            for ((subscription, offset), entry) in read_or_tell(wanted) {
                state.recall(subscription, offset, entry.map(|entry| entry.message));
            }
        }
    }

    /// Writes down what is too much for memory. No checkpoint names it yet: after another crash it is made again.
    pub fn after(&mut self, state: &mut State) -> io::Result<()> {
        if state.held_max() <= self.most {
            return Ok(());
        }
        let Some(spill) = state.to_spill(self.options.tried_in_memory_max) else { return Ok(()) };
        let number = self.next;
        self.next += 1;
        let counts = |file: u64, entry: &Entry| state.is_spilled(file, entry.subscription, entry.offset);
        match tries::write(self.disk, number, self.options, &spill, &counts) {
            Ok(made) => state.take_spill(&spill, made),
            Err(error) if is_full(&error) => {
                remove_file(self.disk, &file_name(number))?;
                self.most = state.held_max() * 2;
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// The numbers of the files of tries that there are.
pub fn files(disk: &dyn Disk) -> io::Result<Vec<u64>> {
    Ok(disk.list("")?.iter().filter_map(|file| tries::number_of(&file.name)).collect())
}

/// What frames settled is needed by no file any more.
pub fn count_pins(state: &mut State) -> Result<(), OpenError> {
    state.forget_spent_runs();
    for file in state.runs_to_count() {
        let counts = |entry: &Entry| state.is_spilled(file.number(), entry.subscription, entry.offset);
        let pins =
            pins_of(&file, &counts).map_err(|error| failed("reading tries", &file_name(file.number()), error))?;
        state.counted_run(file.number(), pins);
    }
    Ok(())
}
