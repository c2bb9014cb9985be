//! What the sender is told at the door, and what is claimed.

use crate::{
    Stage, Verdict,
    testing::{message, pipeline},
};
use crossdock_model::RefusalKind;
use serde_json::json;

fn check(
    steps: serde_json::Value,
    content_type: Option<&'static str>,
    payload: &str,
    expected: Option<(RefusalKind, &str, &[&str])>,
) {
    let pipeline = pipeline(Stage::Accept, &steps);
    let refusal = pipeline.accept(&mut pipeline.start(message(content_type, payload.to_owned()))).err();
    let got = refusal.as_ref().map(|refusal| {
        (
            refusal.kind,
            &*refusal.fault.code,
            refusal.violations.iter().map(|violation| &*violation.at).collect::<Vec<_>>(),
        )
    });
    let expected = expected.map(|(kind, code, places)| (kind, code, places.to_vec()));
    assert_eq!(got, expected, "{steps} {payload:.80}: {refusal:?}");
}

const JSON: Option<&str> = Some("application/json");

#[test]
fn refusals_are_of_the_kind_that_is_answered() {
    let validate = json!([{"validate": {"json_schema": "two.json"}}]);
    check(validate.clone(), JSON, r#"{"a":"x","b":1}"#, None);
    check(validate.clone(), None, r#"{"a":"x","b":1}"#, None);
    check(validate.clone(), JSON, "{\"a\": ", Some((RefusalKind::Undecodable, "decode", &[])));
    check(validate.clone(), JSON, &"[".repeat(100_000), Some((RefusalKind::Undecodable, "decode", &[])));
    check(validate.clone(), Some("image/png"), "plain", Some((RefusalKind::UnsupportedType, "decode", &[])));
    check(
        validate.clone(),
        Some("application/xml"),
        "<!DOCTYPE a><a/>",
        Some((RefusalKind::Undecodable, "decode", &[])),
    );
    check(validate, JSON, r#"{"a":7}"#, Some((RefusalKind::Invalid, "validate.json_schema", &["", "/a"])));
    check(json!([{"filter": "int!(.a) > 1"}]), JSON, "{}", Some((RefusalKind::Invalid, "expression", &[])));
    check(
        json!([{"filter": "if .a == 1 { abort \"no\" } else { true }"}]),
        JSON,
        "{\"a\":1}",
        Some((RefusalKind::Invalid, "expression", &[])),
    );
}

#[test]
fn a_violation_that_lacks_a_member_is_at_its_parent() {
    let pipeline = pipeline(Stage::Accept, &json!([{"validate": {"json_schema": "two.json"}}]));
    let refusal = pipeline.accept(&mut pipeline.start(message(JSON, r#"{"a":7}"#))).unwrap_err();
    assert_eq!(&*refusal.fault.text, "the payload: \"b\" is a required property; /a: value is not of type \"string\"");
    assert_eq!(refusal.fault.step.as_deref(), Some("accept[0] validate"));
    assert_eq!(refusal.violations[1].rule.as_deref(), Some("/properties/a/type"));
}

#[test]
fn dedupe_claims_a_key() {
    let pipeline = pipeline(
        Stage::Accept,
        &json!([{"filter": ".a != 3"}, {"dedupe": {"key": ".a", "window": "10m", "max_keys": 5}}]),
    );
    let claims = |payload: &'static str| match pipeline.accept(&mut pipeline.start(message(JSON, payload))) {
        Ok(Verdict::Pass { claims }) => Ok(claims),
        Ok(Verdict::Filtered { step }) => Err(step.to_string()),
        Err(refusal) => Err(refusal.fault.text.to_string()),
    };
    let first = claims(r#"{"a":1,"b":1}"#).unwrap();
    assert_eq!((first.len(), first[0].step, first[0].keys_max, first[0].window.as_secs()), (1, 1, 5, 600));
    assert_eq!(claims(r#"{"b":2,"a":1}"#).unwrap(), first);
    assert_ne!(claims(r#"{"a":"1"}"#).unwrap(), first);
    assert_ne!(claims(r#"{"a":{"x":1}}"#).unwrap(), first);
    assert_eq!(claims(r#"{"a":3}"#), Err("accept[0] filter".into()));
    assert!(claims("{}").is_err_and(|text| text.contains("null")));
    assert!(claims(r#"{"a":9223372036854775807}"#).is_ok());
    for rounded in [r#"{"a":12345678901234567890}"#, r#"{"a":["x",-12345678901234567891]}"#] {
        assert!(claims(rounded).is_err_and(|text| text.contains("as a text")), "{rounded}");
    }
}

#[test]
fn decode_at_the_door_says_how_steps_decode() {
    let (items, _) = crate::testing::read(Stage::Steps, &json!([{"encode": "json"}]));
    let accept = pipeline(Stage::Accept, &json!([{"decode": {"xml": {"force_array": ["Line"]}}}]));
    let compiler = crossdock_expression::Compiler::new();
    let mut environment = crate::Environment { compiler: &compiler, files: &mut crate::testing::Fixtures };
    let mut found = crossdock_settings::Diagnostics::new();
    let inherited = accept.decode().cloned();
    let steps = crate::Pipeline::compile(Stage::Steps, &items, inherited, &mut environment, &mut found).unwrap();
    let mut working = steps.start(message(Some("text/plain"), "<o><Line/></o>"));
    steps.run(&mut working).unwrap();
    assert_eq!(working.finish().unwrap().bytes(), br#"{"o":{"Line":[""]}}"#);
}
