//! Trees, places and refusals.

use super::*;
use crossdock_settings::{NodeKind, Scalar};
use proptest::prelude::*;

/// The tree in one line: `{key: value}`, `[item]`, quoted scalars in quotes.
fn show(node: &Node) -> String {
    match &node.kind {
        NodeKind::Null => "~".into(),
        NodeKind::Scalar(Scalar { text, quoted: true, .. }) => format!("{text:?}"),
        NodeKind::Scalar(scalar) => scalar.text.clone(),
        NodeKind::Sequence(items) => format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(", ")),
        NodeKind::Mapping(entries) => {
            let entries: Vec<_> = entries.iter().map(|e| format!("{}: {}", e.key, show(&e.value))).collect();
            format!("{{{}}}", entries.join(", "))
        }
    }
}

fn check(text: &str, tree: &str, findings: &[(&str, u32, u32)]) {
    let Parsed { root: node, found, .. } = parse(text);
    assert_eq!(node.as_ref().map(show).unwrap_or_default(), tree, "{text}");
    let found: Vec<_> = found.iter().map(|d| (d.code, d.place.span.start.line, d.place.span.start.column)).collect();
    assert_eq!(found, findings, "{text}");
}

#[test]
fn trees() {
    check("a: 1\nb: [x, 'y', \"z\\n\"]\nc:\nd: ~\n", "{a: 1, b: [x, \"y\", \"z\\n\"], c: ~, d: ~}", &[]);
    check("a: &x {b: 1}\nc: *x\n", "{a: {b: 1}, c: {b: 1}}", &[]);
    check("# nothing\n", "", &[]);
    check("", "", &[]);
    check("just text\n", "just text", &[]);
}

#[test]
fn what_is_refused() {
    check("a: 1\nb: 2\na: 3\n", "{a: 1, b: 2}", &[("key.duplicate", 3, 1)]);
    check("a: &x {b: 1}\nc:\n  <<: *x\n  d: 1\n", "{a: {b: 1}, c: {d: 1}}", &[("yaml.merge", 3, 3)]);
    check("a: !foo 1\nb: !!str 2\n", "{a: 1, b: 2}", &[("yaml.tag", 1, 4), ("yaml.tag", 2, 4)]);
    check("? [k]\n: v\n~: w\n", "{}", &[("yaml.key", 1, 3), ("yaml.key", 3, 1)]);
    check("a: 1\n---\nb: 2\n", "", &[("yaml.documents", 2, 1)]);
    check("routes:\n  r: [\n", "", &[("yaml.syntax", 2, 7)]);
    check("a: b: c\n", "", &[("yaml.syntax", 1, 5)]);
    check("a: &x [*x]\n", "", &[("yaml.alias", 1, 8)]);
    check("a: *nobody\n", "", &[("yaml.syntax", 1, 4)]);
    check(&"[".repeat(100_000), "", &[("yaml.syntax", 1, 256)]);
    check(&"- ".repeat(100_000), "", &[("yaml.depth", 1, 129)]);
}

#[test]
fn alias_bombs_end() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..40 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        text.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    let Parsed { root: node, found, .. } = parse(&text);
    assert!(node.is_none());
    assert_eq!(found.iter().map(|d| d.code).collect::<Vec<_>>(), ["yaml.alias"]);
    let deep: String = (0..70).map(|n| format!("d{}: &d{} [*d{n}]\n", n + 1, n + 1)).collect();
    let Parsed { found, .. } = parse(&format!("d0: &d0 []\n{deep}"));
    assert_eq!(found.iter().map(|d| d.code).collect::<Vec<_>>(), ["yaml.depth"]);
}

/// The place of `needle` in the text of the only scalar that holds it, against its place in the file.
fn place(file: &str, needle: &str) {
    fn find<'a>(node: &'a Node, needle: &str) -> Option<&'a Scalar> {
        match &node.kind {
            NodeKind::Null => None,
            NodeKind::Scalar(scalar) => scalar.text.contains(needle).then_some(scalar),
            NodeKind::Sequence(items) => items.iter().find_map(|item| find(item, needle)),
            NodeKind::Mapping(entries) => entries.iter().find_map(|entry| find(&entry.value, needle)),
        }
    }
    let Parsed { root: node, found, .. } = parse(file);
    assert!(found.is_empty(), "{file}: {found:?}");
    let node = node.expect("a tree");
    let scalar = find(&node, needle).expect("a scalar with the needle");
    let have = scalar.layout.position(&scalar.text, scalar.text.find(needle).expect("the needle"));
    let before = &file[..file.find(needle).expect("the needle in the file")];
    let line = before.matches('\n').count();
    let column = before.rsplit('\n').next().expect("a line").chars().count();
    assert_eq!(have, text::position(line + 1, column), "{needle} in {file}");
}

#[test]
fn places_within_scalars() {
    for file in [
        "a: NEEDLE\n",
        "a: .x == NEEDLE\n",
        "é: { ü: 'ß NEEDLE' }\n",
        "a: \"b \\\"c\\\" \\x41 \\u00e9 NEEDLE\"\n",
        "a: 'it''s NEEDLE'\n",
        "a: one\n  two NEEDLE\n",
        "a: \"one\n  two\n\n  three NEEDLE\"\n",
        "a: \"one \\\n  two NEEDLE\"\n",
        "a: |\n  one\n   two NEEDLE\n",
        "a: |-\n\n\n  one\n\n  NEEDLE\n",
        "- |2\n    one\n  NEEDLE\n",
        "a: >\n  one\n  two NEEDLE three\n  four\n",
        "a: >\n  one\n\n  two\n  NEEDLE\n",
        "a: |\r\n  one\r\n  two NEEDLE\r\n",
    ] {
        place(file, "NEEDLE");
    }
}

#[test]
fn texts_that_are_none() {
    fn code(bytes: &[u8]) -> Result<&str, (&'static str, Position)> {
        decode(bytes).map_err(|d| (d.code, d.place.span.start))
    }
    assert_eq!(code(b"\xef\xbb\xbfa: 1"), Ok("a: 1"));
    assert_eq!(code(b"a: 1\nb: \xff"), Err(("file.encoding", text::position(2, 3))));
    assert_eq!(code(&vec![b' '; FILE_BYTES_MAX + 1]).map_err(|(code, _)| code), Err("file.too_large"));
}

/// One line of a million characters with many escapes: places stay cheap.
#[test]
fn long_lines_take_linear_time() {
    let text = format!("[{}]", "\"a\\n\\tb\",".repeat(20_000));
    let Parsed { root: node, .. } = parse(&text);
    assert!(node.is_some());
}

proptest! {
    #[test]
    fn any_text_is_answered(text in "\\PC{0,200}|([a-z:\\-\\[\\]{}&*!|>'\"%@`#,?\\\\ \n\t~<]{0,200})") {
        let Parsed { root: node, found, .. } = parse(&text);
        // Nothing is found only where nothing was written: blank lines, comments and document marks.
        let written = |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with(['#', '-', '.', '\u{feff}']);
        prop_assert!(node.is_some() || !found.is_empty() || !text.lines().any(written), "{text:?}");
    }

    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(text) = decode(&bytes) {
            let _ = parse(text);
        }
    }
}
