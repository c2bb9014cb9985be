//! Whole files and everything that is said of them: `invalid` has errors, `warned` has a plan and warnings, `valid` has
//! nothing to be said but what is not applied yet. Beside each `NAME.yaml` stands `NAME.txt`, the report as people see it. In `compiled` are files
//! of which other crates say what is wrong, in words of their own: there `NAME.txt` has places and codes only.
//!
//! `UPDATE_EXPECTED=1 cargo test -p crossdock-config --test suite` writes the reports anew; read the difference.

use crate::support;
use crossdock_config::Loaded;
use std::{fmt::Write, fs};

fn check(folder: &str, judge: impl Fn(&Loaded) -> bool) {
    check_as(folder, judge, |loaded| loaded.report.render(false));
}

fn check_as(folder: &str, judge: impl Fn(&Loaded) -> bool, tell: impl Fn(&Loaded) -> String) {
    let mut wrong = Vec::new();
    for (path, text) in support::fixtures(folder) {
        let loaded = support::load_text(text);
        let report = tell(&loaded);
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
    check("valid", |loaded| loaded.report.iter().all(|finding| finding.code == "feature.later"));
}

#[test]
fn compiled() {
    check_as(
        "compiled",
        |loaded| !loaded.report.is_empty(),
        |loaded| {
            let mut out = String::new();
            for finding in loaded.report.iter() {
                let (file, start) = (finding.place.file.as_deref().unwrap_or("routes.yaml"), finding.place.span.start);
                let severity = finding.severity.name();
                writeln!(out, "{file}:{}:{}: {severity}[{}]", start.line, start.column, finding.code).unwrap();
            }
            out
        },
    );
}
