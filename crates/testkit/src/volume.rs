//! Small volumes: file systems of their own, which are really full when they are full.
//!
//! Mounting takes rights that not every machine gives (root, or the capability). Tests that need it are built only where it
//! works.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;

/// A volume that is mounted until it is dropped. Whoever works on it must have ended before.
#[derive(Debug)]
pub struct Volume {
    /// Holds the mount point, and the image where there is one.
    folder: TempDir,
}

impl Volume {
    /// A volume in memory: what is written takes its place at once.
    ///
    /// # Panics
    /// It cannot be mounted.
    #[must_use]
    pub fn tmpfs(bytes: u64) -> Self {
        let volume = Self::unmounted();
        let size = format!("size={bytes}");
        run(Command::new("mount").args(["-t", "tmpfs", "-o", &size, "crossdock-test"]).arg(volume.path()));
        volume
    }

    /// A volume with a journal, on an image of so many bytes; file system and journal take a part of them.
    ///
    /// # Panics
    /// It cannot be made or mounted.
    #[must_use]
    pub fn ext4(bytes: u64) -> Self {
        let volume = Self::unmounted();
        let image = volume.folder.path().join("image");
        File::create(&image).and_then(|file| file.set_len(bytes)).expect("an image");
        run(Command::new("mkfs.ext4").args(["-q", "-m", "0"]).arg(&image));
        run(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(volume.path()));
        volume
    }

    fn unmounted() -> Self {
        let folder = tempfile::Builder::new().prefix("crossdock-volume-").tempdir().expect("a temporary folder");
        fs::create_dir(folder.path().join("mounted")).expect("a mount point");
        Self { folder }
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("mounted")
    }

    /// Bytes of the files in its top folder, as they are allocated.
    ///
    /// # Panics
    /// It cannot be read.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        allocated(&self.path())
    }
}

/// Bytes allocated to what is below a folder. Files that go while this looks count nothing.
fn allocated(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let entries = fs::read_dir(folder).expect("a folder of the volume").flatten();
    let bytes = entries.map(|entry| match entry.metadata() {
        Ok(found) if found.is_dir() => allocated(&entry.path()),
        Ok(found) => found.blocks() * 512,
        Err(_) => 0,
    });
    bytes.sum()
}

impl Drop for Volume {
    fn drop(&mut self) {
        // Lazily, so that nothing stays mounted even where a test failed and left a process behind.
        let _unmounted = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

fn run(command: &mut Command) {
    let ran = command.output().unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    assert!(ran.status.success(), "{command:?} failed: {}", String::from_utf8_lossy(&ran.stderr));
}
