//! Checksums that only hold in one place.
//!
//! Every CRC-32C in a segment begins with the segment's incarnation, which is random and fresh at every use of a file: an
//! old frame in a recycled file, or a payload made to look like a frame, never verifies. A record's is that of its body,
//! which whoever submits it works out, combined (exclusive or) with a sealed one of its entry: kind, length, channel
//! and offset. So a record can be read and checked alone, and is what was asked for or is damaged.

use crate::cipher::KeyId;

/// The start of every checksum in a segment, and the key that its records are encrypted under.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seal {
    /// The segment's incarnation.
    pub incarnation: u64,
    /// None where the records are plain.
    pub key: Option<KeyId>,
    start: u32,
}

impl Seal {
    /// That of a segment with plain records.
    pub fn new(incarnation: u64) -> Self {
        Self { incarnation, key: None, start: crc32c::crc32c(&incarnation.to_le_bytes()) }
    }

    /// The same for a segment whose records are encrypted.
    pub const fn under(self, key: Option<KeyId>) -> Self {
        Self { key, ..self }
    }

    /// The checksum of bytes under this seal.
    pub fn of(self, bytes: &[u8]) -> u32 {
        crc32c::crc32c_append(self.start, bytes)
    }
}
