//! Connections that stand idle, and answers that point elsewhere.

use crate::bench::*;
use crate::common::*;
use crate::partner::*;
use crossdock_model::{Answer as By, FaultClass};
use serde_json::json;
use std::time::Duration;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    time,
};

async fn send_to(partner: &Partner) -> Bench {
    Bench::new(&sink(&json!({ "base_url": partner.url() }), &json!({}))).await
}

/// Sends a message that must arrive.
async fn send(bench: &mut Bench, ticket: u64) {
    bench.send(vec![message(ticket, &[""])]).await;
    let outcome = bench.result(ticket).await;
    assert!(outcome.is_ok(), "message {ticket}: {outcome:?}");
}

#[tokio::test]
async fn what_was_closed_while_it_stood_idle_costs_no_try() {
    let partner = Partner::fine().await;
    let mut bench = send_to(&partner).await;
    for round in 0..20 {
        send(&mut bench, 2 * round).await;
        send(&mut bench, 2 * round + 1).await;
        until("the connection to stand idle", || partner.open() == 1).await;
        partner.cut();
        until("the service to have closed it", || partner.open() == 0).await;
        // Now it stands in the pool, closed by the other side, as after a night without messages.
        time::sleep(Duration::from_millis(10)).await;
    }
    let connections: Vec<_> = partner.seen().iter().map(|request| request.connection).collect();
    let expected: Vec<_> = (0..20).flat_map(|round| [round, round]).collect();
    assert_eq!(connections, expected, "each round has a connection of its own, used twice");
}

/// A service that was killed, or a firewall between, ends a connection with a reset.
#[tokio::test]
async fn what_was_reset_while_it_stood_idle_costs_no_try() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut bench = Bench::new(&sink(&json!({ "base_url": url }), &json!({}))).await;
    for ticket in 0..5 {
        bench.send(vec![message(ticket, &[""])]).await;
        let (mut stream, _) = time::timeout(SOON, listener.accept()).await.expect("no fresh connection").unwrap();
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        assert!(bench.result(ticket).await.is_ok(), "message {ticket}");
        stream.set_zero_linger().unwrap();
        drop(stream);
        time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_connection_stands_idle_for_15_seconds_at_most() {
    let partner = Partner::fine().await;
    let mut bench = send_to(&partner).await;
    send(&mut bench, 0).await;
    pass(Duration::from_secs(14)).await;
    send(&mut bench, 1).await;
    // Its time begins anew with each use.
    pass(Duration::from_secs(14)).await;
    send(&mut bench, 2).await;
    assert_eq!(partner.open(), 1);
    pass(Duration::from_millis(15_100)).await;
    until("the connection to be closed by itself, with nothing sent", || partner.open() == 0).await;
    send(&mut bench, 3).await;
    let connections: Vec<_> = partner.seen().iter().map(|request| request.connection).collect();
    assert_eq!(connections, [0, 0, 0, 1]);
}

/// Lets the time of timers pass; what is sent in between takes real time.
async fn pass(span: Duration) {
    time::pause();
    time::advance(span).await;
    time::resume();
}

async fn read_request(stream: &mut TcpStream) {
    use tokio::io::AsyncReadExt;
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"{\"n\":1}") {
        let read = time::timeout(SOON, stream.read_buf(&mut bytes)).await.expect("no request").unwrap();
        assert!(read > 0, "the connection ended after {:?}", String::from_utf8_lossy(&bytes));
    }
}

/// The one who answers decides where a message goes, not the configuration: so it is not sent there.
#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = Partner::fine().await;
    for status in [301, 302, 303, 307, 308] {
        let location = format!("Location: {}/other\r\n", elsewhere.url());
        let script = crate::partner::status(status, &location, "");
        let code = format!("http.{status}");
        let fault = check(script, json!({ "path": "" }), FaultClass::Failed, &code, By::Application).await;
        assert!(fault.text.contains("redirects are not followed"), "{fault}");
        assert_eq!(fault.retry_after, None);
    }
    // Of several choices, and of what has not changed, the same holds.
    for status in [300, 304] {
        let script = Script::SayAndClose(format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n"));
        check(script, json!({}), FaultClass::Failed, &format!("http.{status}"), By::Application).await;
    }
    assert!(elsewhere.seen().is_empty(), "somebody was led elsewhere");
    let config = json!({ "status": { "303": "delivered" } });
    let script = crate::partner::status(303, "Location: /done\r\n", "");
    assert!(outcome(script, json!({}), config).await.is_ok(), "who knows what it means may say so");
}
