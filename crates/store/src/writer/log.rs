//! The end of the log: the segment that is written to.

use super::{
    draft::{Draft, Stamp},
    frames::Frames,
};
use crate::{
    Disk, DiskFile, Keyring, OpenMode,
    checkpoint::LogEnd,
    cipher::SegmentCipher,
    disk::is_full,
    format::{BLOCK_BYTES, Seal, SegmentHeader, SegmentKind, segment_name},
    meters::Meters,
    state::{AppliedFrame, Segment},
};
use aws_lc_rs::error::Unspecified;
use bytes::Bytes;
use crossdock_model::{Text, Timestamp};
use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

/// Behind the log so many zeros are written at once, where frames are small ([`Active::written`]).
const AHEAD_BYTES: u64 = 512 << 10;
/// What they are made of, piece by piece.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
/// Frames beyond this have the messages of a full batch: they are written once, whatever their sync costs.
const SMALL_FRAME_BYTES: u64 = 64 << 10;

/// The file of a segment that nothing needs, kept to be used again.
pub const SPARE: &str = "spare";

/// Why something was not written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Trouble {
    /// The volume is full; nothing that counts was written.
    NoSpace,
    /// It is not known what was written: the store is to stop.
    Fatal(Text),
}

impl Trouble {
    /// What an error of a write means.
    pub fn of(doing: &str, error: &io::Error) -> Self {
        if is_full(error) { Self::NoSpace } else { Self::fatal(doing, error) }
    }

    /// What could not be encrypted is not written.
    pub fn cipher(_: Unspecified) -> Self {
        Self::Fatal(Text::from_static("encrypting failed"))
    }

    /// An error after which nothing can be known.
    pub fn fatal(doing: &str, error: &io::Error) -> Self {
        Self::Fatal(Text::from(format!("{doing} failed: {error}")))
    }
}

/// The end of the log.
pub struct Log {
    pub disk: Arc<dyn Disk>,
    pub meters: Arc<Meters>,
    pub segment_bytes: u64,
    /// Whether each frame is synced by itself.
    pub sync_each: bool,
    pub store: u32,
    /// What new segments are encrypted with.
    pub keys: Keyring,
    /// The last frame.
    pub end: LogEnd,
    pub synced_sequence: u64,
    /// Whether something was written and not synced.
    pub unsynced: bool,
    pub next_segment: u64,
    pub spare: bool,
    /// Whether the volume is full but for the reserve: nothing is allocated ahead then.
    pub tight: bool,
    pub active: Option<Active>,
    /// Memory of frames that readers no longer need.
    pub frames: Frames,
}

/// The segment that is written to.
pub struct Active {
    pub number: u64,
    file: Arc<dyn DiskFile>,
    seal: Seal,
    /// Encrypts its records; none where they are plain.
    cipher: Option<SegmentCipher>,
    end: u64,
    /// How long the file is.
    length: u64,
    /// Up to where its blocks were written before, as zeros or when the file was another segment. The first write to a
    /// block that is only allocated changes the file's metadata, and the sync has to write that too: on ext4 it takes
    /// nearly twice as long and costs twice the processor time (`docs/adr/0010-written-ahead.md`).
    written: u64,
}

impl Log {
    /// Whether a frame fits behind the last one.
    pub fn fits(&self, draft: &Draft) -> bool {
        let frame_bytes = draft.frame_bytes_on_disk(self.keys.record_overhead());
        self.active.as_ref().is_some_and(|active| {
            let is_spent = active.cipher.as_ref().is_some_and(SegmentCipher::is_spent);
            !is_spent && active.end + frame_bytes <= self.segment_bytes
        })
    }

    /// What so many bytes more would take of the volume.
    pub fn growth(&self, bytes: u64) -> u64 {
        match &self.active {
            Some(active) if active.end + bytes <= self.segment_bytes => {
                (active.end + bytes).saturating_sub(active.length)
            }
            Some(_) | None => bytes + BLOCK_BYTES as u64,
        }
    }

    /// Whether the segment that is written to was begun, and has no frame yet.
    pub fn is_begun(&self) -> bool {
        self.active.as_ref().is_some_and(|active| active.end == BLOCK_BYTES as u64)
    }

    /// The largest frame that fits a segment.
    pub const fn frame_bytes_max(&self) -> u64 {
        self.segment_bytes - BLOCK_BYTES as u64
    }

    /// Begins a new segment; what was written to the old one is synced before, and the rest of its room given back.
    pub fn roll(&mut self, incarnation: u64, time: Timestamp) -> Result<(u64, Segment), Trouble> {
        self.sync()?;
        let number = self.next_segment;
        let first_sequence = self.end.sequence + 1;
        let kind = SegmentKind::Log;
        let (store, key) = (self.store, self.keys.current());
        let header = SegmentHeader { kind, number, incarnation, store, key, first_sequence, created_at: time };
        let cipher = self.keys.sealer(number, header.seal()).map_err(Trouble::cipher)?;
        let (file, written) = match self.make_segment(&header) {
            Ok(made) => made,
            Err(Trouble::NoSpace) => {
                // The name may stay behind, which the next start clears away.
                let _ = self.disk.remove(&segment_name(number));
                self.spare = false;
                return Err(Trouble::NoSpace);
            }
            Err(trouble) => return Err(trouble),
        };
        if let Some(active) = &self.active {
            active.file.truncate(active.end).map_err(|e| Trouble::fatal("trimming a segment", &e))?;
        }
        self.spare = false;
        self.next_segment += 1;
        let end = BLOCK_BYTES as u64;
        let length = if self.tight { written.max(end) } else { self.segment_bytes };
        self.active = Some(Active { number, file, seal: header.seal(), cipher, end, length, written });
        let (live, pins, sealed, last_sequence) = (0, 0, false, self.end.sequence);
        Ok((number, Segment { kind, incarnation, key, first_sequence, last_sequence, end, live, pins, sealed }))
    }

    /// A file with the header of a segment, and up to where it was written before.
    fn make_segment(&self, header: &SegmentHeader) -> Result<(Arc<dyn DiskFile>, u64), Trouble> {
        let making = |error: io::Error| Trouble::of("making a segment", &error);
        let name = segment_name(header.number);
        if self.spare {
            self.disk.rename(SPARE, &name).map_err(making)?;
        }
        let file = self.disk.open(&name, OpenMode::Create).map_err(making)?;
        let written = file.length().map_err(making)?;
        if !self.tight {
            file.allocate(self.segment_bytes).map_err(making)?;
        }
        let block = header.encode();
        file.write_at(&block, 0).map_err(making)?;
        file.sync().map_err(|error| Trouble::fatal("syncing a new segment", &error))?;
        self.disk.sync_dir("").map_err(|error| Trouble::fatal("syncing the data folder", &error))?;
        self.meters.wrote(block.len() as u64);
        Ok((file, written))
    }

    /// Writes a frame behind the last one, where it fits. It is durable after [`Self::sync`].
    pub fn write(&mut self, draft: &Draft, time: Timestamp, closing: bool) -> Result<AppliedFrame, Trouble> {
        let Some(active) = &mut self.active else {
            return Err(Trouble::Fatal(Text::from_static("there is no segment to write to")));
        };
        let writing = |error: io::Error| Trouble::of("writing to the log", &error);
        let needed = active.end + draft.frame_bytes_on_disk(self.keys.record_overhead());
        let length = if self.tight { needed } else { self.segment_bytes };
        if active.length < length {
            active.file.allocate(length).map_err(writing)?;
            active.length = length;
        }
        let stamp = Stamp {
            seal: active.seal,
            segment: active.number,
            start: active.end as u32,
            sequence: self.end.sequence + 1,
            synced_sequence: self.synced_sequence,
            time,
            previous_checksum: self.end.checksum,
            closing,
        };
        let frame = self.frames.take(needed - active.end);
        let (bytes, applied, end) = draft.seal(stamp, active.cipher.as_ref(), frame).map_err(Trouble::cipher)?;
        if self.sync_each {
            let zeros = active.write_ahead(bytes.len() as u64).map_err(writing)?;
            self.meters.wrote(zeros);
        }
        if let Err(error) = active.file.write_at(&bytes, active.end) {
            active.cipher.iter_mut().for_each(SegmentCipher::write_failed);
            return Err(writing(error));
        }
        active.end = end.end;
        self.end = end;
        self.unsynced = true;
        self.meters.wrote_frame(bytes.len() as u64);
        Ok(applied)
    }

    /// Makes durable what was written; tells how long that took, if there was something.
    pub fn sync(&mut self) -> Result<Option<Duration>, Trouble> {
        let Some(active) = self.active.as_ref().filter(|_| self.unsynced) else { return Ok(None) };
        let begun = Instant::now();
        active.file.sync().map_err(|error| Trouble::fatal("syncing the log", &error))?;
        let took = begun.elapsed();
        self.unsynced = false;
        self.synced_sequence = self.end.sequence;
        self.meters.synced(took);
        Ok(Some(took))
    }

    /// Buffers of frames that left memory: the next frames are made in them, if nobody holds them.
    pub fn recycle(&mut self, left: Vec<Bytes>) {
        left.into_iter().for_each(|buffer| self.frames.keep(buffer));
    }

    /// Gives back the room behind the last frame.
    pub fn trim(&mut self) -> Result<(), Trouble> {
        if let Some(active) = self.active.as_mut().filter(|active| active.length > active.end) {
            active.file.truncate(active.end).map_err(|error| Trouble::fatal("trimming a segment", &error))?;
            active.file.sync().map_err(|error| Trouble::fatal("syncing the log", &error))?;
            active.length = active.end;
            active.written = active.written.min(active.end);
        }
        Ok(())
    }

    /// Writes no more to the segment.
    pub fn seal(&mut self) -> Result<Option<u64>, Trouble> {
        self.sync()?;
        self.trim()?;
        Ok(self.active.take().map(|active| active.number))
    }
}

impl Active {
    /// Writes zeros behind the log where a small frame would be the first on its blocks; tells how many. They become
    /// durable with the frame or not at all, and are read as what they are: no frame.
    fn write_ahead(&mut self, frame_bytes: u64) -> io::Result<u64> {
        if frame_bytes > SMALL_FRAME_BYTES || self.end + frame_bytes <= self.written {
            return Ok(0);
        }
        let from = self.written.max(self.end);
        let to = (from + AHEAD_BYTES).min(self.length);
        for at in (from..to).step_by(ZEROS.len()) {
            let piece = usize::try_from(to - at).map_or(ZEROS.len(), |left| left.min(ZEROS.len()));
            self.file.write_at(ZEROS.get(..piece).unwrap_or_default(), at)?;
        }
        self.written = to;
        Ok(to - from)
    }
}
