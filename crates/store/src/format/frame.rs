//! A frame: one group commit, whole or absent.
//!
//! ```text
//! ┌────────────┬───────────────────┬──────────────────────────────┬─────────┐
//! │ header: 64 │ table: 20 a record│ records, each 12 + its body  │ zeros   │  to a multiple of 4 KiB
//! └────────────┴───────────────────┴──────────────────────────────┴─────────┘
//! header                                        entry of the table          record
//!  0  magic "CDKF"          4                    0  bytes of the body 4      0  bytes of the body 4
//!  4  version               2                    4  kind              1      4  kind              1
//!  6  flags                 2  1: closing        5  flags             1      5  flags             1
//!  8  incarnation           8                    6  failed writes     2      6  failed writes     2
//! 16  sequence              8                    8  number            4      8  CRC               4
//! 24  synced sequence       8                   12  offset            8     12  body
//! 32  time, ms              8
//! 40  bytes of the frame    4
//! 44  number of records     4
//! 48  CRC of the table      4
//! 52  bytes of the records  4
//! 56  CRC of the header of the frame before  4
//! 60  CRC of the above      4
//! ```
//! All CRCs are under the segment's seal; a record's see `seal`. A record repeats what of its entry is needed to read and
//! check it alone; what its entry says of channel and offset is what the reader asked for. Flags: 1 a copy, 2 encrypted. An
//! encrypted body is 16 bytes longer than what it holds (`cipher`), and its failed writes are how many frames could not be
//! written at this place before; in other records they are zero.

use super::{BLOCK_BYTES, Reader, Seal, VERSION, Write};
use crate::{DecodeError, cipher::TAG_BYTES};
use crossdock_model::Timestamp;

/// Bytes of a frame's header.
pub const HEADER_BYTES: usize = 64;
/// Bytes of an entry of the table.
pub const ENTRY_BYTES: usize = 20;
/// Bytes before a record's body.
pub const RECORD_BYTES: usize = 12;

const MAGIC: [u8; 4] = *b"CDKF";
const FLAG_CLOSING: u16 = 1;

/// A flag of a record: it is a copy that the cleaner made. A message then has the time at which it was first appended, in
/// ms since 1970, 8 bytes, before it.
pub const FLAG_COPY: u8 = 1;
/// A flag of a record: its body is encrypted.
const FLAG_ENCRYPTED: u8 = 2;
/// The flags that are known.
const FLAGS: u8 = FLAG_COPY | FLAG_ENCRYPTED;

/// What a record is. The numbers are part of the format.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RecordKind {
    /// A channel, a subscription or a scope of keys, or the end of one.
    Declare = 1,
    /// A message. Number: channel; offset: its own.
    Put = 2,
    /// Messages that are done. Number: subscription; offset: the first.
    Settle = 3,
    /// A try of a message, or a charge. Number: subscription; offset: the message's.
    Touch = 4,
    /// A key that was seen. Number: scope.
    Key = 5,
    /// The state of a background operation.
    Operation = 6,
}

impl RecordKind {
    const ALL: [Self; 6] = [Self::Declare, Self::Put, Self::Settle, Self::Touch, Self::Key, Self::Operation];
}

/// A record's line in the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    pub kind: RecordKind,
    pub flags: u8,
    /// Of an encrypted one: how many frames could not be written at this place before.
    pub failed_writes: u16,
    /// Bytes of the body on disk.
    pub body_bytes: u32,
    /// The channel, subscription or scope it is about.
    pub number: u32,
    /// The offset it is about.
    pub offset: u64,
}

impl Entry {
    pub fn encode(self) -> [u8; ENTRY_BYTES] {
        let mut bytes = [0; ENTRY_BYTES];
        let parts = self.body_bytes.to_le_bytes().into_iter().chain([self.kind as u8, self.flags]);
        let parts = parts
            .chain(self.failed_writes.to_le_bytes())
            .chain(self.number.to_le_bytes())
            .chain(self.offset.to_le_bytes());
        for (to, from) in bytes.iter_mut().zip(parts) {
            *to = from;
        }
        bytes
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let body_bytes = reader.u32()?;
        let (kind, flags, failed_writes) = (reader.u8()?, reader.u8()?, reader.u16()?);
        let kind = RecordKind::ALL.into_iter().find(|known| *known as u8 == kind);
        let known = flags & !FLAGS == 0 && (failed_writes == 0 || flags & FLAG_ENCRYPTED != 0);
        let kind = kind.filter(|_| known).ok_or(UNKNOWN)?;
        Ok(Self { kind, flags, failed_writes, body_bytes, number: reader.u32()?, offset: reader.u64()? })
    }

    /// Whether it is a copy that the cleaner made.
    pub const fn is_copy(self) -> bool {
        self.flags & FLAG_COPY != 0
    }

    pub const fn is_encrypted(self) -> bool {
        self.flags & FLAG_ENCRYPTED != 0
    }

    /// The same record with its body encrypted.
    pub const fn encrypted(self, failed_writes: u16) -> Self {
        let body_bytes = self.body_bytes + TAG_BYTES as u32;
        Self { flags: self.flags | FLAG_ENCRYPTED, failed_writes, body_bytes, ..self }
    }

    /// Bytes of the body as it was given.
    pub const fn plain_bytes(self) -> u32 {
        if self.is_encrypted() { self.body_bytes.saturating_sub(TAG_BYTES as u32) } else { self.body_bytes }
    }

    /// The record's checksum, given its body's.
    pub fn checksum(self, seal: Seal, body_checksum: u32) -> u32 {
        seal.of(&self.encode()) ^ body_checksum
    }

    /// Writes the line of the table.
    pub fn put(self, to: &mut Vec<u8>) {
        to.put_raw(&self.encode());
    }

    /// Writes what stands before the body.
    pub fn put_record_head(self, to: &mut Vec<u8>, checksum: u32) {
        to.put_u32(self.body_bytes);
        to.put_u8(self.kind as u8);
        to.put_u8(self.flags);
        to.put_u16(self.failed_writes);
        to.put_u32(checksum);
    }
}

const UNKNOWN: DecodeError = DecodeError("a kind of record is not known: a newer version wrote it");

/// What stands before a record's body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RecordHead {
    pub body_bytes: u32,
    kind: u8,
    flags: u8,
    failed_writes: u16,
    checksum: u32,
}

impl RecordHead {
    /// Whether it is a copy that the cleaner made.
    pub const fn is_copy(self) -> bool {
        self.flags & FLAG_COPY != 0
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let (body_bytes, kind, flags, failed_writes) = (reader.u32()?, reader.u8()?, reader.u8()?, reader.u16()?);
        Ok(Self { body_bytes, kind, flags, failed_writes, checksum: reader.u32()? })
    }

    /// The entry of the record of that kind, number and offset, if this is its head and that its body on disk.
    pub fn checked(self, seal: Seal, kind: RecordKind, number: u32, offset: u64, body: &[u8]) -> Option<Entry> {
        let Self { flags, failed_writes, body_bytes, .. } = self;
        let entry = Entry { kind, flags, failed_writes, body_bytes, number, offset };
        let sound = self.kind == kind as u8
            && flags & !FLAGS == 0
            && body_bytes as usize == body.len()
            && self.checksum == entry.checksum(seal, crc32c::crc32c(body));
        sound.then_some(entry)
    }
}

/// A frame's header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FrameHeader {
    pub closing: bool,
    pub sequence: u64,
    /// The highest sequence that was known to be synced when this frame was written.
    pub synced_sequence: u64,
    pub time: Timestamp,
    /// Bytes of the whole frame, a multiple of [`BLOCK_BYTES`].
    pub frame_bytes: u32,
    pub records: u32,
    pub table_checksum: u32,
    /// Bytes of the records with what stands before them.
    pub records_bytes: u32,
    /// The checksum of the header of the frame before, also over the border of segments.
    pub previous_checksum: u32,
}

impl FrameHeader {
    /// The header's bytes, and its checksum.
    pub fn encode(&self, seal: Seal) -> (Vec<u8>, u32) {
        let mut to = Vec::with_capacity(HEADER_BYTES);
        to.put_raw(&MAGIC);
        to.put_u16(VERSION);
        to.put_u16(if self.closing { FLAG_CLOSING } else { 0 });
        to.put_u64(seal.incarnation);
        to.put_u64(self.sequence);
        to.put_u64(self.synced_sequence);
        to.put_u64(self.time.millis().cast_unsigned());
        for n in [self.frame_bytes, self.records, self.table_checksum, self.records_bytes, self.previous_checksum] {
            to.put_u32(n);
        }
        let checksum = seal.of(&to);
        to.put_u32(checksum);
        (to, checksum)
    }

    /// Reads a header and its checksum; `None` if there is none under this seal.
    ///
    /// # Errors
    /// If it is one of a newer version.
    pub fn decode(seal: Seal, bytes: &[u8]) -> Result<Option<(Self, u32)>, DecodeError> {
        let Ok((header, version, flags, checksum)) = Self::parse(seal, bytes) else { return Ok(None) };
        if version != VERSION || flags & !FLAG_CLOSING != 0 {
            return Err(DecodeError("a frame of a newer version"));
        }
        Ok(Some((header, checksum)))
    }

    fn parse(seal: Seal, bytes: &[u8]) -> Result<(Self, u16, u16, u32), DecodeError> {
        let no = DecodeError("no frame here");
        let mut reader = Reader::new(bytes);
        if reader.array()? != MAGIC {
            return Err(no);
        }
        let (version, flags, incarnation) = (reader.u16()?, reader.u16()?, reader.u64()?);
        let (sequence, synced_sequence) = (reader.u64()?, reader.u64()?);
        let header = Self {
            closing: flags & FLAG_CLOSING != 0,
            sequence,
            synced_sequence,
            time: Timestamp(reader.u64()?.cast_signed()),
            frame_bytes: reader.u32()?,
            records: reader.u32()?,
            table_checksum: reader.u32()?,
            records_bytes: reader.u32()?,
            previous_checksum: reader.u32()?,
        };
        let checksum = reader.u32()?;
        let whole = frame_bytes(u64::from(header.records), u64::from(header.records_bytes));
        let sound = incarnation == seal.incarnation
            && checksum == seal.of(bytes.get(..HEADER_BYTES - 4).unwrap_or_default())
            && whole == u64::from(header.frame_bytes);
        if sound { Ok((header, version, flags, checksum)) } else { Err(no) }
    }

    /// Reads the table that follows the header; `None` if it is damaged.
    ///
    /// # Errors
    /// If it has a record of a kind that is not known.
    pub fn table(&self, seal: Seal, frame: &[u8]) -> Result<Option<Vec<Entry>>, DecodeError> {
        let bytes = self.records as usize * ENTRY_BYTES;
        let Some(table) = frame.get(HEADER_BYTES..).and_then(|rest| rest.get(..bytes)) else { return Ok(None) };
        if seal.of(table) != self.table_checksum {
            return Ok(None);
        }
        let mut reader = Reader::new(table);
        (0..self.records).map(|_| Entry::decode(&mut reader)).collect::<Result<Vec<_>, _>>().map(Some)
    }
}

/// Bytes of a frame with so many records of so many bytes.
pub const fn frame_bytes(records: u64, records_bytes: u64) -> u64 {
    let bytes = HEADER_BYTES as u64 + records * ENTRY_BYTES as u64 + records_bytes;
    bytes.next_multiple_of(BLOCK_BYTES as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_comes_back_under_its_seal_only() {
        let header = FrameHeader {
            closing: true,
            sequence: 9,
            synced_sequence: 8,
            time: Timestamp(-3),
            frame_bytes: frame_bytes(2, 300) as u32,
            records: 2,
            table_checksum: 77,
            records_bytes: 300,
            previous_checksum: 5,
        };
        let seal = Seal::new(11);
        let (bytes, checksum) = header.encode(seal);
        assert_eq!(bytes.len(), HEADER_BYTES);
        assert_eq!(FrameHeader::decode(seal, &bytes), Ok(Some((header, checksum))));
        assert_eq!(FrameHeader::decode(Seal::new(12), &bytes), Ok(None));
        for bit in 0..HEADER_BYTES * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(FrameHeader::decode(seal, &damaged), Ok(None), "bit {bit}");
        }
    }

    #[test]
    fn a_record_is_only_what_and_where_it_was_written() {
        let seal = Seal::new(3);
        let body = b"the body";
        let entry = Entry {
            kind: RecordKind::Put,
            flags: FLAG_COPY,
            failed_writes: 0,
            body_bytes: 8,
            number: 4,
            offset: 1 << 40,
        };
        let mut bytes = Vec::new();
        entry.put_record_head(&mut bytes, entry.checksum(seal, crc32c::crc32c(body)));
        assert_eq!(bytes.len(), RECORD_BYTES);
        let head = RecordHead::decode(&bytes).unwrap();
        assert_eq!(head.checked(seal, RecordKind::Put, 4, 1 << 40, body), Some(entry));
        assert!(head.checked(seal, RecordKind::Put, 5, 1 << 40, body).is_none());
        assert!(head.checked(seal, RecordKind::Put, 4, 1, body).is_none());
        assert!(head.checked(seal, RecordKind::Touch, 4, 1 << 40, body).is_none());
        assert!(head.checked(Seal::new(4), RecordKind::Put, 4, 1 << 40, body).is_none());
        assert!(head.checked(seal, RecordKind::Put, 4, 1 << 40, b"the bodY").is_none());
        assert!(head.is_copy());
        for flag in 0..8 {
            let mut harmed = bytes.clone();
            harmed[5] ^= 1 << flag;
            let head = RecordHead::decode(&harmed).unwrap();
            assert!(head.checked(seal, RecordKind::Put, 4, 1 << 40, body).is_none(), "flag {flag}");
        }
    }
}
