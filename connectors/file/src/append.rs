//! Appending lines: whole or not at all, synced before success, reopened when the file was rotated away.

use crate::{
    fault::{Stage, fault},
    lock,
};
use crossdock_model::Fault;
use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

/// Files kept open; beyond it those nobody writes to at the moment are closed.
const OPEN_FILES_MAX: usize = 128;

/// The open files of a gateway by path, shared by all its targets, so that the lines of two never mix.
#[derive(Debug, Default)]
pub struct AppendFiles(Mutex<HashMap<PathBuf, Arc<Mutex<AppendFile>>>>);

impl AppendFiles {
    /// Appends the lines, each with its line break at the end, and syncs.
    ///
    /// # Errors
    /// The file ends as it did before, as far as the system lets it; nothing of the lines counts as written.
    pub fn append(&self, path: &Path, lines: &[u8], dynamic: bool) -> Result<(), Fault> {
        let file = {
            let mut files = lock(&self.0);
            if files.len() >= OPEN_FILES_MAX {
                files.retain(|_, file| Arc::strong_count(file) > 1);
            }
            Arc::clone(files.entry(path.to_owned()).or_default())
        };
        let mut file = lock(&file);
        file.ready(path).map_err(|error| fault(Stage::Open { dynamic }, path, &error))?;
        file.append(lines).map_err(|error| fault(Stage::Write, path, &error))
    }
}

/// A file to append to.
#[derive(Debug, Default)]
enum AppendFile {
    /// Not opened yet, or closed because an operation on it failed.
    #[default]
    Closed,
    /// Open.
    Open {
        /// The handle, opened to append.
        file: File,
        /// Device and inode: another one under the path means that it was rotated away.
        identity: (u64, u64),
        /// Whether it is a file on a disk; a terminal or a pipe (`/dev/stdout`) can be neither synced nor cut.
        on_disk: bool,
    },
}

impl AppendFile {
    /// Opens the file if it is closed or was rotated away.
    fn ready(&mut self, path: &Path) -> io::Result<()> {
        if let Self::Open { identity, .. } = self
            && fs::metadata(path).is_ok_and(|now| (now.dev(), now.ino()) == *identity)
        {
            return Ok(());
        }
        *self = Self::Closed;
        make_folder(path.parent().unwrap_or(Path::new("/")))?;
        let is_new = !path.exists();
        let mut file = open_to_append(path)?;
        if is_new {
            sync_folder_of(path)?;
        }
        // A line that a power failure tore is closed, so that the next one begins on its own.
        let found = file.metadata()?;
        if found.len() > 0 && !ends_with_line_break(&mut file)? {
            file.write_all(b"\n")?;
        }
        *self = Self::Open { file, identity: (found.dev(), found.ino()), on_disk: found.is_file() };
        Ok(())
    }

    fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        let Self::Open { file, on_disk, .. } = self else {
            return Err(io::Error::other("the file is closed"));
        };
        if !*on_disk {
            return file.write_all(lines).and_then(|()| file.flush());
        }
        let before = file.metadata()?.len();
        let written = file.write_all(lines).and_then(|()| file.sync_data());
        if let Err(error) = written {
            // What was written in part is taken back; if that fails too, `ready` closes the torn line at the next try.
            let taken_back = file.set_len(before).and_then(|()| file.sync_data());
            if let Err(second) = taken_back {
                tracing::warn!(%error, %second, "a line may be torn: taking back what was written failed too");
            }
            // After a failed sync the system may call lost pages clean: a new handle, and the lines are written again.
            *self = Self::Closed;
            return Err(error);
        }
        Ok(())
    }
}

/// Opens to append and to read the last byte; what can only be written to (a pipe) is opened for that.
fn open_to_append(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    match options.clone().read(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && !path.is_file() => options.open(path),
        opened => opened,
    }
}

fn ends_with_line_break(file: &mut File) -> io::Result<bool> {
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

/// Makes the folder and those above it that are missing, each with its entry synced.
pub fn make_folder(folder: &Path) -> io::Result<()> {
    // The empty path is the folder we are in.
    if folder.as_os_str().is_empty() || folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        make_folder(parent)?;
    }
    match fs::create_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let text = format!("{} is a file where a folder is wanted", folder.display());
            Err(io::Error::new(io::ErrorKind::NotADirectory, text))
        }
        Err(error) => Err(error),
        Ok(()) => sync_folder_of(folder),
    }
}

/// Syncs the folder in which the path is an entry.
pub fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_appended_also_behind_a_torn_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/out.log");
        let files = AppendFiles::default();
        files.append(&path, b"1\n2\n", false).unwrap();
        files.append(&path, b"3\n", false).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "1\n2\n3\n");
        fs::write(&path, "1\ntor").unwrap();
        AppendFiles::default().append(&path, b"2\n", false).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "1\ntor\n2\n");
    }

    #[test]
    fn a_rotated_file_is_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.log");
        let files = AppendFiles::default();
        files.append(&path, b"1\n", false).unwrap();
        fs::rename(&path, folder.path().join("out.log.1")).unwrap();
        files.append(&path, b"2\n", false).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "2\n");
        assert_eq!(fs::read_to_string(folder.path().join("out.log.1")).unwrap(), "1\n");
    }

    #[test]
    fn a_full_disk_is_busy() {
        let found = AppendFiles::default().append(Path::new("/dev/full"), b"1\n", false);
        assert_eq!(found.map_err(|fault| fault.code.to_string()), Err("file.full".to_owned()));
    }

    #[test]
    fn few_files_stay_open() {
        let folder = tempfile::tempdir().unwrap();
        let files = AppendFiles::default();
        for n in 0..OPEN_FILES_MAX * 2 {
            files.append(&folder.path().join(n.to_string()), b"x\n", false).unwrap();
        }
        assert!(lock(&files.0).len() <= OPEN_FILES_MAX);
    }
}
