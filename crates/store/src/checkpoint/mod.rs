//! Checkpoints: the state at a frame, so that start-up need not read what came before it.
//!
//! Two files, `checkpoint-0` and `checkpoint-1`, are written in turn; the one of the greater generation that is whole
//! counts. What a checkpoint needs of the log is kept until both files are newer.
//!
//! ```text
//!  0  magic "CDKC"            4
//!  4  version                 2
//!  6  flags                   2   1: written at a clean stop, nothing follows; 2: the body is encrypted (`cipher`) and bound
//!                                to what the header says but for its checksums
//!  8  store                   4   the number that the store's id shows
//! 12  CRC-32C of the body     4
//! 16  generation              8
//! 24  sequence                8   of the last frame that is in it
//! 32  segment                 8   where that frame is,
//! 40  end                     8   and its end there; 0: in no segment yet
//! 48  bytes of the body       8
//! 56  CRC of that frame's header  4
//! 60  CRC-32C of the above    4
//! 64  body: sections          (see `body`)
//! ```

mod body;
mod read;

pub use body::Extra;
pub use read::decode_body;

use crate::{
    DecodeError, Disk, DiskFile, Keyring, OpenMode, Options,
    cipher::{FileError, FileKind, KeyId, key_of},
    disk::is_missing,
    format::{Reader, Write},
    state::State,
};
use aws_lc_rs::error::Unspecified;
use bytes::Bytes;
use std::{io, sync::Arc};

/// The files, in turn.
pub const FILES: [&str; 2] = ["checkpoint-0", "checkpoint-1"];

const MAGIC: [u8; 4] = *b"CDKC";
const VERSION: u16 = 1;
const FLAG_CLEAN: u16 = 1;
const FLAG_ENCRYPTED: u16 = 2;
const HEADER_BYTES: usize = 64;

/// Where the log stood.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LogEnd {
    /// The sequence of the last frame.
    pub sequence: u64,
    /// The segment that it is in, and where it ends there.
    pub segment: u64,
    pub end: u64,
    /// The checksum of its header.
    pub checksum: u32,
}

/// What stands before the body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    pub clean: bool,
    pub store: u32,
    pub generation: u64,
    pub log: LogEnd,
}

/// What a checkpoint file is.
#[derive(Debug)]
pub enum CheckpointRead {
    /// A whole one: its header and body.
    Whole(Header, Body),
    /// There is no such file, or it is empty.
    Missing,
    /// One of a newer version.
    Newer,
    /// Not whole: it was being written when the machine stopped, or is damaged.
    Damaged,
}

/// The body as it is in the file.
#[derive(Debug)]
pub enum Body {
    Plain(Bytes),
    Encrypted(Bytes),
}

impl Body {
    /// The key that it is encrypted under; none where it is plain.
    pub fn key(&self) -> Option<KeyId> {
        match self {
            Self::Plain(_) => None,
            Self::Encrypted(stored) => key_of(stored),
        }
    }

    /// The body as it was before it was encrypted.
    pub fn open(self, header: &Header, keys: &Keyring) -> Result<Bytes, FileError> {
        match self {
            Self::Plain(body) => Ok(body),
            Self::Encrypted(stored) => {
                keys.decrypt_file(FileKind::Checkpoint, &header.associated(), &stored).map(Bytes::from)
            }
        }
    }
}

impl Header {
    /// What an encrypted body is bound to.
    fn associated(&self) -> Vec<u8> {
        let mut to = Vec::with_capacity(HEADER_BYTES);
        to.put_u8(u8::from(self.clean));
        to.put_u32(self.store);
        for n in [self.generation, self.log.sequence, self.log.segment, self.log.end] {
            to.put_u64(n);
        }
        to.put_u32(self.log.checksum);
        to
    }

    fn encode(&self, body: &[u8], encrypted: bool) -> Vec<u8> {
        let mut to = Vec::with_capacity(HEADER_BYTES + body.len());
        to.put_raw(&MAGIC);
        to.put_u16(VERSION);
        let clean = if self.clean { FLAG_CLEAN } else { 0 };
        to.put_u16(clean | if encrypted { FLAG_ENCRYPTED } else { 0 });
        to.put_u32(self.store);
        to.put_u32(crc32c::crc32c(body));
        for n in [self.generation, self.log.sequence, self.log.segment, self.log.end, body.len() as u64] {
            to.put_u64(n);
        }
        to.put_u32(self.log.checksum);
        to.put_u32(crc32c::crc32c(&to));
        to.put_raw(body);
        to
    }

    fn decode(file: &Bytes) -> Result<CheckpointRead, DecodeError> {
        let mut reader = Reader::new(file);
        if reader.array()? != MAGIC {
            return Ok(CheckpointRead::Damaged);
        }
        let (version, flags, store, checksum) = (reader.u16()?, reader.u16()?, reader.u32()?, reader.u32()?);
        let (generation, sequence, segment, end) = (reader.u64()?, reader.u64()?, reader.u64()?, reader.u64()?);
        let (body_bytes, frame_checksum) = (reader.u64()?, reader.u32()?);
        if reader.u32()? != crc32c::crc32c(file.get(..HEADER_BYTES - 4).unwrap_or_default()) {
            return Ok(CheckpointRead::Damaged);
        }
        if version != VERSION || flags & !(FLAG_CLEAN | FLAG_ENCRYPTED) != 0 {
            return Ok(CheckpointRead::Newer);
        }
        let body = usize::try_from(body_bytes).ok().and_then(|bytes| reader.raw(bytes).ok());
        let Some(body) = body.filter(|body| crc32c::crc32c(body) == checksum) else {
            return Ok(CheckpointRead::Damaged);
        };
        let log = LogEnd { sequence, segment, end, checksum: frame_checksum };
        let header = Self { clean: flags & FLAG_CLEAN != 0, store, generation, log };
        let body = file.slice_ref(body);
        let body = if flags & FLAG_ENCRYPTED == 0 { Body::Plain(body) } else { Body::Encrypted(body) };
        Ok(CheckpointRead::Whole(header, body))
    }
}

/// The bytes of a checkpoint, encrypted where there is a key to write with.
pub fn encode(header: &Header, state: &State, extra: &Extra, options: &Options) -> Result<Vec<u8>, Unspecified> {
    let (body, random) = (body::encode(state, extra), &*options.random);
    let body = options.keys.encrypt_file(FileKind::Checkpoint, &header.associated(), random, body)?;
    Ok(header.encode(&body, options.keys.current().is_some()))
}

/// The file whose turn it is.
pub const fn file_of(header: &Header) -> &'static str {
    if header.generation.is_multiple_of(2) { FILES[0] } else { FILES[1] }
}

/// Writes a checkpoint into the file whose turn it is. It counts once the file is synced, and its name after a `sync_dir`.
pub fn write(disk: &dyn Disk, header: &Header, bytes: &[u8]) -> io::Result<Arc<dyn DiskFile>> {
    let file = disk.open(file_of(header), OpenMode::Create)?;
    file.write_at(bytes, 0)?;
    if file.length()? > bytes.len() as u64 {
        file.truncate(bytes.len() as u64)?;
    }
    Ok(file)
}

/// Reads a checkpoint file, past the cache.
pub fn read(disk: &dyn Disk, name: &str) -> io::Result<CheckpointRead> {
    let file = match disk.open(name, OpenMode::Read) {
        Ok(file) => file,
        Err(error) if is_missing(&error) => return Ok(CheckpointRead::Missing),
        Err(error) => return Err(error),
    };
    let mut bytes = vec![0; usize::try_from(file.length()?).map_err(io::Error::other)?];
    let read = file.read_past_cache(&mut bytes, 0)?;
    bytes.truncate(read);
    if bytes.is_empty() {
        return Ok(CheckpointRead::Missing);
    }
    Ok(Header::decode(&Bytes::from(bytes)).unwrap_or(CheckpointRead::Damaged))
}
