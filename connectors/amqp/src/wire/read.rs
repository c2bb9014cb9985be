//! Reading: a cursor over bytes that are all there.

use bytes::{Buf, Bytes};

/// Bytes that are not what the protocol says; a lowercase fragment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub &'static str);

const SHORT: Malformed = Malformed("the bytes end in the middle of a value");

/// Where reading is. What it gives shares the bytes.
#[derive(Clone, Debug)]
pub struct Cursor(Bytes);

impl Cursor {
    /// At the start of the bytes.
    pub const fn new(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// Whether all is read.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// An octet.
    pub fn octet(&mut self) -> Result<u8, Malformed> {
        self.0.try_get_u8().map_err(|_| SHORT)
    }

    /// Two octets.
    pub fn short(&mut self) -> Result<u16, Malformed> {
        self.0.try_get_u16().map_err(|_| SHORT)
    }

    /// Four octets.
    pub fn long(&mut self) -> Result<u32, Malformed> {
        self.0.try_get_u32().map_err(|_| SHORT)
    }

    /// Eight octets.
    pub fn long_long(&mut self) -> Result<u64, Malformed> {
        self.0.try_get_u64().map_err(|_| SHORT)
    }

    /// So many bytes.
    pub fn take(&mut self, length: usize) -> Result<Bytes, Malformed> {
        if length > self.0.len() { Err(SHORT) } else { Ok(self.0.split_to(length)) }
    }

    /// A short string: at most 255 bytes, by convention UTF-8.
    pub fn short_string(&mut self) -> Result<Bytes, Malformed> {
        let length = self.octet()?;
        self.take(usize::from(length))
    }

    /// A long string: bytes.
    pub fn long_string(&mut self) -> Result<Bytes, Malformed> {
        let length = self.long()?;
        self.take(usize::try_from(length).unwrap_or(usize::MAX))
    }
}
