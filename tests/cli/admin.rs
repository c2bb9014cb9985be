//! The admin listener from outside: who is let in, and what shapes he sees.

use crate::harness::{api, post, prepared_with, request, started, wait};
use crossdock_testkit::{Answer, Partner, free_port};
use serde_json::Value;
use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpStream},
    os::unix::fs::PermissionsExt as _,
};

const ROUTES: &str = "
channels: { q: { queue: {} }, held: { queue: {} } }
connections: { erp: { http: { base_url: \"http://127.0.0.1:1\", auth: { bearer: \"${env:NONE:-hunter2}\" } } } }
routes:
  in: { from: { http: { path: /a } }, to: { queue: q } }
  out:
    from: { queue: q }
    steps: [ { transform: '.n = to_int!(.n)' } ]
    to: { queue: held }
  away: { from: { http: { path: /away } }, to: { http: { connection: erp } } }
";

#[test]
fn only_its_own_hosts_and_the_bearer_of_the_token_are_answered() {
    let gateway = started(ROUTES);
    let (admin, token) = (gateway.admin, format!("Bearer {}", gateway.token().unwrap()));
    let status = |path: &str, headers: &[(&str, &str)]| request(admin, "GET", path, headers, b"").status;
    for path in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(status(path, &[]), 200, "{path}");
        assert_eq!(status(path, &[("host", "evil.example")]), 421, "{path}");
    }
    let localhost = format!("localhost:{admin}");
    for (headers, code) in [
        (&[][..], 401),
        (&[("authorization", "Bearer wrong")], 401),
        (&[("authorization", "Basic d3Jvbmc=")], 401),
        (&[("authorization", &*token)], 200),
        (&[("authorization", &*token), ("host", &*localhost)], 200),
        (&[("authorization", &*token), ("host", "evil.example")], 421),
        (&[("authorization", &*token), ("host", "10.0.0.1")], 421),
    ] {
        assert_eq!(status("/api/v1/status", headers), code, "{headers:?}");
    }
    let denied = request(admin, "GET", "/api/v1/nothing", &[], b"");
    assert_eq!((denied.status, denied.header("content-type").unwrap()), (401, "application/problem+json"));
    assert!(denied.header("www-authenticate").unwrap().starts_with("Bearer"));
    let mode = std::fs::metadata(gateway.path("data/admin.token")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn who_says_at_once_that_he_will_send_no_more_is_answered() {
    let gateway = started(ROUTES);
    let token = gateway.token().unwrap();
    for (path, status) in
        [("/livez", "200"), ("/metrics", "200"), ("/api/v1/status", "200"), ("/api/v1/nothing", "404")]
    {
        let mut stream = TcpStream::connect(("127.0.0.1", gateway.admin)).unwrap();
        write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.split(' ').nth(1) == Some(status), "{path}: {answer}");
    }
}

#[test]
fn a_configured_token_and_further_hosts_hold() {
    let admin = "{ listen: \"ADMIN\", token: chosen-by-hand, hosts: [gate.example] }";
    let mut gateway = prepared_with(admin, ROUTES);
    gateway.start();
    assert!(!gateway.path("data/admin.token").exists(), "a token was drawn beside the configured one");
    let headers = [("authorization", "Bearer chosen-by-hand"), ("host", "gate.example")];
    assert_eq!(request(gateway.admin, "GET", "/api/v1/status", &headers, b"").status, 200);
    assert_eq!(gateway.run(&["status"], "").status, 0, "the command takes the token from the file");
}

#[test]
fn errors_are_problems() {
    let gateway = started(ROUTES);
    for (method, path, body, status) in [
        ("GET", "/nothing", "", 404),
        ("DELETE", "/status", "", 405),
        ("GET", "/routes/nothing", "", 404),
        ("POST", "/routes/nothing/pause", "", 404),
        ("GET", "/channels/nothing", "", 404),
        ("GET", "/channels/nothing/messages", "", 404),
        ("POST", "/channels/nothing/messages", "{}", 404),
        ("GET", "/channels/q/messages?limit=0", "", 400),
        ("GET", "/channels/q/messages?limit=1001", "", 400),
        ("GET", "/channels/q/messages?limt=1", "", 400),
        ("GET", "/channels/q/messages?cursor=nonsense", "", 400),
        ("GET", "/messages/no-id", "", 400),
        ("GET", "/messages/00000000-0000-4000-8000-000000000000", "", 404),
        ("GET", "/dead-letters?limit=many", "", 400),
        ("GET", "/dead-letters/00000000-0000-4000-8000-000000000000", "", 404),
        ("POST", "/dead-letters/redrive", "{", 400),
        ("POST", "/dead-letters/redrive", "{\"filtr\":{}}", 400),
        ("POST", "/dead-letters/redrive", "{\"rate\":\"fast\"}", 400),
        ("POST", "/dead-letters/redrive", "{\"filter\":{\"ids\":[\"x\"]}}", 400),
        ("GET", "/operations/00000000-0000-4000-8000-000000000000", "", 404),
    ] {
        let answer = api(&gateway, method, path, body);
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
        assert_eq!(answer.header("content-type").unwrap(), "application/problem+json", "{method} {path}");
        let problem = answer.json();
        assert_eq!(problem["status"], status, "{method} {path}");
        assert!(problem["detail"].as_str().is_some_and(|text| text.len() > 5), "{method} {path}: {problem}");
    }
}

#[test]
fn messages_are_browsed_dead_letters_shown_and_deleted() {
    let gateway = started(ROUTES);
    for n in ["1", "2", "\"x\""] {
        let body = format!("{{\"n\": {n}}}");
        assert_eq!(
            post(&gateway, "/a", &[("x-unit", "7"), ("content-type", "application/json")], body.as_bytes()).status,
            202
        );
    }
    wait("two to pass and one to die", || {
        let route = api(&gateway, "GET", "/routes/out", "").json();
        route["counts"]["delivered"] == 2 && route["counts"]["dead"] == 1
    });
    let page = api(&gateway, "GET", "/channels/held/messages?limit=1", "").json();
    let message = &page["items"][0];
    assert_eq!(message["headers"]["x-unit"], "7", "{message}");
    assert!(message["origin"]["protocol"] == "http" && message["payload"] == "{\"n\":1}", "{message}");
    let next = page["next"].as_str().unwrap();
    let rest = api(&gateway, "GET", &format!("/channels/held/messages?limit=5&cursor={next}"), "").json();
    assert!(rest["items"].as_array().unwrap().len() == 1 && rest["next"].is_null(), "{rest}");
    let letters = api(&gateway, "GET", "/dead-letters?route=out&code=expression", "").json();
    let letter = &letters["items"][0];
    assert!(letter["cause"]["class"] == "rejected" && letter["payload"] == "{\"n\": \"x\"}", "{letter}");
    assert!(letter["target"].is_null() && letter["redrives"] == 0 && letter["state"] == "dead", "{letter}");
    let id = letter["id"].as_str().unwrap();
    assert_eq!(api(&gateway, "GET", &format!("/messages/{id}"), "").json()["state"], "dead");
    assert!(gateway.operate(&["dead", "show", id], "").stdout.contains("expression"));
    assert!(gateway.operate(&["dead", "ls", "--all"], "").stdout.contains(id));
    // The rule is as it was: sent back, it dies again, which counts.
    let bare = gateway.operate(&["dead", "redrive", "--rate", "5", "--yes"], "");
    assert!(bare.status == 2 && bare.stderr.contains("write `5/s`"), "{}", bare.stderr);
    assert_eq!(gateway.operate(&["dead", "redrive", "--yes"], "").status, 0);
    wait("it to be dead again", || {
        let letters = api(&gateway, "GET", "/dead-letters", "").json();
        letters["items"][0]["redrives"] == 1
    });
    let again = api(&gateway, "GET", &format!("/dead-letters/{id}"), "").json();
    let events: Vec<_> = again["history"].as_array().unwrap().iter().map(|entry| entry["event"].clone()).collect();
    assert_eq!(events, ["received", "dead", "redriven", "dead"], "{again}");
    assert_eq!(again["history"][1]["fault"]["code"], "expression", "why it died before: {again}");
    assert!(gateway.operate(&["dead", "show", id], "").stdout.contains("before that"));
    // All of them go for good only where that is said.
    for body in ["", "{}", "[]", r#"[{}, false]"#] {
        assert_eq!(api(&gateway, "POST", "/dead-letters/delete", body).status, 400, "{body}");
    }
    assert_eq!(api(&gateway, "POST", "/dead-letters/redrive", "[]").status, 400);
    assert_eq!(gateway.operate(&["dead", "rm", id, "--yes"], "").status, 0);
    wait("it to be gone", || api(&gateway, "GET", "/dead-letters", "").json()["items"] == Value::Array(Vec::new()));
    gateway.assert_account();
}

#[test]
fn each_letter_of_a_message_that_died_at_two_targets_is_shown() {
    let partner = Partner::new(|request, _| Answer::Status(if request.path == "/a" { 404 } else { 410 }));
    let gateway = started(&format!(
        "
connections: {{ erp: {{ http: {{ base_url: \"http://127.0.0.1:{}\" }} }} }}
routes:
  both:
    from: {{ http: {{ path: /in }} }}
    to: [{{ http: {{ connection: erp, path: /a }}, name: first }}, {{ http: {{ connection: erp, path: /b }}, name: second }}]
",
        partner.port()
    ));
    let id = post(&gateway, "/in", &[], b"{}").json()["id"].as_str().unwrap().to_owned();
    wait("both letters", || {
        let letters = api(&gateway, "GET", &format!("/dead-letters?id={id}"), "").json();
        letters["items"].as_array().is_some_and(|items| items.len() == 2)
    });
    let shown = gateway.operate(&["dead", "show", &id], "").stdout;
    for part in ["http.404", "http.410", "first", "second"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert_eq!(shown.matches("dead since").count(), 2, "{shown}");
    let one = gateway.operate(&["dead", "show", &id, "--json"], "").stdout;
    assert!(serde_json::from_str::<Value>(&one).unwrap()["cause"]["code"].is_string(), "{one}");
}

#[test]
fn every_list_comes_in_parts() {
    let gateway = started(ROUTES);
    for (path, least) in [("/channels", 2), ("/routes", 3), ("/dead-letters/groups", 0), ("/operations", 0)] {
        let of = |query: &str| api(&gateway, "GET", &format!("{path}?{query}"), "");
        let all = of("").json();
        let all = all["items"].as_array().unwrap();
        assert!(all.len() >= least, "{path}: {all:?}");
        let mut part = of("limit=1").json();
        for (at, item) in all.iter().enumerate() {
            assert_eq!(part["items"].as_array().unwrap().len(), 1, "{path}: {part}");
            let name = |item: &Value| item.get("name").or(item.get("id")).cloned();
            assert_eq!(name(&part["items"][0]), name(item), "{path}");
            assert_eq!(part["next"].is_null(), at + 1 == all.len(), "{path}: {part}");
            part = of(&format!("limit=1&cursor={}", part["next"].as_str().unwrap_or("9999"))).json();
        }
        assert!(part["items"] == serde_json::json!([]) && part["next"].is_null(), "{path}: {part}");
        for wrong in ["limit=0", "limit=1001", "limit=x", "cursor=x", "unknown=1"] {
            assert_eq!(of(wrong).status, 400, "{path}?{wrong}");
        }
    }
}

const EDITED: &str = "
channels: { q: { queue: {} }, held: { queue: {} } }
routes:
  in: { from: { http: { path: /a } }, accept: [ { filter: '.n != 13' } ], to: { queue: q } }
  out: { from: { queue: q }, steps: [ { transform: '.n = to_int!(.n)' } ], to: { queue: held } }
";

/// Has a message die in a step; its id.
fn dead_letter(gateway: &crossdock_testkit::Gateway) -> String {
    let headers = [("content-type", "application/json"), ("x-unit", "7"), ("x-old", "1")];
    let answer = post(gateway, "/a", &headers, b"{\"n\": \"x\"}").json();
    let id = answer["id"].as_str().unwrap().to_owned();
    wait("it to die", || api(gateway, "GET", &format!("/dead-letters/{id}"), "").status == 200);
    id
}

#[test]
fn a_dead_letter_is_edited_and_its_copy_delivered() {
    let gateway = started(EDITED);
    let id = dead_letter(&gateway);
    let edit = ["dead", "edit", &id, "--payload", "-", "-H", "x-unit=8", "-H", "x-unit=9", "--remove-header", "x-old"];
    let ended = gateway.operate(&[&edit[..], &["--json"]].concat(), "{\"n\": \"42\", \"of\": \"nobody-else\"}");
    assert_eq!(ended.status, 0, "{}{}", ended.stdout, ended.stderr);
    let edited: Value = serde_json::from_str(&ended.stdout).unwrap();
    let copy = edited["id"].as_str().unwrap();
    assert!(edited["edited_from"] == *id && copy != id, "{edited}");
    wait("the copy", || api(&gateway, "GET", &format!("/messages/{copy}"), "").json()["channel"] == "held");
    let message = api(&gateway, "GET", &format!("/messages/{copy}"), "").json();
    assert!(
        message["payload"] == "{\"n\":42,\"of\":\"nobody-else\"}" && message["content_type"] == "application/json",
        "{message}"
    );
    assert_eq!(message["headers"], serde_json::json!({"x-unit": ["8", "9"]}));
    assert_eq!(api(&gateway, "GET", &format!("/dead-letters/{id}"), "").status, 404, "the original has gone");
    gateway.assert_account();
    let edits = api(&gateway, "GET", "/audit", "").json()["items"].to_string();
    assert!(edits.contains(copy) && edits.contains("x-unit") && !edits.contains("nobody-else"), "{edits}");
}

#[test]
fn a_copy_that_dies_again_says_whose_it_is() {
    let gateway = started(EDITED);
    let id = dead_letter(&gateway);
    let ended = gateway.operate(&["dead", "edit", &id, "--content-type", "text/plain", "--keep"], "");
    assert_eq!(ended.status, 0, "{}{}", ended.stdout, ended.stderr);
    let copy = ended.stdout.split(' ').next().unwrap();
    wait("the copy to die", || api(&gateway, "GET", &format!("/dead-letters/{copy}"), "").status == 200);
    let letter = api(&gateway, "GET", &format!("/dead-letters/{copy}"), "").json();
    assert!(letter["edited_from"] == *id && letter["redrives"] == 0, "{letter}");
    assert!(gateway.operate(&["dead", "show", copy], "").stdout.contains(&id));
    assert_eq!(api(&gateway, "GET", &format!("/dead-letters/{id}"), "").status, 200, "the original is kept");
    for (arguments, status) in [
        (&[][..], 2),
        (&["-H", "crossdock-key=1"], 2),
        (&["-H", "x=1", "--target", "none"], 4),
        (&["-H", "x=1", "--remove-header", "x"], 2),
        (&["--payload", "-"], 0),
        (&["--payload", "-"], 4),
    ] {
        let ended = gateway.operate(&[&["dead", "edit", &id], arguments].concat(), "{\"n\": 1}");
        assert_eq!(ended.status, status, "{arguments:?}: {}{}", ended.stdout, ended.stderr);
    }
    gateway.assert_account();
}

#[test]
fn what_operators_do_is_kept() {
    let mut gateway = started(ROUTES);
    let token = format!("Bearer {}", gateway.token().unwrap());
    let as_ada = [("authorization", &*token), ("crossdock-operator", "ada"), ("content-type", "application/json")];
    let ada = |method: &str, path: &str, body: &str| {
        request(gateway.admin, method, &format!("/api/v1{path}"), &as_ada, body.as_bytes())
    };
    assert_eq!(ada("POST", "/routes/out/pause", "").status, 200);
    assert_eq!(ada("POST", "/routes/none/pause", "").status, 404);
    assert_eq!(ada("POST", "/channels/q/messages", "{\"n\": \"x\"}").status, 202);
    assert_eq!(ada("POST", "/channels/q/messages", "{\"n\": \"y\"}").status, 202);
    assert_eq!(gateway.operate(&["resume", "out"], "").status, 0);
    wait("two to die", || api(&gateway, "GET", "/routes/out", "").json()["counts"]["dead"] == 2);
    assert_eq!(ada("POST", "/dead-letters/redrive", r#"{"dry_run": true}"#).status, 200);
    let redriven = ada("POST", "/dead-letters/redrive", r#"{"filter": {"code": "expression"}, "rate": "1/m"}"#).json();
    let operation = redriven["operation"].as_str().unwrap();
    assert_eq!(ada("POST", &format!("/operations/{operation}/cancel"), "").status, 200);
    assert_eq!(ada("POST", &format!("/operations/{operation}/cancel"), "").status, 409);
    assert_eq!(gateway.operate(&["dead", "rm", "--all", "--yes"], "").status, 0);
    let entries = |gateway: &crossdock_testkit::Gateway| api(gateway, "GET", "/audit", "").json()["items"].clone();
    let shown = |entry: &Value| {
        let text = |name: &str| entry[name].as_str().unwrap_or("-").to_owned();
        format!("{} {} {}", text("action"), text("subject"), text("outcome"))
    };
    let before = entries(&gateway);
    let told: Vec<_> = before.as_array().unwrap().iter().rev().map(shown).collect();
    let cancels = [format!("cancel {operation} done"), format!("cancel {operation} failed")];
    let expected = [
        "config routes.yaml done",
        "pause out done",
        "pause none failed",
        "publish q done",
        "resume out done",
        "redrive dead-letters done",
        &cancels[0],
        &cancels[1],
        "delete dead-letters done",
    ];
    assert_eq!(told, expected);
    let entry = |action: &str| before.as_array().unwrap().iter().find(|entry| entry["action"] == action).unwrap();
    assert!(entry("pause")["who"] == "ada" && entry("pause")["text"].as_str().unwrap().contains("none"), "{before}");
    assert!(entry("pause")["remote"].as_str().unwrap().starts_with("127.0.0.1:"), "{before}");
    assert_eq!(entry("publish")["details"]["messages"], 2, "{before}");
    let redrive = &entry("redrive")["details"];
    assert!(redrive["operation"] == *operation && redrive["matched"] == 2 && redrive["rate"] == "1/m", "{before}");
    // It is there after a kill, goes on by a cursor, and the same configuration makes no new entry.
    gateway.kill();
    gateway.start();
    assert_eq!(entries(&gateway), before);
    let page = api(&gateway, "GET", "/audit?limit=2", "").json();
    let rest = api(&gateway, "GET", &format!("/audit?cursor={}", page["next"].as_str().unwrap()), "").json();
    assert_eq!(rest["items"].as_array().unwrap()[..], before.as_array().unwrap()[2..]);
    assert!(rest["next"].is_null(), "{rest}");
    assert_eq!(api(&gateway, "GET", "/audit?cursor=x", "").status, 400);
}

#[test]
fn the_configuration_is_shown_without_secrets_and_the_api_describes_itself() {
    let gateway = started(ROUTES);
    let config = api(&gateway, "GET", "/config", "");
    assert!(config.status == 200 && config.text().contains("base_url"), "{}", config.text());
    let shown = config.text() + &gateway.log() + &gateway.run(&["explain", "away"], "").stdout;
    assert!(!shown.contains("hunter2"), "a secret is shown: {shown}");
    let openapi = api(&gateway, "GET", "/openapi.json", "").json();
    for (path, methods) in openapi["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            let method = method.to_ascii_uppercase();
            let path = path.replace("{id}", "00000000-0000-4000-8000-000000000000").replace("{name}", "q");
            let token = format!("Bearer {}", gateway.token().unwrap());
            let answer = request(gateway.admin, &method, &path, &[("authorization", &token)], b"");
            let known = !answer.text().contains("path.unknown") && answer.status != 405;
            assert!(known, "{method} {path} is described and not there: {}", answer.text());
        }
    }
}

#[test]
fn a_message_of_several_targets_stands_where_it_is_awaited_then_where_it_is_dead() {
    let gateway = started(&format!(
        "connections: {{ gone: {{ http: {{ base_url: 'http://127.0.0.1:{}' }} }} }}
channels: {{ held: {{ queue: {{}} }} }}
routes:
  ended: {{ from: {{ http: {{ path: /ended }} }}, to: [ {{ queue: held }}, {{ http: {{ connection: gone, path: '/t/{{{{ .p }}}}' }} }} ] }}
  waits:
    from: {{ http: {{ path: /waits }} }}
    to: [ {{ queue: held }}, {{ http: {{ connection: gone, path: '/t/{{{{ .p }}}}' }} }}, {{ http: {{ connection: gone, path: /x }} }} ]
",
        free_port()
    ));
    for (number, (route, states)) in
        [("ended", &["dead"][..]), ("waits", &["queued", "in_flight", "scheduled"])].into_iter().enumerate()
    {
        let headers = [("content-type", "application/json")];
        let id = post(&gateway, &format!("/{route}"), &headers, b"{\"p\": \"\"}").json()["id"].clone();
        wait("it to be dead for one and moved for another", || {
            let letters = api(&gateway, "GET", &format!("/dead-letters?route={route}"), "").json();
            let held = api(&gateway, "GET", "/channels/held", "").json();
            letters["items"].as_array().is_some_and(|items| items.len() == 1) && held["messages"] == number + 1
        });
        let message = api(&gateway, "GET", &format!("/messages/{}", id.as_str().unwrap()), "").json();
        assert!(states.iter().any(|state| message["state"] == *state), "{message}");
        assert_eq!(message["route"], route, "{message}");
    }
}
