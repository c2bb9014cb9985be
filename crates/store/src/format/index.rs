//! The index of a sealed segment: where its frames and messages are. It is made of the segment and can be made again, so it
//! is not synced.
//!
//! ```text
//!  0  magic "CDKI"            4
//!  4  version                 2
//!  6  zero                    2
//!  8  segment                 8
//! 16  incarnation             8   of the segment
//! 24  number of frames        4
//! 28  number of runs          4
//! 32  number of positions     4
//! 36  CRC of frames and runs  4
//! 40  bytes of the segment    8   up to the end of its last frame
//! 48  CRC of the above        4
//! 52  zeros                  12
//! 64  frames     first byte 4 · time, ms 8                             by place
//!     runs       channel 4 · first offset 8 · count 4 · first position 4   by channel, then offset
//!     positions  4 each: the first byte of the message's record
//! ```
//! Positions have no checksum: a record is checked against what was looked for, and where that fails the index is made
//! anew. What finds messages by id (16 bytes each, sorted by keyed hash) will follow the positions.

use super::{Reader, Write};
use crate::{
    DecodeError,
    state::{OpenIndex, PlacedRun},
};
use crossdock_model::Timestamp;

pub const INDEX_HEADER_BYTES: usize = 64;
const MAGIC: [u8; 4] = *b"CDKI";
const VERSION: u16 = 1;
const FRAME_BYTES: usize = 12;
const RUN_BYTES: usize = 20;

/// The fixed part of an index.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IndexHeader {
    pub segment: u64,
    pub incarnation: u64,
    pub end: u64,
    frames: u32,
    runs: u32,
    checksum: u32,
}

/// A stretch of a channel's messages, whose positions stand in the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IndexedRun {
    pub channel: u32,
    pub first: u64,
    pub count: u32,
    /// The place of the first one's position among the positions.
    pub start: u32,
}

/// The first byte and time of each frame, and the runs.
pub type Tables = (Vec<(u32, Timestamp)>, Vec<IndexedRun>);

/// The whole file.
pub fn encode_index(segment: u64, incarnation: u64, end: u64, index: &OpenIndex) -> Vec<u8> {
    let mut runs: Vec<&PlacedRun> = index.runs.iter().collect();
    runs.sort_by_key(|run| (run.channel, run.first));
    let mut tables = Vec::new();
    for (start, time) in &index.frames {
        tables.put_u32(*start);
        tables.put_u64(time.millis().cast_unsigned());
    }
    let mut start = 0_u32;
    for run in &runs {
        let count = run.positions.len() as u32;
        tables.put_u32(run.channel);
        tables.put_u64(run.first);
        tables.put_u32(count);
        tables.put_u32(start);
        start += count;
    }
    let mut to = Vec::with_capacity(INDEX_HEADER_BYTES + tables.len() + start as usize * 4);
    to.put_raw(&MAGIC);
    to.put_u16(VERSION);
    to.put_u16(0);
    to.put_u64(segment);
    to.put_u64(incarnation);
    for n in [index.frames.len() as u32, runs.len() as u32, start, crc32c::crc32c(&tables)] {
        to.put_u32(n);
    }
    to.put_u64(end);
    to.put_u32(crc32c::crc32c(&to));
    to.resize(INDEX_HEADER_BYTES, 0);
    to.put_raw(&tables);
    for position in runs.iter().flat_map(|run| &run.positions) {
        to.put_u32(*position);
    }
    to
}

impl IndexHeader {
    /// Reads the fixed part; an error if it is none of this version or is damaged.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let (magic, version) = (reader.array()?, reader.u16()?);
        reader.u16()?;
        let (segment, incarnation) = (reader.u64()?, reader.u64()?);
        let (frames, runs, _, checksum) = (reader.u32()?, reader.u32()?, reader.u32()?, reader.u32()?);
        let end = reader.u64()?;
        if magic != MAGIC || version != VERSION || reader.u32()? != crc32c::crc32c(bytes.get(..48).unwrap_or_default())
        {
            return Err(DecodeError("no index"));
        }
        Ok(Self { segment, incarnation, end, frames, runs, checksum })
    }

    /// Bytes of the frames and runs that follow the header.
    pub const fn tables_bytes(&self) -> usize {
        self.frames as usize * FRAME_BYTES + self.runs as usize * RUN_BYTES
    }

    /// Where the positions begin in the file.
    pub const fn positions_at(&self) -> u64 {
        (INDEX_HEADER_BYTES + self.tables_bytes()) as u64
    }

    /// Reads frames and runs; an error if they are damaged.
    pub fn tables(&self, bytes: &[u8]) -> Result<Tables, DecodeError> {
        if crc32c::crc32c(bytes) != self.checksum {
            return Err(DecodeError("the index is damaged"));
        }
        let mut reader = Reader::new(bytes);
        let mut frames = Vec::with_capacity(self.frames as usize);
        for _ in 0..self.frames {
            frames.push((reader.u32()?, Timestamp(reader.u64()?.cast_signed())));
        }
        let mut runs = Vec::with_capacity(self.runs as usize);
        for _ in 0..self.runs {
            let (channel, first) = (reader.u32()?, reader.u64()?);
            runs.push(IndexedRun { channel, first, count: reader.u32()?, start: reader.u32()? });
        }
        Ok((frames, runs))
    }
}
