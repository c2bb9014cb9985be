//! Files of at most 400 lines, functions of at most 70: seen whole. What was longer once is in `xtask/ratchet.txt` with its
//! size; that list only shrinks.
//!
//! ```text
//!  # path, `-` or a function's name, lines
//!  crates/store/src/log.rs - 431
//!  crates/store/src/log.rs recover 82
//! ```

use super::{Finding, Ratchet, source::RustFile};
use anyhow::{Context as _, Result};
use std::{collections::BTreeMap, fs, path::Path};

const FILE_LINES_MAX: usize = 400;
const FUNCTION_LINES_MAX: usize = 70;
const RATCHET: &str = "xtask/ratchet.txt";
const HEADER: &str = "# What is longer than it should be: path, `-` or a function's name, lines. It only shrinks: `cargo xtask tidy --shrink`.\n";

/// A file, or a function in it.
type Subject = (String, String);

/// Checks all sizes against the limits and the ratchet.
pub fn check(root: &Path, files: &[RustFile], ratchet: Ratchet) -> Result<Vec<Finding>> {
    let mut known = parse(&fs::read_to_string(root.join(RATCHET)).unwrap_or_default())?;
    let mut findings = Vec::new();
    let mut still = BTreeMap::new();
    for (subject, line, lines, limit) in files.iter().flat_map(sizes).filter(|(_, _, lines, limit)| lines > limit) {
        let allowed = known.remove(&subject);
        let (path, what) = (&subject.0, if subject.1 == "-" { "the file" } else { &subject.1 });
        match allowed {
            Some(allowed) if lines <= allowed => {
                if lines < allowed && ratchet == Ratchet::Keep {
                    let text = format!("{what} is {lines} lines now, not {allowed}: run `cargo xtask tidy --shrink`");
                    findings.push(Finding::new(path, line, text));
                }
                still.insert(subject, lines);
            }
            Some(allowed) => {
                findings.push(Finding::new(
                    path,
                    line,
                    format!("{what} has grown from {allowed} to {lines} lines: split it"),
                ));
                still.insert(subject, allowed);
            }
            None => {
                findings.push(Finding::new(path, line, format!("{what} has {lines} lines, {limit} at most: split it")));
            }
        }
    }
    match ratchet {
        Ratchet::Keep => findings.extend(known.into_keys().map(|(path, name)| {
            Finding::new(RATCHET, 0, format!("{path} {name} is no longer too long: run `cargo xtask tidy --shrink`"))
        })),
        Ratchet::Shrink => {
            let lines = still.iter().map(|((path, name), lines)| format!("{path} {name} {lines}\n"));
            let text: String = std::iter::once(HEADER.to_owned()).chain(lines).collect();
            fs::write(root.join(RATCHET), text).with_context(|| format!("cannot write {RATCHET}"))?;
        }
    }
    Ok(findings)
}

fn parse(text: &str) -> Result<BTreeMap<Subject, usize>> {
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    lines
        .map(|line| {
            let mut words = line.split(' ');
            let subject = (words.next().unwrap_or_default().to_owned(), words.next().unwrap_or_default().to_owned());
            let lines = words.next().and_then(|word| word.parse().ok());
            Ok((subject, lines.with_context(|| format!("{RATCHET}: a line is `path name lines`, not `{line}`"))?))
        })
        .collect()
}

/// The file and its functions: which, at which line, how many lines, how many are allowed.
fn sizes(file: &RustFile) -> Vec<(Subject, usize, usize, usize)> {
    let whole = ((file.path.clone(), "-".to_owned()), 0, file.text.lines().count(), FILE_LINES_MAX);
    let of_functions = functions(&file.code).into_iter();
    let functions =
        of_functions.map(|(name, line, lines)| ((file.path.clone(), name), line, lines, FUNCTION_LINES_MAX));
    std::iter::once(whole).chain(functions).collect()
}

/// Each function with a body: name, first line, lines from `fn` to its closing brace.
fn functions(code: &str) -> Vec<(String, usize, usize)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let starts_word =
            code.get(..at).is_none_or(|before| !before.ends_with(|c: char| c.is_alphanumeric() || c == '_'));
        let rest = code.get(at + 3..).unwrap_or_default();
        let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if !starts_word || name.is_empty() {
            continue;
        }
        if let Some(length) = body(rest) {
            let line_of = |at: usize| code.get(..at).map_or(0, |before| before.matches('\n').count());
            let (first, last) = (line_of(at), line_of(at + 3 + length));
            found.push((name, first + 1, last - first + 1));
        }
    }
    found
}

/// The bytes from behind `fn ` to behind the body's closing brace; none where a `;` comes before a body.
fn body(rest: &str) -> Option<usize> {
    let (mut braces, mut others) = (0_usize, 0_usize);
    for (at, c) in rest.char_indices() {
        match c {
            '(' | '[' => others += 1,
            ')' | ']' => others = others.saturating_sub(1),
            ';' if braces == 0 && others == 0 => return None,
            '{' => braces += 1,
            '}' => {
                braces = braces.saturating_sub(1);
                if braces == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::lexer::code_only;

    #[test]
    fn functions_are_measured() {
        let text = "trait T {\n    fn a(&self) -> [u8; 2];\n    fn b() {\n        let c = '}';\n    }\n}\nimpl Fn for X {}\nfn d(x: impl Fn(u8)) { \"{\" }\n";
        let found = functions(&code_only(text));
        assert_eq!(found, [("b".into(), 3, 3), ("d".into(), 8, 1)]);
    }

    #[test]
    fn the_ratchet_only_shrinks() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("xtask")).unwrap();
        let write = |text: &str| fs::write(root.path().join(RATCHET), text).unwrap();
        let file = |lines| RustFile::new("a.rs", &"x\n".repeat(lines));
        let texts = |lines, ratchet| -> Vec<String> {
            check(root.path(), &[file(lines)], ratchet).unwrap().into_iter().map(|finding| finding.text).collect()
        };
        write("");
        assert!(texts(400, Ratchet::Keep).is_empty());
        assert!(texts(401, Ratchet::Shrink)[0].contains("400 at most"), "shrinking takes nothing in");
        write("a.rs - 450\n");
        assert!(texts(450, Ratchet::Keep).is_empty());
        assert!(texts(451, Ratchet::Keep)[0].contains("has grown"));
        assert!(texts(440, Ratchet::Keep)[0].contains("--shrink"));
        assert!(texts(440, Ratchet::Shrink).is_empty());
        assert_eq!(fs::read_to_string(root.path().join(RATCHET)).unwrap(), format!("{HEADER}a.rs - 440\n"));
        assert!(texts(100, Ratchet::Keep)[0].contains("no longer"));
    }
}
