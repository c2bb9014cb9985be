//! Commands that the documentation gives for running tests run some: ``cargo test -p PACKAGE [--test TARGET] [NAME]`` in
//! back-ticks names a package, a target and a test that are there. One that matches nothing passes in silence.

use super::{Finding, TextFile};

/// Checks the Markdown files.
pub fn check(files: &[TextFile]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| file.path.ends_with(".md")) {
        for (at, line) in file.text.lines().enumerate() {
            for code in line.split('`').skip(1).step_by(2).filter(|code| code.starts_with("cargo test -p ")) {
                if let Some(what) = missing(&Command::parse(code), files) {
                    findings.push(Finding::new(&file.path, at + 1, format!("`{code}` runs no test: {what}")));
                }
            }
        }
    }
    findings
}

/// The words of a command that say what is run.
#[derive(PartialEq, Eq, Debug, Default)]
struct Command<'a> {
    package: &'a str,
    target: Option<&'a str>,
    /// A part of the test's path.
    name: Option<&'a str>,
}

impl<'a> Command<'a> {
    fn parse(code: &'a str) -> Self {
        let mut command = Self::default();
        let mut words = code.split_whitespace().skip(2).take_while(|word| *word != "--");
        while let Some(word) = words.next() {
            match word {
                "-p" => command.package = words.next().unwrap_or_default(),
                "--test" => command.target = words.next(),
                "--features" => drop(words.next()),
                option if option.starts_with('-') => {}
                name => command.name = Some(name),
            }
        }
        command
    }
}

/// What of a command is not there.
fn missing(command: &Command<'_>, files: &[TextFile]) -> Option<String> {
    let line = format!("name = \"{}\"", command.package);
    let mut manifests = files.iter().filter_map(|file| Some((file.path.strip_suffix("Cargo.toml")?, &file.text)));
    let Some((folder, _)) = manifests.find(|(_, text)| text.lines().any(|other| other == line)) else {
        return Some(format!("there is no package {}", command.package));
    };
    let below = match command.target {
        None => vec![format!("{folder}src/")],
        Some(target) => vec![format!("{folder}tests/{target}.rs"), format!("{folder}tests/{target}/")],
    };
    let mut sources = files.iter().filter(|file| {
        let is_source = file.path.ends_with(".rs");
        is_source && below.iter().any(|start| file.path.starts_with(start))
    });
    // What stands before the name are modules.
    let wanted = command.name.map_or("", |name| name.rsplit("::").next().unwrap_or(name));
    let has_it = sources.any(|file| names_of_tests(&file.text).any(|name| name.contains(wanted)));
    (!has_it).then(|| format!("nothing like `{wanted}` is in {}", below.join(" or ")))
}

/// The functions that a file marks as tests.
fn names_of_tests(text: &str) -> impl Iterator<Item = &str> {
    let marked = text.split("#[test]\n").skip(1).chain(text.split("#[tokio::test").skip(1));
    marked.filter_map(|rest| rest.split_once("fn ")?.1.split('(').next())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> TextFile {
        TextFile { path: path.into(), text: text.into() }
    }

    #[test]
    fn commands_run_tests_that_are_there() {
        let mut files = vec![
            file("crates/a/Cargo.toml", "[package]\nname = \"our-a\"\n"),
            file("crates/a/src/b/c.rs", "#[test]\nfn inside() {}\nfn helper() {}\n"),
            file("crates/a/tests/whole.rs", "#[test]\nfn p1_holds() {}\n"),
            file("crates/a/tests/suite/part.rs", "    #[tokio::test(flavor = \"x\")]\n    async fn waits() {}\n"),
        ];
        for (code, runs) in [
            ("cargo test -p our-a", true),
            ("cargo test -p our-a b::c::inside", true),
            ("cargo test -p our-a helper", false),
            ("cargo test -p our-a p1_holds", false),
            ("cargo test -p our-a --test whole p1_", true),
            ("cargo test -p our-a --features x --test suite waits -- --nocapture", true),
            ("cargo test -p our-a --test suite p1_", false),
            ("cargo test -p our-a --test gone", false),
            ("cargo test -p other", false),
        ] {
            files.push(file("a.md", &format!("text\n`{code}` and `cargo test`")));
            let found = check(&files).len();
            assert_eq!(found, usize::from(!runs), "{code}");
            files.pop();
        }
    }
}
