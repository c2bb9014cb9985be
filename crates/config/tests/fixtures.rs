//! Whole files and everything that is said of them: `invalid` has errors, `warned` has a plan and warnings, `valid` has
//! nothing to be said. Beside each `NAME.yaml` stands `NAME.txt`, the report as people see it.
//!
//! `UPDATE_EXPECTED=1 cargo test -p crossdock-config --test fixtures` writes the reports anew; read the difference.

mod support;

use std::{fs, path::Path};

fn check(folder: &str, judge: impl Fn(&crossdock_config::Loaded) -> bool) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let mut names: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    names.sort();
    assert!(!names.is_empty());
    let mut wrong = Vec::new();
    for path in names {
        let loaded = support::load_text(fs::read(&path).unwrap());
        let report = loaded.report.render(false);
        assert!(judge(&loaded), "{}: {report}", path.display());
        assert_eq!(loaded.plan.is_some(), !loaded.report.has_errors(), "{}", path.display());
        assert!(!report.contains("s3cret"), "{} shows a secret: {report}", path.display());
        assert!(!loaded.report.json().to_string().contains("s3cret"), "{} shows a secret in JSON", path.display());
        let expected = path.with_extension("txt");
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            fs::write(&expected, &report).unwrap();
        }
        if fs::read_to_string(&expected).unwrap_or_default() != report {
            wrong.push(format!("{}:\n{report}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "reports changed:\n{}", wrong.join("\n"));
}

#[test]
fn invalid() {
    check("invalid", |loaded| loaded.report.has_errors());
}

#[test]
fn warned() {
    check("warned", |loaded| loaded.plan.is_some() && !loaded.report.is_empty());
}

#[test]
fn valid() {
    check("valid", |loaded| loaded.report.is_empty());
}
