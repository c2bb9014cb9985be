//! What `try` is told.

use crate::{
    Stage, StepOutcome,
    testing::{message, pipeline},
};
use serde_json::json;

fn check(steps: serde_json::Value, payload: &'static str, expected: &[&str]) {
    let pipeline = pipeline(Stage::Steps, &steps);
    let mut seen = Vec::new();
    let mut working = pipeline.start(message(Some("application/json"), payload));
    let _ = pipeline.trace(&mut working, &mut |step| {
        let outcome = match &step.outcome {
            StepOutcome::Passed => "passed".to_owned(),
            StepOutcome::Filtered => "filtered".to_owned(),
            StepOutcome::Failed(fault) => format!("failed {}", fault.code),
        };
        let changes = step.changes.iter().map(|change| {
            let side = |text: &Option<crossdock_model::Text>| text.as_ref().map_or("-".to_owned(), ToString::to_string);
            format!(" {}: {} → {}", change.at, side(&change.before), side(&change.after))
        });
        seen.push(format!("{}: {outcome}{}", step.label, changes.collect::<String>()));
    });
    assert_eq!(seen, expected, "{steps}");
}

#[test]
fn each_step_tells_what_it_changed() {
    check(
        json!([
            {"filter": ".n == 1"},
            {"transform": ".customer.name = \"ADA\"\n.\"odd key\" = [1]\ndel(.n)\n%headers.region = \"n\"\n%key = \"k\""},
            {"transform": "del(.\"odd key\")"},
            {"encode": {"xml": {"root": "r"}}},
            {"filter": "false"},
            {"transform": ".never = 1"},
        ]),
        r#"{"n":1,"customer":{"name":"Ada","id":7}}"#,
        &[
            "steps[0] filter: passed",
            "steps[1] transform: passed .n: 1 → - .customer.name: \"Ada\" → \"ADA\" .\"odd key\": - → [1] %key: - → \"k\" %headers.region: - → \"n\"",
            "steps[2] transform: passed .\"odd key\": [1] → -",
            "steps[3] encode: passed %content_type: \"application/json\" → \"application/xml\" bytes: - → <?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<r><customer><id>7</id><name>ADA</name></customer></r>",
            "steps[4] filter: filtered",
        ],
    );
    check(json!([{"transform": ".a = string!(.b)"}]), "{}", &["steps[0] transform: failed expression"]);
    check(json!([{"transform": ". = \"x\""}]), "{}", &["steps[0] transform: passed .: {} → \"x\""]);
    check(json!([{"decode": "json"}]), "[", &["steps[0] decode: failed decode"]);
}
