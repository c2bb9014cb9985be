//! Taking in what the log has beyond the checkpoint.
//!
//! Frames are numbered without a gap and each is written only after the one before was synced, so a gap with a frame
//! behind it is damage: the frames in it are lost and everything else counts. Where frames are not synced one by one
//! (`sync: every`, `never`), a loss of power may leave a later one and lose an earlier; every header therefore
//! says up to where the log was synced when it was written. A gap above the highest such number is the torn tail: it
//! and all behind it, none of which was promised, is cut. A frame of which a record does not verify is such a gap too, or
//! it would be there in part; below that number only the record is lost.

use super::{
    quarantine,
    scan::{Chunks, Found, ScanError, ScannedFrame, scan},
    tries::Tries,
};
use crate::{
    Disk,
    checkpoint::LogEnd,
    cipher::Unsealer,
    format::{RECORD_BYTES, RecordKind},
    state::{AppliedFrame, State},
};
use std::ops::Range;

/// What is known while frames are taken in.
pub struct Replay<'a> {
    disk: &'a dyn Disk,
    pub state: &'a mut State,
    /// The last frame that was taken in.
    pub end: LogEnd,
    /// The highest sequence that is known to have been synced.
    synced: u64,
    /// Frames behind a gap, of which it is not known yet whether they count.
    held: Vec<(u64, ScannedFrame)>,
    /// What began as a frame behind the last whole one.
    torn: Option<(u64, Range<u64>)>,
    /// Frames lost to damage.
    pub lost_frames: u64,
    tries: Tries<'a>,
}

impl<'a> Replay<'a> {
    pub fn new(disk: &'a dyn Disk, state: &'a mut State, end: LogEnd, tries: Tries<'a>) -> Self {
        Self { disk, state, end, synced: end.sequence, held: Vec::new(), torn: None, lost_frames: 0, tries }
    }

    /// Takes in the frames of a segment from a place on.
    pub fn segment(
        &mut self,
        number: u64,
        chunks: &mut Chunks,
        unsealer: &Unsealer,
        from: u64,
    ) -> Result<(), ScanError> {
        self.torn = None;
        scan(chunks, unsealer, from, &mut |chunks, found| self.found(number, chunks, found))
    }

    fn found(&mut self, segment: u64, chunks: &mut Chunks, found: Found) -> Result<(), ScanError> {
        match found {
            Found::Frame(frame) => {
                self.keep_damaged_records(segment, chunks, &frame)?;
                self.synced = self.synced.max(frame.header.synced_sequence);
                let follows = frame.header.sequence == self.end.sequence + 1;
                if self.held.is_empty() && follows && frame.is_whole() {
                    self.apply(segment, frame)?;
                } else if frame.header.sequence > self.end.sequence {
                    self.held.push((segment, frame));
                }
            }
            Found::Damage(range) => quarantine::keep(self.disk, chunks, segment, &range, "frame")?,
            Found::End(torn) => {
                if let Some(range) = torn {
                    quarantine::keep(self.disk, chunks, segment, &range, "tail")?;
                    self.torn = Some((segment, range));
                }
            }
        }
        Ok(())
    }

    fn keep_damaged_records(&self, segment: u64, chunks: &mut Chunks, frame: &ScannedFrame) -> Result<(), ScanError> {
        for record in frame.records.iter().filter(|record| !record.sound) {
            let at = u64::from(record.at);
            let range = at..at + RECORD_BYTES as u64 + u64::from(record.entry.body_bytes);
            quarantine::keep(self.disk, chunks, segment, &range, "record")?;
        }
        Ok(())
    }

    fn apply(&mut self, segment: u64, frame: ScannedFrame) -> Result<(), ScanError> {
        let end = frame.end();
        let applied = AppliedFrame {
            segment,
            start: frame.start as u32,
            bytes: frame.header.frame_bytes,
            sequence: frame.header.sequence,
            time: frame.header.time,
            records: frame.records,
            buffer: None,
        };
        Tries::before(self.state, &applied);
        self.state.apply(&applied).map_err(ScanError::Newer)?;
        if applied.records.iter().any(|record| record.entry.kind == RecordKind::Touch) {
            self.tries.after(self.state).map_err(ScanError::Io)?;
        }
        self.end = LogEnd { sequence: frame.header.sequence, segment, end, checksum: frame.checksum };
        Ok(())
    }

    /// Decides about what stands behind gaps. What is to be cut, if anything: the tail from the last frame on.
    pub fn finish(&mut self) -> Result<Option<Cut>, ScanError> {
        let mut held = std::mem::take(&mut self.held).into_iter();
        let mut dropped = Vec::new();
        for (segment, frame) in held.by_ref() {
            let expected = self.end.sequence + 1;
            let gap = frame.header.sequence > expected && expected > self.synced;
            let torn = !frame.is_whole() && frame.header.sequence > self.synced;
            if gap || torn {
                dropped.push((segment, frame.start..frame.end()));
                break;
            }
            self.lost_frames += frame.header.sequence.saturating_sub(expected);
            self.apply(segment, frame)?;
        }
        dropped.extend(held.map(|(segment, frame)| (segment, frame.start..frame.end())));
        let torn_bytes = self.torn.as_ref().map_or(0, |(_, range)| range.end - range.start);
        if self.lost_frames > 0 {
            tracing::error!(frames = self.lost_frames, "frames of the log are damaged and were skipped");
        }
        if dropped.is_empty() && torn_bytes == 0 {
            return Ok(None);
        }
        tracing::warn!(torn_bytes, frames = dropped.len(), "the tail of the log was torn and is cut");
        Ok(Some(Cut { segment: self.end.segment, end: self.end.end, dropped }))
    }
}

/// Where the log is cut: what comes behind was never promised.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cut {
    pub segment: u64,
    pub end: u64,
    /// Whole frames behind the cut: their segments and places.
    pub dropped: Vec<(u64, Range<u64>)>,
}
