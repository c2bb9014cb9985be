//! What is in flight, noted before it is, so that the next process can tell what killed this one.
//!
//! ```text
//! flights.0, flights.1   the runs of two processes in turn, each: header (512) │ slot (512) │ slot │ …
//!                        a run's file begins with its first note; what a run noted nothing in counts for nothing
//! ```
//!
//! The notes belong to the process, not to the messages: nothing is synced, a note that cannot be written is lost, and
//! what another boot left is void, since its files may hold anything. A kill of the process leaves what was written.
//! Everything has a checksum; what does not match is taken for nothing noted. Layout: docs/specs/log.md.

mod layout;

use crate::{Disk, DiskFile, OpenMode, SubscriptionNumber, disk::is_missing};
use layout::{Header, SLOT_BYTES, SLOT_FLIGHTS, Slot, decode_slots, encode_slots};
use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The files of two runs in turn.
const FILES: [&str; 2] = ["flights.0", "flights.1"];
/// More than this of a file is not looked at: 60,000 subscriptions with something in flight.
const READ_BYTES_MAX: u64 = 32 << 20;

/// A message in flight.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Flight {
    /// For whom.
    pub subscription: SubscriptionNumber,
    /// Which message of its channel; below 2⁶³.
    pub offset: u64,
    /// Whether the rules are applied to it, and nothing is sent yet.
    pub evaluating: bool,
}

/// What was in flight when a process ended without closing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum End {
    /// These, and perhaps some that had just landed.
    Together(Vec<Flight>),
    /// This one and, as far as the process could tell, nothing else.
    Alone(Flight),
}

/// What the processes before this one left.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Ends {
    /// The one right before the last; none if it was stopped, or noted nothing.
    pub before: Option<End>,
    /// The last one; none if it was stopped, ran before the machine was started, or noted nothing.
    pub last: Option<End>,
    /// Whether somebody was charged for the last one already (see [`FlightNotes::charged`]).
    pub charged: bool,
}

/// The notes of this process; clones are the same.
#[derive(Clone)]
pub struct FlightNotes(Arc<Inner>);

struct Inner {
    disk: Arc<dyn Disk>,
    boot: [u8; 16],
    state: Mutex<State>,
}

struct State {
    /// The file of the last run, and its header; none without one.
    last: Option<(usize, Header)>,
    run: Run,
}

enum Run {
    /// Nothing was noted yet.
    Waiting,
    /// Noting: where, and where the next region begins.
    Begun { file: Arc<dyn DiskFile>, header: Header, next: u64 },
    /// Nothing is noted any more.
    Closed,
}

/// Where the flights of one subscription are noted.
pub struct FlightRegion {
    notes: FlightNotes,
    subscription: SubscriptionNumber,
    place: Option<Place>,
    batch: u32,
    buffer: Vec<u8>,
}

struct Place {
    file: Arc<dyn DiskFile>,
    run: u32,
    at: u64,
    slots: usize,
}

impl FlightNotes {
    /// Reads what the last processes left. `boot` names the machine's present start. Blocks.
    ///
    /// # Errors
    /// What the disk says.
    pub fn open(disk: Arc<dyn Disk>, boot: [u8; 16]) -> io::Result<(Self, Ends)> {
        let mut runs = Vec::new();
        for (which, name) in FILES.into_iter().enumerate() {
            if let Some(bytes) = read(&*disk, name)?
                && let Some(header) = Header::decode(&bytes)
            {
                runs.push((which, header, bytes));
            }
        }
        runs.sort_by_key(|(_, header, _)| std::cmp::Reverse(header.run));
        let mut runs = runs.into_iter();
        let (last, before) = (runs.next(), runs.next());
        let mut ends = Ends::default();
        if let Some((_, header, bytes)) = &last
            && header.counts(&boot)
        {
            ends.last = Some(decode_slots(bytes, header.run));
            ends.charged = header.charged;
            if let Some((_, older, bytes)) = &before
                && older.counts(&boot)
                && older.run.checked_add(1) == Some(header.run)
            {
                ends.before = Some(decode_slots(bytes, older.run));
            }
        }
        let last = last.map(|(which, header, _)| (which, header));
        let state = Mutex::new(State { last, run: Run::Waiting });
        Ok((Self(Arc::new(Inner { disk, boot, state })), ends))
    }

    /// Somebody is about to be charged for the last end: should this process end before it notes anything, it is not
    /// charged again. Blocks.
    ///
    /// # Errors
    /// What the disk says.
    pub fn charged(&self) -> io::Result<()> {
        self.amend_last(|header| header.charged = true)
    }

    /// A place for the flights of a subscription; it takes room with its first note.
    #[must_use]
    pub fn region(&self, subscription: SubscriptionNumber) -> FlightRegion {
        FlightRegion { notes: self.clone(), subscription, place: None, batch: 0, buffer: Vec::new() }
    }

    /// The process is being stopped: whatever ends it now is nobody's fault. Later notes count for nothing. Blocks.
    ///
    /// # Errors
    /// What the disk says.
    pub fn close(&self) -> io::Result<()> {
        let run = std::mem::replace(&mut self.state().run, Run::Closed);
        match run {
            Run::Begun { file, header, .. } => file.write_at(&Header { stopped: true, ..header }.encode(), 0),
            // The run before may have ended otherwise; after this stop it no longer counts.
            Run::Waiting => self.amend_last(|header| header.stopped = true),
            Run::Closed => Ok(()),
        }
    }

    fn amend_last(&self, amend: impl FnOnce(&mut Header)) -> io::Result<()> {
        let mut state = self.state();
        let Some((which, header)) = &mut state.last else { return Ok(()) };
        amend(header);
        let name = FILES.get(*which).copied().unwrap_or_default();
        self.0.disk.open(name, OpenMode::Existing)?.write_at(&header.encode(), 0)
    }

    /// Room for so many slots; begins the run's file if there is none. None once it is closed.
    fn place(&self, slots: usize) -> io::Result<Option<Place>> {
        let mut state = self.state();
        if let Run::Waiting = state.run {
            let (which, run) = match &state.last {
                Some((which, header)) => (1 - which, header.run + 1),
                None => (0, 1),
            };
            let header = Header { run, boot: self.0.boot, stopped: false, charged: false };
            let file = self.0.disk.open(FILES.get(which).copied().unwrap_or_default(), OpenMode::Create)?;
            file.truncate(0)?;
            file.write_at(&header.encode(), 0)?;
            state.run = Run::Begun { file, header, next: SLOT_BYTES as u64 };
        }
        let Run::Begun { file, header, next } = &mut state.run else { return Ok(None) };
        let place = Place { file: Arc::clone(file), run: header.run, at: *next, slots };
        *next += (slots * SLOT_BYTES) as u64;
        Ok(Some(place))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FlightRegion {
    /// Notes what is in flight from now on, in place of what was noted here before: one write, whose bytes are in the
    /// system's hands when this returns. `alone`: nothing else is in flight in the process.
    ///
    /// # Errors
    /// What the disk says; the note is lost then.
    pub fn write(&mut self, alone: bool, flights: &[Flight]) -> io::Result<()> {
        let slots = flights.len().div_ceil(SLOT_FLIGHTS).max(1);
        if self.place.as_ref().is_none_or(|place| place.slots < slots) {
            if self.place.is_none() && flights.is_empty() {
                return Ok(());
            }
            let Some(larger) = self.notes.place(slots.next_power_of_two())? else { return Ok(()) };
            if let Some(outgrown) = self.place.replace(larger) {
                outgrown.file.write_at(&[0; SLOT_BYTES], outgrown.at)?;
            }
        }
        let Some(place) = &self.place else { return Ok(()) };
        self.batch = self.batch.wrapping_add(1);
        let slot = Slot { run: place.run, batch: self.batch, subscription: self.subscription, alone };
        encode_slots(&slot, flights, &mut self.buffer);
        place.file.write_at(&self.buffer, place.at)
    }
}

fn read(disk: &dyn Disk, name: &str) -> io::Result<Option<Vec<u8>>> {
    let file = match disk.open(name, OpenMode::Read) {
        Ok(file) => file,
        Err(error) if is_missing(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    let length = file.length()?.min(READ_BYTES_MAX);
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
    let read = file.read_at(&mut bytes, 0)?;
    bytes.truncate(read);
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests;
