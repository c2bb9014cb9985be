//! A disk on which an operation goes wrong, at a place that a test chose.

use super::{Disk, DiskFile, DiskLock, FileEntry, OpenMode, Space};
use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Condvar, Mutex, PoisonError},
};

/// What a disk does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum DiskOperation {
    /// Opening, also making, a file.
    Open,
    /// Reading, either way.
    Read,
    /// `write_at`.
    Write,
    /// `sync` of a file.
    Sync,
    /// `truncate`.
    Truncate,
    /// `allocate`.
    Allocate,
    /// `remove`.
    Remove,
    /// `rename`.
    Rename,
    /// `sync_dir`.
    SyncDir,
    /// `make_dir`.
    MakeDir,
}

/// What goes wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mishap {
    /// It fails with EIO and does nothing.
    Fails,
    /// It fails with ENOSPC and does nothing.
    NoSpace,
    /// A write does its first half and fails with EIO; anything else just fails.
    Tears,
    /// It says that it did, and did not.
    Forgets,
    /// It and all after it fail with EIO, as if the cable were out.
    Ends,
}

/// Where a [`Mishap`] happens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Plan {
    operation: Option<DiskOperation>,
    number: u64,
    mishap: Mishap,
}

/// Passes operations on to the disk below and lets chosen ones go wrong.
#[derive(Clone)]
pub struct FaultyDisk {
    below: Arc<dyn Disk>,
    shared: Arc<(Mutex<Shared>, Condvar)>,
}

#[derive(Default)]
struct Shared {
    plans: Vec<Plan>,
    counts: BTreeMap<DiskOperation, u64>,
    total: u64,
    ended: bool,
    /// From the which-th on operations of a kind hang.
    stalled: Option<(DiskOperation, u64)>,
    hanging: usize,
}

impl FaultyDisk {
    /// The disk below, nothing going wrong yet.
    #[must_use]
    pub fn new(below: Arc<dyn Disk>) -> Self {
        Self { below, shared: Arc::default() }
    }

    /// Lets the `number`-th operation (the first is 1; of the kind, or of all that change something) go wrong.
    pub fn plan(&self, operation: Option<DiskOperation>, number: u64, mishap: Mishap) {
        self.with(|shared| shared.plans.push(Plan { operation, number, mishap }));
    }

    /// How many operations of a kind there were.
    #[must_use]
    pub fn count(&self, operation: DiskOperation) -> u64 {
        self.with(|shared| shared.counts.get(&operation).copied().unwrap_or(0))
    }

    /// How many operations there were that change something: all but reading.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.with(|shared| shared.total)
    }

    fn with<T>(&self, act: impl FnOnce(&mut Shared) -> T) -> T {
        act(&mut self.shared.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Operations of a kind hang from the `number`-th on (the first is 1) until [`Self::go_on`].
    pub fn stall(&self, operation: DiskOperation, number: u64) {
        self.with(|shared| shared.stalled = Some((operation, number)));
    }

    /// What hangs goes on, and nothing hangs any more.
    pub fn go_on(&self) {
        self.with(|shared| shared.stalled = None);
        self.shared.1.notify_all();
    }

    /// How many operations hang.
    #[must_use]
    pub fn hanging(&self) -> usize {
        self.with(|shared| shared.hanging)
    }

    fn wait_while_stalled(&self, operation: DiskOperation) {
        let (shared, changed) = &*self.shared;
        let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.hanging += 1;
        let stalled = |shared: &mut Shared| {
            let next = shared.counts.get(&operation).copied().unwrap_or(0) + 1;
            shared.stalled.is_some_and(|(stalled, number)| stalled == operation && next >= number)
        };
        changed.wait_while(shared, stalled).unwrap_or_else(PoisonError::into_inner).hanging -= 1;
    }

    /// Counts the operation and says what becomes of it.
    fn meet(&self, operation: DiskOperation) -> Option<Mishap> {
        self.wait_while_stalled(operation);
        self.with(|shared| {
            let of_kind = shared.counts.entry(operation).or_default();
            *of_kind += 1;
            let of_kind = *of_kind;
            let changes = operation != DiskOperation::Read;
            shared.total += u64::from(changes);
            if shared.ended {
                return Some(Mishap::Fails);
            }
            let total = shared.total;
            let hit = shared.plans.iter().find(|plan| match plan.operation {
                Some(of) => of == operation && plan.number == of_kind,
                None => changes && plan.number == total,
            });
            let mishap = hit.map(|plan| plan.mishap);
            shared.ended = mishap == Some(Mishap::Ends);
            mishap
        })
    }

    fn run(&self, operation: DiskOperation, act: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        match self.meet(operation) {
            None => act(),
            Some(Mishap::Forgets) => Ok(()),
            Some(mishap) => Err(error_of(mishap)),
        }
    }
}

/// EIO, or ENOSPC.
fn error_of(mishap: Mishap) -> io::Error {
    match mishap {
        Mishap::NoSpace => rustix::io::Errno::NOSPC.into(),
        Mishap::Fails | Mishap::Tears | Mishap::Forgets | Mishap::Ends => rustix::io::Errno::IO.into(),
    }
}

impl Disk for FaultyDisk {
    fn open(&self, name: &str, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        // Forgetting to open makes no sense: it fails.
        if let Some(mishap) = self.meet(DiskOperation::Open) {
            return Err(error_of(mishap));
        }
        Ok(Arc::new(FaultyFile { disk: self.clone(), below: self.below.open(name, mode)? }))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.run(DiskOperation::Remove, || self.below.remove(name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.run(DiskOperation::Rename, || self.below.rename(from, to))
    }

    fn list(&self, folder: &str) -> io::Result<Vec<FileEntry>> {
        self.below.list(folder)
    }

    fn sync_dir(&self, folder: &str) -> io::Result<()> {
        self.run(DiskOperation::SyncDir, || self.below.sync_dir(folder))
    }

    fn make_dir(&self, folder: &str) -> io::Result<()> {
        self.run(DiskOperation::MakeDir, || self.below.make_dir(folder))
    }

    fn lock(&self, name: &str) -> io::Result<Box<dyn DiskLock>> {
        self.below.lock(name)
    }

    fn space(&self) -> io::Result<Space> {
        self.below.space()
    }
}

struct FaultyFile {
    disk: FaultyDisk,
    below: Arc<dyn DiskFile>,
}

impl FaultyFile {
    fn read(&self, act: impl FnOnce() -> io::Result<usize>) -> io::Result<usize> {
        self.disk.meet(DiskOperation::Read).map_or_else(act, |mishap| Err(error_of(mishap)))
    }
}

impl DiskFile for FaultyFile {
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        self.read(|| self.below.read_at(buffer, at))
    }

    fn read_past_cache(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        self.read(|| self.below.read_past_cache(buffer, at))
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        match self.disk.meet(DiskOperation::Write) {
            None => self.below.write_at(bytes, at),
            Some(Mishap::Forgets) => Ok(()),
            Some(Mishap::Tears) => {
                self.below.write_at(bytes.get(..bytes.len() / 2).unwrap_or_default(), at)?;
                Err(error_of(Mishap::Tears))
            }
            Some(mishap) => Err(error_of(mishap)),
        }
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.run(DiskOperation::Sync, || self.below.sync())
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        self.disk.run(DiskOperation::Truncate, || self.below.truncate(bytes))
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        self.disk.run(DiskOperation::Allocate, || self.below.allocate(bytes))
    }

    fn length(&self) -> io::Result<u64> {
        self.below.length()
    }
}

#[cfg(test)]
mod tests {
    use super::super::MemoryDisk;
    use super::*;

    #[test]
    fn what_hangs_goes_on_when_it_is_let_go() {
        let disk = FaultyDisk::new(Arc::new(MemoryDisk::new()));
        let file = disk.open("x", OpenMode::Create).unwrap();
        disk.stall(DiskOperation::Sync, 2);
        file.write_at(b"aa", 0).unwrap();
        file.sync().unwrap();
        let hangs = std::thread::spawn(move || file.sync());
        while disk.hanging() == 0 {
            std::thread::yield_now();
        }
        assert_eq!(disk.count(DiskOperation::Sync), 1);
        disk.go_on();
        hangs.join().unwrap().unwrap();
        assert_eq!(disk.count(DiskOperation::Sync), 2);
    }

    #[test]
    fn the_chosen_operation_goes_wrong_and_no_other() {
        for (mishap, left, works_on) in [
            (Mishap::Fails, "aacc", true),
            (Mishap::NoSpace, "aacc", true),
            (Mishap::Tears, "abcc", true),
            (Mishap::Ends, "aa", false),
        ] {
            let below = MemoryDisk::new();
            let disk = FaultyDisk::new(Arc::new(below.clone()));
            disk.plan(Some(DiskOperation::Write), 2, mishap);
            let file = disk.open("x", OpenMode::Create).unwrap();
            file.write_at(b"aa", 0).unwrap();
            assert!(file.write_at(b"bb", 1).is_err());
            assert_eq!(file.write_at(b"cc", 2).is_ok(), works_on);
            assert_eq!(String::from_utf8(below.contents("x").unwrap()).unwrap(), left, "{mishap:?}");
        }
    }
}
