//! Walking along a glob: what it means below a folder, each folder's entries in order of their names.
//!
//! As in a shell: `*` and `?` stand for what no separator is in, `**` for any folders, and none of them for a name that
//! begins with a dot. A name that is no UTF-8 is matched with a replacement character for what is none. Links are followed, but
//! not by `**` back to where they are.

use glob::{MatchOptions, Pattern, PatternError};
use std::{
    ffi::OsString,
    fs, io,
    ops::ControlFlow,
    path::{Component, Path, PathBuf},
};

const OPTIONS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

/// A glob below a folder.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Glob {
    root: PathBuf,
    parts: Vec<Part>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Part {
    /// This name.
    Name(OsString),
    /// Names that match.
    Names(Pattern),
    /// Any folders, also none.
    Folders,
}

/// A folder that cannot be looked through.
pub type Unread = (PathBuf, io::Error);

impl Glob {
    /// The glob `path`, which begins at `folder` if it is not absolute.
    ///
    /// # Errors
    /// A part of it that is no pattern.
    pub fn new(folder: &Path, path: &Path) -> Result<Self, PatternError> {
        let last = path.components().count().saturating_sub(1);
        let (mut root, mut parts) = (folder.to_owned(), Vec::new());
        for (at, component) in path.components().enumerate() {
            let text = component.as_os_str().to_string_lossy();
            if component == Component::CurDir {
                continue;
            }
            if text == "**" {
                if parts.last() != Some(&Part::Folders) {
                    parts.push(Part::Folders);
                }
            } else if text.contains(['*', '?', '[']) {
                parts.push(Part::Names(Pattern::new(&text)?));
            } else if parts.is_empty() && at < last {
                root.push(component);
            } else {
                // The last one is the file's, also where nothing stands for another.
                parts.push(Part::Name(component.as_os_str().to_owned()));
            }
        }
        if parts.last() == Some(&Part::Folders) {
            parts.push(Part::Names(Pattern::new("*")?));
        }
        Ok(Self { root, parts })
    }

    /// The folder that the glob's literal start names.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Tells all that the glob means, or that a folder on the way cannot be looked through, until it is stopped. What vanishes
    /// meanwhile is left out.
    pub fn walk(&self, mut on: impl FnMut(Result<PathBuf, Unread>) -> ControlFlow<()>) {
        let mut left = vec![(self.root.clone(), self.parts.as_slice())];
        while let Some((path, parts)) = left.pop() {
            let told = match parts.split_first() {
                None => on(Ok(path)),
                Some((Part::Name(name), rest)) => {
                    left.push((path.join(name), rest));
                    continue;
                }
                Some((part, rest)) => match entries(&path) {
                    Ok(found) => {
                        left.extend(next_of(part, parts, rest, found));
                        if *part == Part::Folders {
                            left.push((path, rest));
                        }
                        continue;
                    }
                    Err(error) if is_gone(&error) => continue,
                    Err(error) => on(Err((path, error))),
                },
            };
            if told.is_break() {
                return;
            }
        }
    }
}

/// What of a folder is to be walked to, the first name last.
fn next_of<'p>(
    part: &Part,
    parts: &'p [Part],
    rest: &'p [Part],
    mut found: Vec<fs::DirEntry>,
) -> Vec<(PathBuf, &'p [Part])> {
    found.sort_by_cached_key(|entry| std::cmp::Reverse(entry.file_name()));
    let next = |entry: fs::DirEntry| {
        let name = entry.file_name();
        match part {
            Part::Names(pattern) => {
                pattern.matches_with(&name.to_string_lossy(), OPTIONS).then(|| (entry.path(), rest))
            }
            Part::Folders => {
                (!name.to_string_lossy().starts_with('.') && is_folder(&entry)).then(|| (entry.path(), parts))
            }
            Part::Name(_) => None,
        }
    };
    found.into_iter().filter_map(next).collect()
}

fn entries(folder: &Path) -> io::Result<Vec<fs::DirEntry>> {
    // The empty path is the folder we are in.
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    fs::read_dir(folder)?.collect()
}

/// Whether it is a folder, or a link to one that it is not in itself.
fn is_folder(entry: &fs::DirEntry) -> bool {
    match entry.file_type() {
        Ok(kind) if kind.is_symlink() => {
            let path = entry.path();
            let leads_back = || Some(path.parent()?.canonicalize().ok()?.starts_with(path.canonicalize().ok()?));
            path.is_dir() && leads_back() == Some(false)
        }
        Ok(kind) => kind.is_dir(),
        Err(_) => false,
    }
}

/// What vanished, or is no folder.
fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};

    fn folder_with(names: &[&[u8]]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            let path = folder.path().join(OsStr::from_bytes(name));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
        folder
    }

    fn found(folder: &Path, glob: &str) -> Vec<String> {
        let mut all = Vec::new();
        Glob::new(folder, Path::new(glob)).unwrap().walk(|path| {
            let path = path.unwrap();
            if path.is_file() {
                all.push(path.strip_prefix(folder).unwrap().to_string_lossy().into_owned());
            }
            ControlFlow::Continue(())
        });
        all
    }

    #[test]
    fn finds_what_a_shell_finds_in_order() {
        let folder = folder_with(&[
            b"in/b.json",
            b"in/a.json",
            b"in/.hidden.json",
            b"in/x y/c.json",
            b"in/x y/z/d.json",
            b"in/.git/e.json",
            b"in/f.txt",
            b"other/g.json",
            b"in/[1].json",
        ]);
        let of = |glob: &str| found(folder.path(), glob).join(" | ");
        assert_eq!(of("in/*.json"), "in/[1].json | in/a.json | in/b.json");
        assert_eq!(of("in/?.*"), "in/a.json | in/b.json | in/f.txt");
        assert_eq!(of("in/.*.json"), "in/.hidden.json");
        assert_eq!(of("in/[[]1].json"), "in/[1].json");
        assert_eq!(of("in/[!a].json"), "in/b.json");
        assert_eq!(of("in/a.json"), "in/a.json");
        assert_eq!(of("./in/./a.json"), "in/a.json");
        assert_eq!(of("*/*.json"), "in/[1].json | in/a.json | in/b.json | other/g.json");
        assert_eq!(of("*/x y/*.json"), "in/x y/c.json");
        let all = "in/[1].json | in/a.json | in/b.json | in/x y/c.json | in/x y/z/d.json";
        assert_eq!(of("in/**/*.json"), all);
        assert_eq!(of("in/**/**/*.json"), all);
        assert_eq!(of("in/**/z/*"), "in/x y/z/d.json");
        assert_eq!(of("in/x y/**"), "in/x y/c.json | in/x y/z/d.json");
        assert_eq!(of("nowhere/*"), "");
        assert_eq!(of("in/a.json/*"), "");
        let absolute = format!("{}/in/*.txt", folder.path().display());
        assert_eq!(found(folder.path(), &absolute), ["in/f.txt"]);
    }

    #[test]
    fn names_that_are_no_text_are_names() {
        let folder = folder_with(&[b"in/\xff.json", b"in/a.json", b"in/\xfe/b.json", b"in/\xff.txt"]);
        assert_eq!(found(folder.path(), "in/*.json"), ["in/a.json", "in/\u{fffd}.json"]);
        assert_eq!(found(folder.path(), "in/**/*.json"), ["in/a.json", "in/\u{fffd}.json", "in/\u{fffd}/b.json"]);
    }

    #[test]
    fn links_are_followed_but_not_round_and_round() {
        let folder = folder_with(&[b"in/a/1.json", b"elsewhere/2.json"]);
        let link = |to: &str, at: &str| std::os::unix::fs::symlink(folder.path().join(to), folder.path().join(at));
        link("elsewhere", "in/b").unwrap();
        link("in", "in/a/back").unwrap();
        assert_eq!(found(folder.path(), "in/**/*.json"), ["in/a/1.json", "in/b/2.json"]);
    }

    #[test]
    fn what_is_no_glob_is_refused() {
        for wrong in ["in/a[*", "in/a**", "***/x"] {
            assert!(Glob::new(Path::new("/"), Path::new(wrong)).is_err(), "{wrong}");
        }
    }
}
