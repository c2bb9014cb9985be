//! Files of blocks: written once, sorted, with an index behind. Deduplication keys (`keys`) and tries (`tries`) are in such.
//!
//! ```text
//! header: 64 │ blocks │ index
//!
//! header   magic 4 · version 2 · zeros 2 · place of the index 8 · bytes of the index 8 · CRC-32C of the index 4 · flags 4
//!          (1: blocks and index are encrypted) · what the kind adds, then zeros: 28 · CRC-32C of the above 4
//! block    CRC-32C of the rest 4 · content, or the same encrypted (`cipher`), bound to file and block
//! index    content, or the same encrypted
//! ```
//! What stands in a block and in the index is the kind's own.

use crate::{
    DecodeError, DiskFile, Keyring, Options,
    cipher::{FileError, FileKind},
    format::{Reader, Write},
};
use std::{borrow::Cow, io, sync::Arc};

pub const HEADER_BYTES: usize = 64;
/// What a header has for its kind alone.
const OWN_BYTES: usize = 28;
const FLAG_ENCRYPTED: u32 = 1;
/// What stands in the place of a block's number for the index.
pub const INDEX: u64 = u64::MAX;
/// Written at once.
const BUFFER_BYTES: usize = 256 << 10;

/// What a file is, by which it is told from others.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    pub magic: [u8; 4],
    pub version: u16,
    pub cipher: FileKind,
}

/// What a header says.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    pub index_at: u64,
    pub index_bytes: usize,
    index_checksum: u32,
    pub encrypted: bool,
    /// What the kind has added.
    pub own: [u8; OWN_BYTES],
}

/// A file's number, and how what is in it opens.
#[derive(Clone, Debug)]
pub struct Sealed {
    pub kind: Kind,
    pub number: u64,
    pub keys: Keyring,
    pub encrypted: bool,
}

impl Header {
    /// Reads a header of the kind.
    ///
    /// # Errors
    /// It is damaged, or a newer version's.
    pub fn decode(kind: Kind, bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let (magic, version, _) = (reader.array::<4>()?, reader.u16()?, reader.u16()?);
        let (index_at, index_bytes, index_checksum, flags) =
            (reader.u64()?, reader.u64()?, reader.u32()?, reader.u32()?);
        let own = reader.array()?;
        if reader.u32()? != crc32c::crc32c(bytes.get(..HEADER_BYTES - 4).unwrap_or_default()) || magic != kind.magic {
            return Err(DecodeError("its checksum does not hold"));
        }
        if version != kind.version || flags & !FLAG_ENCRYPTED != 0 {
            return Err(DecodeError("a newer version wrote it"));
        }
        let index_bytes = usize::try_from(index_bytes).map_err(|_| DecodeError("its index is too large"))?;
        Ok(Self { index_at, index_bytes, index_checksum, encrypted: flags & FLAG_ENCRYPTED != 0, own })
    }

    /// Whether these are the index's bytes.
    ///
    /// # Errors
    /// They are not.
    pub fn check_index(&self, index: &[u8]) -> Result<(), DecodeError> {
        let holds = crc32c::crc32c(index) == self.index_checksum;
        if holds { Ok(()) } else { Err(DecodeError("the checksum of its index does not hold")) }
    }
}

impl Sealed {
    /// The content of a block or of the index.
    ///
    /// # Errors
    /// It does not open under the keys that are there.
    pub fn open<'a>(&self, block: u64, stored: &'a [u8]) -> Result<Cow<'a, [u8]>, FileError> {
        if !self.encrypted {
            return Ok(Cow::Borrowed(stored));
        }
        self.keys.decrypt_file(self.kind.cipher, &associated(self.number, block), stored).map(Cow::Owned)
    }
}

/// What a part of an encrypted file is bound to.
fn associated(number: u64, block: u64) -> [u8; 16] {
    let mut bytes = [0; 16];
    let (file, part) = bytes.split_at_mut(8);
    file.copy_from_slice(&number.to_le_bytes());
    part.copy_from_slice(&block.to_le_bytes());
    bytes
}

/// What is behind a block's checksum.
///
/// # Errors
/// The checksum does not hold.
pub fn checked(block: &[u8]) -> Result<&[u8], DecodeError> {
    let mut reader = Reader::new(block);
    let holds = reader.u32()? == crc32c::crc32c(reader.rest());
    if holds { Ok(reader.rest()) } else { Err(DecodeError("the checksum of a block does not hold")) }
}

/// Reads so many bytes, or as many as there are.
pub fn read(file: &dyn DiskFile, at: u64, bytes: usize) -> io::Result<Vec<u8>> {
    // A place that no file has is damage, and must not ask for all of memory.
    let left = file.length()?.saturating_sub(at);
    let mut buffer = vec![0; bytes.min(usize::try_from(left).unwrap_or(usize::MAX))];
    let read = file.read_at(&mut buffer, at)?;
    buffer.truncate(read);
    Ok(buffer)
}

/// A file in the making: block after block, and then the index.
pub struct Output<'a> {
    options: &'a Options,
    kind: Kind,
    number: u64,
    file: Arc<dyn DiskFile>,
    /// Up to here it is written.
    at: u64,
    buffer: Vec<u8>,
    blocks: u64,
}

/// A file that was written.
pub struct Written {
    pub file: Arc<dyn DiskFile>,
    pub sealed: Sealed,
    pub bytes: u64,
}

impl<'a> Output<'a> {
    /// Begins with an empty file.
    pub fn new(kind: Kind, number: u64, options: &'a Options, file: Arc<dyn DiskFile>) -> Self {
        let (at, buffer) = (HEADER_BYTES as u64, Vec::with_capacity(BUFFER_BYTES));
        Self { options, kind, number, file, at, buffer, blocks: 0 }
    }

    /// Adds a block; where it is, and how long.
    pub fn put(&mut self, content: Vec<u8>) -> io::Result<(u64, usize)> {
        let sealed = self.sealed(self.blocks, content)?;
        self.blocks += 1;
        let at = self.at + self.buffer.len() as u64;
        self.buffer.put_u32(crc32c::crc32c(&sealed));
        self.buffer.put_raw(&sealed);
        if self.buffer.len() >= BUFFER_BYTES {
            self.flush()?;
        }
        Ok((at, sealed.len() + 4))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write_at(&self.buffer, self.at)?;
        self.at += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    fn sealed(&self, block: u64, content: Vec<u8>) -> io::Result<Vec<u8>> {
        let Options { keys, random, .. } = self.options;
        let sealed = keys.encrypt_file(self.kind.cipher, &associated(self.number, block), &**random, content);
        sealed.map_err(|_| io::Error::other("encrypting failed"))
    }

    /// Writes what is left, the index, and the header last. Neither the file nor its name is synced.
    pub fn end(mut self, index: Vec<u8>, own: &[u8]) -> io::Result<Written> {
        self.flush()?;
        let index = self.sealed(INDEX, index)?;
        self.file.write_at(&index, self.at)?;
        let encrypted = self.options.keys.current().is_some();
        let mut header = Vec::with_capacity(HEADER_BYTES);
        header.put_raw(&self.kind.magic);
        header.put_u16(self.kind.version);
        header.put_u16(0);
        header.put_u64(self.at);
        header.put_u64(index.len() as u64);
        header.put_u32(crc32c::crc32c(&index));
        header.put_u32(if encrypted { FLAG_ENCRYPTED } else { 0 });
        header.put_raw(own);
        header.resize(HEADER_BYTES - 4, 0);
        header.put_u32(crc32c::crc32c(&header));
        self.file.write_at(&header, 0)?;
        let Self { options, kind, number, file, at, .. } = self;
        let sealed = Sealed { kind, number, keys: options.keys.clone(), encrypted };
        Ok(Written { file, sealed, bytes: at + index.len() as u64 })
    }
}
