//! Files of tries: what is known of messages with tries on record, where there are more of them than memory holds.
//!
//! ```text
//! a file of blocks (`blocks`) of about 4 KiB each
//!
//! header   magic "CDKT", version 1, and nothing of its own
//! block    entries
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
    blocks::{HEADER_BYTES, Header, INDEX, Kind, Sealed, checked, read},
    cipher::{FileError, FileKind},
    disk::is_missing,
    format::Reader,
};
use std::{io, sync::Arc};

const KIND: Kind = Kind { magic: *b"CDKT", version: 1, cipher: FileKind::Tries };
/// A block ends with the entry that fills it.
const BLOCK_BYTES: usize = 4096;

/// Where a block is, and what it begins with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Block {
    first: (u32, u64),
    at: u64,
    bytes: usize,
}

/// A file of tries, open for reading.
pub struct RunFile {
    file: Arc<dyn DiskFile>,
    sealed: Sealed,
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

impl From<FileError> for RunError {
    fn from(error: FileError) -> Self {
        Self::Key(error)
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
    let header = Header::decode(KIND, &read(&*file, 0, HEADER_BYTES)?)?;
    let index = read(&*file, header.index_at, header.index_bytes)?;
    header.check_index(&index)?;
    let sealed = Sealed { kind: KIND, number, keys: keys.clone(), encrypted: header.encrypted };
    let blocks = index_of(&sealed.open(INDEX, &index)?)?;
    Ok(RunFile { file, sealed, blocks, bytes: header.index_at.saturating_add(header.index_bytes as u64) })
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
    /// Its number, which its name has.
    pub const fn number(&self) -> u64 {
        self.sealed.number
    }

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
        let content = self.sealed.open(number as u64, checked(&stored)?)?;
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
                    file = file_name(self.number()),
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
