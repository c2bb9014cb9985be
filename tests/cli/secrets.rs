//! What comes from the environment and from files is shown nowhere, also not where a message goes wrong. An audit found it
//! in answers, dead letters, the log and `try`: an expression's text holds it, and so does what the library says of values.

use crate::harness::{api, post, prepared, wait};
use crossdock_testkit::{Answer, Gateway, Partner};

const ROUTES: &str = r#"
connections: { erp: { http: { base_url: "${file:url}", headers: { x-fixed: "${file:plain}" } } } }
routes:
  door:
    from: { http: { path: /door } }
    accept: [ { filter: 'starts_with!(.auth, "${file:plain}")' } ]
    to: { http: { connection: erp, path: / } }
  steps:
    from: { http: { path: /steps } }
    steps: [ { filter: "to_float!(s'${file:quoted}') > 0" } ]
    to: { http: { connection: erp, path: / } }
  sent:
    from: { http: { path: /sent } }
    steps: [ { transform: '.key = "${file:plain}"; %headers.own = "${file:plain}"' } ]
    to: { http: { connection: erp, path: "/s/${file:path}", headers: { x-target: "${file:plain}" } } }
"#;

/// None of these may be shown.
const HIDDEN: [&str; 5] = ["topsecretvalue", "tops\"ecret", "ecret", "hidden", "swordfish"];

fn gateway(partner: &Partner) -> Gateway {
    let gateway = prepared(ROUTES);
    gateway.write("url", &format!("http://user:swordfish@127.0.0.1:{}/hidden-base/", partner.port()));
    gateway.write("plain", "topsecretvalue\n");
    gateway.write("quoted", "tops\"ecret");
    gateway.write("path", "hidden way");
    gateway
}

#[track_caller]
fn check(shown: &str, parts: &[&str]) {
    for hidden in HIDDEN {
        assert!(!shown.contains(hidden), "`{hidden}` is in {shown}");
    }
    for part in parts {
        assert!(shown.contains(part), "no `{part}` in {shown}");
    }
}

#[test]
fn what_goes_wrong_shows_no_secret() {
    let mut gateway = gateway(&Partner::new(|_, _| Answer::Status(200)));
    gateway.start();
    let refused = post(&gateway, "/door", &[("content-type", "application/json")], b"{}");
    assert_eq!(refused.status, 422);
    check(&refused.text(), &["starts_with!(.auth, ", "***", "expected string, got null"]);
    let id = post(&gateway, "/steps", &[], b"{}").json()["id"].as_str().unwrap().to_owned();
    let dead = || api(&gateway, "GET", "/dead-letters", "").json()["items"].as_array().unwrap().len() == 1;
    wait("a dead letter", dead);
    let cause = ["to_float!", "***"];
    check(&api(&gateway, "GET", &format!("/messages/{id}"), "").text(), &cause);
    check(&api(&gateway, "GET", &format!("/dead-letters/{id}"), "").text(), &cause);
    check(&gateway.log(), &cause);
}

#[test]
fn try_shows_no_secret_and_what_is_sent_holds_it() {
    let partner = Partner::new(|_, _| Answer::Status(200));
    let mut gateway = gateway(&partner);
    for (route, status, parts) in [
        ("door", 1, ["starts_with!", "***"]),
        ("steps", 1, ["to_float!", "***"]),
        ("sent", 0, ["POST ***", "x-target: ***"]),
    ] {
        let ended = gateway.run(&["try", route, "--content-type", "application/json"], "{}");
        assert_eq!(ended.status, status, "{}{}", ended.stdout, ended.stderr);
        check(&ended.stdout, &parts);
    }
    gateway.start();
    let tried = api(&gateway, "POST", "/routes/sent/try", r#"{"payload": "{}", "content_type": "application/json"}"#);
    check(&tried.text(), &["POST ***", "x-fixed", "x-target", r#"{\"key\":\"***\"}"#]);
    post(&gateway, "/sent", &[("content-type", "application/json")], b"{}");
    wait("the delivery", || partner.got().len() == 1);
    let got = partner.got().remove(0);
    assert_eq!(got.path, "/hidden-base/s/hidden%20way");
    assert_eq!(got.header("x-target"), Some("topsecretvalue"));
    assert_eq!(got.body, br#"{"key":"topsecretvalue"}"#);
}
