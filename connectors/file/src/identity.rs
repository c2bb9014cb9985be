//! Which file it is, whatever it is called at the moment.
//!
//! A path says little: files are renamed, rotated, and made anew under an old name. An inode number is given to the next
//! file as soon as one is deleted. So a file is known by device, inode and the time its inode was made; and, read whole,
//! also by its size and time of change.

use crossdock_model::{Digest, DigestBuilder, Timestamp};
use std::{
    fs::Metadata,
    os::unix::fs::MetadataExt as _,
    time::{SystemTime, UNIX_EPOCH},
};

/// What the system says of a file at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sight {
    /// Which file: device, inode, and the time it was made where the file system knows it.
    pub file: Digest,
    /// Bytes.
    pub size: u64,
    /// Time of the last change, seconds since the epoch.
    seconds: i64,
    /// Nanoseconds within the second.
    nanoseconds: i64,
}

impl Sight {
    /// The sight of a file.
    pub fn of(metadata: &Metadata) -> Self {
        let made = metadata.created().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
        let file = DigestBuilder::new("crossdock.file")
            .part(&metadata.dev().to_le_bytes())
            .part(&metadata.ino().to_le_bytes())
            .part(&made.as_nanos().to_le_bytes())
            .finish();
        Self { file, size: metadata.len(), seconds: metadata.mtime(), nanoseconds: metadata.mtime_nsec() }
    }

    /// The file with exactly this content, as far as size and time of change tell: what a file read whole is known by.
    pub fn version(&self) -> Digest {
        DigestBuilder::new("crossdock.file.version")
            .part(&self.file.0)
            .part(&self.size.to_le_bytes())
            .part(&self.seconds.to_le_bytes())
            .part(&self.nanoseconds.to_le_bytes())
            .finish()
    }

    /// When the file was changed last.
    pub const fn modified(&self) -> Timestamp {
        Timestamp(self.seconds.saturating_mul(1000).saturating_add(self.nanoseconds / 1_000_000))
    }
}

/// The calendar's time now.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// 32 hexadecimal digits.
pub fn hex(digest: Digest) -> String {
    format!("{:032x}", u128::from_be_bytes(digest.0))
}

/// The digest of 32 hexadecimal digits.
pub fn from_hex(text: &str) -> Option<Digest> {
    (text.len() == 32).then(|| u128::from_str_radix(text, 16).ok().map(|n| Digest(n.to_be_bytes()))).flatten()
}
