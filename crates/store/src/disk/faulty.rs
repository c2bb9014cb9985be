//! A disk on which an operation fails.

/// Fails operations of the disk below.
#[derive(Debug)]
pub struct FaultyDisk;

/// What a disk does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DiskOperation {
    /// `sync` of a file.
    Sync,
}

/// What goes wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mishap {
    /// EIO.
    Fails,
}
