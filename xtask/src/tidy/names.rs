//! What a pure crate may not name: clock, task, socket, file, environment. Its tests may.

use super::{Finding, source::RustFile};

/// Crates whose code is a function of its arguments.
const PURE: &[&str] = &["crates/model/", "crates/settings/", "crates/expression/", "crates/rules/", "crates/delivery/"];

/// Parts of `std` that reach out of the process, or wait.
const BANNED_PARTS: &[&str] = &["fs", "net", "env", "process", "thread", "os"];

/// Clocks, and the runtime.
const BANNED_NAMES: &[&str] = &["SystemTime", "Instant", "Utc::now", "Local::now", "now_utc", "tokio"];

/// Checks a file of a pure crate.
pub fn check(file: &RustFile) -> Vec<Finding> {
    let in_source = PURE.iter().any(|folder| file.path.starts_with(folder) && file.path.contains("/src/"));
    if !in_source || is_for_tests(&file.path) {
        return Vec::new();
    }
    let code = without_tests(&file.code);
    let mut found = Vec::new();
    for (at, _) in code.match_indices("std::") {
        let parts = parts_of_std(code.get(at + 5..).unwrap_or_default());
        let banned = parts.into_iter().filter(|part| BANNED_PARTS.contains(part));
        found.extend(banned.map(|part| (at, format!("std::{part}"))));
    }
    for name in BANNED_NAMES {
        found.extend(words(code, name).map(|at| (at, (*name).to_owned())));
    }
    let finding = |(at, name): (usize, String)| {
        let line = 1 + code.get(..at).map_or(0, |before| before.matches('\n').count());
        Finding::new(
            &file.path,
            line,
            format!("a pure crate does not know `{name}`: take what it gives as an argument"),
        )
    };
    found.into_iter().map(finding).collect()
}

fn is_for_tests(path: &str) -> bool {
    path.split('/').any(|part| matches!(part, "tests" | "tests.rs")) || path.ends_with("_tests.rs")
}

/// The code up to its tests, which stand at the end of a file.
fn without_tests(code: &str) -> &str {
    code.find("#[cfg(test)]").and_then(|at| code.get(..at)).unwrap_or(code)
}

/// The parts of `std` that follow `std::`: one name, or the first names in braces.
fn parts_of_std(rest: &str) -> Vec<&str> {
    let name = |text: &str| text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let Some(group) = rest.strip_prefix('{') else {
        return rest.get(..name(rest)).into_iter().collect();
    };
    let (mut parts, mut depth, mut start) = (Vec::new(), 0_usize, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                parts.extend(group.get(start..at).map(str::trim_start));
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    parts.into_iter().filter_map(|part| part.get(..name(part))).collect()
}

/// Where the word stands by itself.
fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    code.match_indices(word).map(|(at, _)| at).filter(move |at| {
        let before = code.get(..*at).and_then(|before| before.chars().next_back());
        let after = code.get(at + word.len()..).and_then(|after| after.chars().next());
        !is_part(before) && !is_part(after)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_text(text: &str, expected: &[&str]) {
        let found = check(&RustFile::new("crates/model/src/a.rs", text));
        let names: Vec<_> = found.iter().map(|f| f.text.split('`').nth(1).unwrap().to_owned()).collect();
        assert_eq!(names, expected, "{text}");
    }

    #[test]
    fn what_reaches_out_is_found() {
        check_text("use std::{fmt, fs::{self, File}, time::{Duration, Instant}};", &["std::fs", "Instant"]);
        check_text("let a = std::env::var(\"X\");", &["std::env"]);
        check_text("use std::{\n    collections::HashMap,\n    net,\n};", &["std::net"]);
        check_text("use std::time::Duration; // std::fs\nstruct InstantCoffee;", &[]);
        check_text("fn f() {}\n#[cfg(test)]\nmod tests { use std::fs; }", &[]);
        assert!(check(&RustFile::new("crates/store/src/a.rs", "use std::fs;")).is_empty());
    }
}
