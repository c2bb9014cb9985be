//! A folder of the system's.

use super::{Disk, DiskFile, DiskLock, FileEntry, OpenMode, Space};
use rustix::fs::{Advice, FallocateFlags, OFlags};
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

/// Reads past the cache start, end and lie in memory on multiples of this: the largest block size in use.
const DIRECT_BYTES: usize = 4096;

/// A folder of the system's. Files are synced with `fdatasync`, by way of the C library, so that a fault can be put in
/// from outside.
#[derive(Debug)]
pub struct RealDisk {
    folder: PathBuf,
}

impl RealDisk {
    /// The folder, which is made (and durable) if it is not there.
    ///
    /// # Errors
    /// What the system says.
    pub fn new(folder: &Path) -> io::Result<Self> {
        make_durable_dir(folder)?;
        Ok(Self { folder: folder.to_owned() })
    }

    fn path(&self, name: &str) -> PathBuf {
        if name.is_empty() { self.folder.clone() } else { self.folder.join(name) }
    }
}

impl Disk for RealDisk {
    fn open(&self, name: &str, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let path = self.path(name);
        let mut options = OpenOptions::new();
        options.read(true);
        match mode {
            OpenMode::Read => {}
            OpenMode::Existing => drop(options.write(true)),
            OpenMode::Create => drop(options.write(true).create(true).truncate(false).mode(0o600)),
        }
        Ok(Arc::new(RealFile { file: options.open(&path)?, path, direct: OnceLock::new() }))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path(name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))
    }

    fn list(&self, folder: &str) -> io::Result<Vec<FileEntry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(self.path(folder))? {
            let entry = entry?;
            let about = entry.metadata()?;
            if let (true, Ok(name)) = (about.is_file(), entry.file_name().into_string()) {
                entries.push(FileEntry { name, bytes: about.len() });
            }
        }
        Ok(entries)
    }

    fn sync_dir(&self, folder: &str) -> io::Result<()> {
        File::open(self.path(folder))?.sync_all()
    }

    fn make_dir(&self, folder: &str) -> io::Result<()> {
        make_durable_dir(&self.path(folder))
    }

    fn lock(&self, name: &str) -> io::Result<Box<dyn DiskLock>> {
        let path = self.path(name);
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Box::new(RealLock { _file: file })),
            Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn space(&self) -> io::Result<Space> {
        let volume = rustix::fs::statvfs(&self.folder)?;
        let bytes = |blocks: u64| blocks.saturating_mul(volume.f_frsize);
        Ok(Space { free: bytes(volume.f_bavail), total: bytes(volume.f_blocks) })
    }
}

/// A lock on an open file ends with the process, whatever ends it.
struct RealLock {
    _file: File,
}

impl DiskLock for RealLock {}

struct RealFile {
    file: File,
    path: PathBuf,
    /// A second handle that goes past the cache; `None` where the file system has no such thing.
    direct: OnceLock<Option<File>>,
}

impl RealFile {
    fn direct(&self) -> Option<&File> {
        let open = || {
            let flags = i32::try_from(OFlags::DIRECT.bits()).ok()?;
            OpenOptions::new().read(true).custom_flags(flags).open(&self.path).ok()
        };
        self.direct.get_or_init(open).as_ref()
    }
}

impl DiskFile for RealFile {
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        read_whole(&self.file, buffer, at)
    }

    fn read_past_cache(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        if let Some(file) = self.direct()
            && let Ok(read) = read_aligned(file, buffer, at)
        {
            return Ok(read);
        }
        // Clean pages of this range are dropped; a page that failed to be written counts as clean.
        let length = std::num::NonZeroU64::new(buffer.len() as u64);
        rustix::fs::fadvise(&self.file, at, length, Advice::DontNeed)?;
        read_whole(&self.file, buffer, at)
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, at)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        self.file.set_len(bytes)
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        match rustix::fs::fallocate(&self.file, FallocateFlags::empty(), 0, bytes) {
            Ok(()) => Ok(()),
            // Without it a full volume shows when a frame is written, which is dealt with just as well.
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) if self.length()? < bytes => {
                self.truncate(bytes)
            }
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }
}

/// Reads until the buffer is full or the file ends.
fn read_whole(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    let mut done = 0;
    while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, at + done as u64) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// Reads whole blocks around the place into memory that begins on a block, then takes what was asked for.
fn read_aligned(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    let skip = usize::try_from(at % DIRECT_BYTES as u64).map_err(io::Error::other)?;
    let wanted = (skip + buffer.len()).next_multiple_of(DIRECT_BYTES);
    let mut memory = vec![0_u8; wanted + DIRECT_BYTES];
    let begin = memory.as_ptr().align_offset(DIRECT_BYTES);
    let blocks = memory.get_mut(begin..begin + wanted).ok_or(io::ErrorKind::Unsupported)?;
    let read = read_whole(file, blocks, at - skip as u64)?;
    let found = blocks.get(skip..read.min(skip + buffer.len())).unwrap_or_default();
    if let Some(to) = buffer.get_mut(..found.len()) {
        to.copy_from_slice(found);
    }
    Ok(found.len())
}

/// Makes a folder and those above it, each durable in the one above.
fn make_durable_dir(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let above = match folder.parent() {
        Some(above) if !above.as_os_str().is_empty() => above,
        Some(_) | None => Path::new("."),
    };
    make_durable_dir(above)?;
    match fs::create_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        Ok(()) | Err(_) => File::open(above)?.sync_all(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_past_the_cache_what_was_written_at_any_place() {
        let folder = tempfile::tempdir().unwrap();
        let disk = RealDisk::new(&folder.path().join("a/b")).unwrap();
        let file = disk.open("x", OpenMode::Create).unwrap();
        let bytes: Vec<u8> = (0..20_000_u32).map(|n| (n % 251) as u8).collect();
        file.write_at(&bytes, 0).unwrap();
        for (at, len) in [(0_usize, 20_000_usize), (1, 4096), (4095, 2), (19_990, 100), (8192, 4096), (30_000, 5)] {
            let mut buffer = vec![0; len];
            let read = file.read_past_cache(&mut buffer, at as u64).unwrap();
            assert_eq!(&buffer[..read], bytes.get(at..(at + len).min(20_000)).unwrap_or_default(), "{at} {len}");
        }
    }

    #[test]
    fn a_lock_keeps_a_second_holder_out_until_it_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let disk = RealDisk::new(folder.path()).unwrap();
        let held = disk.lock("lock").unwrap();
        assert_eq!(disk.lock("lock").err().map(|e| e.kind()), Some(io::ErrorKind::WouldBlock));
        drop(held);
        assert!(disk.lock("lock").is_ok());
    }
}
