//! Between requests and engine: what waits, what is bounded, what is told when a session or the gateway ends.

use crate::common::*;
use crossdock_connector::{Connector, Credit, Event, Received, Settlement};
use crossdock_http::Http;
use serde_json::json;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{io::AsyncWriteExt, net::TcpStream, time::timeout};

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
    // Until it is closed, whoever comes hears why.
    assert_eq!(request(address, "POST", "/orders", "", b"{}").await.status, 503);
    http.close().await;
    until("the port to be closed", || std::net::TcpStream::connect(address).is_err()).await;
}
