//! Links in the documentation lead somewhere; the files and tests that it names are there.

use super::{Finding, TextFile};
use std::path::Path;

/// Checks the Markdown files.
pub fn check(root: &Path, files: &[TextFile]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| file.path.ends_with(".md")) {
        let folder = Path::new(&file.path).parent().unwrap_or(Path::new(""));
        for (number, line) in outside_fences(&file.text) {
            for target in links(line) {
                if !root.join(folder).join(target).exists() {
                    findings.push(Finding::new(&file.path, number, format!("the link leads nowhere: {target}")));
                }
            }
            for path in paths(line) {
                if !root.join(path).exists() {
                    findings.push(Finding::new(&file.path, number, format!("there is no {path}")));
                }
            }
            for (path, name) in tests(line) {
                let is_there =
                    files.iter().any(|other| other.path == path && other.text.contains(&format!("fn {name}(")));
                if !is_there {
                    findings.push(Finding::new(&file.path, number, format!("there is no test {name} in {path}")));
                }
            }
        }
    }
    findings
}

/// The lines that are not in a code block, with their numbers.
fn outside_fences(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut is_fenced = false;
    text.lines().enumerate().filter_map(move |(at, line)| {
        if line.trim_start().starts_with("```") {
            is_fenced = !is_fenced;
            return None;
        }
        (!is_fenced).then_some((at + 1, line))
    })
}

/// The files that `[text](target)` names on the line, without what follows `#`; addresses elsewhere are not followed.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| {
        let target = rest.split([')', ' ']).next()?;
        let file = target.split('#').next()?;
        (!file.is_empty() && !target.contains("://") && !target.starts_with("mailto:")).then_some(file)
    })
}

/// Places of this repository named in back-ticks: `crates/store/src/lib.rs`, `connectors/`.
fn paths(line: &str) -> impl Iterator<Item = &str> {
    let tops = ["crates/", "connectors/", "src/", "tests/", "xtask/", "docs/", "schemas/"];
    let is_path = move |code: &&str| {
        let is_plain = code.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
        is_plain && tops.iter().any(|top| code.starts_with(top))
    };
    line.split('`').skip(1).step_by(2).filter(is_path)
}

/// Tests named as `path/to/file.rs::name` in back-ticks.
fn tests(line: &str) -> impl Iterator<Item = (&str, &str)> {
    line.split('`')
        .skip(1)
        .step_by(2)
        .filter_map(|code| code.split_once("::").filter(|(path, _)| path.ends_with(".rs")))
}

#[cfg(test)]
mod tests_of_docs {
    use super::*;

    #[test]
    fn links_and_tests_of_a_line() {
        let line = "see [a](x.md#b), [c](https://d/e) and [f](#g), proved by `crates/a/src/b.rs::name` and `x::y`";
        assert_eq!(links(line).collect::<Vec<_>>(), ["x.md"]);
        assert_eq!(tests(line).collect::<Vec<_>>(), [("crates/a/src/b.rs", "name")]);
        let line = "`crates/a/src/b.rs`, `tests/`, `connectors/*`, `crates/a/src/b.rs::name`, `data/`";
        assert_eq!(paths(line).collect::<Vec<_>>(), ["crates/a/src/b.rs", "tests/"]);
        let numbers: Vec<_> = outside_fences("a\n```\nb\n```\nc").map(|(number, _)| number).collect();
        assert_eq!(numbers, [1, 5]);
    }
}
