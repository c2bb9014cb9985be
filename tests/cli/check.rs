//! `check` on files that are right and files that are wrong in every way: what people see and what programs see.
//!
//! The files are in `tests/check`, beside each what `check` prints for it. `CROSSDOCK_UPDATE=1 cargo test` writes the
//! latter anew; look at the difference before you commit it.

use crate::harness::run_in;
use std::{fs, path::Path};

#[test]
fn every_file_is_told_what_is_wrong_with_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/check");
    let update = std::env::var_os("CROSSDOCK_UPDATE").is_some();
    let mut names: Vec<_> =
        fs::read_dir(&folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    let files: Vec<_> = names.iter().filter(|name| name.ends_with(".yaml")).collect();
    assert!(files.len() >= 10, "the files are gone");
    let mut stale = Vec::new();
    for name in files {
        let people = run_in(&folder, &["check", name]);
        let shown = format!("{}{}exit status {}\n", people.stdout, people.stderr, people.status);
        let path = folder.join(name.replace(".yaml", ".txt"));
        if update {
            fs::write(&path, &shown).unwrap();
        } else if fs::read_to_string(&path).unwrap_or_default() != shown {
            stale.push(format!("--- {name}\n{shown}"));
        }
        let wrong = name.starts_with("invalid");
        assert_eq!(people.status, i32::from(wrong), "{name}: {shown}");
        programs_see_the_same(&folder, name, wrong, &shown);
        if wrong {
            let run = run_in(&folder, &["run", name]);
            assert_eq!(run.status, 2, "{name} runs: {}", run.stderr);
        }
    }
    assert!(stale.is_empty(), "not as in tests/check:\n{}", stale.join("\n"));
}

fn programs_see_the_same(folder: &Path, name: &str, wrong: bool, shown: &str) {
    let programs = run_in(folder, &["check", name, "--json"]);
    assert_eq!(programs.status, i32::from(wrong), "{name}");
    let value: serde_json::Value = serde_json::from_str(&programs.stdout).unwrap();
    let diagnostics = value["diagnostics"].as_array().unwrap();
    for one in diagnostics {
        for key in ["severity", "code", "message", "file", "line", "column", "hint"] {
            assert!(one.get(key).is_some(), "{name}: no {key} in {one}");
        }
        let place = format!("{}:{}:{}", one["file"].as_str().unwrap(), one["line"], one["column"]);
        assert!(shown.contains(&place), "{name}: people are not told of {place}");
        assert!(shown.contains(one["code"].as_str().unwrap()), "{name}: people are not told the code of {one}");
    }
    let errors = diagnostics.iter().filter(|one| one["severity"] == "error").count();
    assert_eq!(errors > 0, wrong, "{name}");
    assert!(!shown.contains("hunter2") && !programs.stdout.contains("hunter2"), "{name}: a secret is shown");
}
