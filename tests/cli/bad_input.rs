//! Hostile and broken input at the door of the real binary: each gets a clear answer, nothing is lost, nothing hangs,
//! nothing panics.

use crate::harness::{Folder, Gateway, connect, read_answer, wait};
use std::io::Write as _;

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
    let folder = Folder::new(&ROUTES.replace("{ q: { queue: {} } }", "{ q: { queue: {} }, kept: { queue: {} } }"));
    folder.write("any.json", b"{}");
    folder.start()
}

/// A good message still passes, and everything is accounted for.
fn unharmed(gateway: &Gateway) {
    let before = gateway.metric("crossdock_messages_total{", "route=\"step\",outcome=\"delivered\"");
    assert_eq!(gateway.post("/json", &[("content-type", "application/json")], b"{\"keep\": 1}").status, 202);
    wait("a good message to pass", || {
        gateway.metric("crossdock_messages_total{", "route=\"step\",outcome=\"delivered\"") > before
    });
    gateway.account();
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
        let answer = gateway.post(path, &[("content-type", kind)], body.as_bytes());
        let start: String = body.chars().take(40).collect();
        assert_eq!(answer.status, status, "{path} {start}: {}", answer.body);
        assert!(answer.body.len() < 10_000, "{path} {start}: an answer of {} bytes", answer.body.len());
    }
    let not_utf8 = gateway.post("/json", &[("content-type", "application/json")], b"{\"a\": \"\xff\"}");
    assert_eq!(not_utf8.status, 400, "{}", not_utf8.body);
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
        let mut stream = connect(gateway.folder.http).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        assert_eq!(read_answer(&mut stream).unwrap().status, 400, "{request:?}");
    }
    unharmed(&gateway);
}

#[test]
fn slow_clients_hold_nobody_up() {
    let gateway = gateway();
    let slow: Vec<_> = (0..50)
        .map(|_| {
            let mut stream = connect(gateway.folder.http).unwrap();
            stream.write_all(b"POST /json HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n").unwrap();
            stream
        })
        .collect();
    unharmed(&gateway);
    let mut first = slow.into_iter().next().unwrap();
    assert_eq!(read_answer(&mut first).unwrap().status, 408, "a head that is never complete");
}
