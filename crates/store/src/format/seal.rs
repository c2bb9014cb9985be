//! Checksums that only hold in one place.
//!
//! Every CRC-32C in a segment begins with the segment's incarnation, which is random and fresh at every use of a file: an
//! old frame in a recycled file, or a payload made to look like a frame, never verifies. A record's is that of its body,
//! which whoever submits it works out, combined (exclusive or) with a sealed one of its entry: kind, length, channel
//! and offset. So a record can be read and checked alone, and is what was asked for or is damaged.

/// The start of every checksum in a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seal {
    /// The segment's incarnation.
    pub incarnation: u64,
    start: u32,
}

impl Seal {
    pub fn new(incarnation: u64) -> Self {
        Self { incarnation, start: crc32c::crc32c(&incarnation.to_le_bytes()) }
    }

    /// The checksum of bytes under this seal.
    pub fn of(self, bytes: &[u8]) -> u32 {
        crc32c::crc32c_append(self.start, bytes)
    }
}
