//! Whatever the bytes are, there is an answer: a plan or an error, no panic.

use crate::support::{load_text, valid};
use proptest::prelude::*;

fn check(bytes: &[u8]) {
    let loaded = load_text(bytes);
    assert_eq!(loaded.plan.is_some(), !loaded.report.has_errors());
    let report = loaded.report.render(true);
    assert_eq!(report.is_empty(), loaded.report.is_empty());
    assert_eq!(loaded.report.json()["diagnostics"].as_array().unwrap().len(), loaded.report.iter().count());
}

#[test]
fn depth_and_size_are_bounded() {
    for text in [
        "[".repeat(100_000),
        "{a: ".repeat(100_000),
        "- ".repeat(100_000),
        format!("version: 1\nroutes: {}", "{ a: ".repeat(200)),
        format!("a: {}", "x".repeat(9 << 20)),
        format!("version: 1\nroutes: {{ r: {{ steps: [{}] }} }}", "filter, ".repeat(5_000)),
        format!("version: 1\nroutes: {{ r: {{ order_by: \"{}\" }} }}", "(".repeat(5_000)),
        format!("version: 1\nroutes: {{ r: {{ order_by: \"{}1{}\" }} }}", "(".repeat(5_000), ")".repeat(5_000)),
        format!("version: 1\nroutes: {{ r: {{ order_by: \"{}\" }} }}", "\u{1b}[31m${env:".repeat(500)),
    ] {
        check(text.as_bytes());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        check(&bytes);
    }

    /// A valid file with a piece cut out and another put in its place.
    #[test]
    fn a_mangled_file(
        at in any::<prop::sample::Index>(),
        cut in 0usize..40,
        put in "\\PC{0,6}|[ \\n:{}\\[\\]\"'$&*!|>,-]{0,6}",
    ) {
        let text = valid("contract");
        let mut characters: Vec<char> = text.chars().collect();
        let start = at.index(characters.len());
        let end = (start + cut).min(characters.len());
        characters.splice(start..end, put.chars());
        check(characters.into_iter().collect::<String>().as_bytes());
    }

    /// A valid file in which one value is another's.
    #[test]
    fn a_shuffled_file(from in any::<prop::sample::Index>(), to in any::<prop::sample::Index>()) {
        let text = valid("contract");
        let mut lines: Vec<&str> = text.lines().collect();
        let (from, to) = (from.index(lines.len()), to.index(lines.len()));
        lines.swap(from, to);
        check(lines.join("\n").as_bytes());
    }
}
