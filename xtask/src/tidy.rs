//! What no compiler checks. Each check tells every place that is wrong; a finding says how to mend it.

mod commands;
mod crates;
mod docs;
mod lexer;
mod names;
mod sizes;
mod source;

use crate::command::{command, output};
use anyhow::{Context as _, Result};
use std::{fmt, fs, path::Path};

/// What to do about the list of files and functions that are too long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ratchet {
    /// Tell where it could be lowered.
    Keep,
    /// Lower it.
    Shrink,
}

/// A place that is wrong.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Finding {
    /// The file, from the top of the work tree.
    path: String,
    /// The line, from 1; 0 is the whole file.
    line: usize,
    /// What is wrong and how to mend it.
    text: String,
}

impl Finding {
    fn new(path: &str, line: usize, text: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, text: text.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.text),
            line => write!(f, "{}:{line}: {}", self.path, self.text),
        }
    }
}

/// A file of the work tree that git knows or would take.
#[derive(Clone, Debug)]
struct TextFile {
    /// From the top of the work tree, with `/`.
    path: String,
    text: String,
}

/// Checks the work tree.
pub fn tidy(root: &Path, ratchet: Ratchet) -> Result<bool> {
    let files = text_files(root)?;
    let rust: Vec<source::RustFile> = files
        .iter()
        .filter(|file| file.path.ends_with(".rs"))
        .map(|file| source::RustFile::new(&file.path, &file.text))
        .collect();
    let mut findings = crates::check(root)?;
    findings.extend(files.iter().flat_map(source::check_text));
    findings.extend(rust.iter().flat_map(source::check_rust));
    findings.extend(rust.iter().flat_map(names::check));
    findings.extend(docs::check(root, &files));
    findings.extend(commands::check(&files));
    findings.extend(sizes::check(root, &rust, ratchet)?);
    findings.sort();
    for finding in &findings {
        println!("{finding}");
    }
    println!("tidy: {} files, {} findings", files.len(), findings.len());
    Ok(findings.is_empty())
}

/// All files that are text; what a test keeps as a fixture may look as it likes.
fn text_files(root: &Path) -> Result<Vec<TextFile>> {
    let mut git = command(root, "git");
    git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let names = String::from_utf8(output(&mut git)?).context("a file's name is no UTF-8")?;
    let is_fixture = |path: &str| path.split('/').any(|part| matches!(part, "fixtures" | "snapshots"));
    let mut files = Vec::new();
    for path in names.split('\0').filter(|path| !path.is_empty() && !is_fixture(path)) {
        // A file that was deleted and is still known to git is nobody's concern; nor is one that is no text.
        if let Ok(text) = fs::read_to_string(root.join(path)) {
            files.push(TextFile { path: path.to_owned(), text });
        }
    }
    Ok(files)
}
