//! The source: each answer that the contract names, and what the engine gets.

mod common;

use bytes::Bytes;
use common::{Answer, Door, SOON, gateway, read_answer, request, source, stored, until};
use crossdock_connector::{Connector, Credit, Event, Received, Settlement};
use crossdock_http::Http;
use crossdock_model::{Fault, FaultClass, MessageId, Refusal, RefusalKind, Text, Value, Violation};
use serde_json::json;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

fn refusal(kind: RefusalKind, violations: &[(&'static str, &'static str)]) -> Settlement {
    let violation = |(at, message): &(&'static str, &'static str)| Violation {
        at: Text::from_static(at),
        message: Text::from_static(message),
        rule: None,
    };
    let fault = Fault::rejected("validate.json_schema", "it is wrong").retry_after(Some(Duration::from_millis(2500)));
    Settlement::Refused(Refusal { kind, fault, violations: violations.iter().map(violation).collect() })
}

#[tokio::test]
async fn what_is_stored_is_answered_202_with_its_id_and_place() {
    let door = Door::storing().await;
    let answer = door.post("/orders", "Content-Type: application/json\r\n", "{}").await;
    let id = door.received.lock().unwrap()[0].envelope.id;
    assert_eq!((answer.status, answer.json()), (202, json!({ "id": id.to_string() })));
    assert_eq!(answer.header("location"), Some(&*format!("http://127.0.0.1:8090/api/v1/messages/{id}")));
    assert_eq!(answer.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn each_settlement_has_its_answer() {
    let check = async |settlement: Settlement, status: u16, part: &str, header: Option<(&str, &str)>| {
        let door = Door::open(json!({ "path": "/orders" }), move |_| Some(settlement.clone())).await;
        let answer = door.post("/orders", "", "{}").await;
        assert!(answer.status == status && answer.body.contains(part), "{answer:?}");
        if let Some((name, value)) = header {
            assert_eq!(answer.header(name), Some(value), "{answer:?}");
        }
        if status >= 400 {
            assert_eq!(answer.header("content-type"), Some("application/problem+json"));
            assert_eq!(answer.json()["status"], status);
        }
    };
    let places = &[("/order_id", "is no text"), ("/total", "is too small")];
    check(
        refusal(RefusalKind::Invalid, places),
        422,
        r#"[{"at":"/order_id","message":"is no text"},{"at":"/total""#,
        None,
    )
    .await;
    check(refusal(RefusalKind::Conflict, &[]), 422, r#""errors":[{"at":"","message":"it is wrong"}]"#, None).await;
    check(refusal(RefusalKind::Undecodable, &[]), 400, "validate.json_schema", None).await;
    check(refusal(RefusalKind::UnsupportedType, &[]), 415, "it is wrong", None).await;
    check(refusal(RefusalKind::TooLarge, &[]), 413, "it is wrong", None).await;
    check(refusal(RefusalKind::Throttled, &[]), 429, "it is wrong", Some(("retry-after", "3"))).await;
    check(Settlement::Filtered, 202, r#"{"filtered":true}"#, None).await;
    check(Settlement::Again { after: None }, 503, "", Some(("retry-after", "1"))).await;
    check(Settlement::Again { after: Some(Duration::from_secs(7)) }, 503, "", Some(("retry-after", "7"))).await;
    let id = MessageId::from_bytes([7; 16]);
    check(Settlement::Stored { id, duplicate: true }, 202, &id.to_string(), None).await;
}

#[tokio::test]
async fn paths_and_methods() {
    let door = Door::open(json!({ "path": "/orders", "method": "PUT" }), |m| Some(stored(m.envelope.id))).await;
    for (method, path, status, allow) in [
        ("PUT", "/orders", 202, None),
        ("PUT", "/orders?x=1", 202, None),
        ("PUT", "/orders/", 404, None),
        ("PUT", "/Orders", 404, None),
        ("PUT", "/", 404, None),
        ("POST", "/orders", 405, Some("options, put")),
        ("GET", "/orders", 405, Some("options, put")),
        ("BREW", "/orders", 405, Some("options, put")),
        ("OPTIONS", "/orders", 204, Some("options, put")),
        ("OPTIONS", "/none", 404, None),
    ] {
        let answer = request(door.address, method, path, "", b"{}").await;
        assert_eq!((answer.status, answer.header("allow")), (status, allow), "{method} {path}: {answer:?}");
        assert_eq!(answer.header("connection"), None, "a small body does not cost the connection");
    }
    let mut stream = TcpStream::connect(door.address).await.unwrap();
    stream.write_all(b"HEAD /orders HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut text = String::new();
    timeout(SOON, stream.read_to_string(&mut text)).await.unwrap().unwrap();
    let answer = Answer::parse(&text);
    assert_eq!((answer.status, &*answer.body), (405, ""), "HEAD has no body");
}

#[tokio::test]
async fn credentials_are_asked_for() {
    for (auth, right, wrong, scheme) in [
        (json!({ "bearer": "s3cret" }), "Bearer s3cret", "Bearer s3cre7", "bearer"),
        (json!({ "basic": { "user": "ada", "password": "pw" } }), "Basic YWRhOnB3", "Basic YWRhOnB4", "basic"),
    ] {
        let door =
            Door::open(json!({ "path": "/orders", "auth": auth }), |message| Some(stored(message.envelope.id))).await;
        for (header, status) in [
            (format!("Authorization: {right}\r\n"), 202),
            (format!("Authorization: {wrong}\r\n"), 401),
            (String::new(), 401),
        ] {
            let answer = door.post("/orders", &header, "{}").await;
            assert_eq!(answer.status, status, "{header:?}");
            if status == 401 {
                assert!(answer.header("www-authenticate").is_some_and(|value| value.starts_with(scheme)), "{answer:?}");
            }
        }
        let messages = door.received.lock().unwrap();
        assert_eq!(messages.len(), 1);
        assert!(messages[0].envelope.headers.is_empty(), "the credentials went along");
    }
}

#[tokio::test]
async fn bodies_beyond_the_limit_are_refused_told_or_not() {
    let door =
        Door::open(json!({ "path": "/orders", "max_body": "64KiB" }), |message| Some(stored(message.envelope.id)))
            .await;
    assert_eq!(door.post("/orders", "", vec![b'x'; 64 * 1024]).await.status, 202);
    for _ in 0..10 {
        assert_eq!(door.post("/orders", "", vec![b'x'; 64 * 1024 + 1]).await.status, 413);
        assert_eq!(door.post("/orders", "", vec![b'x'; 3_000_000]).await.status, 413);
    }
    // Told: refused before a byte of it was sent, and without asking for it.
    let mut stream = TcpStream::connect(door.address).await.unwrap();
    let head = "POST /orders HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999\r\nExpect: 100-continue\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(read_answer(&mut stream).await.status, 413);
    // Not told: as soon as it is too much.
    let mut stream = TcpStream::connect(door.address).await.unwrap();
    stream.write_all(b"POST /orders HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n").await.unwrap();
    let chunk = format!("8000\r\n{}\r\n", "x".repeat(0x8000));
    for _ in 0..3 {
        stream.write_all(chunk.as_bytes()).await.unwrap();
    }
    let answer = read_answer(&mut stream).await;
    assert_eq!((answer.status, answer.header("connection")), (413, Some("close")));
    assert_eq!(door.received.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_body_that_stands_still_is_answered_408_and_one_that_breaks_off_400() {
    let listener = json!({ "body_timeout": "300ms", "head_timeout": "300ms" });
    let door = Door::with_listener(&listener, json!({ "path": "/orders" }), |m| Some(stored(m.envelope.id))).await;
    for head in ["Content-Length: 9\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"] {
        let (mut stream, begun) = (TcpStream::connect(door.address).await.unwrap(), Instant::now());
        stream.write_all(format!("POST /orders HTTP/1.1\r\nHost: h\r\n{head}").as_bytes()).await.unwrap();
        let mut text = String::new();
        timeout(SOON, stream.read_to_string(&mut text)).await.expect("not cut").unwrap();
        assert_eq!(Answer::parse(&text).status, 408, "{text}");
        assert!(begun.elapsed() >= Duration::from_millis(280));
    }
    let mut stream = TcpStream::connect(door.address).await.unwrap();
    stream.write_all(b"POST /orders HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n").await.unwrap();
    assert_eq!(read_answer(&mut stream).await.status, 400);
    let mut stream = TcpStream::connect(door.address).await.unwrap();
    stream.write_all(b"POST /orders HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut text = String::new();
    timeout(SOON, stream.read_to_string(&mut text)).await.unwrap().unwrap();
    assert!(text.is_empty() || text.starts_with("HTTP/1.1 400"), "{text}");
    // A head that does not come is the listener's to answer; the limit is the section's.
    let mut stream = TcpStream::connect(door.address).await.unwrap();
    stream.write_all(b"POST /orders HTTP/1.1\r\n").await.unwrap();
    assert_eq!(read_answer(&mut stream).await.status, 408);
    assert!(door.received.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_envelope_is_what_was_sent() {
    let door = Door::storing().await;
    let headers = "content-type: text/plain\r\nContent-Encoding: gzip\r\nX-Correlation-Id: c-1\r\nX-Unit: kg\r\nx-unit: lb\r\n\
                   Date: Sun, 06 Nov 1994 08:49:37 GMT\r\ntraceparent: 00-a-b-01\r\nCrossdock-Key: forged\r\nX-Wide: \u{fc}\r\n\
                   Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nAccept: */*\r\nUser-Agent: t\r\nCookie: a=b\r\n";
    let body: Vec<u8> = (0..=255).collect();
    let answer = door.post("/orders?a=1&b=%C3%BC+x&a=2", headers, &body).await;
    assert_eq!(answer.status, 202);
    let received = door.received.lock().unwrap();
    let envelope = &received[0].envelope;
    assert_eq!(envelope.payload.as_deref(), Some(&*body));
    let properties = &envelope.properties;
    assert_eq!(properties.content_type.as_deref(), Some("text/plain"));
    assert_eq!(properties.content_encoding.as_deref(), Some("gzip"));
    assert_eq!(properties.correlation_id.as_deref(), Some(&b"c-1"[..]));
    assert_eq!(properties.time.map(|time| time.millis()), Some(784_111_777_000));
    assert_eq!(properties.traceparent.as_deref(), Some("00-a-b-01"));
    assert_eq!(properties.key, None);
    let user: Vec<_> = envelope.headers.iter().map(|header| (&*header.name, header.value.clone())).collect();
    assert_eq!(user, [("x-unit", Value::from("kg")), ("x-unit", "lb".into()), ("x-wide", "\u{fc}".into())]);
    let origin = &envelope.origin;
    assert_eq!((&*origin.protocol, &*origin.address, origin.path.as_deref()), ("http", "/orders", Some("/orders")));
    let query: Vec<_> = origin.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(query, ["a=1", "b=\u{fc} x", "a=2"]);
    assert!(origin.remote.as_deref().is_some_and(|remote| remote.starts_with("127.0.0.1:")));
    assert!(received[0].claim.is_none());
}

#[tokio::test]
async fn an_empty_body_is_an_empty_payload_and_odd_values_stay_bytes() {
    let door = Door::storing().await;
    let mut stream = TcpStream::connect(door.address).await.unwrap();
    stream.write_all(b"POST /orders HTTP/1.1\r\nHost: h\r\nX-Latin: M\xfcller\r\n\r\n").await.unwrap();
    assert_eq!(read_answer(&mut stream).await.status, 202);
    stream.write_all(b"POST /orders HTTP/1.1\r\nHost: h\r\nContent-Type: M\xfcller\r\n\r\n").await.unwrap();
    assert_eq!(read_answer(&mut stream).await.status, 400);
    let received = door.received.lock().unwrap();
    assert_eq!(received[0].envelope.payload, Some(Bytes::new()));
    assert_eq!(received[0].envelope.headers.get("x-latin"), Some(&Value::Bytes(Bytes::from_static(b"M\xfcller"))));
}

#[tokio::test]
async fn idempotency_keys_make_ids_and_claims() {
    let door =
        Door::open(json!({ "path": "/orders", "auth": { "bearer": "t" } }), |m| Some(stored(m.envelope.id))).await;
    let other = Door::open(json!({ "path": "/orders" }), |m| Some(stored(m.envelope.id))).await;
    let send = async |door: &Door, key: &str, body: &str| {
        let headers =
            format!("Authorization: Bearer t\r\nIdempotency-Key: {key}\r\nContent-Type: application/json\r\n");
        assert_eq!(door.post("/orders", &headers, body).await.status, 202);
        let received = door.received.lock().unwrap();
        let last = received.last().unwrap();
        (last.envelope.id, last.claim.unwrap())
    };
    let (first, again, wrong) =
        (send(&door, "k-1", "{}").await, send(&door, "k-1", "{}").await, send(&door, "k-1", "[]").await);
    assert_eq!(first, again);
    assert_eq!((first.0, first.1.key), (wrong.0, wrong.1.key));
    assert_ne!(first.1.body, wrong.1.body);
    assert_eq!(first.1.window, Duration::from_secs(24 * 3600));
    assert_ne!(first.1.key, send(&door, "k-2", "{}").await.1.key);
    assert_ne!(first.1.key, send(&other, "k-1", "{}").await.1.key, "another caller has keys of his own");
    for bad in [
        "Idempotency-Key: \r\n".to_owned(),
        "Idempotency-Key: a\r\nIdempotency-Key: b\r\n".into(),
        format!("Idempotency-Key: {}\r\n", "k".repeat(256)),
    ] {
        assert_eq!(other.post("/orders", &bad, "{}").await.status, 400, "{bad:?}");
    }
}

#[tokio::test]
async fn the_lines_of_a_batch_are_messages_of_their_own() {
    let door = Door::open(json!({ "path": "/orders" }), |message| {
        Some(match message.envelope.bytes() {
            b"{\"n\":1}" => stored(message.envelope.id),
            b"{\"n\":2}" => refusal(RefusalKind::Invalid, &[("/n", "is 2")]),
            b"{\"n\":3}" => Settlement::Filtered,
            b"broken" => refusal(RefusalKind::Undecodable, &[]),
            _ => Settlement::Again { after: Some(Duration::from_secs(4)) },
        })
    })
    .await;
    let body = "{\"n\":1}\n{\"n\":2}\r\n\n{\"n\":3}\nbroken\n{\"n\":5}";
    let headers = "Content-Type: application/x-ndjson\r\nIdempotency-Key: k\r\nX-Unit: kg\r\n";
    let answer = door.post("/orders", headers, body).await;
    assert_eq!((answer.status, answer.header("retry-after")), (207, Some("4")));
    let items = answer.json();
    let received = door.received.lock().unwrap();
    let id = received[0].envelope.id.to_string();
    assert_eq!(items["items"][0], json!({ "status": 202, "id": id }));
    assert_eq!(items["items"][1]["status"], 422);
    assert_eq!(items["items"][1]["errors"], json!([{ "at": "/n", "message": "is 2" }]));
    assert_eq!(items["items"][2], json!({ "status": 202, "filtered": true }));
    assert_eq!(items["items"][3]["status"], 400);
    assert_eq!(items["items"][4], json!({ "status": 503 }));
    assert_eq!(items["items"].as_array().unwrap().len(), 5);
    assert!(received.iter().all(|m| m.envelope.properties.content_type.as_deref() == Some("application/json")));
    assert!(received.iter().all(|m| m.envelope.headers.get("x-unit").is_some()));
    let mut keys: Vec<_> = received.iter().map(|message| message.claim.unwrap().key).collect();
    keys.dedup();
    assert_eq!(keys.len(), 5, "each line has a key of its own");
    assert!(received.iter().enumerate().all(|(seq, message)| message.token.seq == seq as u64));
}

#[tokio::test]
async fn batches_of_cloud_events_and_batches_that_are_none() {
    let door = Door::storing().await;
    let events = "Content-Type: application/cloudevents-batch+json; charset=utf-8\r\n";
    let answer = door.post("/orders", events, "[{\"id\":\"1\"}, {\"id\":\"2\"}]").await;
    assert_eq!((answer.status, answer.json()["items"].as_array().unwrap().len()), (207, 2));
    assert_eq!(door.post("/orders", events, "[]").await.json(), json!({ "items": [] }));
    for (headers, body, status) in [
        (events, "{}", 400),
        (events, "[1]", 400),
        ("Content-Type: application/x-ndjson\r\nContent-Encoding: gzip\r\n", "x", 415),
        ("Content-Type: application/x-ndjson\r\n", &*"1\n".repeat(10_001), 413),
    ] {
        let answer = door.post("/orders", headers, body).await;
        assert_eq!((answer.status, answer.header("content-type")), (status, Some("application/problem+json")));
    }
    let received = door.received.lock().unwrap();
    let types: Vec<_> = received.iter().map(|m| m.envelope.properties.content_type.clone().unwrap()).collect();
    assert_eq!(types, ["application/cloudevents+json"; 2]);
    assert_eq!(received[1].envelope.bytes(), b"{\"id\":\"2\"}");
}

/// A source that is open and whose messages nobody takes.
async fn untaken(listener: &serde_json::Value) -> (Arc<Http>, Box<dyn crossdock_connector::Source>) {
    let http = Arc::new(Http::new(&gateway(listener)));
    let source = http.source(&source("in", &json!({ "path": "/orders" }))).unwrap();
    http.start().await.unwrap();
    (http, source)
}

#[tokio::test]
async fn a_route_that_does_not_run_is_not_lost() {
    let (http, mut source) = untaken(&json!({})).await;
    let address = http.address().unwrap();
    let answer = request(address, "POST", "/orders", "", b"{}").await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")), "before it is open");
    let (receiver, settler) = source.open().await.unwrap();
    let waiting = tokio::spawn(async move { request(address, "POST", "/orders", "", b"{}").await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!waiting.is_finished());
    drop(receiver);
    assert_eq!(waiting.await.unwrap().status, 503, "what nobody took is told so");
    assert_eq!(request(address, "POST", "/orders", "", b"{}").await.status, 503, "and nothing more is taken");
    let (mut receiver, second) = source.open().await.unwrap();
    drop(settler);
    let waiting = tokio::spawn(async move { request(address, "POST", "/orders", "", b"{}").await });
    let credit = Credit { messages: 1, bytes: 1 };
    let Event::Messages(messages) = receiver.next(credit).await.unwrap() else { panic!("an odd event") };
    assert_eq!(messages.len(), 1);
    second.close(Instant::now() + SOON).await;
    assert_eq!(waiting.await.unwrap().status, 503, "what was taken and not settled is told so");
    drop((receiver, source));
    assert_eq!(request(address, "POST", "/orders", "", b"{}").await.status, 404, "a route that is gone");
}

#[tokio::test]
async fn credit_is_kept_and_a_cancelled_wait_loses_nothing() {
    let (http, mut source) = untaken(&json!({})).await;
    let address = http.address().unwrap();
    let (mut receiver, mut settler) = source.open().await.unwrap();
    let large = Credit { messages: 100, bytes: 1 << 20 };
    assert!(timeout(Duration::from_millis(20), receiver.next(large)).await.is_err());
    let body = "1111\n2222\n3333\n4444\n5555\n";
    let waiting = tokio::spawn(async move {
        request(address, "POST", "/orders", "Content-Type: application/x-ndjson\r\n", body.as_bytes()).await
    });
    let mut settled = Vec::new();
    for (credit, count) in [
        (Credit { messages: 2, bytes: 1 << 20 }, 2),
        (Credit { messages: 100, bytes: 1 }, 1),
        (Credit { messages: 100, bytes: 7 }, 1),
        (large, 1),
    ] {
        let Event::Messages(messages) = receiver.next(credit).await.unwrap() else { panic!("an odd event") };
        assert_eq!(messages.len(), count, "{credit:?}");
        settled.extend(messages.into_iter().map(|message| (message.token, stored(message.envelope.id))));
    }
    settled.reverse();
    // A token of another session, and one that comes twice, change nothing.
    let mut strange = settled[0].0;
    strange.session += 1;
    settler.settle(vec![(strange, Settlement::Filtered)]).await.unwrap();
    settler.settle(settled.clone()).await.unwrap();
    settler.settle(settled).await.unwrap();
    let answer = waiting.await.unwrap();
    assert_eq!(answer.status, 207);
    assert!(answer.json()["items"].as_array().unwrap().iter().all(|item| item["status"] == 202));
}

#[tokio::test]
async fn bytes_and_messages_that_wait_are_bounded() {
    let (http, mut source) = untaken(&json!({ "max_waiting": "64KiB" })).await;
    let address = http.address().unwrap();
    let (mut receiver, mut settler) = source.open().await.unwrap();
    let half = vec![b'x'; 40 * 1024];
    let first = tokio::spawn({
        let half = half.clone();
        async move { request(address, "POST", "/orders", "", &half).await }
    });
    let credit = Credit { messages: 10, bytes: 1 << 20 };
    let Event::Messages(messages) = receiver.next(credit).await.unwrap() else { panic!("an odd event") };
    let second = request(address, "POST", "/orders", "", &half).await;
    assert_eq!((second.status, second.header("retry-after")), (503, Some("1")));
    settler.settle(vec![(messages[0].token, Settlement::Filtered)]).await.unwrap();
    assert_eq!(first.await.unwrap().status, 202);
    // 10,000 small ones, which nobody takes, fill the queue; the next request is turned away.
    let body = "1\n".repeat(10_000);
    let full = tokio::spawn(async move {
        request(address, "POST", "/orders", "Content-Type: application/x-ndjson\r\n", body.as_bytes()).await
    });
    let end = Instant::now() + SOON;
    loop {
        let attempt = timeout(Duration::from_millis(200), request(address, "POST", "/orders", "", b"1")).await;
        if let Ok(answer) = attempt {
            assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
            break;
        }
        assert!(Instant::now() < end, "the queue takes without bound");
    }
    drop(receiver);
    assert_eq!(full.await.unwrap().status, 207);
}

#[tokio::test]
async fn a_stop_answers_what_is_under_way_and_takes_nothing_new() {
    let (http, mut source) = untaken(&json!({})).await;
    let address = http.address().unwrap();
    let (mut receiver, mut settler) = source.open().await.unwrap();
    let mut kept = TcpStream::connect(address).await.unwrap();
    let under_way = tokio::spawn(async move { request(address, "POST", "/orders", "", b"{}").await });
    let credit = Credit { messages: 10, bytes: 1 << 20 };
    let Event::Messages(messages) = receiver.next(credit).await.unwrap() else { panic!("an odd event") };
    let stopping = tokio::spawn({
        let http = Arc::clone(&http);
        async move { http.stop(Instant::now() + SOON).await }
    });
    let end = Instant::now() + SOON;
    let refused = loop {
        kept.write_all(b"POST /none HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}").await.unwrap();
        let answer = read_answer(&mut kept).await;
        if answer.status == 503 {
            break answer;
        }
        assert!(Instant::now() < end, "it does not stop");
    };
    assert_eq!((refused.header("retry-after"), refused.header("connection")), (Some("1"), Some("close")));
    assert!(!stopping.is_finished(), "it does not wait for what is under way");
    let settled = messages.iter().map(|message: &Received| (message.token, stored(message.envelope.id))).collect();
    settler.settle(settled).await.unwrap();
    let answer = under_way.await.unwrap();
    assert_eq!((answer.status, answer.header("connection")), (202, Some("close")));
    timeout(SOON, stopping).await.unwrap().unwrap();
    until("the port to be closed", || std::net::TcpStream::connect(address).is_err()).await;
}

#[tokio::test]
async fn a_sender_that_hangs_up_harms_nobody() {
    let door = Door::storing().await;
    for _ in 0..50 {
        let mut stream = TcpStream::connect(door.address).await.unwrap();
        stream.write_all(b"POST /orders HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}").await.unwrap();
        drop(stream);
    }
    assert_eq!(door.post("/orders", "", "{}").await.status, 202);
    timeout(SOON, door.stop()).await.expect("requests without a sender hold up the stop");
}

#[tokio::test]
async fn a_port_in_use_and_odd_settings_are_told() {
    let door = Door::storing().await;
    let taken = Http::new(&gateway(&json!({ "listen": door.address.to_string() })));
    let error = taken.start().await.unwrap_err();
    assert!(
        error.message.contains(&door.address.to_string()) && error.hint.contains("gateway.http.listen"),
        "{error:?}"
    );
    let check = |listener: serde_json::Value, sources: &[serde_json::Value], codes: &[&str]| {
        let http = Http::new(&gateway(&listener));
        let configs: Vec<_> = sources.iter().map(|section| source("in", section)).collect();
        let mut found = http.check(&configs);
        for config in &configs {
            found.append(http.source(config).err().unwrap_or_default());
        }
        let found: Vec<_> = found.iter().map(|diagnostic| diagnostic.code).collect();
        assert_eq!(found, codes, "{listener} {sources:?}");
    };
    check(json!({}), &[json!({ "path": "/a" }), json!({ "path": "/a", "method": "PUT" })], &[]);
    check(
        json!({}),
        &[json!({ "path": "/a" }), json!({ "path": "/b" }), json!({ "path": "/a" })],
        &["http.path_taken"],
    );
    check(json!({ "listen": "8080" }), &[json!({ "path": "a" })], &["http.listen", "http.path"]);
    check(json!({ "tls": { "certificate": "none.pem", "key": "none.pem" } }), &[], &["http.tls"]);
    check(json!({}), &[json!({ "path": "/a", "auth": { "bearer": "" } })], &["http.auth_empty"]);
    check(
        json!({}),
        &[json!({ "path": "/a", "auth": { "basic": { "user": "u", "password": "" } } })],
        &["http.auth_empty"],
    );
    check(
        json!({}),
        &[json!({ "path": "/a", "auth": { "basic": { "user": "u:", "password": "p" } } })],
        &["http.auth_user"],
    );
}

#[tokio::test]
async fn faults_of_the_class_are_not_needed_to_refuse() {
    // A refusal carries the fault that a dead letter would have; its class does not change the answer.
    let refused = |class| {
        let fault = Fault::new(class, "expression", "it failed");
        Settlement::Refused(Refusal { kind: RefusalKind::Invalid, fault, violations: Vec::new() })
    };
    for class in [FaultClass::Rejected, FaultClass::Failed] {
        let settlement = refused(class);
        let door = Door::open(json!({ "path": "/orders" }), move |_| Some(settlement.clone())).await;
        let answer = door.post("/orders", "", "{}").await;
        assert_eq!((answer.status, &answer.json()["code"]), (422, &json!("expression")));
    }
}
