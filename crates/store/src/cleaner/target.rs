//! A segment of copies in the making.

use crate::{
    Disk, DiskFile, OpenMode,
    cipher::SegmentCipher,
    format::{BLOCK_BYTES, RecordKind, SegmentHeader, SegmentKind, segment_name},
    meters::Meters,
    shared::Shared,
    state::{Copies, MovedRun, MovedTouch, OpenIndex, Place, Segment},
    writer::{Draft, Stamp, Trouble, remove_file},
};
use crossdock_model::Timestamp;
use std::{io, sync::Arc};

/// So much is synced at once: a commit waits no longer for it than for another.
const SYNC_BYTES: u64 = 1 << 20;

/// A segment of copies. Its frames have no sequence: they are no part of the log.
pub struct Target {
    header: SegmentHeader,
    /// Encrypts its records; none where they are plain.
    cipher: Option<SegmentCipher>,
    file: Arc<dyn DiskFile>,
    meters: Arc<Meters>,
    pub end: u64,
    unsynced: u64,
    index: OpenIndex,
    pub runs: Vec<MovedRun>,
    pub touches: Vec<MovedTouch>,
}

impl Target {
    pub fn make(shared: &Shared, header: SegmentHeader) -> Result<Self, Trouble> {
        let making = |error: io::Error| Trouble::of("making a segment", &error);
        let file = shared.disk.open(&segment_name(header.number), OpenMode::Create).map_err(making)?;
        let (index, runs, touches) = (OpenIndex::default(), Vec::new(), Vec::new());
        let meters = Arc::clone(&shared.meters);
        let cipher = shared.options.keys.sealer(header.number, header.seal()).map_err(Trouble::cipher)?;
        let target = Self { header, cipher, file, meters, end: BLOCK_BYTES as u64, unsynced: 0, index, runs, touches };
        let made = target.file.truncate(0).and_then(|()| target.file.write_at(&header.encode(), 0)).map_err(making);
        target.meters.wrote(BLOCK_BYTES as u64);
        match made {
            Ok(()) => Ok(target),
            Err(trouble) => target.remove(&*shared.disk).and(Err(trouble)),
        }
    }

    /// Writes a frame of copies. `touches` are those whose records are in it, in order.
    pub fn write(&mut self, draft: &Draft, touches: Vec<MovedTouch>, time: Timestamp) -> Result<(), Trouble> {
        let stamp = Stamp {
            seal: self.header.seal(),
            segment: self.header.number,
            start: self.end as u32,
            sequence: 0,
            synced_sequence: 0,
            time,
            previous_checksum: 0,
            closing: false,
        };
        let (bytes, frame, end) = draft.seal(stamp, self.cipher.as_ref(), Vec::new()).map_err(Trouble::cipher)?;
        self.file.write_at(&bytes, self.end).map_err(|error| Trouble::of("copying messages", &error))?;
        self.meters.wrote(bytes.len() as u64);
        self.unsynced += bytes.len() as u64;
        self.index.frames.push((stamp.start, time));
        let mut touches = touches.into_iter();
        for record in &frame.records {
            if record.entry.kind == RecordKind::Put {
                self.index.push(record.entry.number, record.entry.offset, record.at);
            } else if let Some(touch) = touches.next() {
                let to = Some(Place { segment: self.header.number, at: record.at });
                self.touches.push(MovedTouch { to, ..touch });
            }
        }
        self.end = end.end;
        if self.unsynced >= SYNC_BYTES { self.sync() } else { Ok(()) }
    }

    fn sync(&mut self) -> Result<(), Trouble> {
        self.unsynced = 0;
        self.file.sync().map_err(|error| Trouble::fatal("syncing copies of messages", &error))
    }

    /// Makes it durable, name and all, before anything counts on it.
    pub fn finish(mut self, disk: &dyn Disk) -> Result<Copies, Trouble> {
        self.sync()?;
        disk.sync_dir("").map_err(|error| Trouble::fatal("syncing the data folder", &error))?;
        let SegmentHeader { kind, number, incarnation, key, first_sequence, .. } = self.header;
        let (end, last_sequence) = (self.end, first_sequence);
        let segment =
            Segment { kind, incarnation, key, first_sequence, last_sequence, end, live: 0, pins: 0, sealed: true };
        Ok(Copies { number, segment, index: self.index, runs: self.runs, touches: self.touches })
    }

    /// Takes its name away: nothing counts on it.
    pub fn remove(self, disk: &dyn Disk) -> Result<(), Trouble> {
        remove_file(disk, &segment_name(self.header.number))
            .map_err(|error| Trouble::fatal("removing a segment", &error))
    }

    pub const fn kind(&self) -> SegmentKind {
        self.header.kind
    }
}
