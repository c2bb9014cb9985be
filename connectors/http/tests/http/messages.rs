//! What the engine gets of a request: envelopes, claims, the messages of a batch.

use crate::common::*;
use bytes::Bytes;
use crossdock_connector::Settlement;
use crossdock_model::{RefusalKind, Value};
use serde_json::json;
use std::time::Duration;
use tokio::{io::AsyncWriteExt, net::TcpStream};

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
    assert_eq!(door.refusals(), [(RefusalKind::Undecodable, "http.request".to_owned())]);
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
    assert_eq!(other.refusals().len(), 3, "they are not accounted for");
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
    let refused = |kind| (kind, "decode".to_owned());
    assert_eq!(
        door.refusals(),
        [RefusalKind::Undecodable, RefusalKind::Undecodable, RefusalKind::UnsupportedType].map(refused),
        "400 and 415 are received and refused, 413 is not received"
    );
    let received = door.received.lock().unwrap();
    let types: Vec<_> = received.iter().map(|m| m.envelope.properties.content_type.clone().unwrap()).collect();
    assert_eq!(types, ["application/cloudevents+json"; 2]);
    assert_eq!(received[1].envelope.bytes(), b"{\"id\":\"2\"}");
}
