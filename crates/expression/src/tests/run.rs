//! What expressions give and change, and what fails when they run.

use crate::{Compiler, Metadata, Use, Value};
use crossdock_model::{self as model, Envelope, HEADERS_MAX, Headers, MessageId, Text, Timestamp};

fn envelope() -> Envelope {
    let mut envelope = Envelope::new(MessageId::from_bytes([0x11; 16]), Timestamp(0), "");
    envelope.properties.key = Some("k".into());
    envelope.properties.content_type = Some("application/json".into());
    envelope.properties.time = Some(Timestamp(1_700_000_000_123));
    envelope.properties.priority = Some(4);
    for (name, value) in [
        ("region", model::Value::from("DE")),
        ("twice", model::Value::from("1")),
        ("twice", model::Value::from("2")),
        ("amount", model::Value::Decimal { mantissa: 1250, scale: 2 }),
        ("big", model::Value::Unsigned(u64::MAX)),
        ("x-unit", model::Value::from("C")),
    ] {
        envelope.headers.push(name, value);
    }
    envelope.origin.protocol = "http".into();
    envelope.origin.path = Some("/orders".into());
    envelope.origin.query = vec![("dry".into(), "1".into())];
    envelope
}

fn check_value(expression: &str, payload: &str, expected: Result<&str, &str>) {
    let program = Compiler::new().compile(expression, Use::Value).unwrap();
    let payload = Value::from_json(payload.as_bytes()).unwrap();
    let got = program.value(Some(&payload), &mut Metadata::new(), &envelope());
    let got = got.map(|value| value.as_ref().show().into_owned()).map_err(|fault| fault.text.to_string());
    match expected {
        Ok(json) => assert_eq!(got.as_deref(), Ok(json), "{expression}"),
        Err(part) => assert!(got.as_ref().is_err_and(|text| text.contains(part)), "{expression}: {got:?}"),
    }
}

#[test]
fn values() {
    let order = r#"{"a":1,"b":{"c":"x"},"list":[1,2,3]}"#;
    for (expression, expected) in [
        (".a", "1"),
        (".b.c", "\"x\""),
        (".missing.deeper", "null"),
        (".list[-1]", "3"),
        ("%id", "\"11111111-1111-1111-1111-111111111111\""),
        ("%key", "\"k\""),
        ("%headers.region", "\"DE\""),
        ("%headers.twice", "\"2\""),
        ("%headers.amount", "\"12.50\""),
        ("%headers.\"x-unit\"", "\"C\""),
        ("%headers.none", "null"),
        ("%time", "\"2023-11-14T22:13:20.123Z\""),
        ("%reply_to", "null"),
        ("exists(%reply_to)", "false"),
        ("exists(%headers.region)", "true"),
        ("%priority", "4"),
        ("%origin.protocol", "\"http\""),
        ("%origin.path", "\"/orders\""),
        ("%origin.query.dry", "\"1\""),
        ("%origin.offset", "null"),
        (
            "format_timestamp!(parse_timestamp!(\"2020-01-02 03:04\", \"%Y-%m-%d %H:%M\"), \"%+\")",
            "\"2020-01-02T03:04:00+00:00\"",
        ),
    ] {
        check_value(expression, order, Ok(expected));
    }
    check_value("string!(.a)", order, Err("`string!(.a)` at line 1, column 1: expected string, got integer"));
}

fn check_change(program: &str, payload: &str, expected: Result<&str, &str>) {
    let program_text = program;
    let program = Compiler::new().compile(program, Use::Transform).unwrap();
    let mut payload = Value::from_json(payload.as_bytes()).unwrap();
    let got = program.transform(&mut payload, &mut Metadata::new(), &envelope());
    let got = got.map(|_| payload.as_ref().show().into_owned()).map_err(|fault| {
        assert_eq!((fault.class, &*fault.code), (model::FaultClass::Rejected, "expression"));
        fault.text.to_string()
    });
    match expected {
        Ok(json) => assert_eq!(got.as_deref(), Ok(json), "{program_text}"),
        Err(part) => assert!(got.as_ref().is_err_and(|text| text.contains(part)), "{program_text}: {got:?}"),
    }
}

#[test]
fn transforms() {
    check_change(".b = .a\ndel(.a)", r#"{"a":1}"#, Ok(r#"{"b":1}"#));
    check_change(". = .a", r#"{"a":[1]}"#, Ok("[1]"));
    check_change(".[0] = 2", "[1]", Ok("[2]"));
    check_change(
        "x = []\nfor_each(array!(.a)) -> |_i, v| { x = push(x, v) }\n.b = x",
        r#"{"a":[1]}"#,
        Ok(r#"{"a":[1],"b":[1]}"#),
    );
    check_change(".x = 1", "[1]", Err("`.x` cannot be assigned: the payload is an array, not an object"));
    check_change(".x = 1", "\"text\"", Err("the payload is a string"));
    check_change(".[0] = 1", "{}", Err("the payload is an object, not an array"));
    check_change("abort", "{}", Err("aborted at line 1, column 1"));
    check_change("\n\nabort \"no \" + string!(.a)", r#"{"a":"x"}"#, Err("aborted at line 3, column 1: no x"));
    check_change("\n  .a = to_float!(.t)", r#"{"t":"abc"}"#, Err("`to_float!(.t)` at line 2, column 8"));
    check_change(
        ".a = upcase(string!(.b))",
        "{}",
        Err("`string!(.b)` at line 1, column 13: expected string, got null"),
    );
    check_change("assert!(.a == 1, \"a must be one\")", r#"{"a":2}"#, Err("a must be one"));
}

#[test]
fn loops_in_loops_end() {
    let items = vec!["1"; 300].join(",");
    let program = "n = 0
        for_each(array!(.a)) -> |_i, _v| {
            for_each(array!(.a)) -> |_j, _w| { for_each(array!(.a)) -> |_k, _x| { n = n + 1 } }
        }
        .n = n";
    check_change(program, &format!("{{\"a\":[{items}]}}"), Err("too much to evaluate"));
}

/// Runs a transform and shows properties and headers afterwards.
fn check_metadata(program: &str, expected: Result<&str, &str>) {
    let original = envelope();
    let compiled = Compiler::new().compile(program, Use::Transform).unwrap();
    let mut metadata = Metadata::new();
    let mut payload = Value::from_json(br#"{"a":{"x":[1,"y"]},"t":"2026-01-01T00:00:00Z","big":"abc"}"#).unwrap();
    compiled.transform(&mut payload, &mut metadata, &original).unwrap();
    let got = metadata.apply(&original).map_err(|fault| fault.text.to_string()).map(|(properties, headers)| {
        let mut shown = Vec::new();
        if properties != original.properties {
            let text = |bytes: &Option<bytes::Bytes>| bytes.as_ref().map(|b| String::from_utf8_lossy(b).into_owned());
            shown.push(format!("{:?} {:?} {:?}", text(&properties.key), properties.content_type, properties.priority));
            shown.extend(properties.expires_at.map(|at| at.to_string()));
        }
        shown.extend(difference(&original.headers, &headers));
        shown.join(" | ")
    });
    match expected {
        Ok(text) => assert_eq!(got.as_deref(), Ok(text), "{program}"),
        Err(part) => assert!(got.as_ref().is_err_and(|text| text.contains(part)), "{program}: {got:?}"),
    }
}

fn difference(before: &Headers, after: &Headers) -> Vec<String> {
    let show = |headers: &Headers| headers.iter().map(|h| format!("{}={:?}", h.name, h.value)).collect::<Vec<_>>();
    let (before, after) = (show(before), show(after));
    let gone = before.iter().filter(|line| !after.contains(line)).map(|line| format!("-{line}"));
    let new = after.iter().filter(|line| !before.contains(line)).map(|line| format!("+{line}"));
    gone.chain(new).collect()
}

#[test]
fn metadata_goes_back_into_the_envelope() {
    for (program, expected) in [
        (".a = 1", Ok("")),
        ("%headers.region = \"DE\"", Ok("")),
        ("%headers.region = \"FR\"", Ok("-region=Text(\"DE\") | +region=Text(\"FR\")")),
        ("%headers.new = .a", Ok("+new=Table([(\"x\", List([Integer(1), Text(\"y\")]))])")),
        ("%headers.new = .none", Ok("")),
        ("del(%headers.twice)", Ok("-twice=Text(\"1\") | -twice=Text(\"2\")")),
        ("%headers.region = null", Ok("-region=Text(\"DE\")")),
        ("%key = 7\n%priority = 9", Ok("Some(\"7\") Some(\"application/json\") Some(9)")),
        ("%key = null", Ok("None Some(\"application/json\") Some(4)")),
        ("%content_type = \"a/b\"", Ok("Some(\"k\") Some(\"a/b\") Some(4)")),
        ("%expires_at = string!(.t)", Ok("Some(\"k\") Some(\"application/json\") Some(4) | 2026-01-01T00:00:00.000Z")),
        ("%expires_at = %time", Ok("Some(\"k\") Some(\"application/json\") Some(4) | 2023-11-14T22:13:20.123Z")),
        ("%priority = 256", Err("0 to 255")),
        ("%key = .a", Err("`%key` was assigned an object")),
        ("%reply_to = .a", Err("`%reply_to` was assigned an object")),
        ("%expires_at = .big", Err("RFC 3339")),
        ("%headers.\"crossdock-route\" = \"x\"", Err("the gateway's own")),
        ("%headers.\"Crossdock-Route\" = \"x\"", Err("the gateway's own")),
        ("%headers.\"a\\nb\" = \"x\"", Err("control characters")),
        ("%headers.\"\" = \"x\"", Err("is empty")),
    ] {
        check_metadata(program, expected);
    }
}

#[test]
fn untouched_headers_keep_type_place_and_duplicates() {
    let original = envelope();
    let program = Compiler::new().compile("%headers.z = %headers.big", Use::Transform).unwrap();
    let mut metadata = Metadata::new();
    program.transform(&mut Value::NULL.clone(), &mut metadata, &original).unwrap();
    let (_, headers) = metadata.apply(&original).unwrap();
    let before: Vec<_> = original.headers.iter().collect();
    let after: Vec<_> = headers.iter().take(before.len()).collect();
    assert_eq!(before, after);
}

#[test]
fn headers_are_limited() {
    let mut original = envelope();
    while original.headers.len() < HEADERS_MAX {
        original.headers.push(Text::from(format!("h{}", original.headers.len())), "x");
    }
    let program = Compiler::new().compile("%headers.more = 1", Use::Transform).unwrap();
    let mut metadata = Metadata::new();
    program.transform(&mut Value::NULL.clone(), &mut metadata, &original).unwrap();
    assert!(metadata.apply(&original).is_err_and(|fault| fault.text.contains("1024 headers")));
}

#[test]
fn what_is_not_read_is_not_needed() {
    let compiler = Compiler::new();
    for (text, needed) in
        [("%key == \"a\"", false), (".a == 1", true), ("get!(., [\"a\"]) == 1", true), ("true", false)]
    {
        assert_eq!(compiler.compile(text, Use::Condition).unwrap().needs_payload(), needed, "{text}");
    }
}
