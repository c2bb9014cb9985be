//! Key files: the keys that came between two checkpoints, so that a key outlives the segment that it was noted in.
//!
//! ```text
//!  0  magic "CDKK"         4
//!  4  version              2
//!  6  flags                2   1: what follows the header is encrypted (`cipher`) and bound to the number of the file
//!  8  number of keys       4
//! 12  CRC-32C of the rest  4
//! 16  (scope 4 · key, as in its record)…   oldest first
//! ```
//! A checkpoint names the files that count, oldest first. Each has what came since the one before; the seventeenth replaces
//! them all.

use super::{Writer, log::Trouble, space::remove_file};
use crate::{
    DecodeError, Disk, Keyring, OpenMode, Options,
    cipher::FileKind,
    disk::is_missing,
    format::{Reader, Write, key, put_key},
    state::Keys,
};
use aws_lc_rs::error::Unspecified;
use std::{borrow::Cow, io};

const MAGIC: [u8; 4] = *b"CDKK";
const VERSION: u16 = 1;
const FLAG_ENCRYPTED: u16 = 1;
const FILES_MAX: usize = 16;
const HEADER_BYTES: usize = 16;

fn name(number: u64) -> String {
    format!("keys-{number:016}")
}

impl Writer {
    /// Writes down, durably, the keys that no file has yet.
    pub fn write_keys(&mut self) -> Result<(), Trouble> {
        let merge = self.rekeyed || self.extra.key_files.len() >= FILES_MAX;
        let number = self.next_key_file;
        let bytes = {
            let mut state = self.shared.state();
            if !self.rekeyed && state.keys.scopes.iter().all(|(_, scope)| scope.fresh == 0) {
                return Ok(());
            }
            state.keys.expire((self.shared.options.clock)());
            encode(&state.keys, merge, number, &self.shared.options).map_err(Trouble::cipher)?
        };
        let making = |error: io::Error| Trouble::of("writing a key file", &error);
        let file = self.shared.disk.open(&name(number), OpenMode::Create).map_err(making)?;
        file.truncate(0).map_err(making)?;
        file.write_at(&bytes, 0).map_err(making)?;
        file.sync().map_err(|error| Trouble::fatal("syncing a key file", &error))?;
        self.shared.meters.wrote(bytes.len() as u64);
        self.next_key_file += 1;
        if merge {
            self.extra.key_files.clear();
        }
        self.extra.key_files.push(number);
        // Nothing was added since: only this thread adds.
        self.shared.state().keys.mark_saved();
        self.rekeyed = false;
        Ok(())
    }

    /// Removes the key files that neither checkpoint names any more.
    pub fn forget_old_keys(&mut self) -> Result<(), Trouble> {
        let [older, newer] = std::mem::take(&mut self.named_key_files);
        let named = self.extra.key_files.clone();
        for number in older.into_iter().filter(|number| !newer.contains(number) && !named.contains(number)) {
            remove_file(&*self.shared.disk, &name(number))
                .map_err(|error| Trouble::fatal("removing a key file", &error))?;
        }
        self.named_key_files = [newer, named];
        Ok(())
    }
}

fn encode(keys: &Keys, all: bool, number: u64, options: &Options) -> Result<Vec<u8>, Unspecified> {
    let mut body = Vec::new();
    let mut count = 0;
    for (scope_number, scope) in keys.scopes.iter() {
        let skip = if all { 0 } else { scope.len().saturating_sub(scope.fresh as usize) };
        for key in scope.iter().skip(skip) {
            body.put_u32(scope_number);
            put_key(&mut body, key);
            count += 1;
        }
    }
    let body = options.keys.encrypt_file(FileKind::Keys, &number.to_le_bytes(), &*options.random, body)?;
    let mut to = Vec::with_capacity(HEADER_BYTES + body.len());
    to.put_raw(&MAGIC);
    to.put_u16(VERSION);
    to.put_u16(if options.keys.current().is_some() { FLAG_ENCRYPTED } else { 0 });
    to.put_u32(count);
    to.put_u32(crc32c::crc32c(&body));
    to.put_raw(&body);
    Ok(to)
}

/// Reads a key file into what is known; tells whether it is sound. A damaged or lost one is passed over: its keys may then
/// be stored again.
pub fn read_keys(disk: &dyn Disk, number: u64, ring: &Keyring, keys: &mut Keys) -> io::Result<bool> {
    let found = match disk.open(&name(number), OpenMode::Read) {
        Ok(file) => {
            let mut bytes = vec![0; usize::try_from(file.length()?).map_err(io::Error::other)?];
            let read = file.read_past_cache(&mut bytes, 0)?;
            bytes.truncate(read);
            decode(&bytes, number, ring, keys)
        }
        Err(error) if is_missing(&error) => Err(DecodeError("it is gone")),
        Err(error) => return Err(error),
    };
    if let Err(why) = &found {
        tracing::error!(file = name(number), %why, "a key file is damaged: repetitions of its keys may be stored again");
    }
    Ok(found.is_ok())
}

fn decode(bytes: &[u8], number: u64, ring: &Keyring, keys: &mut Keys) -> Result<(), DecodeError> {
    let mut reader = Reader::new(bytes);
    let (magic, version, flags) = (reader.array()?, reader.u16()?, reader.u16()?);
    let (count, checksum) = (reader.u32()?, reader.u32()?);
    if magic != MAGIC || version != VERSION || crc32c::crc32c(reader.rest()) != checksum {
        return Err(DecodeError("its checksum does not hold"));
    }
    let body = if flags & FLAG_ENCRYPTED == 0 {
        Cow::Borrowed(reader.rest())
    } else {
        let opened = ring.decrypt_file(FileKind::Keys, &number.to_le_bytes(), reader.rest());
        Cow::Owned(opened.map_err(|_| DecodeError("it does not open under the keys that are given"))?)
    };
    let mut reader = Reader::new(&body);
    for _ in 0..count {
        let scope = reader.u32()?;
        keys.insert(scope, key(&mut reader)?);
    }
    Ok(())
}

/// Whether a file is a key file.
pub fn is_key_file(name: &str) -> bool {
    name.starts_with("keys-")
}

/// The name of a key file.
pub fn key_file_name(number: u64) -> String {
    name(number)
}
