//! The files of the audit: lines of JSON, appended; when one is full it becomes the older one, and the older one goes.
//!
//! A line that a crash cut off is no JSON and is passed over; the next one begins on a line of its own.

use super::entry::Line;
use std::{
    fs::{self, OpenOptions},
    io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

/// Most bytes of a file: some ten thousand entries.
pub(super) const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Longest line; what is beyond is not written by us.
const LINE_BYTES_MAX: usize = 1024 * 1024;

pub(super) struct File {
    path: PathBuf,
    older: PathBuf,
    file: fs::File,
    bytes: u64,
    /// Whether the last line has no end.
    is_torn: bool,
}

impl File {
    /// Opens the file, or makes it, for its owner alone.
    pub fn open(path: &Path) -> io::Result<Self> {
        let older = path.with_extension("1.jsonl");
        let mut file = append(path)?;
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
        sync_folder(path)?;
        let bytes = file.metadata()?.len();
        let is_torn = bytes > 0 && {
            let mut last = [0];
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
            last != *b"\n"
        };
        Ok(Self { path: path.to_owned(), older, file, bytes, is_torn })
    }

    /// Writes a line. What cannot be written is told in the log.
    pub fn write(&mut self, line: &Line, sync: bool) {
        // Texts and numbers can always be written.
        let mut text = serde_json::to_vec(line).unwrap_or_default();
        text.push(b'\n');
        let written = self.append(&text, sync).or_else(|_| {
            // The volume may be full: the older half makes room.
            drop(fs::remove_file(&self.older));
            self.append(&text, sync)
        });
        if let Err(error) = written {
            let line = String::from_utf8_lossy(&text);
            tracing::error!(%error, entry = line.trim_end(), "the audit cannot be written");
        }
    }

    fn append(&mut self, text: &[u8], sync: bool) -> io::Result<()> {
        if self.bytes >= FILE_BYTES_MAX {
            self.file.sync_data()?;
            fs::rename(&self.path, &self.older)?;
            self.file = append(&self.path)?;
            (self.bytes, self.is_torn) = (0, false);
            sync_folder(&self.path)?;
        }
        let line = if self.is_torn { [b"\n", text].concat() } else { text.to_vec() };
        self.is_torn = true;
        self.file.write_all(&line)?;
        self.is_torn = false;
        self.bytes += line.len() as u64;
        if sync { self.file.sync_data() } else { Ok(()) }
    }

    /// All lines, the oldest first.
    pub fn lines(&self) -> io::Result<Vec<Line>> {
        let mut lines = Vec::new();
        for path in [&self.older, &self.path] {
            match fs::File::open(path) {
                Ok(file) => read(BufReader::new(file), &mut lines)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(lines)
    }
}

fn read(mut file: BufReader<fs::File>, lines: &mut Vec<Line>) -> io::Result<()> {
    let mut text = Vec::new();
    loop {
        text.clear();
        if (&mut file).take(LINE_BYTES_MAX as u64).read_until(b'\n', &mut text)? == 0 {
            return Ok(());
        }
        lines.extend(serde_json::from_slice(&text));
    }
}

fn append(path: &Path) -> io::Result<fs::File> {
    OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)
}

/// The name of a new file is as durable as what is in it.
fn sync_folder(path: &Path) -> io::Result<()> {
    fs::File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}
