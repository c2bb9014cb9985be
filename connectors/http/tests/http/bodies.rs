//! Bodies that are too large, too slow, or break off.

use crate::common::*;
use crossdock_model::RefusalKind;
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

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
    assert_eq!((door.received.lock().unwrap().len(), door.refusals().len()), (1, 0), "413 is not received");
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
    assert_eq!(door.refusals(), [(RefusalKind::Undecodable, "http.body".to_owned())], "400 counts, 408 does not");
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
async fn a_request_names_one_host() {
    let door =
        Door::open(json!({ "path": "/orders", "auth": { "bearer": "t" } }), |m| Some(stored(m.envelope.id))).await;
    for (hosts, status) in [("", 400), ("Host: a\r\nHost: b\r\n", 400), ("Host: a\r\n", 202)] {
        let mut stream = TcpStream::connect(door.address).await.unwrap();
        let head = format!("POST /orders HTTP/1.1\r\n{hosts}Authorization: Bearer t\r\nContent-Length: 2\r\n\r\n{{}}");
        stream.write_all(head.as_bytes()).await.unwrap();
        assert_eq!(read_answer(&mut stream).await.status, status, "{hosts:?}");
    }
    assert_eq!((door.received.lock().unwrap().len(), door.refusals().len()), (1, 2));
    // Who may not send to the route, or names none, adds nothing to its account.
    for line in ["POST /orders", "POST /none", "GET /orders"] {
        let mut stream = TcpStream::connect(door.address).await.unwrap();
        stream.write_all(format!("{line} HTTP/1.1\r\nContent-Length: 2\r\n\r\n{{}}").as_bytes()).await.unwrap();
        assert_eq!(read_answer(&mut stream).await.status, 400, "{line}");
    }
    assert_eq!(door.refusals().len(), 2);
}

/// As `nc -N` and `socat` do.
#[tokio::test]
async fn who_says_that_he_will_send_no_more_is_answered() {
    let door = Door::open(json!({ "path": "/orders" }), |message| Some(stored(message.envelope.id))).await;
    for _ in 0..20 {
        let mut stream = TcpStream::connect(door.address).await.unwrap();
        stream.write_all(b"POST /orders HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}").await.unwrap();
        stream.shutdown().await.unwrap();
        assert_eq!(read_answer(&mut stream).await.status, 202);
    }
    assert_eq!(door.received.lock().unwrap().len(), 20);
}

#[tokio::test]
async fn a_transfer_coding_that_is_not_undone_is_refused() {
    let door = Door::storing().await;
    for (coding, status) in [
        ("chunked", 202),
        (" Chunked ", 202),
        ("gzip, chunked", 501),
        ("gzip\r\nTransfer-Encoding: chunked", 501),
        ("chunked, gzip", 400),
    ] {
        let mut stream = TcpStream::connect(door.address).await.unwrap();
        let head = format!("POST /orders HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: {coding}\r\n\r\n");
        stream.write_all(format!("{head}2\r\n{{}}\r\n0\r\n\r\n").as_bytes()).await.unwrap();
        assert_eq!(read_answer(&mut stream).await.status, status, "{coding}");
    }
    assert_eq!(door.received.lock().unwrap().len(), 2);
}
