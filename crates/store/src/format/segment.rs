//! A segment's first block.
//!
//! ```text
//!  0  magic "CDKS"          4
//!  4  version               2   of the format of segment and frames
//!  6  kind                  2   1 log, 2 clustered, 3 clustered again
//!  8  number                8   grows by one with every segment
//! 16  incarnation           8   random, fresh at every use of the file
//! 24  store                 4   which store it belongs to
//! 28  key                   4   which key its records are encrypted under; 0 none
//! 32  first sequence        8   of the first frame in it; clustered: of the newest frame in the log
//! 40  created at            8   ms since 1970
//! 48  CRC-32C of the above  4   (plain: the incarnation is among it)
//! ```
//! The rest of the 4 KiB is zero. Frames follow.

use super::{Reader, Seal, Write};
use crate::{DecodeError, cipher::KeyId};
use crossdock_model::Timestamp;

/// The unit of writing: frames start and end on it, so that a block once synced is never written again.
pub const BLOCK_BYTES: usize = 4096;

/// Version of segments and frames.
pub const VERSION: u16 = 1;

const MAGIC: [u8; 4] = *b"CDKS";
const CHECKED_BYTES: usize = 48;

/// What a segment holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SegmentKind {
    /// Frames in the order they were committed.
    Log,
    /// Copies of messages of log segments, sorted by channel and offset; never replayed.
    Clustered,
    /// The same of clustered ones: what is in it was moved twice, and is not moved again.
    ClusteredAgain,
}

impl SegmentKind {
    /// Its number on disk.
    pub const fn number(self) -> u8 {
        match self {
            Self::Log => 1,
            Self::Clustered => 2,
            Self::ClusteredAgain => 3,
        }
    }

    /// The kind of a number.
    pub const fn of(number: u8) -> Result<Self, DecodeError> {
        match number {
            1 => Ok(Self::Log),
            2 => Ok(Self::Clustered),
            3 => Ok(Self::ClusteredAgain),
            _ => Err(DecodeError("a kind of segment is not known: a newer version wrote it")),
        }
    }

    /// Whether it is part of the log, and so replayed.
    pub const fn is_log(self) -> bool {
        match self {
            Self::Log => true,
            Self::Clustered | Self::ClusteredAgain => false,
        }
    }

    /// What its messages become when they are moved; `None` if they are not any more.
    pub const fn moved(self) -> Option<Self> {
        match self {
            Self::Log => Some(Self::Clustered),
            Self::Clustered => Some(Self::ClusteredAgain),
            Self::ClusteredAgain => None,
        }
    }
}

/// A segment's first block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SegmentHeader {
    pub kind: SegmentKind,
    pub number: u64,
    pub incarnation: u64,
    pub store: u32,
    /// The key that its records are encrypted under; none where they are plain.
    pub key: Option<KeyId>,
    pub first_sequence: u64,
    pub created_at: Timestamp,
}

/// What the first block of a file says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SegmentRead {
    /// It is a segment.
    Segment(SegmentHeader),
    /// It is one of a version or kind that is not known here.
    Newer,
    /// It is none: never written whole, or damaged.
    Invalid,
}

impl SegmentHeader {
    pub fn seal(&self) -> Seal {
        Seal::new(self.incarnation).under(self.key)
    }

    /// The whole block.
    pub fn encode(&self) -> Vec<u8> {
        let mut to = Vec::with_capacity(BLOCK_BYTES);
        to.put_raw(&MAGIC);
        to.put_u16(VERSION);
        to.put_u16(u16::from(self.kind.number()));
        to.put_u64(self.number);
        to.put_u64(self.incarnation);
        to.put_u32(self.store);
        to.put_u32(KeyId::number(self.key));
        to.put_u64(self.first_sequence);
        to.put_u64(self.created_at.millis().cast_unsigned());
        to.put_u32(crc32c::crc32c(&to));
        to.resize(BLOCK_BYTES, 0);
        to
    }

    /// Reads the first bytes of a file.
    pub fn decode(block: &[u8]) -> SegmentRead {
        Self::parse(block).unwrap_or(SegmentRead::Invalid)
    }

    fn parse(block: &[u8]) -> Result<SegmentRead, DecodeError> {
        let mut reader = Reader::new(block);
        if reader.array()? != MAGIC {
            return Ok(SegmentRead::Invalid);
        }
        let (version, kind) = (reader.u16()?, reader.u16()?);
        let (number, incarnation, store, key) = (reader.u64()?, reader.u64()?, reader.u32()?, reader.u32()?);
        let (first_sequence, created_at) = (reader.u64()?, Timestamp(reader.u64()?.cast_signed()));
        if reader.u32()? != crc32c::crc32c(block.get(..CHECKED_BYTES).unwrap_or_default()) {
            return Ok(SegmentRead::Invalid);
        }
        let kind = u8::try_from(kind).ok().and_then(|kind| SegmentKind::of(kind).ok());
        let Some(kind) = kind.filter(|_| version == VERSION) else { return Ok(SegmentRead::Newer) };
        let key = KeyId::of(key);
        Ok(SegmentRead::Segment(Self { kind, number, incarnation, store, key, first_sequence, created_at }))
    }
}

/// The file of a segment.
pub fn segment_name(number: u64) -> String {
    format!("{number:016}.log")
}

/// The file of a sealed segment's index.
pub fn index_name(number: u64) -> String {
    format!("{number:016}.index")
}

/// The number of a segment's, or an index's, file.
pub fn number_of(name: &str, ending: &str) -> Option<u64> {
    name.strip_suffix(ending).filter(|digits| digits.len() == 16)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_comes_back_and_every_flipped_bit_shows() {
        let header = SegmentHeader {
            kind: SegmentKind::Log,
            number: 7,
            incarnation: 0x1234_5678_9ABC_DEF0,
            store: 42,
            key: KeyId::of(0x0102_0304),
            first_sequence: 1000,
            created_at: Timestamp(5),
        };
        let block = header.encode();
        assert_eq!(SegmentHeader::decode(&block), SegmentRead::Segment(header));
        for bit in 0..(CHECKED_BYTES + 4) * 8 {
            let mut damaged = block.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(SegmentHeader::decode(&damaged), SegmentRead::Invalid, "bit {bit}");
        }
        assert_eq!(number_of(&segment_name(12), ".log"), Some(12));
        assert_eq!(number_of("x.log", ".log"), None);
    }
}
