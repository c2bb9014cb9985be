//! The cleaner: moves what is live out of segments that are mostly settled, and sorts what is read slowly.
//!
//! ```text
//! pick ─► job: pieces by (channel, offset) ─► step: read, write a frame of copies ─┬─► step …
//!                                                                                 └─► synced ─► the state takes over
//! checkpoint, checkpoint ─► what was emptied is removed
//! ```
//!
//! It works for the writer, on its thread and in steps: one small one after a frame while there is traffic, larger ones one
//! after the other while there is none. Copies go into segments of their own, which are no part of the log: until a
//! checkpoint names such a segment, a start knows nothing of it, and everything is where it was. So a crash at any moment
//! loses nothing and doubles nothing, and nothing is replayed. What was emptied goes when both checkpoints are newer.

mod job;
mod pick;
mod retain;
mod target;

pub use job::Job;
pub use retain::{is_retaining, retaining, retaining_name};

use crate::writer::{Trouble, Writer};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

/// Read and copied at once, at most, while there is traffic: less than a commit takes.
const BUSY_STEP_BYTES: u64 = 64 << 10;
/// And while there is none.
const IDLE_STEP_BYTES: u64 = 512 << 10;
/// How long nothing goes on before a step is taken nevertheless, and between two such steps.
const BREATH: Duration = Duration::from_millis(10);
/// How long nothing is tried after the volume had no room for copies.
const PAUSE: Duration = Duration::from_secs(30);

/// What the cleaner is at, and what it knows.
#[derive(Default)]
pub struct Cleaner {
    pub job: Option<Job>,
    /// What was live in each segment when it was last looked at: one that is being drained is left alone.
    live: BTreeMap<u64, u64>,
    /// Whether each sealed segment of the log is read slowly.
    interleaved: BTreeMap<u64, bool>,
    /// The generation of the last checkpoint that needs a segment which was emptied.
    emptied: BTreeMap<u64, u64>,
    /// Segments that could not be read: they are left alone until the next start.
    spoiled: BTreeSet<u64>,
    paused_at: Option<Instant>,
    stepped_at: Option<Instant>,
    /// When was last looked what topics need not retain any more.
    released_at: Option<Instant>,
}

/// Whether somebody waits meanwhile.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pace {
    /// There is traffic.
    Busy,
    /// Nothing goes on.
    Idle,
}

impl Cleaner {
    /// Whether a checkpoint of before the move may still be used, given the newest one's generation.
    pub fn is_needed(&self, segment: u64, generation: u64) -> bool {
        self.emptied.get(&segment).is_some_and(|needed| generation < needed + 2)
    }

    /// Forgets a segment that is gone.
    pub fn forget(&mut self, segment: u64) {
        self.emptied.remove(&segment);
        self.live.remove(&segment);
        self.interleaved.remove(&segment);
        self.spoiled.remove(&segment);
    }

    /// When a step is to be taken though nothing was written since.
    pub fn next_step(&self, last_frame: Instant) -> Option<Instant> {
        self.job.as_ref().map(|_| self.stepped_at.map_or(last_frame, |at| at.max(last_frame)) + BREATH)
    }

    fn is_paused(&self) -> bool {
        self.paused_at.is_some_and(|since| since.elapsed() < PAUSE)
    }
}

impl Writer {
    /// Looks for something to clean, if nothing is being cleaned.
    pub fn begin_cleaning(&mut self, pace: Pace) {
        let has_room = pace == Pace::Idle || !self.space.is_low();
        if self.cleaner.job.is_none() && has_room && !self.cleaner.is_paused() {
            self.cleaner.job = self.pick(pace).map(|choice| Job::new(&self.shared.state(), choice));
        }
    }

    /// Cleans a little, if there is something to clean.
    pub fn clean_a_little(&mut self) -> Result<(), Trouble> {
        if self.cleaner.job.is_some() { self.clean_step(BUSY_STEP_BYTES) } else { Ok(()) }
    }

    /// The same if nothing went on for a moment.
    pub fn clean_when_due(&mut self) -> Result<(), Trouble> {
        let due = self.cleaner.next_step(self.last_frame).is_some_and(|due| due <= Instant::now());
        if due { self.clean_step(BUSY_STEP_BYTES) } else { Ok(()) }
    }

    /// Cleans until nothing is left to clean, or somebody waits. Returns whether all was done.
    pub fn clean_up(&mut self, may_wait: bool) -> Result<bool, Trouble> {
        loop {
            self.begin_cleaning(Pace::Idle);
            let begun = self.generation;
            while self.cleaner.job.is_some() {
                if !may_wait && self.shared.queue.has_waiting(self.shared.options.ride) {
                    return Ok(false);
                }
                self.clean_step(IDLE_STEP_BYTES)?;
            }
            let mut emptied = self.cleaner.emptied.values();
            if !emptied.any(|needed| begun < needed + 2) {
                return Ok(true);
            }
            match self.checkpoint_twice(false) {
                Ok(()) => {}
                Err(Trouble::NoSpace) => return Ok(true),
                Err(trouble) => return Err(trouble),
            }
        }
    }

    /// A step of the job at hand.
    fn clean_step(&mut self, bytes: u64) -> Result<(), Trouble> {
        let Some(mut job) = self.cleaner.job.take() else { return Ok(()) };
        let advanced = self.advance(&mut job, bytes);
        self.cleaner.stepped_at = Some(Instant::now());
        match advanced {
            Ok(true) => {
                // What could not be moved is not tried again.
                let left = job.sources.iter().filter(|source| {
                    self.shared.state().segments.get(**source).is_some_and(|segment| !segment.is_idle())
                });
                self.cleaner.spoiled.extend(left.copied());
                let emptied = job.sources.iter().map(|source| (*source, self.generation));
                self.cleaner.emptied.extend(emptied);
                Ok(())
            }
            Ok(false) => {
                self.cleaner.job = Some(job);
                Ok(())
            }
            Err(Trouble::NoSpace) => {
                tracing::warn!("there is no room to clean segments of the log in");
                self.cleaner.paused_at = Some(Instant::now());
                self.abandon(job)
            }
            Err(trouble) => Err(trouble),
        }
    }

    /// Gives up what is being cleaned: nothing counts that was not taken over.
    pub fn stop_cleaning(&mut self) -> Result<(), Trouble> {
        self.cleaner.job.take().map_or(Ok(()), |job| self.abandon(job))
    }

    fn abandon(&mut self, mut job: Job) -> Result<(), Trouble> {
        // Part of it may have been taken over.
        self.cleaner.emptied.extend(job.sources.iter().map(|source| (*source, self.generation)));
        job.target.take().map_or(Ok(()), |target| target.remove(&*self.shared.disk))
    }
}
