//! Properties over generated messages.

use crate::{
    Stage, Verdict,
    testing::{message, pipeline},
};
use crossdock_expression::Value;
use proptest::prelude::*;
use serde_json::json;

fn value() -> impl Strategy<Value = serde_json::Value> {
    let number = prop_oneof![any::<i64>().prop_map(serde_json::Value::from), any::<f64>().prop_map(|f| json!(f))];
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(|b| json!(b)),
        number,
        any::<String>().prop_map(|s| json!(s))
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::Array),
            prop::collection::btree_map(any::<String>(), inner, 0..4).prop_map(|members| members.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn json_is_read_and_written_as_serde_json_does(value in value()) {
        let text = value.to_string();
        let ours = Value::from_json(text.as_bytes()).unwrap();
        prop_assert_eq!(serde_json::Value::from(ours.as_ref()), value);
        prop_assert_eq!(String::from_utf8(ours.to_json().unwrap()).unwrap(), text);
    }

    #[test]
    fn any_bytes_are_a_value_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let ours = Value::from_json(&bytes).is_ok();
        let theirs = serde_json::from_slice::<serde_json::Value>(&bytes).is_ok();
        prop_assert_eq!(ours, theirs);
    }

    #[test]
    fn steps_repeat_to_the_same_result(value in value()) {
        let steps = json!([
            {"filter": "!is_null(.)"},
            {"transform": "%headers.n = to_string(length(.) ?? 0)\n. = { \"was\": . }"},
            {"encode": "json"},
        ]);
        let pipeline = pipeline(Stage::Steps, &steps);
        let run = || {
            let mut working = pipeline.start(message(Some("application/json"), value.to_string()));
            match pipeline.run(&mut working) {
                Ok(Verdict::Pass { .. }) => Ok(Some(working.finish())),
                Ok(Verdict::Filtered { .. }) => Ok(None),
                Err(fault) => Err(fault),
            }
        };
        prop_assert_eq!(run(), run());
    }
}
