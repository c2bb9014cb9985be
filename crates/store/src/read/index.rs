//! The indexes of sealed segments, read as they are needed; a few are kept.

use crate::{
    DiskFile, OpenMode,
    disk::{is_full, is_missing},
    format::{INDEX_HEADER_BYTES, IndexHeader, IndexedRun, Seal, encode_index, index_name},
    recover::{ScanError, index_of},
    shared::Shared,
    state::time_at,
};
use crossdock_model::Timestamp;
use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex, PoisonError},
};

/// How many are kept: a job of the cleaner reads sixteen by turns.
const KEPT_MAX: usize = 32;

/// Bytes between two messages that a reader reads for nothing.
const READ_GAP_BYTES: u64 = super::cold::GAP_BYTES;

/// Positions read at once beyond those that are needed cost less than another read.
const GAP_POSITIONS: u64 = 4096;

/// The index of a sealed segment: all of it but the positions.
pub struct LoadedIndex {
    incarnation: u64,
    frames: Vec<(u32, Timestamp)>,
    runs: Vec<IndexedRun>,
    source: Source,
    positions_at: u64,
}

/// Where an index is.
enum Source {
    File(Arc<dyn DiskFile>),
    /// Where there was no room to write it.
    Memory(Vec<u8>),
}

impl Source {
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read_at(buffer, at),
            Self::Memory(bytes) => {
                let from = usize::try_from(at).map_err(io::Error::other)?;
                let found = bytes.get(from..).unwrap_or_default();
                let read = found.len().min(buffer.len());
                if let (Some(to), Some(found)) = (buffer.get_mut(..read), found.get(..read)) {
                    to.copy_from_slice(found);
                }
                Ok(read)
            }
        }
    }
}

/// The indexes that are kept, the last used last.
#[derive(Default)]
pub struct Indexes {
    kept: Mutex<VecDeque<(u64, Arc<LoadedIndex>)>>,
    /// Held while an index is made, so that it is made once.
    making: Mutex<()>,
}

impl Indexes {
    fn get(&self, segment: u64, seal: Seal) -> Option<Arc<LoadedIndex>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let place =
            kept.iter().position(|(number, index)| *number == segment && index.incarnation == seal.incarnation)?;
        let found = kept.remove(place)?;
        kept.push_back(found.clone());
        Some(found.1)
    }

    fn keep(&self, segment: u64, index: &Arc<LoadedIndex>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(number, _)| *number != segment);
        kept.push_back((segment, Arc::clone(index)));
        if kept.len() > KEPT_MAX {
            kept.pop_front();
        }
    }
}

impl LoadedIndex {
    /// The time of the frame that a position is in.
    pub fn time_at(&self, position: u32) -> Option<Timestamp> {
        time_at(&self.frames, position)
    }

    /// The positions of messages, by ascending offset; `None` for one that is not in the segment.
    pub fn positions(&self, channel: u32, offsets: &[u64]) -> io::Result<Vec<Option<u32>>> {
        let mut positions = Vec::with_capacity(offsets.len());
        let mut rest = offsets;
        while let Some(first) = rest.first() {
            let Some(run) = self.run_of(channel, *first) else {
                positions.push(None);
                rest = rest.get(1..).unwrap_or_default();
                continue;
            };
            // As many as one read serves: in this run, and close enough to each other.
            let end = run.first + u64::from(run.count);
            let mut count = 1;
            while let Some([before, next]) = rest.get(count - 1..=count)
                && *next < end
                && *next - *before < GAP_POSITIONS
            {
                count += 1;
            }
            let (now, later) = rest.split_at(count);
            rest = later;
            let last = now.last().unwrap_or(first);
            let mut bytes = vec![0; usize::try_from(last - first + 1).map_err(io::Error::other)? * 4];
            let at = self.positions_at + (u64::from(run.start) + first - run.first) * 4;
            let read = self.source.read_at(&mut bytes, at)?;
            let words = bytes.get(..read).unwrap_or_default().as_chunks::<4>().0;
            let position = |offset: &u64| words.get((offset - first) as usize).map(|word| u32::from_le_bytes(*word));
            positions.extend(now.iter().map(position));
        }
        Ok(positions)
    }

    /// How many channels are in it, and in how many stretches their messages lie: what a reader takes in one read.
    pub fn stretches(&self) -> io::Result<(usize, u64)> {
        let messages: u64 = self.runs.iter().map(|run| u64::from(run.count)).sum();
        let end = self.frames.last().map_or(0, |(start, _)| u64::from(*start));
        // The end of a record is not known here: it is as long as others are.
        let close = READ_GAP_BYTES + 2 * end / messages.max(1);
        let (mut channels, mut stretches, mut channel) = (0, 0, None);
        for run in &self.runs {
            if channel.replace(run.channel) != Some(run.channel) {
                channels += 1;
            }
            let mut bytes = vec![0; run.count as usize * 4];
            let read = self.source.read_at(&mut bytes, self.positions_at + u64::from(run.start) * 4)?;
            let words = bytes.get(..read).unwrap_or_default().as_chunks::<4>().0;
            let positions: Vec<u64> = words.iter().map(|word| u64::from(u32::from_le_bytes(*word))).collect();
            let far = |pair: &&[u64]| matches!(pair, [before, next] if next.saturating_sub(*before) > close);
            stretches += 1 + positions.windows(2).filter(far).count() as u64;
        }
        Ok((channels, stretches))
    }

    fn run_of(&self, channel: u32, offset: u64) -> Option<&IndexedRun> {
        let after = self.runs.partition_point(|run| (run.channel, run.first) <= (channel, offset));
        let run = self.runs.get(after.checked_sub(1)?)?;
        (run.channel == channel && offset < run.first + u64::from(run.count)).then_some(run)
    }
}

impl Shared {
    /// The index of a sealed segment; made anew where it is not there or not of this segment.
    pub fn index(&self, segment: u64, seal: Seal) -> io::Result<Arc<LoadedIndex>> {
        if let Some(index) = self.indexes.get(segment, seal) {
            return Ok(index);
        }
        if let Some(index) = self.load_index(segment, seal)? {
            return Ok(index);
        }
        self.make_index(segment, seal)
    }

    fn load_index(&self, segment: u64, seal: Seal) -> io::Result<Option<Arc<LoadedIndex>>> {
        match self.disk.open(&index_name(segment), OpenMode::Read) {
            Ok(file) => self.read_index(segment, seal, Source::File(file)),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn read_index(&self, segment: u64, seal: Seal, source: Source) -> io::Result<Option<Arc<LoadedIndex>>> {
        let end = self.state().segments.get(segment).map(|segment| segment.end);
        let mut head = [0; INDEX_HEADER_BYTES];
        source.read_at(&mut head, 0)?;
        let Ok(header) = IndexHeader::decode(&head) else { return Ok(None) };
        if header.segment != segment || header.incarnation != seal.incarnation || end != Some(header.end) {
            return Ok(None);
        }
        let mut tables = vec![0; header.tables_bytes()];
        source.read_at(&mut tables, INDEX_HEADER_BYTES as u64)?;
        let Ok((frames, runs)) = header.tables(&tables) else { return Ok(None) };
        let (incarnation, positions_at) = (seal.incarnation, header.positions_at());
        let index = Arc::new(LoadedIndex { incarnation, frames, runs, source, positions_at });
        self.indexes.keep(segment, &index);
        Ok(Some(index))
    }

    /// Makes an index by reading the segment.
    pub fn make_index(&self, segment: u64, seal: Seal) -> io::Result<Arc<LoadedIndex>> {
        let _making = self.indexes.making.lock().unwrap_or_else(PoisonError::into_inner);
        let index = index_of(&*self.disk, segment, &self.unsealer(segment, seal)).map_err(|error| match error {
            ScanError::Io(error) => error,
            ScanError::Newer(why) => io::Error::other(why),
        })?;
        let end = self.state().segments.get(segment).map_or(0, |segment| segment.end);
        let bytes = encode_index(segment, seal.incarnation, end, &index);
        let source = match self.write_index(segment, &bytes) {
            Ok(file) => Source::File(file),
            Err(error) if is_full(&error) => Source::Memory(bytes),
            Err(error) => return Err(error),
        };
        let made = self.read_index(segment, seal, source)?;
        // The segment may have been removed while it was read.
        made.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn write_index(&self, segment: u64, bytes: &[u8]) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.disk.open(&index_name(segment), OpenMode::Create)?;
        file.truncate(0)?;
        file.write_at(bytes, 0)?;
        self.meters.wrote(bytes.len() as u64);
        Ok(file)
    }
}
