//! A file by lines: where each ends, what is not yet whole, and whether the file started anew under its old name.

use crossdock_model::{Digest, DigestBuilder};
use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom},
};

/// The first bytes of a file by which it is known again.
const HEAD_BYTES_MAX: usize = 1024;

/// A place in a file: what lies before it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Place {
    /// Bytes before it.
    pub byte: u64,
    /// Lines before it, blank ones counted.
    pub line: u64,
}

/// What is next in a file.
#[derive(PartialEq, Eq, Debug)]
pub enum Next {
    /// A line, without its line break.
    Line {
        /// Where it begins.
        start: Place,
        /// Its bytes; never empty.
        bytes: Vec<u8>,
    },
    /// The end; what is behind the last line break, if anything, is not taken.
    End,
    /// A line longer than a message may be begins here.
    TooLong {
        /// The number of the line, from 1.
        line: u64,
    },
}

/// Reads a file by lines.
#[derive(Debug)]
pub struct LineReader {
    reader: BufReader<File>,
    place: Place,
    head: Vec<u8>,
    /// The digest of a head that is full.
    full: Option<Digest>,
}

impl LineReader {
    /// A reader from the place on. `known` is the digest of the first bytes, and how many, when it was read up to there:
    /// a file that is shorter now or begins differently has started anew.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn start(mut file: File, from: Place, known: Option<(Digest, u64)>) -> io::Result<Started> {
        let wanted = usize::try_from(from.byte).unwrap_or(HEAD_BYTES_MAX).min(HEAD_BYTES_MAX);
        let mut head = Vec::with_capacity(wanted);
        (&mut file).take(wanted as u64).read_to_end(&mut head)?;
        let same_head = known.is_none_or(|(digest, bytes)| {
            head.get(..usize::try_from(bytes).unwrap_or(usize::MAX)).is_some_and(|start| digest_of(start) == digest)
        });
        if file.metadata()?.len() < from.byte || !same_head {
            file.rewind()?;
            let reader = Self { reader: BufReader::new(file), place: Place::default(), head: Vec::new(), full: None };
            return Ok(Started::Anew(reader));
        }
        file.seek(SeekFrom::Start(from.byte))?;
        Ok(Started::On(Self { reader: BufReader::new(file), place: from, head, full: None }))
    }

    /// The line at the place, at most `bytes_max` long; blank lines are skipped. What is behind the last line break counts
    /// as a line if `take_unterminated`.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn next(&mut self, bytes_max: usize, take_unterminated: bool) -> io::Result<Next> {
        loop {
            let start = self.place;
            let mut bytes = Vec::new();
            // Room for the line, its `\r\n`, and nothing more.
            let limit = bytes_max.saturating_add(2) as u64;
            let read = (&mut self.reader).take(limit).read_until(b'\n', &mut bytes)?;
            let is_terminated = bytes.pop_if(|last| *last == b'\n').is_some();
            let is_whole = is_terminated || (take_unterminated && read > 0 && (read as u64) < limit);
            if !is_whole {
                self.reader.seek(SeekFrom::Start(start.byte))?;
                let is_end = (read as u64) < limit;
                return Ok(if is_end { Next::End } else { Next::TooLong { line: start.line + 1 } });
            }
            self.keep_head(&bytes, is_terminated);
            self.place = Place { byte: start.byte + read as u64, line: start.line + 1 };
            bytes.pop_if(|last| *last == b'\r');
            if bytes.len() > bytes_max {
                self.place = start;
                self.reader.seek(SeekFrom::Start(start.byte))?;
                return Ok(Next::TooLong { line: start.line + 1 });
            }
            if !bytes.is_empty() {
                return Ok(Next::Line { start, bytes });
            }
        }
    }

    /// How far it has read.
    pub const fn place(&self) -> Place {
        self.place
    }

    /// The digest of the file's first bytes, and how many, of what it has read.
    pub fn head(&mut self) -> (Digest, u64) {
        let digest = self.full.unwrap_or_else(|| digest_of(&self.head));
        if self.head.len() == HEAD_BYTES_MAX {
            self.full = Some(digest);
        }
        (digest, self.head.len() as u64)
    }

    fn keep_head(&mut self, line: &[u8], is_terminated: bool) {
        // Only contiguous from the start on: a reader that began behind the head has it from the file.
        if (self.head.len() as u64) == self.place.byte && self.head.len() < HEAD_BYTES_MAX {
            let end = if is_terminated { b"\n".as_slice() } else { b"" };
            let room = HEAD_BYTES_MAX - self.head.len();
            self.head.extend(line.iter().chain(end).take(room));
        }
    }
}

/// How a reader started.
#[derive(Debug)]
pub enum Started {
    /// Where it was told to.
    On(LineReader),
    /// At the first byte, because the file is another one than it was.
    Anew(LineReader),
}

fn digest_of(bytes: &[u8]) -> Digest {
    DigestBuilder::new("crossdock.file.head").part(bytes).finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, path::Path};

    fn open(path: &Path, from: Place, known: Option<(Digest, u64)>) -> (bool, LineReader) {
        match LineReader::start(File::open(path).unwrap(), from, known).unwrap() {
            Started::On(reader) => (false, reader),
            Started::Anew(reader) => (true, reader),
        }
    }

    #[track_caller]
    fn check(content: &str, max: usize, take_unterminated: bool, expected: &[&str]) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        fs::write(&path, content).unwrap();
        let (_, mut reader) = open(&path, Place::default(), None);
        let mut found = Vec::new();
        loop {
            match reader.next(max, take_unterminated).unwrap() {
                Next::Line { start, bytes } => {
                    found.push(format!("{}@{}:{}", String::from_utf8(bytes).unwrap(), start.line, start.byte));
                }
                Next::End => break,
                Next::TooLong { line } => {
                    found.push(format!("too long: {line}"));
                    break;
                }
            }
        }
        assert_eq!(found, expected, "{content:?}");
    }

    #[test]
    fn lines_and_what_is_none() {
        check("a\nbb\n", 9, false, &["a@0:0", "bb@1:2"]);
        check("a\r\n\n\r\nb\n", 9, false, &["a@0:0", "b@3:6"]);
        check("a\nb", 9, false, &["a@0:0"]);
        check("a\nb", 9, true, &["a@0:0", "b@1:2"]);
        check("", 9, true, &[]);
        check("a\n1234\nb\n", 4, false, &["a@0:0", "1234@1:2", "b@2:7"]);
        check("a\n1234\r\nb\n", 4, false, &["a@0:0", "1234@1:2", "b@2:8"]);
        check("a\n12345\nb\n", 4, false, &["a@0:0", "too long: 2"]);
        check("a\n123456789", 4, true, &["a@0:0", "too long: 2"]);
        check("a\n12345", 4, true, &["a@0:0", "too long: 2"]);
    }

    #[test]
    fn goes_on_where_it_stopped_and_sees_a_file_that_started_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        fs::write(&path, "one\ntwo\nthree\n").unwrap();
        let (_, mut reader) = open(&path, Place::default(), None);
        for _ in 0..2 {
            reader.next(99, false).unwrap();
        }
        let (place, head) = (reader.place(), reader.head());
        assert_eq!((place, head.1), (Place { byte: 8, line: 2 }, 8));
        let (anew, mut reader) = open(&path, place, Some(head));
        let next = reader.next(99, false).unwrap();
        assert_eq!((anew, next), (false, Next::Line { start: place, bytes: b"three".to_vec() }));
        assert_eq!(reader.head().1, 14);
        for other in ["one\n", "ONE\ntwo\nthree\n"] {
            fs::write(&path, other).unwrap();
            assert!(open(&path, place, Some(head)).0, "{other:?}");
        }
    }
}
