//! Files of keys: what was seen longer ago than what is in memory, as sorted runs, each with a filter.
//!
//! ```text
//! a file of blocks (`blocks`) of 64 records each
//!
//! header   magic "CDKK", version 2, and of its own: records 8
//! record   64 bytes: hash 16 · body hash 16 · id 16 · until 8 · sequence 8; by scope and hash
//! block    records, padded with zeros; 36 more where it is encrypted
//! index    number of runs · (scope · records · first sequence · last sequence · latest until: signed · filter)…
//!          number of blocks · (scope · hash: 16 of its first record)…
//! ```
//! The sequence counts the keys of a scope as they came: of two records of a hash the later one counts, and a scope that
//! is full has forgotten all below some sequence. A checkpoint names the files that count, oldest first. Each has what came
//! since the one before; from the seventeenth on, the newest of like size are merged.
//!
//! In memory is, of each key, its share of the filter (16 bits) and of the first hashes of blocks (3 bits). To find a key takes a
//! read where a filter says that it may be there, which of those that are not it says of one in 1,400.
//!
//! Version 1, of which files are read and replaced, had its header in 16 bytes and its records as they are in the log, oldest
//! first: see [`earlier`].

mod build;
pub mod earlier;
mod filter;
#[cfg(test)]
mod tests;

pub use build::{Source, write};

use crate::{
    DecodeError, Disk, DiskFile, Keyring, OpenMode,
    blocks::{HEADER_BYTES, Header, INDEX, Kind, Sealed, checked, read},
    cipher::FileKind,
    disk::is_missing,
    format::{Key, Reader, Write},
};
use crossdock_model::{Digest, MessageId, Timestamp};
use filter::Filter;
use std::{io, sync::Arc};

const MAGIC: [u8; 4] = *b"CDKK";
const KIND: Kind = Kind { magic: MAGIC, version: 2, cipher: FileKind::Keys };
const RECORD_BYTES: usize = 64;
const BLOCK_RECORDS: usize = 64;
/// Whichever key is missing or wrong.
const SEALED: DecodeError = DecodeError("it does not open under the keys that are given");
/// What a block is longer by where it is encrypted.
const SEAL_BYTES: usize = 36;

/// A key, and its place among those of its scope.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record {
    pub scope: u32,
    pub key: Key,
    pub sequence: u64,
}

/// The keys of a scope in a file.
#[derive(Debug)]
pub struct Run {
    pub scope: u32,
    pub records: u64,
    pub first_sequence: u64,
    pub last_sequence: u64,
    /// When the last of them has run out.
    pub until: Timestamp,
    filter: Filter,
}

/// A file of keys, open for reading.
pub struct KeyFile {
    pub runs: Vec<Run>,
    pub records: u64,
    file: Arc<dyn DiskFile>,
    sealed: Sealed,
    /// The first record of each block, by scope and hash.
    fences: Vec<(u32, Digest)>,
}

/// What a file of keys is.
pub enum Opened {
    Whole(KeyFile),
    /// Of version 1: its keys, oldest first.
    Earlier(Vec<(u32, Key)>),
    Damaged(DecodeError),
}

/// The name of a file of keys.
pub fn file_name(number: u64) -> String {
    format!("keys-{number:016}")
}

/// Whether a file is one of keys.
pub fn is_key_file(name: &str) -> bool {
    name.starts_with("keys-")
}

/// Opens a file of keys: reads its index.
pub fn open(disk: &dyn Disk, number: u64, keys: &Keyring) -> io::Result<Opened> {
    let file = match disk.open(&file_name(number), OpenMode::Read) {
        Ok(file) => file,
        Err(error) if is_missing(&error) => return Ok(Opened::Damaged(DecodeError("it is gone"))),
        Err(error) => return Err(error),
    };
    let header = read(&*file, 0, HEADER_BYTES)?;
    if Reader::new(&header).raw(6).is_ok_and(earlier::is_earlier) {
        let bytes = usize::try_from(file.length()?).map_err(io::Error::other)?;
        let decoded = earlier::decode(&read(&*file, 0, bytes)?, number, keys);
        return Ok(decoded.map_or_else(Opened::Damaged, Opened::Earlier));
    }
    let header = match Header::decode(KIND, &header) {
        Ok(header) => header,
        Err(why) => return Ok(Opened::Damaged(why)),
    };
    let index = read(&*file, header.index_at, header.index_bytes)?;
    let sealed = Sealed { kind: KIND, number, keys: keys.clone(), encrypted: header.encrypted };
    Ok(open_index(file, &header, sealed, &index).map_or_else(Opened::Damaged, Opened::Whole))
}

fn open_index(file: Arc<dyn DiskFile>, header: &Header, sealed: Sealed, index: &[u8]) -> Result<KeyFile, DecodeError> {
    header.check_index(index)?;
    let index = sealed.open(INDEX, index).map_err(|_| SEALED)?;
    let mut reader = Reader::new(&index);
    let mut runs = Vec::new();
    for _ in 0..reader.count()? {
        runs.push(Run {
            scope: reader.varint_u32()?,
            records: reader.varint()?,
            first_sequence: reader.varint()?,
            last_sequence: reader.varint()?,
            until: Timestamp(reader.signed()?),
            filter: Filter::decode(reader.piece()?),
        });
    }
    let mut fences = Vec::new();
    for _ in 0..reader.count()? {
        fences.push((reader.varint_u32()?, Digest(reader.array()?)));
    }
    let records = Reader::new(&header.own).u64()?;
    Ok(KeyFile { runs, records, file, sealed, fences })
}

impl KeyFile {
    /// Its number, which its name has.
    pub const fn number(&self) -> u64 {
        self.sealed.number
    }

    /// Whether the filter of the scope's run lets the hash through: it may be there.
    pub fn may_have(&self, scope: u32, hash: Digest) -> bool {
        let at = self.runs.binary_search_by_key(&scope, |run| run.scope);
        at.ok().and_then(|at| self.runs.get(at)).is_some_and(|run| run.filter.has(hash))
    }

    /// The key of a hash. Reads a block.
    pub fn find(&self, scope: u32, hash: Digest) -> io::Result<Option<Record>> {
        let Some(block) = self.fences.partition_point(|fence| *fence <= (scope, hash)).checked_sub(1) else {
            return Ok(None);
        };
        let records = self.block(block as u64)?;
        Ok(records.into_iter().find(|record| record.scope == scope && record.key.hash == hash))
    }

    /// Makes what was written durable.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }

    /// How long it is.
    pub fn bytes(&self) -> u64 {
        self.file.length().unwrap_or(0)
    }

    /// How many blocks it has.
    pub fn blocks(&self) -> u64 {
        self.fences.len() as u64
    }

    /// The records of a block; none if it is damaged, which is told.
    pub fn block(&self, block: u64) -> io::Result<Vec<Record>> {
        let stride = self.stride();
        let bytes = read(&*self.file, HEADER_BYTES as u64 + block * stride as u64, stride)?;
        match self.decode(block, &bytes) {
            Ok(records) => Ok(records),
            Err(why) => {
                let file = file_name(self.number());
                tracing::error!(file, block, %why, "keys are damaged: repetitions of them may be stored again");
                Ok(Vec::new())
            }
        }
    }

    /// Whether the records of a block are as they were written. Reads it.
    pub fn is_sound(&self, block: u64) -> io::Result<bool> {
        let stride = self.stride();
        let bytes = read(&*self.file, HEADER_BYTES as u64 + block * stride as u64, stride)?;
        Ok(self.decode(block, &bytes).is_ok())
    }

    fn stride(&self) -> usize {
        4 + RECORD_BYTES * BLOCK_RECORDS + if self.sealed.encrypted { SEAL_BYTES } else { 0 }
    }

    fn decode(&self, block: u64, bytes: &[u8]) -> Result<Vec<Record>, DecodeError> {
        let content = self.sealed.open(block, checked(bytes)?).map_err(|_| SEALED)?;
        let mut reader = Reader::new(&content);
        let first = block * BLOCK_RECORDS as u64;
        let count = self.records.saturating_sub(first).min(BLOCK_RECORDS as u64);
        (first..first + count).map(|at| record(&mut reader, self.scope_of(at))).collect()
    }

    /// The scope of a record by its place in the file.
    fn scope_of(&self, at: u64) -> u32 {
        let mut end = 0;
        let run = self.runs.iter().find(|run| {
            end += run.records;
            at < end
        });
        run.map_or(0, |run| run.scope)
    }
}

fn record(reader: &mut Reader<'_>, scope: u32) -> Result<Record, DecodeError> {
    let key = Key {
        hash: Digest(reader.array()?),
        body: Digest(reader.array()?),
        id: MessageId::from_bytes(reader.array()?),
        until: Timestamp(reader.u64()?.cast_signed()),
    };
    Ok(Record { scope, key, sequence: reader.u64()? })
}

fn put_record(to: &mut Vec<u8>, record: &Record) {
    to.put_raw(&record.key.hash.0);
    to.put_raw(&record.key.body.0);
    to.put_raw(record.key.id.as_bytes());
    to.put_u64(record.key.until.millis().cast_unsigned());
    to.put_u64(record.sequence);
}
