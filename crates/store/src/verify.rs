//! `crossdock verify`: reads every byte of a store and says what is wrong with it.

use crate::{Disk, OpenError};
use crossdock_model::Text;

/// What a store's files hold.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Report {
    /// Segments read.
    pub segments: u64,
    /// Frames that are whole.
    pub frames: u64,
    /// Records that are whole.
    pub records: u64,
    /// Messages among them.
    pub messages: u64,
    /// Bytes read.
    pub bytes: u64,
    /// What is wrong; empty for a sound store.
    pub findings: Vec<Finding>,
}

/// Something that is wrong with a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// The file.
    pub file: Text,
    /// The first byte of what is wrong.
    pub at: u64,
    /// What it is.
    pub what: Text,
}

/// Reads all files of a store that no process holds, and changes nothing.
///
/// # Errors
/// As for opening; damage is no error but a finding.
pub fn verify(disk: &dyn Disk) -> Result<Report, OpenError> {
    todo!("{}", disk.list("").is_ok())
}
