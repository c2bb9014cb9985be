//! Each answer that the contract names.

use crate::common::*;
use crossdock_connector::Settlement;
use crossdock_model::{MessageId, RefusalKind};
use serde_json::json;
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

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
async fn a_path_is_found_in_whatever_way_it_is_spelled() {
    let door = Door::open(json!({ "path": "/a b/ü~" }), |message| Some(stored(message.envelope.id))).await;
    for (path, status) in
        [("/a%20b/%C3%BC~", 202), ("/a%20b/%c3%bc%7e", 202), ("/%61%20b/%C3%bc~", 202), ("/a%2520b/%C3%BC~", 404)]
    {
        assert_eq!(request(door.address, "POST", path, "", b"{}").await.status, status, "{path}");
    }
}
