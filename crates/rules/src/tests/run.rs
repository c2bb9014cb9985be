//! What leaves a list of steps.

use crate::{
    Stage, Verdict,
    testing::{message, pipeline},
};
use serde_json::json;

/// Runs steps over a payload of a content type; the content type and payload that leave, `filtered`, or the fault.
fn check(steps: serde_json::Value, content_type: Option<&'static str>, payload: &str, expected: &str) {
    let pipeline = pipeline(Stage::Steps, &steps);
    let original = message(content_type, payload.to_owned());
    let mut working = pipeline.start(original.clone());
    let got = match pipeline.run(&mut working) {
        Ok(Verdict::Filtered { step }) => format!("filtered by {step}"),
        Err(fault) => format!("{} in {}: {}", fault.code, fault.step.as_deref().unwrap_or("nothing"), fault.text),
        Ok(Verdict::Pass { .. }) => match working.finish() {
            Err(fault) => format!("{}: {}", fault.code, fault.text),
            Ok(envelope) => {
                let content_type = envelope.properties.content_type.as_deref().unwrap_or("-");
                format!("{content_type} {}", String::from_utf8_lossy(envelope.bytes()))
            }
        },
    };
    assert!(got.starts_with(expected), "{steps} {payload}\n wanted {expected}\n got    {got}");
}

const JSON: Option<&str> = Some("application/json");
const XML: Option<&str> = Some("application/xml; charset=utf-8");
const ODD: &str = "{ \"b\" : 1.0,\n \"a\": 12345678901234567890, \"a\": 2 }";

#[test]
fn what_no_step_changes_leaves_as_it_came() {
    for steps in [
        json!([]),
        json!([{"filter": ".a == 2"}]),
        json!([{"decode": "json"}, {"validate": {"json_schema": "two.json"}}]),
        json!([{"transform": "x = .a\nif x == 3 { .a = 1 }"}]),
        json!([{"transform": "del(.missing)"}]),
    ] {
        let odd = "{ \"b\" : 1.0,\n \"a\": 12345678901234567890, \"a\": \"2\" }";
        let payload = if steps.to_string().contains("two.json") { odd } else { ODD };
        let pipeline = pipeline(Stage::Steps, &steps);
        let original = message(JSON, payload);
        let mut working = pipeline.start(original.clone());
        assert!(matches!(pipeline.run(&mut working), Ok(Verdict::Pass { .. })), "{steps}");
        let left = working.finish().unwrap();
        // Not only equal: the very same message.
        assert!(std::sync::Arc::ptr_eq(&left, &original), "{steps}");
    }
    // Metadata alone leaves the payload's bytes where they are.
    let pipeline = pipeline(Stage::Steps, &json!([{"transform": "%headers.x = .a"}]));
    let original = message(JSON, ODD);
    let mut working = pipeline.start(original.clone());
    pipeline.run(&mut working).unwrap();
    let left = working.finish().unwrap();
    assert_eq!(left.payload.as_ref().map(|p| p.as_ptr()), original.payload.as_ref().map(|p| p.as_ptr()));
    assert_eq!(left.headers.get("x").map(ToString::to_string).as_deref(), Some("2"));
}

#[test]
fn changed_values_leave_in_the_format_they_came_in() {
    let add = json!([{"transform": ".x = 1"}]);
    check(add.clone(), JSON, ODD, "application/json {\"a\":2,\"b\":1.0,\"x\":1}");
    check(add.clone(), None, "{}", "- {\"x\":1}");
    check(add.clone(), Some("application/vnd.acme+json"), "{}", "application/vnd.acme+json {\"x\":1}");
    let xml = json!([{"transform": ".Order.z = \"new\"\ndel(.Order.b)"}]);
    let document = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Order><c/><b/><a>1</a></Order>";
    let left = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Order><c/><a>1</a><z>new</z></Order>";
    check(xml, XML, document, &format!("application/xml; charset=utf-8 {left}"));
    let text = json!([{"decode": "text"}, {"transform": ". = upcase(string!(.))"}]);
    check(text.clone(), Some("text/plain"), "abc", "text/plain ABC");
    check(
        json!([{"decode": "text"}, {"transform": ". = {}"}]),
        None,
        "abc",
        "encode: cannot be written as text: the value is an object",
    );
}

#[test]
fn encode_fixes_bytes_and_type() {
    let document = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Order><a>1</a></Order>";
    let xml = json!({"encode": {"xml": {"root": "Order"}}});
    check(json!([xml.clone()]), JSON, "{\"a\":1}", &format!("application/xml {document}"));
    check(json!([xml.clone(), {"transform": ".a = 2"}]), JSON, "{\"a\":1}", &format!("application/xml {document}"));
    check(
        json!([xml.clone(), {"transform": ".a = 2"}, xml.clone()]),
        JSON,
        "{\"a\":1}",
        "application/xml <?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Order><a>2</a>",
    );
    check(
        json!([xml.clone(), {"transform": "%content_type = \"a/b\""}]),
        JSON,
        "{\"a\":1}",
        &format!("a/b {document}"),
    );
    check(
        json!([{"transform": "%content_type = \"a/b\""}, xml.clone()]),
        JSON,
        "{\"a\":1}",
        &format!("application/xml {document}"),
    );
    check(json!([{"encode": {"json": {"content_type": "a/b+json"}}}]), XML, "<a/>", "a/b+json {\"a\":\"\"}");
    check(json!([{"encode": "text"}]), JSON, "\"x\"", "text/plain; charset=utf-8 x");
    check(json!([{"encode": "text"}]), JSON, "1.50", "text/plain; charset=utf-8 1.5");
    check(json!([{"encode": "text"}]), JSON, "null", "encode in steps[0] encode: cannot be written as text");
    check(json!([{"encode": "xml"}]), JSON, "{\"a\":1,\"b\":2}", "encode in steps[0] encode: cannot be written as xml");
    check(
        json!([{"encode": {"xml": {"root": "Order"}}}]),
        JSON,
        "{\"1a\":1}",
        "encode in steps[0] encode: cannot be written as xml: `1a` is no name",
    );
    // XML to JSON as in the convention.
    check(
        json!([{"decode": {"xml": {"force_array": ["Line"], "types": "infer"}}}, {"encode": "json"}]),
        Some("text/plain"),
        "<o n='1'><Line>2</Line></o>",
        "application/json {\"o\":{\"@n\":1,\"Line\":[2]}}",
    );
}

#[test]
fn content_types_decide_how_payloads_are_decoded() {
    let touch = json!([{"filter": "exists(.)"}]);
    for content_type in
        ["application/json", "APPLICATION/JSON; charset=utf-8", "application/problem+json", " application/json "]
    {
        check(touch.clone(), Some(content_type), "[", "decode in steps[0] filter: not valid json");
    }
    for content_type in ["application/xml", "text/xml", "application/soap+xml;action=x"] {
        check(touch.clone(), Some(content_type), "[", "decode in steps[0] filter: not valid xml");
    }
    check(touch.clone(), None, "[", "decode in steps[0] filter: not valid json");
    check(touch.clone(), Some(""), "[", "decode in steps[0] filter: not valid json");
    for content_type in ["image/png", "text/plain", "text/csv", "application/octet-stream", "json"] {
        check(touch.clone(), Some(content_type), "[]", "decode in steps[0] filter: the content type is none");
        check(json!([{"decode": "json"}]), Some(content_type), "[]", content_type);
    }
    // What only reads metadata needs no value.
    check(json!([{"filter": "%content_type == \"image/png\""}]), Some("image/png"), "\u{1}", "image/png \u{1}");
}

#[test]
fn coded_payloads_are_not_decoded() {
    let pipeline = pipeline(Stage::Steps, &json!([{"filter": "exists(.)"}]));
    for (coding, fine) in [("gzip", false), ("identity", true), ("", true)] {
        let mut envelope = std::sync::Arc::unwrap_or_clone(message(JSON, "{}"));
        envelope.properties.content_encoding = Some(coding.into());
        let mut working = pipeline.start(envelope.into());
        assert_eq!(pipeline.run(&mut working).is_ok(), fine, "{coding}");
    }
}

#[test]
fn a_tombstone_has_no_value() {
    let pipeline = pipeline(Stage::Steps, &json!([{"filter": ". == null"}, {"transform": "%key = \"k\""}]));
    let mut envelope = std::sync::Arc::unwrap_or_clone(message(JSON, ""));
    envelope.payload = None;
    let mut working = pipeline.start(envelope.into());
    assert!(matches!(pipeline.run(&mut working), Ok(Verdict::Pass { .. })));
    assert_eq!(working.finish().unwrap().payload, None);
}

#[test]
fn filters_and_faults_name_their_step() {
    let steps = json!([{"filter": ".a != 13"}, {"transform": ".b = upcase(string!(.b))"}, {"validate": {"json_schema": "two.json"}}]);
    check(steps.clone(), JSON, "{\"a\":13}", "filtered by steps[0] filter");
    check(
        steps.clone(),
        JSON,
        "{\"a\":1}",
        "expression in steps[1] transform: `string!(.b)` at line 1, column 13: expected string, got null",
    );
    check(
        steps.clone(),
        JSON,
        "{\"a\":1,\"b\":\"x\"}",
        "validate.json_schema in steps[2] validate: /a: value is not of type \"string\"",
    );
    check(steps, JSON, "{\"a\":\"1\",\"b\":\"x\"}", "application/json {\"a\":\"1\",\"b\":\"X\"}");
    check(
        json!([{"transform": "%priority = int!(.p)"}]),
        JSON,
        "{\"p\":300}",
        "expression in steps[0] transform: `%priority`",
    );
    check(
        json!([{"decode": "json"}]),
        JSON,
        &"[".repeat(100_000),
        "decode in steps[0] decode: not valid json: nested deeper than 128 levels",
    );
}

#[test]
fn conditions_of_the_subscription_are_told() {
    let pipeline = pipeline(Stage::Steps, &json!([{"expire": {"after": "2h"}}, {"delay": "3s"}, {"filter": "true"}]));
    assert_eq!(pipeline.expire_after(), Some(std::time::Duration::from_secs(7200)));
    assert_eq!(pipeline.delay(), Some(std::time::Duration::from_secs(3)));
    assert_eq!(
        pipeline.labels().map(ToString::to_string).collect::<Vec<_>>(),
        ["steps[0] expire", "steps[1] delay", "steps[2] filter"]
    );
}
