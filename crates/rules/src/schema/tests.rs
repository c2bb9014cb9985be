//! Schemas that are none, references, and what is said of values.

use super::JsonSchema;
use crate::{Files, SourceFile};
use crossdock_expression::{Outline, Value};
use crossdock_settings::{Diagnostics, Span};
use std::path::{Path, PathBuf};

/// Files in memory, below `/conf`.
struct Memory<'a>(&'a [(&'a str, &'a str)]);

impl Files for Memory<'_> {
    fn read(&mut self, path: &Path) -> Result<SourceFile, String> {
        let path = Path::new("/conf").join(path);
        let name = path.strip_prefix("/conf").map_err(|_| "outside of the folder".to_owned())?;
        let (name, text) =
            self.0.iter().find(|(file, _)| Path::new(file) == name).ok_or_else(|| "no such file".to_owned())?;
        Ok(SourceFile { path: PathBuf::from("/conf").join(name), shown: (*name).into(), text: (*text).to_owned() })
    }
}

fn compile(files: &[(&str, &str)]) -> Result<JsonSchema, Vec<String>> {
    let mut found = Diagnostics::new();
    let schema = JsonSchema::compile(Path::new(files[0].0), Span::default(), &mut Memory(files), &mut found);
    let show = |d: &crossdock_settings::Diagnostic| {
        let file = d.place.file.as_deref().unwrap_or("routes.yaml");
        format!("{} {file}:{}:{} {}", d.code, d.place.span.start.line, d.place.span.start.column, d.message)
    };
    schema.ok_or_else(|| found.iter().map(show).collect())
}

fn check_violations(schema: &JsonSchema, json: &str, expected: &[(&str, &str, &str)]) {
    let value = Value::from_json(json.as_bytes()).unwrap();
    let violations = schema.validate(value.as_ref()).err().unwrap_or_default();
    let found: Vec<_> =
        violations.iter().map(|v| (&*v.at, &*v.message, v.rule.as_deref().unwrap_or_default())).collect();
    assert_eq!(found, expected, "{json}");
    // An outline must tell the same as the value.
    if let Some(outline) = Outline::of(json.as_bytes()) {
        assert_eq!(schema.admits(&outline), expected.is_empty(), "{json}");
    }
}

#[test]
fn violations_have_both_pointers_and_nothing_of_the_value() {
    let schema = compile(&[("order.json", include_str!("../../fixtures/order.schema.json"))]).unwrap();
    let order = |id: &str, qty: &str, total: &str| {
        format!(
            r#"{{"order_id":{id},"created":"","customer":{{"id":"","name":"A"}},"ship_to":{{"country":"DE"}},"lines":[{{"sku":"","qty":{qty},"price":0}}],"total":{total}}}"#
        )
    };
    check_violations(&schema, &order("\"o-1\"", "1", "0.0"), &[]);
    check_violations(&schema, &order("\"o-1\"", "2.0", "12345678901234567890"), &[]);
    check_violations(
        &schema,
        &order("7", "0", "-1"),
        &[
            ("/lines/0/qty", "value is less than the minimum of 1", "/properties/lines/items/properties/qty/minimum"),
            ("/order_id", "value is not of type \"string\"", "/properties/order_id/type"),
            ("/total", "value is less than the minimum of 0", "/properties/total/minimum"),
        ],
    );
    check_violations(&schema, "[]", &[("", "value is not of type \"object\"", "/type")]);
    check_violations(
        &schema,
        &order("\"o-x\"", "1.5", "1"),
        &[
            ("/lines/0/qty", "value is not of type \"integer\"", "/properties/lines/items/properties/qty/type"),
            ("/order_id", "value does not match \"^o-[0-9]+$\"", "/properties/order_id/pattern"),
        ],
    );
}

#[test]
fn keywords_see_values_as_json() {
    for (schema, valid, invalid) in [
        (r#"{"const": {"a": [1, 2.5, null, true, "x"]}}"#, r#"{"a":[1.0,2.5,null,true,"x"]}"#, r#"{"a":[1]}"#),
        (r#"{"enum": ["a", 1, null, false]}"#, "1.0", "true"),
        (r#"{"enum": ["a"]}"#, "\"a\"", "\"b\""),
        (r#"{"uniqueItems": true}"#, "[1,\"1\",[1]]", "[1,1.0]"),
        (r#"{"minLength": 2, "maxLength": 2}"#, "\"ää\"", "\"a\""),
        (r#"{"type": "integer"}"#, "1e3", "1.5"),
        (r#"{"multipleOf": 0.01}"#, "1.23", "1.234"),
        (r#"{"propertyNames": {"pattern": "^[a-z]+$"}}"#, r#"{"ab":1}"#, r#"{"A":1}"#),
        (
            r#"{"patternProperties": {"^x": {"type": "null"}}, "additionalProperties": false}"#,
            r#"{"xa":null}"#,
            r#"{"y":1}"#,
        ),
        (r#"{"oneOf": [{"type": "string"}, {"minimum": 5}]}"#, "7", "3"),
        (r#"{"not": {"required": ["a"]}}"#, "{}", r#"{"a":1}"#),
        (r#"{"contains": {"const": 3}}"#, "[1,3]", "[1]"),
        (r#"{"dependentRequired": {"a": ["b"]}}"#, r#"{"a":1,"b":1}"#, r#"{"a":1}"#),
        (r#"{"unevaluatedProperties": false, "properties": {"a": {}}}"#, r#"{"a":1}"#, r#"{"b":1}"#),
        (r#"{"format": "date-time"}"#, "\"2026-11-21T08:15:30Z\"", "\"yesterday\""),
        (r#"{"format": "email"}"#, "\"a@example.org\"", "\"a\""),
        (r#"{"format": "uuid"}"#, "\"2f1d3d0e-6d0a-4f4c-9d0b-0d7c3f3f3f3f\"", "\"x\""),
        (r##"{"items": {"$ref": "#"}, "type": "array"}"##, "[[],[[]]]", "[[1]]"),
        (r#"{"$schema": "http://json-schema.org/draft-04/schema#", "type": "integer"}"#, "1", "1.0"),
    ] {
        let compiled = compile(&[("s.json", schema)]).unwrap();
        for (json, expected) in [(valid, true), (invalid, false)] {
            let value = Value::from_json(json.as_bytes()).unwrap();
            assert_eq!(compiled.validate(value.as_ref()).is_ok(), expected, "{schema} {json}");
        }
    }
}

#[test]
fn the_number_of_violations_is_bounded() {
    let schema = compile(&[("s.json", r#"{"items": {"type": "string"}}"#)]).unwrap();
    let many = Value::array(vec![Value::integer(1); 100_000]);
    assert_eq!(schema.validate(many.as_ref()).map_err(|violations| violations.len()), Err(64));
}

#[test]
fn patterns_take_linear_time() {
    let schema = compile(&[("s.json", r#"{"pattern": "^(a+)+$"}"#)]).unwrap();
    let text = format!("{}!", "a".repeat(100_000));
    assert!(schema.validate(Value::text(text).as_ref()).is_err());
}

#[test]
fn references_lead_to_files() {
    let customer = r#"{"type": "object", "required": ["id"], "properties": {"id": {"$ref": "types.json#/$defs/id"}}}"#;
    let types = r#"{"$defs": {"id": {"type": "string", "minLength": 3}}}"#;
    let named = r#"{"$id": "https://example.org/schemas/order.json", "$ref": "parts/customer.json"}"#;
    for (files, fine) in [
        (
            vec![
                ("s.json", r#"{"$ref": "parts/customer.json"}"#),
                ("parts/customer.json", customer),
                ("parts/types.json", types),
            ],
            true,
        ),
        (
            vec![
                ("a/s.json", r#"{"$ref": "../parts/customer.json"}"#),
                ("parts/customer.json", customer),
                ("parts/types.json", types),
            ],
            true,
        ),
        (vec![("s.json", named), ("parts/customer.json", customer), ("parts/types.json", types)], true),
        (vec![("s p.json", r##"{"$ref": "#/$defs/a", "$defs": {"a": {"required": ["id"]}}}"##)], true),
        (vec![("s.json", r#"{"$ref": "parts/customer.json"}"#), ("parts/customer.json", customer)], false),
    ] {
        let compiled = compile(&files);
        assert_eq!(compiled.is_ok(), fine, "{files:?}: {:?}", compiled.err());
        if let Ok(schema) = compiled {
            let refused = Value::from_json(br#"{"name": "x"}"#).unwrap();
            assert!(schema.validate(refused.as_ref()).is_err(), "{files:?}");
        }
    }
}

#[test]
fn what_is_no_schema_is_told_at_its_place() {
    for (files, expected) in [
        (vec![("s.json", "{\n  \"type\": \"strng\"\n}")], "schema.invalid s.json:2:11"),
        (
            vec![("s.json", "{\"a\": {},\n \"properties\": {\"a\": {\"minimum\": \"x\"}, \"b\": 3}}")],
            "schema.invalid s.json:2:34",
        ),
        (vec![("s.json", "{\n \"type\": }")], "schema.syntax s.json:2:10"),
        (vec![("s.json", "")], "schema.syntax s.json:1:0"),
        (vec![("s.json", "7")], "schema.invalid s.json:1:1"),
        (vec![("s.json", r#"{"$schema": "https://example.org/other"}"#)], "schema.draft s.json:1:13"),
        (vec![("s.json", "{\n\"pattern\": \"(?=x)\"}")], "schema.pattern s.json:2:12"),
        (vec![("s.json", "{\"properties\":\n {\"a\": {\"$ref\": \"none.json\"}}}")], "schema.reference s.json:2:17"),
        (vec![("s.json", "{\n\"$ref\": \"https://example.org/x.json\"}")], "schema.reference s.json:2:9"),
        (vec![("s.json", "{\n\"$ref\": \"#/$defs/none\"}")], "schema.reference s.json:2:9"),
        (vec![("s.json", "{\"$ref\": \"b.json\"}"), ("b.json", "{\n\"type\": 3}")], "schema.invalid b.json:2:9"),
        (vec![("s.json", "{\"$ref\": \"b.json\"}"), ("b.json", "[")], "schema.syntax b.json:1:1"),
        (vec![("s.json", r#"{"$ref": "../../etc/passwd"}"#)], "schema.reference s.json:1:10"),
    ] {
        let errors = compile(&files).map(|_| ()).unwrap_err();
        assert!(errors.iter().any(|error| error.starts_with(expected)), "{files:?}: {errors:#?}");
    }
    let mut found = Diagnostics::new();
    assert!(JsonSchema::compile(Path::new("none.json"), Span::default(), &mut Memory(&[]), &mut found).is_none());
    let finding = found.iter().next().unwrap();
    assert_eq!(
        (finding.code, finding.message.as_str()),
        ("schema.file", "the schema none.json cannot be read: no such file")
    );
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let errors = compile(&[("s.json", "{\"type\": \"strng\",\n \"minimum\": \"x\",\n \"required\": 1}")])
        .map(|_| ())
        .unwrap_err();
    assert_eq!(errors.len(), 3, "{errors:#?}");
    // Meta-schemas of several vocabularies say the same thing several times.
    let errors = compile(&[("s.json", "{\"properties\": {\"b\": 3}}")]).map(|_| ()).unwrap_err();
    assert_eq!(errors.len(), 1, "{errors:#?}");
}

#[test]
fn an_outline_tells_the_same_as_the_value_whatever_became_of_a_payload() {
    let schema = compile(&[("order.json", include_str!("../../fixtures/order.schema.json"))]).unwrap();
    let order = r#"{"order_id":"o-1","created":"2026-01-01","customer":{"id":"c\u00e9","name":"A"},"ship_to":{"country":"DE"},"lines":[{"sku":"s","qty":1,"price":0.5},{"sku":"t","qty":22,"price":1e2}],"total":3}"#;
    let (mut read, mut admitted) = (0, 0);
    for at in 0..order.len() {
        for byte in br#"" {}[]:,\-+.019aetfn"# {
            let mut bytes = order.as_bytes().to_vec();
            bytes[at] = *byte;
            let value = Value::from_json(&bytes);
            let Some(outline) = Outline::of(&bytes) else { continue };
            let value = value.unwrap_or_else(|error| panic!("{}: {error}", String::from_utf8_lossy(&bytes)));
            let valid = schema.validate(value.as_ref()).is_ok();
            assert_eq!(schema.admits(&outline), valid, "{}", String::from_utf8_lossy(&bytes));
            read += 1;
            admitted += u32::from(valid);
        }
    }
    assert!(read > 1000 && admitted > 400 && admitted < read, "{admitted} of {read}");
}
