//! The admin listener from outside: who is let in, and what shapes he sees.

use crate::harness::{Folder, request, wait};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt as _;

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

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn only_its_own_hosts_and_the_bearer_of_the_token_are_answered() {
    let gateway = Folder::new(ROUTES).start();
    let (admin, token) = (gateway.folder.admin, format!("Bearer {}", gateway.token()));
    let status = |path: &str, headers: &[(&str, &str)]| request(admin, "GET", path, headers, b"").status;
    for path in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(status(path, &[]), 200, "{path}");
        assert_eq!(status(path, &[("host", "evil.example")]), 421, "{path}");
    }
    let localhost = format!("localhost:{}", admin.port());
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
    assert_eq!((denied.status, &*denied.headers["content-type"]), (401, "application/problem+json"));
    assert!(denied.headers["www-authenticate"].starts_with("Bearer"));
    let mode = std::fs::metadata(gateway.folder.dir.path().join("data/admin.token")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_configured_token_and_further_hosts_hold() {
    let admin = "  admin: { listen: \"ADMIN\", token: chosen-by-hand, hosts: [gate.example] }\n";
    let folder = Folder::new(ROUTES);
    folder.write_routes(ROUTES, &admin.replace("ADMIN", &folder.admin.to_string()));
    let gateway = folder.start();
    assert!(
        !gateway.folder.dir.path().join("data/admin.token").exists(),
        "a token was drawn beside the configured one"
    );
    let headers = [("authorization", "Bearer chosen-by-hand"), ("host", "gate.example")];
    assert_eq!(request(gateway.folder.admin, "GET", "/api/v1/status", &headers, b"").status, 200);
    assert_eq!(gateway.folder.run(&["status"]).status, 0, "the command takes the token from the file");
}

#[test]
fn errors_are_problems() {
    let gateway = Folder::new(ROUTES).start();
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
        let answer = gateway.api(method, path, body.as_bytes());
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.body);
        assert_eq!(answer.headers["content-type"], "application/problem+json", "{method} {path}");
        let problem = json(&answer.body);
        assert_eq!(problem["status"], status, "{method} {path}");
        assert!(problem["detail"].as_str().is_some_and(|text| text.len() > 5), "{method} {path}: {problem}");
    }
}

#[test]
fn messages_are_browsed_dead_letters_shown_and_deleted() {
    let gateway = Folder::new(ROUTES).start();
    for n in ["1", "2", "\"x\""] {
        let body = format!("{{\"n\": {n}}}");
        assert_eq!(
            gateway.post("/a", &[("x-unit", "7"), ("content-type", "application/json")], body.as_bytes()).status,
            202
        );
    }
    wait("two to pass and one to die", || {
        let route = json(&gateway.api("GET", "/routes/out", b"").body);
        route["counts"]["delivered"] == 2 && route["counts"]["dead"] == 1
    });
    let page = json(&gateway.api("GET", "/channels/held/messages?limit=1", b"").body);
    let message = &page["items"][0];
    assert_eq!(message["headers"]["x-unit"], "7", "{message}");
    assert!(message["origin"]["protocol"] == "http" && message["payload"] == "{\"n\":1}", "{message}");
    let next = page["next"].as_str().unwrap();
    let rest = json(&gateway.api("GET", &format!("/channels/held/messages?limit=5&cursor={next}"), b"").body);
    assert!(rest["items"].as_array().unwrap().len() == 1 && rest["next"].is_null(), "{rest}");
    let letters = json(&gateway.api("GET", "/dead-letters?route=out&code=expression", b"").body);
    let letter = &letters["items"][0];
    assert!(letter["cause"]["class"] == "rejected" && letter["payload"] == "{\"n\": \"x\"}", "{letter}");
    assert!(letter["target"].is_null() && letter["redrives"] == 0 && letter["state"] == "dead", "{letter}");
    let id = letter["id"].as_str().unwrap();
    assert_eq!(json(&gateway.api("GET", &format!("/messages/{id}"), b"").body)["state"], "dead");
    assert!(gateway.operate(&["dead", "show", id], b"").stdout.contains("expression"));
    assert!(gateway.operate(&["dead", "ls", "--all"], b"").stdout.contains(id));
    // The rule is as it was: sent back, it dies again, which counts.
    assert_eq!(gateway.operate(&["dead", "redrive", "--yes"], b"").status, 0);
    wait("it to be dead again", || {
        let letters = json(&gateway.api("GET", "/dead-letters", b"").body);
        letters["items"][0]["redrives"] == 1
    });
    assert_eq!(gateway.operate(&["dead", "rm", id, "--yes"], b"").status, 0);
    wait("it to be gone", || json(&gateway.api("GET", "/dead-letters", b"").body)["items"] == Value::Array(Vec::new()));
    gateway.account();
}

#[test]
fn what_is_published_stands_in_the_channel() {
    let gateway = Folder::new(ROUTES).start();
    let token = format!("Bearer {}", gateway.token());
    let headers = [("authorization", &*token), ("content-type", "text/plain"), ("x-unit", "9"), ("cookie", "secret")];
    let answer = request(gateway.folder.admin, "POST", "/api/v1/channels/held/messages", &headers, b"by hand");
    assert_eq!(answer.status, 202, "{}", answer.body);
    let id = json(&answer.body)["id"].as_str().unwrap().to_owned();
    let message = json(&gateway.api("GET", &format!("/messages/{id}"), b"").body);
    assert!(message["payload"] == "by hand" && message["content_type"] == "text/plain", "{message}");
    assert_eq!(message["headers"], serde_json::json!({"x-unit": "9"}));
    gateway.account();
}

#[test]
fn the_configuration_is_shown_without_secrets_and_the_api_describes_itself() {
    let gateway = Folder::new(ROUTES).start();
    let config = gateway.api("GET", "/config", b"");
    assert!(config.status == 200 && config.body.contains("base_url"), "{}", config.body);
    let shown = config.body + &gateway.log() + &gateway.folder.run(&["explain", "away"]).stdout;
    assert!(!shown.contains("hunter2"), "a secret is shown: {shown}");
    let openapi = json(&gateway.api("GET", "/openapi.json", b"").body);
    for (path, methods) in openapi["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            let method = method.to_ascii_uppercase();
            let path = path.replace("{id}", "00000000-0000-4000-8000-000000000000").replace("{name}", "q");
            let token = format!("Bearer {}", gateway.token());
            let answer = request(gateway.folder.admin, &method, &path, &[("authorization", &token)], b"");
            let known = !answer.body.contains("path.unknown") && answer.status != 405;
            assert!(known, "{method} {path} is described and not there: {}", answer.body);
        }
    }
}
