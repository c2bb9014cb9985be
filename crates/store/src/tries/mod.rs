//! Files of tries: what is known of messages with tries on record, where there are more of them than memory holds.
//!
//! ```text
//! header: 64 │ blocks │ index
//!
//! header   magic "CDKT" 4 · version 2 · zeros 2 · place of the index 8 · bytes of the index 8 · CRC-32C of the index 4 ·
//!          flags 4 (1: blocks and index are encrypted) · zeros 28 · CRC-32C of the above 4
//! block    CRC-32C 4 · entries, about 4 KiB; encrypted (`cipher`) they are bound to file and block
//! entry    subscription · offset · tries · charges · mask · [due: signed] · number of · (try · segment · at)…
//! index    number of blocks · (subscription · offset of its first entry · bytes)…
//! ```
//! Entries are sorted by subscription and offset. A checkpoint names the files that count, oldest first, and holds what is in
//! memory. An entry counts while its message is not settled and neither the checkpoint nor a newer file has one of it.
//! From the seventeenth on, the newest files of like size are merged.
//!
//! The file saves memory and is no second log: what it has since the last checkpoint is in frames, too.

mod build;
mod entry;

pub use build::write;
pub use entry::{Entry, put_touched, touched};

use crate::{
    DecodeError, Disk, DiskFile, Keyring, OpenMode,
    cipher::{FileError, FileKind},
    disk::is_missing,
    format::Reader,
};
use std::{borrow::Cow, io, sync::Arc};

const MAGIC: [u8; 4] = *b"CDKT";
const VERSION: u16 = 1;
const FLAG_ENCRYPTED: u32 = 1;
const HEADER_BYTES: usize = 64;
/// A block ends with the entry that fills it.
const BLOCK_BYTES: usize = 4096;
/// What stands in the place of a block's number for the index.
const INDEX: u64 = u64::MAX;

/// Where a block is, and what it begins with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Block {
    first: (u32, u64),
    at: u64,
    bytes: usize,
}

/// A file of tries, open for reading.
pub struct RunFile {
    pub number: u64,
    file: Arc<dyn DiskFile>,
    keys: Keyring,
    encrypted: bool,
    blocks: Vec<Block>,
    bytes: u64,
}

/// Why a file, or a block of it, cannot be read.
#[derive(Debug)]
pub enum RunError {
    /// The system failed.
    Io(io::Error),
    /// It is not as it was written, or a newer version wrote it.
    Damaged(DecodeError),
    /// The key that it is encrypted under is not there, or another one.
    Key(FileError),
}

impl From<io::Error> for RunError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<DecodeError> for RunError {
    fn from(error: DecodeError) -> Self {
        Self::Damaged(error)
    }
}

impl std::fmt::Display for RunError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Damaged(why) => f.write_str(why.0),
            Self::Key(_) => f.write_str("it does not open under the keys that are given"),
        }
    }
}

/// The name of a file of tries.
pub fn file_name(number: u64) -> String {
    format!("tries-{number:016}")
}

/// The number of a file of tries.
pub fn number_of(name: &str) -> Option<u64> {
    name.strip_prefix("tries-")?.parse().ok()
}

/// Opens a file of tries: reads its index.
pub fn open(disk: &dyn Disk, number: u64, keys: &Keyring) -> Result<RunFile, RunError> {
    let file = match disk.open(&file_name(number), OpenMode::Read) {
        Ok(file) => file,
        Err(error) if is_missing(&error) => return Err(DecodeError("it is gone").into()),
        Err(error) => return Err(error.into()),
    };
    let header = read(&*file, 0, HEADER_BYTES)?;
    let mut reader = Reader::new(&header);
    let (magic, version, _) = (reader.array()?, reader.u16()?, reader.u16()?);
    let (at, bytes, checksum, flags) = (reader.u64()?, reader.u64()?, reader.u32()?, reader.u32()?);
    reader.raw(28)?;
    if reader.u32()? != crc32c::crc32c(header.get(..HEADER_BYTES - 4).unwrap_or_default()) || magic != MAGIC {
        return Err(DecodeError("its checksum does not hold").into());
    }
    if version != VERSION || flags & !FLAG_ENCRYPTED != 0 {
        return Err(DecodeError("a newer version wrote it").into());
    }
    let index = read(&*file, at, usize::try_from(bytes).unwrap_or(usize::MAX))?;
    if crc32c::crc32c(&index) != checksum {
        return Err(DecodeError("the checksum of its index does not hold").into());
    }
    let encrypted = flags & FLAG_ENCRYPTED != 0;
    let blocks = index_of(&unsealed(keys, encrypted, number, INDEX, &index)?)?;
    Ok(RunFile { number, file, keys: keys.clone(), encrypted, blocks, bytes: at.saturating_add(bytes) })
}

fn index_of(index: &[u8]) -> Result<Vec<Block>, DecodeError> {
    let (mut reader, mut at) = (Reader::new(index), HEADER_BYTES as u64);
    let mut blocks = Vec::new();
    for _ in 0..reader.count()? {
        let (first, bytes) = ((reader.varint_u32()?, reader.varint()?), reader.varint_u32()?);
        blocks.push(Block { first, at, bytes: bytes as usize });
        at += u64::from(bytes);
    }
    Ok(blocks)
}

impl RunFile {
    /// How many blocks it has.
    pub const fn blocks(&self) -> usize {
        self.blocks.len()
    }

    /// How long it is.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Makes what was written durable.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }

    /// The block in which a message is, if it is in any.
    pub fn block_of(&self, subscription: u32, offset: u64) -> Option<usize> {
        self.blocks.partition_point(|block| block.first <= (subscription, offset)).checked_sub(1)
    }

    /// The entries of a block.
    pub fn block(&self, number: usize) -> Result<Vec<Entry>, RunError> {
        let Some(block) = self.blocks.get(number) else { return Ok(Vec::new()) };
        let stored = read(&*self.file, block.at, block.bytes)?;
        let mut reader = Reader::new(&stored);
        if reader.u32()? != crc32c::crc32c(reader.rest()) {
            return Err(DecodeError("the checksum of a block does not hold").into());
        }
        let content = unsealed(&self.keys, self.encrypted, self.number, number as u64, reader.rest())?;
        let mut reader = Reader::new(&content);
        let mut entries = Vec::new();
        while !reader.is_empty() {
            entries.push(entry::entry(&mut reader)?);
        }
        Ok(entries)
    }

    /// The same, without what is damaged: that is told, with the messages between which it lies.
    pub fn sound_block(&self, number: usize) -> io::Result<Vec<Entry>> {
        match self.block(number) {
            Ok(entries) => Ok(entries),
            Err(RunError::Io(error)) => Err(error),
            Err(why) => {
                let first = self.blocks.get(number).map(|block| block.first);
                let next = self.blocks.get(number + 1).map(|block| block.first);
                tracing::error!(
                    file = file_name(self.number),
                    ?first,
                    ?next,
                    %why,
                    "what is known of tried messages is damaged: those between these two (subscription, offset) count as never tried"
                );
                Ok(Vec::new())
            }
        }
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

fn unsealed<'a>(
    keys: &Keyring,
    encrypted: bool,
    number: u64,
    block: u64,
    bytes: &'a [u8],
) -> Result<Cow<'a, [u8]>, RunError> {
    if !encrypted {
        return Ok(Cow::Borrowed(bytes));
    }
    let opened = keys.decrypt_file(FileKind::Tries, &associated(number, block), bytes);
    opened.map(Cow::Owned).map_err(RunError::Key)
}

/// Reads so many bytes, or as many as there are.
fn read(file: &dyn DiskFile, at: u64, bytes: usize) -> io::Result<Vec<u8>> {
    // A place that no file has is damage, and must not ask for all of memory.
    let left = file.length()?.saturating_sub(at);
    let mut buffer = vec![0; bytes.min(usize::try_from(left).unwrap_or(usize::MAX))];
    let read = file.read_at(&mut buffer, at)?;
    buffer.truncate(read);
    Ok(buffer)
}
