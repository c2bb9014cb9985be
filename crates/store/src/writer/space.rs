//! Room on the volume: the reserve, what nothing needs any more, the spare.

use super::{Writer, log::Log, log::SPARE, log::Trouble, reserve::reserve_bytes};
use crate::{
    Disk,
    checkpoint::Header,
    cipher::KeyId,
    disk::is_missing,
    format::{index_name, segment_name},
    meters::Meters,
};
use std::{
    io,
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};

/// How often a full volume is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// A segment that has nothing live and is larger than this is given back when the store is idle; a smaller one is written
/// on.
const WORTH_SEALING_BYTES: u64 = 1 << 20;

/// Whether the volume has more room than the reserve: two segments, at most an eighth of the volume, which only
/// settlements and moves to dead letters may use.
#[derive(Debug, Default)]
pub struct Watermark {
    low_since_look: Option<Instant>,
}

impl Watermark {
    pub const fn is_low(&self) -> bool {
        self.low_since_look.is_some()
    }

    /// Whether it is time to look again.
    fn is_due(&self) -> bool {
        self.low_since_look.is_some_and(|looked| looked.elapsed() >= LOOK_AGAIN)
    }

    fn look(&mut self, log: &Log, meters: &Meters) {
        self.low_since_look = if self.allows_segment(log, true) { None } else { Some(Instant::now()) };
        meters.full.store(self.is_low(), Relaxed);
    }

    /// Whether there is room for a new segment: beside the reserve, or within it. There too some is left, for without a
    /// checkpoint nothing could be given back.
    pub fn allows_segment(&self, log: &Log, beside_reserve: bool) -> bool {
        let needed = if log.spare { 0 } else { log.segment_bytes };
        match log.disk.space() {
            Ok(space) => {
                let left = if beside_reserve {
                    reserve_bytes(log, space.total)
                } else {
                    (log.segment_bytes / 2).min(space.total / 32)
                };
                space.free >= needed + left
            }
            // A volume that cannot say is written to until it refuses.
            Err(_) => true,
        }
    }
}

impl Writer {
    /// While the volume is full: gives back, now and then, what is no longer needed, and looks whether that was enough.
    pub fn refresh_space(&mut self) {
        if !self.space.is_due() {
            return;
        }
        let dead = self.state().segments.iter().any(|(_, segment)| segment.sealed && segment.is_idle());
        if dead && let Err(trouble) = self.checkpoint_twice(false) {
            let _ = self.give_up(&trouble);
        }
        self.space.look(&self.log, &self.shared.meters);
    }

    /// The volume is full but for the reserve: gives back what it can, and takes only what may use the reserve.
    pub fn run_low(&mut self) {
        tracing::warn!("the volume of the data folder is full: only settlements and dead letters are taken");
        // What the checkpoints give back may become the spare.
        let tidied = self.remove_spare().and_then(|()| self.checkpoint_twice(false)).and_then(|()| self.remove_spare());
        if let Err(trouble) = tidied {
            let _ = self.give_up(&trouble);
        }
        self.space.look(&self.log, &self.shared.meters);
    }

    /// Puts everything in order while nothing is going on: both checkpoints new, dead segments and the spare gone, the room
    /// behind the last frame given back, the window empty, what is worth cleaning cleaned. If somebody comes meanwhile and
    /// `may_wait` is false, the rest follows later.
    pub fn tidy_up(&mut self, may_wait: bool) -> Result<(), Trouble> {
        self.log.sync()?;
        self.release()?;
        if self.is_active_worth_sealing() {
            self.seal_active()?;
        }
        match self.checkpoint_twice(false) {
            // Without room for a checkpoint there is at least what was needed before.
            Ok(()) | Err(Trouble::NoSpace) => {}
            Err(trouble) => return Err(trouble),
        }
        let left = self.state().shrink_window(0);
        drop(left);
        let all = self.clean_up(may_wait)?;
        self.remove_spare()?;
        self.log.trim()?;
        self.tidy = all;
        Ok(())
    }

    /// Whether less than half of the active segment is live, and it is of some size.
    fn is_active_worth_sealing(&self) -> bool {
        let Some(number) = self.log.active.as_ref().map(|active| active.number) else { return false };
        let state = self.state();
        let runs = state.channels.iter().flat_map(|(_, channel)| channel.runs.back());
        let live: u64 = runs.filter(|run| run.segment == number).map(|run| run.live_bytes).sum();
        state.segments.get(number).is_some_and(|segment| segment.end > WORTH_SEALING_BYTES && live * 2 < segment.end)
    }

    pub fn remove_spare(&mut self) -> Result<(), Trouble> {
        if self.log.spare {
            remove_file(&*self.shared.disk, SPARE).map_err(|error| Trouble::fatal("removing a file", &error))?;
            self.log.spare = false;
        }
        Ok(())
    }

    /// Writes no more to the active segment.
    pub fn seal_active(&mut self) -> Result<(), Trouble> {
        if let Some(number) = self.log.seal()? {
            self.seal_in_state(number);
        }
        Ok(())
    }

    /// Removes, or keeps as the spare, the segments that hold nothing and that no checkpoint needs for recovery.
    pub fn remove_dead_segments(&mut self) -> Result<(), Trouble> {
        let oldest_checkpoint = self.checkpointed.into_iter().min().unwrap_or(0);
        let dead: Vec<u64> = {
            let state = self.state();
            let dead = state.segments.iter().filter(|(_, segment)| {
                segment.sealed && segment.is_idle() && segment.last_sequence <= oldest_checkpoint
            });
            let dead = dead.map(|(number, _)| number);
            dead.filter(|number| !self.cleaner.is_needed(*number, self.generation)).collect()
        };
        for number in &dead {
            self.cleaner.forget(*number);
            // Once its name is gone nobody can begin to read it; whoever reads it holds a handle.
            let key = {
                let mut state = self.state();
                let key = state.segments.get(*number).and_then(|segment| segment.key);
                state.segments.remove(*number);
                state.open_indexes.remove(number);
                key
            };
            self.remove_segment(*number, key).map_err(|error| Trouble::fatal("removing a segment", &error))?;
        }
        if !dead.is_empty() {
            self.shared.disk.sync_dir("").map_err(|error| Trouble::fatal("syncing the data folder", &error))?;
            if self.space.is_low() {
                self.space.look(&self.log, &self.shared.meters);
            }
        }
        Ok(())
    }

    fn remove_segment(&mut self, number: u64, key: Option<KeyId>) -> io::Result<()> {
        let name = segment_name(number);
        // What was written plain, or under another key, is not kept for longer than it must.
        // Where the volume is full its room is worth more than the time that it saves.
        if self.log.spare || self.space.is_low() || key != self.log.keys.current() {
            remove_file(&*self.shared.disk, &name)?;
        } else {
            self.shared.disk.rename(&name, SPARE)?;
            self.log.spare = true;
        }
        remove_file(&*self.shared.disk, &index_name(number))
    }

    /// The header of the next checkpoint.
    pub fn next_header(&self, clean: bool) -> Header {
        Header { clean, store: self.log.store, generation: self.generation + 1, log: self.log.end }
    }
}

/// Removes a file that may be gone already.
pub fn remove_file(disk: &dyn Disk, name: &str) -> io::Result<()> {
    match disk.remove(name) {
        Err(error) if !is_missing(&error) => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}
