//! The JSON Schema: it takes what `check` takes, and refuses what an editor can tell.

use crate::support::{AMQP, GENERATE, HTTP, fixtures};
use serde_json::Value;

fn validator() -> jsonschema::Validator {
    let schema = crossdock_config::schema(&[&HTTP, &AMQP, &GENERATE]);
    jsonschema::draft202012::meta::validate(&schema).unwrap_or_else(|error| panic!("no schema: {error}"));
    jsonschema::draft202012::new(&schema).unwrap()
}

fn value(yaml: &str) -> Value {
    serde_saphyr::from_str(yaml).unwrap()
}

#[test]
fn what_is_valid_is_taken() {
    let validator = validator();
    for (path, text) in fixtures("valid").into_iter().chain(fixtures("warned")) {
        let value = value(&text);
        let errors: Vec<_> = validator.iter_errors(&value).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(errors.is_empty(), "{}: {errors:?}", path.display());
    }
}

#[test]
fn what_is_wrong_is_refused() {
    let validator = validator();
    for name in [
        "unknown-key",
        "bare-duration",
        "all-at-once",
        "a-list",
        "a-text",
        "no-version",
        "version-2",
        "unknown-section",
        "nowhere",
        "shapes",
        "shapes-inside",
        "on-refused",
        "accept",
        "retry",
        "dead-letter",
        "target-keys",
    ] {
        let (_, text) = fixtures("invalid")
            .into_iter()
            .find(|(path, _)| path.file_stem().is_some_and(|stem| stem == name))
            .unwrap();
        assert!(!validator.is_valid(&value(&text)), "{name}");
    }
}

#[test]
fn keys_are_described() {
    let schema = crossdock_config::schema(&[&HTTP, &AMQP, &GENERATE]);
    let retry = &schema["$defs"]["route"]["properties"]["retry"]["properties"];
    assert_eq!(retry["attempts"]["default"], 8);
    assert_eq!(retry["initial"]["default"], "1s");
    assert_eq!(retry["max"]["description"], "longest wait");
    assert_eq!(schema["$defs"]["source"]["properties"]["http"]["required"], serde_json::json!(["path"]));
    assert!(schema["$defs"]["target"]["properties"]["http"]["properties"]["forward_origin"].is_object());
}
