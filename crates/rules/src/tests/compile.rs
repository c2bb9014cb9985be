//! What is refused when a list of steps is compiled.

use crate::{Stage, testing::compile};
use serde_json::json;

/// The codes of all findings, and a part of the text of the first.
fn check(stage: Stage, steps: serde_json::Value, expected: &[&str], part: &str) {
    let (pipeline, found) = compile(stage, &steps);
    let codes: Vec<_> = found.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, expected, "{steps}: {found:#?}");
    let shown = found.iter().next().map(|f| format!("{} {}", f.message, f.hint.as_deref().unwrap_or_default()));
    assert!(shown.unwrap_or_default().contains(part), "{steps}: {found:#?}");
    assert_eq!(pipeline.is_none(), found.has_errors(), "{steps}");
}

#[test]
fn findings() {
    for (steps, codes, part) in [
        (json!([{"filter": "upcse(.a) == \"B\""}]), vec!["expression.unknown_function"], "did you mean `upcase`?"),
        (
            json!([{"filter": ".a > 1"}, {"transform": ".b = .c + 1"}]),
            vec!["expression.fallible", "expression.fallible"],
            "to_float!(.a) > 1",
        ),
        (json!([{"split": {"by": ".lines"}}]), vec!["step.unsupported"], "`split` is not built in yet"),
        (json!([{"throttle": {"rate": "1/s"}}]), vec!["step.unsupported"], "`throttle`"),
        (json!([{"enrich": {}}]), vec!["step.unsupported"], "`enrich`"),
        (json!([{"decode": "csv"}]), vec!["step.unsupported"], "`decode: csv`"),
        (json!([{"encode": "csv"}]), vec!["step.unsupported"], "`encode: csv`"),
        (json!([{"validate": {"xsd": "a.xsd"}}]), vec!["step.unsupported"], "`validate: xsd`"),
        (json!([{"validate": {}}]), vec!["step.validate"], "one schema"),
        (json!([{"validate": {"json_schema": "two.json", "xsd": "a"}}]), vec!["step.validate"], "one schema"),
        (json!([{"validate": {"json_schema": "none.json"}}]), vec!["schema.file"], "none.json"),
        (json!([{"decode": {"xml": {"force_array": ["a b"]}}}]), vec!["value.type"], "no name"),
        (json!([{"encode": {"xml": {"root": "1"}}}]), vec!["value.type"], "no name"),
        (json!([{"encode": {"json": {"content_type": "json"}}}]), vec!["value.type"], "no content type"),
        (json!([{"delay": "1s"}, {"delay": "2s"}]), vec!["step.order"], "comes twice"),
        (json!([{"transform": ".a == 1"}]), vec!["expression.unused"], "changes nothing"),
    ] {
        let (pipeline, found) = compile(Stage::Steps, &steps);
        let got: Vec<_> = found.iter().map(|finding| finding.code).collect();
        assert_eq!(got, codes, "{steps}: {found:#?}");
        let first = found.iter().next().unwrap();
        let shown = format!("{} {}", first.message, first.hint.as_deref().unwrap_or_default());
        assert!(shown.contains(part), "{steps}: {shown}");
        assert_eq!(pipeline.is_none(), found.has_errors(), "{steps}");
    }
}

#[test]
fn order_counts() {
    check(Stage::Steps, json!([{"filter": ".a == 1"}, {"decode": "xml"}]), &["step.order"], "comes too late");
    check(Stage::Steps, json!([{"encode": "json"}, {"transform": ".a = 1"}]), &["step.order"], "does not leave");
    for steps in [
        json!([{"filter": "%key == \"a\""}, {"decode": "xml"}]),
        json!([{"encode": "json"}, {"transform": ".a = 1"}, {"encode": "xml"}]),
    ] {
        let (pipeline, found) = compile(Stage::Steps, &steps);
        assert!(pipeline.is_some() && found.is_empty(), "{found:#?}");
    }
}

#[test]
fn the_door_has_steps_of_its_own() {
    for (name, item) in [
        ("transform", json!({"transform": ".a = 1"})),
        ("encode", json!({"encode": "json"})),
        ("delay", json!({"delay": "1s"})),
    ] {
        let (_, found) = compile(Stage::Accept, &json!([item]));
        assert!(found.iter().any(|f| f.code == "key.unknown" && f.message.contains(name)), "{name}: {found:#?}");
    }
}
