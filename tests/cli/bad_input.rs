//! Hostile and broken input at the door of the real binary: each gets a clear answer, nothing is lost, nothing hangs,
//! nothing panics.

use crate::harness::{connect, counted, post, prepared, wait};
use crossdock_testkit::Gateway;

const ROUTES: &str = "
channels: { q: { queue: {} } }
routes:
  json:
    from: { http: { path: /json, max_body: 1MiB } }
    accept: [ { validate: { json_schema: any.json } } ]
    to: { queue: q }
  xml:
    from: { http: { path: /xml } }
    accept: [ { decode: { xml: {} } } ]
    to: { queue: q }
  step:
    from: { queue: q }
    steps: [ { filter: exists(.keep) } ]
    to: { queue: kept }
";

fn gateway() -> Gateway {
    let mut gateway = prepared(&ROUTES.replace("{ q: { queue: {} } }", "{ q: { queue: {} }, kept: { queue: {} } }"));
    gateway.write("any.json", "{}");
    gateway.start();
    gateway
}

/// A good message still passes, and everything is accounted for.
fn unharmed(gateway: &Gateway) {
    let before = counted(gateway, "step", "delivered");
    assert_eq!(post(gateway, "/json", &[("content-type", "application/json")], b"{\"keep\": 1}").status, 202);
    wait("a good message to pass", || counted(gateway, "step", "delivered") > before);
    gateway.assert_account();
    assert!(!gateway.log().contains("panicked"), "{}", gateway.log());
}

#[test]
fn broken_bodies_are_refused() {
    let gateway = gateway();
    let brackets = "[".repeat(100_000);
    let closed = format!("{brackets}{}", "]".repeat(100_000));
    let elements = "<a>".repeat(100_000);
    let large = format!("\"{}\"", "x".repeat(10 << 20));
    for (path, kind, body, status) in [
        ("/json", "application/json", "{\"a\": ", 400),
        ("/json", "application/json", "", 400),
        ("/json", "application/json", "{} {}", 400),
        ("/json", "application/json", "\u{feff}{", 400),
        ("/json", "application/json", &*brackets, 400),
        ("/json", "application/json", &*closed, 400),
        ("/json", "application/json", &*large, 413),
        ("/json", "image/png", "x", 415),
        ("/xml", "application/xml", "<a><b></a>", 400),
        ("/xml", "application/xml", "<!DOCTYPE a [<!ENTITY b \"b\">]><a>&b;</a>", 400),
        ("/xml", "application/xml", "<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>", 400),
        ("/xml", "application/xml", "<a>&unknown;</a>", 400),
        ("/xml", "application/xml", &*elements, 400),
        ("/xml", "application/xml", "", 400),
    ] {
        let answer = post(&gateway, path, &[("content-type", kind)], body.as_bytes());
        let start: String = body.chars().take(40).collect();
        assert_eq!(answer.status, status, "{path} {start}: {}", answer.text());
        assert!(answer.text().len() < 10_000, "{path} {start}: an answer of {} bytes", answer.text().len());
    }
    let not_utf8 = post(&gateway, "/json", &[("content-type", "application/json")], b"{\"a\": \"\xff\"}");
    assert_eq!(not_utf8.status, 400, "{}", not_utf8.text());
    unharmed(&gateway);
}

/// What is answered 400, 415 or 422 is received and refused, also where `accept` never sees it; what is answered 401,
/// 404, 405, 408, 413 or 503 is not received, and what is no request of HTTP belongs to no route.
#[test]
fn what_is_refused_is_accounted_for() {
    let gateway = gateway();
    let head = "POST /json HTTP/1.1\r\nconnection: close\r\n";
    let refused: &[(&[u8], u16)] = &[
        (b"host: h\r\ncontent-type: M\xfcller\r\ncontent-length: 2\r\n\r\n{}", 400),
        (b"host: h\r\nidempotency-key: a\r\nidempotency-key: b\r\ncontent-length: 2\r\n\r\n{}", 400),
        (b"host: h\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"host: h\r\ncontent-type: application/cloudevents-batch+json\r\ncontent-length: 2\r\n\r\n{}", 400),
        (b"content-length: 2\r\n\r\n{}", 400),
        (b"host: h\r\ncontent-type: application/json\r\ncontent-length: 1\r\n\r\n{", 400),
        (
            b"host: h\r\ncontent-type: application/x-ndjson\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\n{}",
            415,
        ),
        (b"host: h\r\ncontent-type: image/png\r\ncontent-length: 2\r\n\r\n{}", 415),
    ];
    let not_received: &[(&[u8], u16)] = &[
        (b"host: h\r\ncontent-length: 9999999\r\n\r\n", 413),
        (b"host: h\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"host: h\r\nbroken\r\n\r\n", 400),
    ];
    let count = |outcome: &str| counted(&gateway, "json", outcome);
    for (at, (rest, status)) in refused.iter().chain(not_received).enumerate() {
        let mut stream = connect(gateway.http).unwrap();
        stream.write(&[head.as_bytes(), rest].concat()).unwrap();
        let shown = String::from_utf8_lossy(rest);
        assert_eq!(stream.read().unwrap().status, *status, "{shown}");
        let expected = refused.len().min(at + 1) as u64;
        // Counted before the sender hears of it.
        assert_eq!((count("received"), count("refused")), (expected, expected), "{shown}");
    }
    unharmed(&gateway);
}

#[test]
fn broken_framing_is_cut() {
    let gateway = gateway();
    for request in [
        "POST /json HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /json HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}x",
        "POST /json HTTP/1.1\rhost: x\r\n\r\n",
        "nonsense\r\n\r\n",
    ] {
        let mut stream = connect(gateway.http).unwrap();
        stream.write(request.as_bytes()).unwrap();
        assert_eq!(stream.read().unwrap().status, 400, "{request:?}");
    }
    unharmed(&gateway);
}

#[test]
fn slow_clients_hold_nobody_up() {
    let gateway = gateway();
    let slow: Vec<_> = (0..50)
        .map(|_| {
            let mut stream = connect(gateway.http).unwrap();
            stream.write(b"POST /json HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n").unwrap();
            stream
        })
        .collect();
    unharmed(&gateway);
    let mut first = slow.into_iter().next().unwrap();
    assert_eq!(first.read().unwrap().status, 408, "a head that is never complete");
}
