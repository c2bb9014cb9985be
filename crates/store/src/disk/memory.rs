//! A disk in memory that knows what a loss of power would leave of it.
//!
//! Every file has the bytes that readers see, those that are durable, and the writes in between; every folder has names
//! in the same three states. [`MemoryDisk::after_crash`] makes the disk that the machine finds when it is up again.

use super::inode::{Change, Dice, Inode};
use super::{Disk, DiskFile, DiskLock, FileEntry, OpenMode, Space};
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// What a loss of power does to what was not synced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CrashPolicy {
    /// Nothing happens to it: only the process ended.
    KeepAll,
    /// All of it is gone.
    LoseAll,
    /// Each write is there, gone, or there in some of its sectors; each name is there or not. The seed decides.
    Tear {
        /// The seed.
        seed: u64,
    },
}

/// A disk in memory. Clones are the same disk.
#[derive(Clone, Default)]
pub struct MemoryDisk(Arc<Mutex<Contents>>);

#[derive(Default)]
struct Contents {
    names: BTreeMap<String, Arc<Mutex<Inode>>>,
    folders: BTreeSet<String>,
    durable_names: BTreeMap<String, Arc<Mutex<Inode>>>,
    durable_folders: BTreeSet<String>,
    changes: Vec<NameChange>,
    locks: BTreeSet<String>,
    bytes_max: Option<u64>,
}

#[derive(Clone)]
enum NameChange {
    File(String, Arc<Mutex<Inode>>),
    Gone(String),
    Renamed(String, String),
    Folder(String),
}

impl MemoryDisk {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Bounds the volume; `None` has room without end.
    pub fn set_bytes_max(&self, bytes_max: Option<u64>) {
        lock(&self.0).bytes_max = bytes_max;
    }

    /// The bytes of a file as readers see them.
    #[must_use]
    pub fn contents(&self, name: &str) -> Option<Vec<u8>> {
        let inode = lock(&self.0).names.get(name).cloned()?;
        let bytes = lock(&inode).seen.clone();
        Some(bytes)
    }

    /// Makes a file of these durable bytes, behind the back of whoever uses the disk.
    pub fn plant(&self, name: &str, bytes: Vec<u8>) {
        let inode = Arc::new(Mutex::new(Inode::of(bytes)));
        let mut contents = lock(&self.0);
        contents.names.insert(name.to_owned(), Arc::clone(&inode));
        contents.durable_names.insert(name.to_owned(), inode);
    }

    /// A disk of its own with the same files, all durable.
    #[must_use]
    pub fn copy(&self) -> Self {
        self.after_crash(CrashPolicy::KeepAll)
    }

    /// What the machine finds after a loss of power now.
    #[must_use]
    pub fn after_crash(&self, policy: CrashPolicy) -> Self {
        let contents = lock(&self.0);
        let mut dice = Dice(match policy {
            CrashPolicy::KeepAll | CrashPolicy::LoseAll => 0,
            CrashPolicy::Tear { seed } => seed,
        });
        let (mut names, mut folders) = (contents.durable_names.clone(), contents.durable_folders.clone());
        for change in &contents.changes {
            let survives = match policy {
                CrashPolicy::KeepAll => true,
                CrashPolicy::LoseAll => false,
                CrashPolicy::Tear { .. } => dice.below(2) == 0,
            };
            if survives {
                apply_name(&mut names, &mut folders, change);
            }
        }
        names.retain(|name, _| name.rsplit_once('/').is_none_or(|(folder, _)| folders.contains(folder)));
        let names: BTreeMap<_, _> =
            names.into_iter().map(|(name, inode)| (name, lock(&inode).after_crash(policy, &mut dice))).collect();
        let fresh = Contents {
            durable_names: names.clone(),
            names,
            durable_folders: folders.clone(),
            folders,
            changes: Vec::new(),
            locks: BTreeSet::new(),
            bytes_max: contents.bytes_max,
        };
        Self(Arc::new(Mutex::new(fresh)))
    }
}

impl Contents {
    fn change(&mut self, change: NameChange) {
        apply_name(&mut self.names, &mut self.folders, &change);
        self.changes.push(change);
    }

    fn used(&self) -> u64 {
        self.names.values().map(|inode| lock(inode).seen.len() as u64).sum()
    }

    fn reserve(&self, inode: &Mutex<Inode>, bytes: u64) -> io::Result<()> {
        let growth = bytes.saturating_sub(lock(inode).seen.len() as u64);
        match self.bytes_max {
            Some(max) if growth > 0 && self.used() + growth > max => Err(io::ErrorKind::StorageFull.into()),
            Some(_) | None => Ok(()),
        }
    }
}

fn apply_name(names: &mut BTreeMap<String, Arc<Mutex<Inode>>>, folders: &mut BTreeSet<String>, change: &NameChange) {
    match change {
        NameChange::File(name, inode) => drop(names.insert(name.clone(), Arc::clone(inode))),
        NameChange::Gone(name) => drop(names.remove(name)),
        NameChange::Folder(name) => drop(folders.insert(name.clone())),
        NameChange::Renamed(from, to) => {
            if let Some(inode) = names.remove(from) {
                names.insert(to.clone(), inode);
            }
        }
    }
}

impl NameChange {
    fn is_in(&self, folder: &str) -> bool {
        let (Self::File(name, _) | Self::Gone(name) | Self::Renamed(name, _) | Self::Folder(name)) = self;
        name.rsplit_once('/').map_or("", |(folder, _)| folder) == folder
    }
}

impl Disk for MemoryDisk {
    fn open(&self, name: &str, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let mut contents = lock(&self.0);
        let inode = match (contents.names.get(name).cloned(), mode) {
            (Some(inode), OpenMode::Read | OpenMode::Existing | OpenMode::Create) => inode,
            (None, OpenMode::Read | OpenMode::Existing) => return Err(io::ErrorKind::NotFound.into()),
            (None, OpenMode::Create) => {
                let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
                if !folder.is_empty() && !contents.folders.contains(folder) {
                    return Err(io::ErrorKind::NotFound.into());
                }
                let inode = Arc::new(Mutex::new(Inode::default()));
                contents.change(NameChange::File(name.to_owned(), Arc::clone(&inode)));
                inode
            }
        };
        Ok(Arc::new(MemoryFile { disk: Arc::clone(&self.0), inode }))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut contents = lock(&self.0);
        if !contents.names.contains_key(name) {
            return Err(io::ErrorKind::NotFound.into());
        }
        contents.change(NameChange::Gone(name.to_owned()));
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut contents = lock(&self.0);
        if !contents.names.contains_key(from) {
            return Err(io::ErrorKind::NotFound.into());
        }
        contents.change(NameChange::Renamed(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn list(&self, folder: &str) -> io::Result<Vec<FileEntry>> {
        let contents = lock(&self.0);
        if !folder.is_empty() && !contents.folders.contains(folder) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let here = |name: &str| {
            let (of, name) = name.rsplit_once('/').unwrap_or(("", name));
            (of == folder).then(|| name.to_owned())
        };
        let entries = contents.names.iter().filter_map(|(name, inode)| {
            here(name).map(|name| FileEntry { name, bytes: lock(inode).seen.len() as u64 })
        });
        Ok(entries.collect())
    }

    fn sync_dir(&self, folder: &str) -> io::Result<()> {
        let mut contents = lock(&self.0);
        let contents = &mut *contents;
        let (mut waiting, mut done) = (Vec::new(), Vec::new());
        for change in contents.changes.drain(..) {
            if change.is_in(folder) { done.push(change) } else { waiting.push(change) }
        }
        for change in &done {
            apply_name(&mut contents.durable_names, &mut contents.durable_folders, change);
        }
        contents.changes = waiting;
        Ok(())
    }

    fn make_dir(&self, folder: &str) -> io::Result<()> {
        let mut contents = lock(&self.0);
        if !contents.folders.contains(folder) {
            contents.change(NameChange::Folder(folder.to_owned()));
        }
        Ok(())
    }

    fn lock(&self, name: &str) -> io::Result<Box<dyn DiskLock>> {
        if !lock(&self.0).locks.insert(name.to_owned()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(MemoryLock { disk: Arc::clone(&self.0), name: name.to_owned() }))
    }

    fn space(&self) -> io::Result<Space> {
        let contents = lock(&self.0);
        let total = contents.bytes_max.unwrap_or(1 << 50);
        Ok(Space { free: total.saturating_sub(contents.used()), total })
    }
}

struct MemoryLock {
    disk: Arc<Mutex<Contents>>,
    name: String,
}

impl DiskLock for MemoryLock {}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        lock(&self.disk).locks.remove(&self.name);
    }
}

struct MemoryFile {
    disk: Arc<Mutex<Contents>>,
    inode: Arc<Mutex<Inode>>,
}

impl DiskFile for MemoryFile {
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        let inode = lock(&self.inode);
        let begin = place(at)?.min(inode.seen.len());
        let found = inode.seen.get(begin..).unwrap_or_default();
        let read = found.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..read), found.get(..read)) {
            to.copy_from_slice(from);
        }
        Ok(read)
    }

    fn read_past_cache(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        self.read_at(buffer, at)
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        lock(&self.disk).reserve(&self.inode, at + bytes.len() as u64)?;
        lock(&self.inode).change(Change::Write { at: place(at)?, bytes: bytes.to_vec() });
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        lock(&self.inode).sync();
        Ok(())
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        lock(&self.disk).reserve(&self.inode, bytes)?;
        lock(&self.inode).change(Change::Length(place(bytes)?));
        Ok(())
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        if self.length()? < bytes { self.truncate(bytes) } else { Ok(()) }
    }

    fn length(&self) -> io::Result<u64> {
        Ok(lock(&self.inode).seen.len() as u64)
    }
}

fn place(at: u64) -> io::Result<usize> {
    usize::try_from(at).map_err(io::Error::other)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_leaves_what_was_synced_and_names_apart_from_bytes() {
        let disk = MemoryDisk::new();
        let write = |name: &str, bytes: &[u8], sync: bool| {
            let file = disk.open(name, OpenMode::Create).unwrap();
            file.write_at(bytes, 0).unwrap();
            if sync {
                file.sync().unwrap();
            }
        };
        write("named", b"old", true);
        disk.sync_dir("").unwrap();
        write("named", b"new", false);
        write("nameless", b"synced", true);
        let after = disk.after_crash(CrashPolicy::LoseAll);
        assert_eq!((after.contents("named"), after.contents("nameless")), (Some(b"old".to_vec()), None));
        let kept = disk.after_crash(CrashPolicy::KeepAll);
        assert_eq!(kept.contents("named"), Some(b"new".to_vec()));
        disk.remove("named").unwrap();
        assert_eq!(disk.after_crash(CrashPolicy::LoseAll).contents("named"), Some(b"old".to_vec()));
    }
}
