//! The demo: it ends by itself with the right account, and the same seed gives the same one.

use crate::harness::{Ended, run_in};

fn play(seed: &str) -> Ended {
    let folder = tempfile::tempdir().unwrap();
    let ended = run_in(folder.path(), &["demo", "--exit", "--seed", seed], b"");
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
