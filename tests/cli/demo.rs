//! The demo: it ends by itself with the right account, and the same seed gives the same one.

use crate::harness::run_in;
use crossdock_testkit::Ended;
use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
};

fn play(seed: &str) -> Ended {
    let folder = tempfile::tempdir().unwrap();
    let ended = run_in(folder.path(), &["demo", "--exit", "--seed", seed]);
    assert_eq!(ended.status, 0, "{}{}", ended.stdout, ended.stderr);
    for word in ["received", "delivered", "retried", "filtered", "dead", "http.422"] {
        assert!(ended.stdout.to_lowercase().contains(word), "no `{word}` in {}", ended.stdout);
    }
    assert!(!ended.stdout.contains("WRONG") && !(ended.stdout.clone() + &ended.stderr).contains('\x1b'));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "it left something where it was started");
    ended
}

/// The account's lines; how often something was retried differs from run to run.
fn account(ended: &Ended) -> Vec<&str> {
    ended.stdout.lines().filter(|line| line.contains("right")).collect()
}

#[test]
fn the_same_seed_gives_the_same_account() {
    let (first, second, other) = (play("7"), play("7"), play("8"));
    assert!(account(&first).len() >= 5, "{}", first.stdout);
    assert_eq!(account(&first), account(&second));
    assert_ne!(account(&first), account(&other));
}

#[test]
fn the_commands_it_prints_work_while_it_goes_on() {
    let (folder, temporary) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut demo = Command::new(env!("CARGO_BIN_EXE_crossdock"))
        .arg("demo")
        .current_dir(folder.path())
        .env("NO_COLOR", "1")
        .env("TMPDIR", temporary.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(demo.stdout.take().unwrap()).lines().map(Result::unwrap);
    let printed: Vec<_> = lines.take_while(|line| !line.contains("Ctrl-C ends the demo")).collect();
    let program = env!("CARGO_BIN_EXE_crossdock");
    let commands: Vec<_> = printed.iter().filter_map(|line| line.trim().strip_prefix(program)).collect();
    assert!(commands.len() >= 4, "{printed:#?}");
    for command in commands {
        let mut arguments: Vec<_> = command.split_whitespace().collect();
        let redrive = arguments.contains(&"redrive");
        if redrive {
            arguments.push("--yes");
        }
        let ended = run_in(folder.path(), &arguments);
        assert_eq!(ended.status, 0, "{command}: {}", ended.stderr);
        assert!(!ended.stdout.is_empty() || redrive, "{command} says nothing");
        if redrive {
            let left = run_in(folder.path(), &[&["dead", "ls"], &arguments[2..6]].concat());
            assert!(left.status == 0 && left.stdout.is_empty(), "{}{}", left.stdout, left.stderr);
        }
    }
    assert!(Command::new("kill").args(["-INT", &demo.id().to_string()]).status().unwrap().success());
    assert!(demo.wait().unwrap().success(), "Ctrl-C ends a demo whose account is right");
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0, "the temporary folder is still there");
}
