//! What is damaged is copied aside before it is skipped or cut.

use super::scan::Chunks;
use crate::{Disk, OpenMode, disk::is_full};
use std::{io, ops::Range};

/// The folder of what was damaged.
pub const FOLDER: &str = "quarantine";

/// What is kept of one stretch of damage.
const BYTES_MAX: u64 = 4 << 20;

/// Copies bytes of a segment aside. On a full volume they are lost, which is told.
pub fn keep(disk: &dyn Disk, chunks: &mut Chunks, segment: u64, range: &Range<u64>, what: &str) -> io::Result<()> {
    let bytes = (range.end - range.start).min(BYTES_MAX).min(chunks.length().saturating_sub(range.start));
    let bytes = usize::try_from(bytes).map_err(io::Error::other)?;
    let damaged = chunks.get(range.start, bytes)?.unwrap_or_default().to_vec();
    keep_bytes(disk, segment, range.start, &damaged, what)
}

/// The same for bytes that were read already.
pub fn keep_bytes(disk: &dyn Disk, segment: u64, at: u64, damaged: &[u8], what: &str) -> io::Result<()> {
    let name = format!("{FOLDER}/{segment:016}-{at:010}-{what}");
    match write(disk, &name, damaged) {
        Err(error) if is_full(&error) => {
            tracing::warn!(%name, "there is no room to keep a copy of damaged bytes");
            Ok(())
        }
        Err(error) => Err(error),
        Ok(()) => {
            tracing::warn!(%name, bytes = damaged.len(), "damaged bytes were copied aside");
            Ok(())
        }
    }
}

fn write(disk: &dyn Disk, name: &str, bytes: &[u8]) -> io::Result<()> {
    disk.make_dir(FOLDER)?;
    let file = disk.open(name, OpenMode::Create)?;
    file.truncate(0)?;
    file.write_at(bytes, 0)?;
    file.sync()?;
    disk.sync_dir(FOLDER)?;
    disk.sync_dir("")
}
