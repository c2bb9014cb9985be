//! What happens to a file of which everything is stored: it is deleted, moved, or noted as read.

use crate::{
    append::{make_folder, sync_folder_of},
    fault::source_error,
    identity::Sight,
    journal::Memory,
    lock,
    progress::Finished,
    source::{Done, Mode, Shared},
};
use crossdock_connector::SourceError;
use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::Instant,
};

/// Names tried for a file whose name is taken in the folder it is moved to.
const NAMES_MAX: u32 = 10_000;

/// Finishes all files that wait for it. Blocks.
///
/// # Errors
/// A file cannot be noted. One that cannot be deleted or moved is left where it is.
pub fn finish_ready(shared: &Shared) -> Result<(), SourceError> {
    let finished = lock(&shared.progress).take_finished();
    if finished.is_empty() {
        return Ok(());
    }
    match &shared.plan.done {
        Done::Keep => keep(shared, finished),
        Done::Delete => dispose(shared, finished, |path| match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(format!("it cannot be deleted: {error}")),
            _ => Ok(()),
        }),
        Done::Move(folder) => dispose(shared, finished, |path| {
            let moved = make_folder(folder).and_then(|()| move_into(path, folder));
            moved.map_err(|error| format!("it cannot be moved to {}: {error}", folder.display()))
        }),
    }
}

/// Notes how far files are read by lines, where the journal does not know yet. Blocks.
///
/// # Errors
/// The journal cannot be written.
pub fn note_marks(shared: &Shared) -> Result<(), SourceError> {
    if shared.plan.mode == Mode::Whole {
        return Ok(());
    }
    let marks = lock(&shared.progress).unnoted();
    if marks.is_empty() {
        return Ok(());
    }
    note(shared, marks.iter().map(|file| (file.clone(), Some(Memory::Lines(file.mark.clone())))).collect())?;
    lock(&shared.progress).noted(&marks);
    Ok(())
}

fn keep(shared: &Shared, finished: Vec<Finished>) -> Result<(), SourceError> {
    let memory = |file: &Finished| match shared.plan.mode {
        Mode::Whole => Memory::Whole,
        Mode::Lines => Memory::Lines(file.mark.clone()),
    };
    note(shared, finished.iter().map(|file| (file.clone(), Some(memory(file)))).collect())?;
    let mut progress = lock(&shared.progress);
    for file in finished {
        match shared.plan.mode {
            Mode::Whole => progress.forget(file.file),
            Mode::Lines => progress.stays(file.file),
        }
    }
    Ok(())
}

fn note(shared: &Shared, entries: Vec<(Finished, Option<Memory>)>) -> Result<(), SourceError> {
    let keyed = entries.into_iter().map(|(file, memory)| (shared.plan.key(file.sight), file.path, memory));
    let noted = lock(&shared.journal).note(&keyed.collect::<Vec<_>>());
    noted.map_err(|error| source_error("note what was read in", &shared.plan.journal, &error))
}

fn dispose(
    shared: &Shared,
    finished: Vec<Finished>,
    remove: impl Fn(&Path) -> Result<(), String>,
) -> Result<(), SourceError> {
    // One file of each folder that an entry was removed from.
    let mut folders: Vec<PathBuf> = Vec::new();
    let mut gone = Vec::new();
    for file in finished {
        match fs::metadata(&file.path).map(|metadata| Sight::of(&metadata)) {
            Ok(now) if now == file.sight => {
                if let Err(why) = remove(&file.path) {
                    leave(shared, file, &why)?;
                    continue;
                }
                if !folders.iter().any(|other| other.parent() == file.path.parent()) {
                    folders.push(file.path.clone());
                }
                lock(&shared.progress).forget(file.file);
            }
            // It changed since it was read, or is another file by now: by lines it goes on behind what was read.
            Ok(now) if now.file == file.sight.file && shared.plan.mode == Mode::Lines => {
                note(shared, vec![(file.clone(), Some(Memory::Lines(file.mark.clone())))])?;
                lock(&shared.progress).stays(file.file);
                lock(&shared.left).release(file.file);
                continue;
            }
            Ok(_) | Err(_) => lock(&shared.progress).forget(file.file),
        }
        lock(&shared.left).release(file.file);
        gone.push((file, None));
    }
    for path in folders {
        // A deletion that a power failure takes back is met by the claims of the file's messages.
        if let Err(error) = sync_folder_of(&path) {
            tracing::warn!(path = %path.display(), %error, "the file's folder could not be synced");
        }
    }
    // Read whole, only those are known that were left.
    if shared.plan.mode == Mode::Whole {
        let journal = lock(&shared.journal);
        gone.retain(|(file, _)| journal.get(shared.plan.key(file.sight)).is_some());
    }
    if gone.is_empty() { Ok(()) } else { note(shared, gone) }
}

/// What is stored and cannot be removed is not read again, also after a restart.
fn leave(shared: &Shared, file: Finished, why: &str) -> Result<(), SourceError> {
    lock(&shared.left).stored(&file.path, file.sight, why, Instant::now());
    let memory = match shared.plan.mode {
        Mode::Whole => Memory::Left,
        Mode::Lines => Memory::Lines(file.mark.clone()),
    };
    let digest = file.file;
    let is_known = lock(&shared.journal).get(shared.plan.key(file.sight)) == Some(&memory);
    if !is_known {
        note(shared, vec![(file, Some(memory))])?;
    }
    lock(&shared.progress).stays(digest);
    Ok(())
}

/// Removes the file, of which `copy` was made; if that cannot be, the copy goes, so that there is one of it.
fn unlink(path: &Path, copy: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            fs::remove_file(copy)?;
            Err(error)
        }
        _ => Ok(()),
    }
}

/// Moves the file into the folder under its name or, if that is taken, `NAME.1`, `NAME.2` and so on; never over another.
fn move_into(path: &Path, folder: &Path) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default();
    for n in 0..NAMES_MAX {
        let mut free = name.to_owned();
        if n > 0 {
            free.push(format!(".{n}"));
        }
        let target = folder.join(free);
        // A link is refused where the name is taken, which a rename is not.
        match fs::hard_link(path, &target) {
            Ok(()) => {
                sync_folder_of(&target)?;
                return unlink(path, &target);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(_) if target.exists() => {}
            // Another file system, or one without links.
            Err(_) => return copy_over(path, &target),
        }
    }
    Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("{} is full of files of that name", folder.display())))
}

fn copy_over(path: &Path, target: &Path) -> io::Result<()> {
    if fs::rename(path, target).is_ok() {
        return sync_folder_of(target);
    }
    let mut name = std::ffi::OsString::from(".");
    name.push(target.file_name().unwrap_or_default());
    name.push(".crossdock");
    let temporary = target.with_file_name(name);
    fs::copy(path, &temporary)?;
    File::open(&temporary)?.sync_all()?;
    fs::rename(&temporary, target)?;
    sync_folder_of(target)?;
    unlink(path, target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moving_never_overwrites() {
        let folder = tempfile::tempdir().unwrap();
        let (inbox, done) = (folder.path().join("in"), folder.path().join("done"));
        fs::create_dir_all(&inbox).unwrap();
        fs::create_dir_all(&done).unwrap();
        for content in ["1", "2", "3"] {
            fs::write(inbox.join("a.json"), content).unwrap();
            move_into(&inbox.join("a.json"), &done).unwrap();
        }
        fs::write(inbox.join("a.json"), "4").unwrap();
        copy_over(&inbox.join("a.json"), &done.join("b.json")).unwrap();
        let read = |name: &str| fs::read_to_string(done.join(name)).unwrap();
        assert_eq!([read("a.json"), read("a.json.1"), read("a.json.2"), read("b.json")], ["1", "2", "3", "4"]);
        assert_eq!(fs::read_dir(&inbox).unwrap().count(), 0);
    }
}
