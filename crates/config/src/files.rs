//! Files that belong to the configuration: schemas, secrets, keys.

use crate::Environment;
use crossdock_rules::{Files, SourceFile};
use std::{
    io,
    path::{Component, Path, PathBuf},
    sync::Arc,
};

/// Why a file cannot be read, without the operating system's numbers.
pub(crate) fn why(error: &io::Error) -> String {
    let known = [
        (io::ErrorKind::NotFound, "there is no such file"),
        (io::ErrorKind::PermissionDenied, "permission denied"),
        (io::ErrorKind::IsADirectory, "it is a folder"),
    ];
    if let Some((_, words)) = known.iter().find(|(kind, _)| *kind == error.kind()) {
        return (*words).to_owned();
    }
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_lowercase()
}

/// A path from a folder, without `.` in it.
pub(crate) fn resolve(folder: &Path, path: &Path) -> PathBuf {
    folder.join(path).components().filter(|part| *part != Component::CurDir).collect()
}

/// A path as it is shown: from the folder, if it lies there.
pub(crate) fn shown(folder: &Path, path: &Path) -> String {
    path.strip_prefix(folder).unwrap_or(path).display().to_string()
}

/// Reads what steps name, and keeps the texts for the lines that messages show.
pub(crate) struct Reader<'a> {
    /// Absolute: what is read names the next file by a URI, and in one that is relative the first part would be a host.
    folder: PathBuf,
    pub environment: &'a dyn Environment,
    /// Name for messages, and text, of each file that was read.
    pub read: Vec<(Arc<str>, Arc<str>)>,
}

impl<'a> Reader<'a> {
    pub fn new(folder: &'a Path, environment: &'a dyn Environment) -> Self {
        let from_here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        // Without a working folder nothing relative can be read, which is told of each file.
        let folder = std::path::absolute(from_here).unwrap_or_else(|_| folder.to_path_buf());
        Self { folder, environment, read: Vec::new() }
    }
}

impl Files for Reader<'_> {
    fn read(&mut self, path: &Path) -> Result<SourceFile, String> {
        let full = resolve(&self.folder, path);
        let bytes = self.environment.read(&full).map_err(|error| why(&error))?;
        let mut text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
        // What editors on Windows begin a file with says only that it is UTF-8.
        if text.starts_with('\u{feff}') {
            text.remove(0);
        }
        let shown: Arc<str> = shown(&self.folder, &full).into();
        self.read.push((Arc::clone(&shown), text.as_str().into()));
        Ok(SourceFile { path: full, shown, text })
    }
}
