//! What stands in a source file: module docs, what is not to be written, and white space.

use super::{Finding, TextFile, lexer::code_only};

/// A Rust file, and its code alone.
#[derive(Clone, Debug)]
pub struct RustFile {
    /// From the top of the work tree.
    pub path: String,
    /// As it stands.
    pub text: String,
    /// Without comments and the insides of strings, line by line as in `text`.
    pub code: String,
}

/// What is not to be written, and what instead.
const BANNED: &[(&str, &str)] = &[
    ("todo!", "write it"),
    ("unimplemented!", "write it"),
    ("#[allow(", "use #[expect(…, reason = \"…\")], which tells when it is no longer needed"),
    ("#![allow(", "use #![expect(…, reason = \"…\")], which tells when it is no longer needed"),
    ("#[ignore", "a test that is not run proves nothing: make what it needs, or say in promises.md that it is coming"),
    ("serde(flatten", "spell the fields out: flattened ones lose places and unknown keys"),
    ("serde(untagged", "tell variants apart by a key: untagged ones give useless errors"),
];

/// File names whose white space is checked.
const CHECKED: &[&str] = &[".rs", ".md", ".toml", ".yaml", ".yml", ".sh", ".json"];

impl RustFile {
    /// A file from its text.
    pub fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned(), code: code_only(text) }
    }
}

/// Checks a Rust file.
pub fn check_rust(file: &RustFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !file.text.starts_with("//!") {
        let text = "begin with `//!`: what the module is for, and what always holds in it";
        findings.push(Finding::new(&file.path, 1, text));
    }
    // This list itself stands in strings, so it does not find itself.
    for (number, line) in file.code.lines().enumerate() {
        // A module that several tests share is used whole by none of them, so an `expect` would not hold in each.
        let is_shared = file.path.contains("tests/") && line.contains("dead_code");
        for (banned, instead) in BANNED.iter().filter(|(banned, _)| line.contains(banned) && !is_shared) {
            findings.push(Finding::new(&file.path, number + 1, format!("`{banned}`: {instead}")));
        }
    }
    findings
}

/// Checks the white space of a text file.
pub fn check_text(file: &TextFile) -> Vec<Finding> {
    // What a test reads may look as it likes: that is often what the test is about.
    let is_data = file.path.split('/').any(|part| part == "tests") && !file.path.ends_with(".rs");
    if is_data || !CHECKED.iter().any(|end| file.path.ends_with(end)) {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (number, line) in file.text.lines().enumerate() {
        let wrong = match line {
            _ if line.contains('\t') => "a tab: use spaces",
            _ if line.ends_with([' ', '\r']) => "white space at the end of the line",
            _ => continue,
        };
        findings.push(Finding::new(&file.path, number + 1, wrong));
    }
    if !file.text.is_empty() && !file.text.ends_with('\n') {
        findings.push(Finding::new(&file.path, 0, "the last line has no end"));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_found() {
        let file = RustFile::new("a.rs", "fn f() {\n    todo!()\n}\n// todo!()\nconst A: &str = \"todo!\";\n");
        let lines: Vec<_> = check_rust(&file).into_iter().map(|finding| finding.line).collect();
        assert_eq!(lines, [1, 2]);
        let text = TextFile { path: "a.md".into(), text: "a\nb \n\tc\nd".into() };
        let lines: Vec<_> = check_text(&text).into_iter().map(|finding| finding.line).collect();
        assert_eq!(lines, [2, 3, 0]);
    }
}
