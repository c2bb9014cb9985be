//! A file a message: under a temporary name first, synced, renamed, the folder synced. A name is seen only with its whole
//! content, and a repeated delivery of a message overwrites its own file.

use crate::{
    append::{make_folder, sync_folder_of},
    fault::{Stage, fault},
};
use bytes::Bytes;
use crossdock_model::Fault;
use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

/// Writes each file. The answers are in the order given; all entries are synced when this returns.
pub fn create(files: &[(PathBuf, Bytes)], dynamic: bool) -> Vec<Result<(), Fault>> {
    let mut answers: Vec<Result<(), Fault>> =
        files.iter().map(|(path, content)| write_one(path, content, dynamic)).collect();
    let mut folders: Vec<&Path> = Vec::new();
    for (path, _) in files {
        let folder = path.parent().unwrap_or(path);
        if folders.contains(&folder) {
            continue;
        }
        folders.push(folder);
        if let Err(error) = sync_folder_of(path) {
            for ((other, _), answer) in files.iter().zip(&mut answers) {
                if other.parent() == path.parent() && answer.is_ok() {
                    *answer = Err(fault(Stage::Write, folder, &error));
                }
            }
        }
    }
    answers
}

fn write_one(path: &Path, content: &[u8], dynamic: bool) -> Result<(), Fault> {
    let open = |error: io::Error| fault(Stage::Open { dynamic }, path, &error);
    let write = |error: io::Error| fault(Stage::Write, path, &error);
    make_folder(path.parent().unwrap_or(Path::new("/"))).map_err(open)?;
    let temporary = temporary_name(path);
    let mut file = File::create(&temporary).map_err(open)?;
    let written = file.write_all(content).and_then(|()| file.sync_all());
    // Renaming onto a folder is about the name, as opening is.
    let result = written.map_err(write).and_then(|()| fs::rename(&temporary, path).map_err(open));
    if result.is_err() {
        // Half a file is of no use to anybody, and may be what fills the disk.
        if let Err(second) = fs::remove_file(&temporary) {
            tracing::warn!(path = %temporary.display(), %second, "cannot remove a temporary file");
        }
    }
    result
}

/// A name beside the file's own that a glob without a leading dot never matches; the same for the same file, so that a try
/// after a crash overwrites what the crash left behind.
fn temporary_name(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".crossdock");
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_files_without_leftovers() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("taken")).unwrap();
        let files = [
            (at("a.json"), Bytes::from_static(b"1")),
            (at("deep/er/b.json"), Bytes::from_static(b"2")),
            (at("taken"), Bytes::from_static(b"3")),
            (at("a.json/c"), Bytes::from_static(b"4")),
        ];
        let answers: Vec<_> =
            create(&files, true).into_iter().map(|answer| answer.map_err(|fault| fault.code.to_string())).collect();
        assert_eq!(answers, [Ok(()), Ok(()), Err("file.path".into()), Err("file.path".into())]);
        assert_eq!(fs::read(at("a.json")).unwrap(), b"1");
        let again = create(&[(at("a.json"), Bytes::from_static(b"5"))], true);
        assert_eq!((again, fs::read(at("a.json")).unwrap()), (vec![Ok(())], b"5".to_vec()));
        assert!(!at(".a.json.crossdock").exists() && !at(".taken.crossdock").exists());
    }
}
