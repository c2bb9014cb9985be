//! What was read, remembered where a restart finds it: files that are kept, and how far files are read by lines.
//!
//! ```text
//!  <data_dir>/connectors/file-ROUTE.jsonl      one JSON object a line, the last one of a file counts
//!  {"file":"9f0c…","path":"in/a.log","from":8192,"line":77,"life":0,"head":"1b22…","head_bytes":1024}
//!  {"file":"77ab…","path":"in/b.json"}                        read whole and kept (the file with this size and time)
//!  {"file":"12ff…","path":"in/c.json","left":true}           the same, and to be deleted or moved as soon as that can be
//!  {"file":"9f0c…","gone":true}                               deleted or moved: forgotten
//! ```
//!
//! Lines are appended and synced, so a crash tears at most the last one, which is skipped at the next start; the file is
//! then read again from a little further back, and the claims of its messages tell that they are stored. Before the first
//! note, and when more than half of it is outdated, it is written anew under a temporary name and renamed.

use crate::{
    append::{make_folder, sync_folder_of},
    identity::{from_hex, hex},
    lines::Place,
};
use crossdock_model::Digest;
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions},
    io::{self, BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
};

/// Outdated lines that are left in the file at least, so that a short one is not written anew all the time.
const OUTDATED_MIN: usize = 4096;

/// What is remembered of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Memory {
    /// It was read whole, and stays.
    Whole,
    /// It was read whole, and cannot be deleted or moved.
    Left,
    /// It is read by lines; everything before the mark is settled.
    Lines(Mark),
}

/// How far a file is settled.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Mark {
    /// The first byte and line that is not settled.
    pub place: Place,
    /// Counts how often the file was seen to start anew (cut and rewritten in place).
    pub life: u64,
    /// The digest of its first bytes, and how many: other ones mean that it started anew.
    pub head: Option<(Digest, u64)>,
}

/// The remembered files of a source.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    known: HashMap<Digest, (PathBuf, Memory)>,
    file: Option<File>,
    outdated: usize,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    file: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<u64>,
    #[serde(default, skip_serializing_if = "is_zero")]
    line: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    life: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    head: Option<String>,
    #[serde(default, skip_serializing_if = "is_zero")]
    head_bytes: u64,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    left: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    gone: bool,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl Journal {
    /// Reads the journal; one that is not there is empty. Nothing is written yet.
    ///
    /// # Errors
    /// The file is there and cannot be read.
    pub fn load(path: PathBuf) -> io::Result<Self> {
        let mut journal = Self { path, known: HashMap::new(), file: None, outdated: 0 };
        let file = match File::open(&journal.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(journal),
            opened => opened?,
        };
        for (at, line) in BufReader::new(file).split(b'\n').enumerate() {
            let line = line?;
            if journal.take(&line).is_none() && !line.is_empty() {
                tracing::warn!(path = %journal.path.display(), line = at + 1, "skipped a line that cannot be read");
            }
        }
        Ok(journal)
    }

    fn take(&mut self, line: &[u8]) -> Option<()> {
        let line: Line = serde_json::from_slice(line).ok()?;
        let file = from_hex(&line.file)?;
        if line.gone {
            self.known.remove(&file);
            return Some(());
        }
        let head = line.head.as_deref().and_then(from_hex).map(|digest| (digest, line.head_bytes));
        let memory = match line.from {
            None if line.left => Memory::Left,
            None => Memory::Whole,
            Some(byte) => Memory::Lines(Mark { place: Place { byte, line: line.line }, life: line.life, head }),
        };
        self.known.insert(file, (PathBuf::from(line.path), memory));
        Some(())
    }

    /// Forgets the files that were not seen though their folders are there; a disk that is not mounted at the moment
    /// costs nothing. The journal on disk follows when it is written anew.
    pub fn forget_unseen(&mut self, was_seen: impl Fn(Digest) -> bool) {
        let before = self.known.len();
        self.known
            .retain(|file, (path, _)| was_seen(*file) || path.exists() || !path.parent().is_some_and(Path::is_dir));
        self.outdated += before - self.known.len();
    }

    /// What is remembered of a file.
    pub fn get(&self, file: Digest) -> Option<&Memory> {
        self.known.get(&file).map(|(_, memory)| memory)
    }

    /// Remembers, or forgets where there is no memory, and syncs.
    ///
    /// # Errors
    /// Nothing of it may be on disk; what is in memory stays as it was before.
    pub fn note(&mut self, entries: &[(Digest, PathBuf, Option<Memory>)]) -> io::Result<()> {
        let mut text = Vec::new();
        for (file, path, memory) in entries {
            write_line(&mut text, *file, path, memory.as_ref())?;
        }
        if self.file.is_none() || self.outdated > self.known.len().max(OUTDATED_MIN) {
            self.write_anew()?;
        }
        let written = match &mut self.file {
            Some(file) => file.write_all(&text).and_then(|()| file.sync_data()),
            None => Err(io::Error::other("the journal is closed")),
        };
        if let Err(error) = written {
            // What was written in part is left out when the journal is written anew, before the next note.
            self.file = None;
            return Err(error);
        }
        for (file, path, memory) in entries {
            let before = match memory {
                Some(memory) => self.known.insert(*file, (path.clone(), memory.clone())),
                None => self.known.remove(file),
            };
            self.outdated += usize::from(before.is_some()) + usize::from(memory.is_none());
        }
        Ok(())
    }

    fn write_anew(&mut self) -> io::Result<()> {
        make_folder(self.path.parent().unwrap_or(Path::new(".")))?;
        let temporary = self.path.with_extension("new");
        let mut text = Vec::new();
        for (file, (path, memory)) in &self.known {
            write_line(&mut text, *file, path, Some(memory))?;
        }
        let mut file = File::create(&temporary)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&temporary, &self.path)?;
        sync_folder_of(&self.path)?;
        self.file = Some(OpenOptions::new().append(true).open(&self.path)?);
        self.outdated = 0;
        Ok(())
    }
}

fn write_line(text: &mut Vec<u8>, file: Digest, path: &Path, memory: Option<&Memory>) -> io::Result<()> {
    let mark = match memory {
        Some(Memory::Lines(mark)) => Some(mark),
        Some(Memory::Whole | Memory::Left) | None => None,
    };
    let head = mark.and_then(|mark| mark.head);
    let line = Line {
        file: hex(file),
        path: if memory.is_some() { path.to_string_lossy().into_owned() } else { String::new() },
        from: mark.map(|mark| mark.place.byte),
        line: mark.map_or(0, |mark| mark.place.line),
        life: mark.map_or(0, |mark| mark.life),
        head: head.map(|(digest, _)| hex(digest)),
        head_bytes: head.map_or(0, |(_, bytes)| bytes),
        left: memory == Some(&Memory::Left),
        gone: memory.is_none(),
    };
    serde_json::to_writer(&mut *text, &line)?;
    text.push(b'\n');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(n: u8) -> Digest {
        Digest([n; 16])
    }

    fn lines(byte: u64) -> Option<Memory> {
        let head = Some((digest(9), byte.min(1024)));
        Some(Memory::Lines(Mark { place: Place { byte, line: byte / 2 }, life: 3, head }))
    }

    #[test]
    fn what_was_noted_is_known_after_a_restart_also_behind_a_torn_line() {
        let folder = tempfile::tempdir().unwrap();
        let (path, kept) = (folder.path().join("state/file-r.jsonl"), folder.path().join("kept"));
        fs::write(&kept, "").unwrap();
        let gone = folder.path().join("deleted-by-hand");
        let mut journal = Journal::load(path.clone()).unwrap();
        journal.note(&[(digest(1), kept.clone(), Some(Memory::Whole)), (digest(2), kept.clone(), lines(8))]).unwrap();
        journal.note(&[(digest(2), kept.clone(), lines(4000)), (digest(3), kept.clone(), lines(1))]).unwrap();
        journal.note(&[(digest(3), kept.clone(), None), (digest(4), gone, Some(Memory::Whole))]).unwrap();
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"file\":\"0101").unwrap();
        let check = |journal: &Journal, fourth| {
            let known = |n| journal.get(digest(n)).cloned();
            assert_eq!((known(1), known(2), known(3), known(4)), (Some(Memory::Whole), lines(4000), None, fourth));
        };
        let mut journal = Journal::load(path.clone()).unwrap();
        check(&journal, Some(Memory::Whole));
        journal.forget_unseen(|file| file == digest(1));
        journal.note(&[]).unwrap();
        check(&journal, None);
        check(&Journal::load(path.clone()).unwrap(), None);
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 2, "written anew on opening");
    }

    #[test]
    fn it_does_not_grow_with_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file-r.jsonl");
        let mut journal = Journal::load(path.clone()).unwrap();
        let many: Vec<_> = (0..512).map(|byte| (digest(1), path.clone(), lines(byte))).collect();
        for _ in 0..40 {
            journal.note(&many).unwrap();
        }
        assert!(fs::read_to_string(&path).unwrap().lines().count() < OUTDATED_MIN + 1024);
    }
}
