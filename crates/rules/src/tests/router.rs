//! Which targets a message is for, and what their formulas give.

use crate::{
    Formula, Rendered, Routed, Router, Stage, TargetRules, When,
    testing::{message, pipeline},
};
use crossdock_expression::{Compiler, Escape, TemplateOptions, Use};
use serde_json::json;

fn target(when: Option<&str>, template: &str) -> TargetRules {
    let compiler = Compiler::new();
    let options = TemplateOptions { address: true, allow_dynamic: false, escape: Escape::PathSegment };
    let when = match when {
        None => When::Always,
        Some("otherwise") => When::Otherwise,
        Some(condition) => When::If(compiler.compile(condition, Use::Condition).unwrap()),
    };
    TargetRules { when, formulas: vec![Formula::Template(compiler.template(template, options).unwrap())] }
}

fn check(targets: &[(Option<&str>, &str)], payload: &'static str, expected: &str) {
    let router = Router::new(targets.iter().map(|(when, template)| target(*when, template)).collect());
    let steps = pipeline(Stage::Steps, &json!([]));
    let mut working = steps.start(message(Some("application/json"), payload));
    let got = match router.route(&mut working) {
        Err(fault) => format!("{} {}", fault.code, fault.step.as_deref().unwrap_or("-")),
        Ok(routed) => routed
            .iter()
            .map(|routed| match routed {
                Routed::Not => "-".to_owned(),
                Routed::To(values) => match &**values {
                    [Rendered::Text(text)] => text.to_string(),
                    other => format!("{other:?}"),
                },
                Routed::Faulty(fault) => format!("!{}", fault.code),
            })
            .collect::<Vec<_>>()
            .join(" "),
    };
    assert_eq!(got, expected, "{targets:?} {payload}");
}

#[test]
fn routes() {
    let routed =
        [(Some(".c == \"DE\""), "/de"), (Some("to_int!(.n) > 100"), "/big/{{ .c }}"), (Some("otherwise"), "/other")];
    check(&routed, r#"{"c":"DE","n":1}"#, "/de - -");
    check(&routed, r#"{"c":"DE","n":200}"#, "/de /big/DE -");
    check(&routed, r#"{"c":"FR","n":5}"#, "- - /other");
    check(&routed, r#"{"c":"FR","n":"x"}"#, "expression to[1] when");
    check(&routed, "{", "decode to[0] when");
    let all = [(None, "/first"), (None, "/second/{{ .c }}")];
    check(&all, r#"{"c":"a/b"}"#, "/first /second/a%2Fb");
    check(&all, "{}", "/first !expression");
    check(&all, "{", "/first !decode");
    check(&[(Some("false"), "/a")], "{}", "route.no_target -");
}

#[test]
fn expressions_give_text_bytes_or_nothing() {
    let compiler = Compiler::new();
    let steps = pipeline(Stage::Steps, &json!([]));
    for (expression, expected) in [
        (".s", Rendered::Text("x".into())),
        (".n", Rendered::Text("7".into())),
        (".list", Rendered::Text("[1]".into())),
        (".none", Rendered::Null),
        ("decode_base64!(\"/w==\")", Rendered::Bytes(bytes::Bytes::from_static(b"\xff"))),
    ] {
        let formula = Formula::Expression(compiler.compile(expression, Use::Value).unwrap());
        let mut working = steps.start(message(None, r#"{"s":"x","n":7,"list":[1]}"#));
        assert_eq!(formula.render(&mut working), Ok(expected), "{expression}");
    }
}

#[test]
fn targets_see_what_steps_made() {
    let steps =
        pipeline(Stage::Steps, &json!([{"transform": ".id = \"new\"\n%headers.region = \"n\""}, {"encode": "text"}]));
    let steps_without_encode =
        pipeline(Stage::Steps, &json!([{"transform": ".id = \"new\"\n%headers.region = \"n\""}]));
    drop(steps);
    let router = Router::new(vec![target(None, "/{{ .id }}/{{ %headers.region }}")]);
    let mut working = steps_without_encode.start(message(None, "{}"));
    steps_without_encode.run(&mut working).unwrap();
    assert_eq!(router.route(&mut working), Ok(vec![Routed::To(Box::new([Rendered::Text("/new/n".into())]))]));
}
