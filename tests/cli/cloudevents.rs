//! `CloudEvents` over HTTP in all modes, in and out, and to a file; and what a hostile sender writes into headers.

use crate::harness::{api, post, started, wait};
use crossdock_testkit::{Gateway, Partner, Request};
use serde_json::Value;

fn routes(partner: &Partner) -> String {
    format!(
        "
connections: {{ p: {{ http: {{ base_url: \"http://127.0.0.1:{port}\" }} }} }}
routes:
  plain: {{ from: {{ http: {{ path: /plain }} }}, to: {{ http: {{ connection: p, path: /plain }} }} }}
  event:
    from: {{ http: {{ path: /event }} }}
    to:
      - {{ http: {{ connection: p, path: /event }}, encode: cloudevent }}
      - {{ name: file, file: {{ path: out.jsonl }}, encode: {{ cloudevent: {{ type: made }} }} }}
  unwrapped:
    from: {{ http: {{ path: /unwrapped }} }}
    accept: [ {{ decode: cloudevent }}, {{ filter: .n != 13 }} ]
    steps: [ {{ filter: '%headers.ce_type == \"order\"' }}, {{ encode: json }} ]
    to: {{ http: {{ connection: p, path: /unwrapped }} }}
  wrapped:
    from: {{ http: {{ path: /wrapped }} }}
    steps: [ {{ transform: '.n = 2' }}, {{ encode: {{ cloudevent: {{ type: order, source: /desk }} }} }} ]
    to: {{ http: {{ connection: p, path: /wrapped }} }}
  strict: {{ from: {{ http: {{ path: /strict }} }}, to: {{ http: {{ connection: p, path: /strict }}, strict: true }} }}
",
        port = partner.port()
    )
}

struct Bench {
    partner: Partner,
    gateway: Gateway,
}

impl Bench {
    fn new() -> Self {
        let partner = Partner::accepting();
        let gateway = started(&routes(&partner));
        Self { partner, gateway }
    }

    /// Sends a request and gives what the partner got for it.
    fn through(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Request {
        let answer = post(&self.gateway, path, headers, body.as_bytes());
        assert_eq!(answer.status, 202, "{}", answer.text());
        let id = answer.json()["id"].as_str().unwrap().to_owned();
        let mut got = None;
        wait("the partner to get it", || {
            got = self.partner.got().into_iter().find(|request| request.header("idempotency-key") == Some(id.as_str()));
            got.is_some()
        });
        got.unwrap()
    }
}

const STRUCTURED: (&str, &str) = ("content-type", "application/cloudevents+json");
const JSON: (&str, &str) = ("content-type", "application/json");
const EVENT: &str = r#"{"specversion":"1.0","id":"ü 1","source":"/s","type":"order","datacontenttype":"application/json","data":{"n": 1.0}}"#;

fn attributes(request: &Request) -> Vec<String> {
    let of = request.headers.iter().filter(|(name, _)| name.starts_with("ce-") && name != "ce-time");
    let mut attributes: Vec<_> = of.map(|(name, value)| format!("{name}: {value}")).collect();
    attributes.sort();
    attributes
}

#[test]
fn nobody_is_wrapped_or_unwrapped_unasked() {
    let bench = Bench::new();
    let got = bench.through("/plain", &[STRUCTURED], EVENT);
    assert_eq!((got.body.as_slice(), got.header("content-type")), (EVENT.as_bytes(), Some(STRUCTURED.1)));
    let got = bench.through("/plain", &[JSON, ("ce-specversion", "1.0"), ("ce-id", "%C3%BC")], "{}");
    assert_eq!(attributes(&got), ["ce-id: %C3%BC", "ce-specversion: 1.0"]);
    assert_eq!(got.body, b"{}");
}

#[test]
fn a_target_sends_events_in_the_mode_of_its_protocol() {
    let bench = Bench::new();
    let expected = ["ce-id: %C3%BC%201", "ce-source: /s", "ce-specversion: 1.0", "ce-type: order"];
    let got = bench.through("/event", &[STRUCTURED], EVENT);
    assert_eq!((attributes(&got), got.body.as_slice()), (expected.map(str::to_owned).to_vec(), &b"{\"n\": 1.0}"[..]));
    assert_eq!(got.header("content-type"), Some("application/json"));
    let binary = [
        JSON,
        ("ce-specversion", "1.0"),
        ("ce-id", "%C3%BC%201"),
        ("ce-source", "/s"),
        ("ce-type", "order"),
        ("x-unit", "7"),
    ];
    let got = bench.through("/event", &binary, "{\"n\": 1.0}");
    assert_eq!((attributes(&got), got.header("x-unit")), (expected.map(str::to_owned).to_vec(), Some("7")));
    let got = bench.through("/event", &[JSON], "{}");
    let id = got.header("idempotency-key").unwrap().to_owned();
    let made = [&format!("ce-id: {id}"), "ce-source: http:/event", "ce-specversion: 1.0", "ce-type: crossdock.message"];
    assert_eq!(attributes(&got), made);
    let mut lines = Vec::new();
    wait("three lines", || {
        let text = std::fs::read_to_string(bench.gateway.path("out.jsonl")).unwrap_or_default();
        lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap_or_default()).collect();
        lines.len() == 3
    });
    let of = |id: &str| lines.iter().find(|line| line["id"] == id).unwrap();
    assert!(of("ü 1")["type"] == "order" && of("ü 1")["data"]["n"] == 1.0, "{lines:?}");
    assert!(of(&id)["type"] == "made", "{lines:?}");
    bench.gateway.assert_account();
}

#[test]
fn steps_unwrap_and_wrap_events() {
    let bench = Bench::new();
    let got = bench.through("/unwrapped", &[STRUCTURED], EVENT);
    assert_eq!((got.body.as_slice(), got.header("content-type")), (&b"{\"n\":1.0}"[..], Some("application/json")));
    let refused = post(&bench.gateway, "/unwrapped", &[JSON], b"{}");
    assert!(refused.status == 400 && refused.text().contains("CloudEvent"), "{}", refused.text());
    let got = bench.through("/wrapped", &[JSON], "{\"n\":1}");
    let event: Value = serde_json::from_slice(&got.body).unwrap();
    assert!(event["type"] == "order" && event["source"] == "/desk" && event["data"]["n"] == 2, "{event}");
    assert_eq!(got.header("content-type"), Some(STRUCTURED.1));
}

#[test]
fn a_batch_is_as_many_events() {
    let bench = Bench::new();
    let body = format!("[{EVENT}, {}, {}]", EVENT.replace("ü 1", "2").replace("1.0}", "13}"), r#"{"id":"x"}"#);
    let answer =
        post(&bench.gateway, "/unwrapped", &[("content-type", "application/cloudevents-batch+json")], body.as_bytes());
    assert_eq!(answer.status, 207, "{}", answer.text());
    let items = answer.json()["items"].clone();
    let statuses: Vec<_> = items.as_array().unwrap().iter().map(|item| item["status"].clone()).collect();
    assert!(statuses[0] == 202 && items[0]["id"].is_string(), "{items}");
    assert!(statuses[1] == 202 && items[1]["id"].is_null(), "filtered: {items}");
    assert!(statuses[2] == 400, "{items}");
    wait("the one", || bench.partner.got().iter().any(|request| request.path == "/unwrapped"));
    bench.gateway.assert_account();
}

#[test]
fn what_would_be_sent_is_shown() {
    let bench = Bench::new();
    let ended = bench.gateway.run(&["try", "event", "--content-type", "application/json"], "{}");
    for part in ["ce-specversion: 1.0", "ce-type: crossdock.message", "append a line"] {
        assert!(ended.stdout.contains(part), "no `{part}` in {}", ended.stdout);
    }
}

/// P18: nothing from outside sets a control field, and no header is injected.
#[test]
fn hostile_headers_set_nothing() {
    let bench = Bench::new();
    let long = "x".repeat(4000);
    let hostile = [
        JSON,
        ("crossdock-key", "forged"),
        ("Crossdock-Expires-At", "2000-01-01T00:00:00Z"),
        ("crossdock-priority", "9"),
        ("crossdock-origin", "kafka:forged"),
        ("connection", "x-hop"),
        ("x-hop", "1"),
        ("te", "trailers"),
        ("cookie", "a=b"),
        ("authorization", "Bearer forged"),
        ("proxy-authorization", "Basic forged"),
        ("forwarded", "for=\"_x\""),
        ("ce-specversion", "1.0"),
        ("ce-id", "1%0D%0Ax-evil: 1"),
        ("ce-source", "s"),
        ("ce-type", "a%00b"),
        ("ce-content-length", "999"),
        ("x-long", &long),
    ];
    for path in ["/plain", "/event"] {
        let got = bench.through(path, &hostile, "{}");
        assert_eq!(got.body, b"{}", "{path}");
        for name in ["x-hop", "te", "cookie", "authorization", "proxy-authorization", "x-evil"] {
            assert_eq!(got.header(name), None, "{path} {name}");
        }
        let reserved: Vec<_> = got.headers.iter().filter(|(name, _)| name.starts_with("crossdock-")).collect();
        assert!(reserved.is_empty(), "{path}: {reserved:?}");
        assert_eq!(got.header("host").map(|host| host.starts_with("127.0.0.1")), Some(true), "{path}");
        // As it came, or read and written again: a line break is never one.
        let id = if path == "/event" { "1%0D%0Ax-evil:%201" } else { "1%0D%0Ax-evil: 1" };
        assert_eq!(got.header("ce-id"), Some(id), "{path}");
        assert_eq!(got.header("x-long"), Some(long.as_str()), "{path}");
    }
    // By the message's expiry it would have been gone, by its key in another lane.
    let stored = api(&bench.gateway, "GET", "/routes/plain", "").json();
    assert!(stored["counts"]["expired"] == 0 && stored["counts"]["delivered"] == 1, "{stored}");
}

#[test]
fn losses_are_counted_and_refused_where_somebody_is_strict() {
    let bench = Bench::new();
    let wide = [JSON, ("x-wide", "ü")];
    bench.through("/plain", &wide, "{}");
    wait("the loss", || {
        let metrics =
            String::from_utf8_lossy(&crate::harness::request(bench.gateway.admin, "GET", "/metrics", &[], b"").body)
                .into_owned();
        let line =
            metrics.lines().find(|line| line.starts_with("crossdock_mapping_losses_total") && line.contains("headers"));
        line.is_some_and(|line| line.ends_with(" 1"))
    });
    assert_eq!(post(&bench.gateway, "/strict", &wide, b"{}").status, 202);
    wait("the dead letter", || {
        let letter = api(&bench.gateway, "GET", "/dead-letters?route=strict", "").json()["items"][0].clone();
        letter["cause"]["code"] == "mapping.lost" && letter["cause"]["text"].as_str().unwrap().contains("headers")
    });
    assert!(bench.partner.got().iter().all(|request| request.path != "/strict"));
    bench.gateway.assert_account();
}
