//! What the store needs of a disk, so that a test can put another one under it.
//!
//! ```text
//! Disk      open · remove · rename · list · sync_dir · make_dir · lock · space
//! DiskFile  read_at · read_past_cache · write_at · sync · truncate · allocate · length
//! ```
//!
//! Names are relative to the store's folder, with `/` between folders. A file's bytes are durable after its `sync`, its
//! name after the `sync_dir` of its folder: neither implies the other.

mod faulty;
mod inode;
mod memory;
mod real;

pub use faulty::{DiskOperation, FaultyDisk, Mishap};
pub use memory::{CrashPolicy, MemoryDisk};
pub use real::RealDisk;

use std::{io, sync::Arc};

/// A folder with files.
pub trait Disk: Send + Sync + 'static {
    /// Opens a file.
    ///
    /// # Errors
    /// `NotFound` without one under [`OpenMode::Existing`], and whatever the system says.
    fn open(&self, name: &str, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>>;

    /// Removes a file's name; handles stay good.
    ///
    /// # Errors
    /// What the system says.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Gives a file another name, in place of whatever had it.
    ///
    /// # Errors
    /// What the system says.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// The files of a folder (`""` is the store's own), without its folders, in no order.
    ///
    /// # Errors
    /// What the system says; `NotFound` without such a folder.
    fn list(&self, folder: &str) -> io::Result<Vec<FileEntry>>;

    /// Makes the names in a folder durable.
    ///
    /// # Errors
    /// What the system says.
    fn sync_dir(&self, folder: &str) -> io::Result<()>;

    /// Makes a folder, with those above it, if it is not there.
    ///
    /// # Errors
    /// What the system says.
    fn make_dir(&self, folder: &str) -> io::Result<()>;

    /// Takes the lock of that name for as long as the result lives.
    ///
    /// # Errors
    /// `WouldBlock` if another process holds it.
    fn lock(&self, name: &str) -> io::Result<Box<dyn DiskLock>>;

    /// The room on the volume.
    ///
    /// # Errors
    /// What the system says.
    fn space(&self) -> io::Result<Space>;
}

/// An open file. All methods take a place; there is no cursor.
pub trait DiskFile: Send + Sync {
    /// Reads at a place; fewer bytes than asked for only at the end.
    ///
    /// # Errors
    /// What the system says.
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize>;

    /// The same, from the disk and not from the page cache, which after a failed write may show what the disk lacks.
    ///
    /// # Errors
    /// What the system says.
    fn read_past_cache(&self, buffer: &mut [u8], at: u64) -> io::Result<usize>;

    /// Writes all of it at a place.
    ///
    /// # Errors
    /// What the system says; some of it may be written.
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()>;

    /// Makes what was written durable.
    ///
    /// # Errors
    /// What the system says; after that nothing is known about what was written.
    fn sync(&self) -> io::Result<()>;

    /// Cuts or extends it.
    ///
    /// # Errors
    /// What the system says.
    fn truncate(&self, bytes: u64) -> io::Result<()>;

    /// Sees to it that there is room for this many bytes, and makes it that long.
    ///
    /// # Errors
    /// `StorageFull` if there is not.
    fn allocate(&self, bytes: u64) -> io::Result<()>;

    /// How long it is.
    ///
    /// # Errors
    /// What the system says.
    fn length(&self) -> io::Result<u64>;
}

/// A held lock: dropping it lets go.
pub trait DiskLock: Send + Sync {}

/// What opening does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OpenMode {
    /// Read only, and only if it is there.
    Read,
    /// Read and write, only if it is there.
    Existing,
    /// Read and write, made if it is not there.
    Create,
}

/// A file in a folder.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileEntry {
    /// Its name, without the folder.
    pub name: String,
    /// How long it is.
    pub bytes: u64,
}

/// The room on a volume.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Space {
    /// Bytes that this process may still take.
    pub free: u64,
    /// Bytes in all.
    pub total: u64,
}

/// Whether an error says that the volume, or this user's part of it, is full.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Whether an error says that there is no such file.
pub fn is_missing(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}
