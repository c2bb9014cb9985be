//! Version 1 of the files of keys: read, and replaced by the next checkpoint.
//!
//! ```text
//!  0  magic "CDKK"         4
//!  4  version 1            2
//!  6  flags                2   1: what follows the header is encrypted (`cipher`) and bound to the number of the file
//!  8  number of keys       4
//! 12  CRC-32C of the rest  4
//! 16  (scope 4 · key, as in its record)…   oldest first
//! ```

use super::MAGIC;
use crate::{
    DecodeError, Keyring,
    cipher::FileKind,
    format::{Key, Reader, key},
};
use std::borrow::Cow;

const VERSION: u16 = 1;
const FLAG_ENCRYPTED: u16 = 1;

/// Whether a file that begins so is one.
pub fn is_earlier(begin: &[u8]) -> bool {
    let mut reader = Reader::new(begin);
    reader.array() == Ok(MAGIC) && reader.u16() == Ok(VERSION)
}

/// Its keys, with their scopes.
pub fn decode(bytes: &[u8], number: u64, ring: &Keyring) -> Result<Vec<(u32, Key)>, DecodeError> {
    let mut reader = Reader::new(bytes);
    let (_, _, flags): ([u8; 4], u16, u16) = (reader.array()?, reader.u16()?, reader.u16()?);
    let (count, checksum) = (reader.u32()?, reader.u32()?);
    if crc32c::crc32c(reader.rest()) != checksum {
        return Err(DecodeError("its checksum does not hold"));
    }
    let body = if flags & FLAG_ENCRYPTED == 0 {
        Cow::Borrowed(reader.rest())
    } else {
        let opened = ring.decrypt_file(FileKind::Keys, &number.to_le_bytes(), reader.rest());
        Cow::Owned(opened.map_err(|_| DecodeError("it does not open under the keys that are given"))?)
    };
    let mut reader = Reader::new(&body);
    (0..count).map(|_| Ok((reader.u32()?, key(&mut reader)?))).collect()
}
