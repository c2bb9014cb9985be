//! Files that are left where they are for now: those that cannot be read, and those that are stored and cannot be deleted or
//! moved. They hold up no other; after a minute it is tried again.

use crate::identity::Sight;
use crossdock_model::Digest;
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// How long one is left alone.
const LEFT_FOR: Duration = Duration::from_secs(60);

/// Those of a session.
#[derive(Debug, Default)]
pub struct Left(HashMap<Digest, File>);

#[derive(Debug)]
struct File {
    path: PathBuf,
    sight: Sight,
    since: Instant,
    why: String,
    is_stored: bool,
}

impl Left {
    /// A file that cannot be read.
    pub fn unread(&mut self, path: &Path, sight: Sight, why: &str, now: Instant) {
        if self.note(path, sight, why, now, false) {
            tracing::error!(path = %path.display(), why, "the file is left where it is, and tried again in a minute");
        }
    }

    /// A file that is stored, but cannot be deleted or moved.
    pub fn stored(&mut self, path: &Path, sight: Sight, why: &str, now: Instant) {
        if self.note(path, sight, why, now, true) {
            let text = "the file is stored and stays where it is: it is not read again, and tried again to be removed";
            tracing::error!(path = %path.display(), why, "{text}");
        }
    }

    /// Notes it; whether that is news.
    fn note(&mut self, path: &Path, sight: Sight, why: &str, now: Instant, is_stored: bool) -> bool {
        let file = File { path: path.to_owned(), sight, since: now, why: why.to_owned(), is_stored };
        let before = self.0.insert(sight.file, file);
        before.is_none_or(|before| before.why != why)
    }

    /// Whether the file is left alone. One that `grows` and cannot be read is so also when it has grown: what is wrong is still
    /// in it.
    pub fn holds(&self, sight: Sight, grows: bool, now: Instant) -> bool {
        let is_same = |file: &File| file.sight == sight || (grows && !file.is_stored && file.sight.size <= sight.size);
        self.0.get(&sight.file).is_some_and(|file| is_same(file) && now.duration_since(file.since) < LEFT_FOR)
    }

    /// The stored ones that are to be removed at last, each for the next minute once.
    pub fn due(&mut self, now: Instant) -> Vec<Digest> {
        let mut due = Vec::new();
        for (digest, file) in &mut self.0 {
            if file.is_stored && now.duration_since(file.since) >= LEFT_FOR {
                file.since = now;
                due.push(*digest);
            }
        }
        due
    }

    /// The file goes its way.
    pub fn release(&mut self, file: Digest) {
        self.0.remove(&file);
    }

    /// Those that are not there any more.
    pub fn forget_vanished(&mut self) {
        self.0.retain(|_, file| file.path.exists());
    }

    /// What is to be known of them: how many, and why one of them.
    pub fn told(&self) -> Option<String> {
        let first = self.0.values().min_by(|a, b| a.path.cmp(&b.path))?;
        let (path, why) = (first.path.display(), &first.why);
        Some(match self.0.len() {
            1 => format!("a file is left where it is: {path}: {why}"),
            count => format!("{count} files are left where they are, among them {path}: {why}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn those_that_are_left_are_told_and_tried_again_after_a_minute() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| {
            let path = folder.path().join(name);
            fs::write(&path, name).unwrap();
            let sight = Sight::of(&fs::metadata(&path).unwrap());
            (path, sight)
        };
        let ((a, one), (b, two)) = (file("a"), file("b"));
        let (mut left, now) = (Left::default(), Instant::now());
        assert_eq!(left.told(), None);
        left.unread(&b, two, "no rights", now);
        assert_eq!(left.told(), Some(format!("a file is left where it is: {}: no rights", b.display())));
        left.stored(&a, one, "busy", now);
        assert!(left.told().is_some_and(|told| told.starts_with("2 files") && told.ends_with("/a: busy")));
        assert!(left.holds(one, false, now) && left.holds(two, true, now) && left.due(now).is_empty());
        fs::write(&b, "longer").unwrap();
        let grown = Sight::of(&fs::metadata(&b).unwrap());
        assert!(left.holds(grown, true, now) && !left.holds(grown, false, now));
        fs::write(&a, "longer").unwrap();
        assert!(!left.holds(Sight::of(&fs::metadata(&a).unwrap()), true, now), "there is more to read");
        let later = now + LEFT_FOR;
        assert!(!left.holds(two, false, later), "to be read again");
        assert_eq!((left.due(later), left.due(later)), (vec![one.file], vec![]));
        left.release(one.file);
        fs::remove_file(&b).unwrap();
        left.forget_vanished();
        assert_eq!(left.told(), None);
    }
}
