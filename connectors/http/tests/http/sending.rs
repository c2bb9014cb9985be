//! Many messages at once: connections, pushing back, the end.

use crate::bench::*;
use crate::common::*;
use crate::partner::*;
use crossdock_connector::Ticket;
use crossdock_model::FaultClass;
use serde_json::json;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::time::timeout;

#[tokio::test]
async fn connections_are_used_again_but_not_after_a_failed_try() {
    let partner = Partner::fine().await;
    let mut bench = Bench::new(&sink(&json!({ "base_url": partner.url() }), &json!({}))).await;
    for (ticket, attempt) in [(1, 1), (2, 1), (3, 2), (4, 1)] {
        let mut outgoing = message(ticket, &[""]);
        outgoing.attempt = attempt;
        bench.send(vec![outgoing]).await;
        bench.result(ticket).await.unwrap();
    }
    let connections: Vec<_> = partner.seen().iter().map(|request| request.connection).collect();
    assert_eq!(connections, [0, 0, 1, 1]);
}

#[tokio::test]
async fn a_connection_that_the_service_closed_costs_no_try() {
    let partner =
        Partner::start(|_, _| Script::SayAndClose("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".into())).await;
    let mut bench = Bench::new(&sink(&json!({ "base_url": partner.url() }), &json!({}))).await;
    for ticket in 0..20 {
        bench.send(vec![message(ticket, &[""])]).await;
        assert!(bench.result(ticket).await.is_ok(), "the service closes after each answer, without saying so");
    }
    assert_eq!(partner.seen().len(), 20);
}

#[tokio::test]
async fn one_slow_message_holds_up_no_other_and_submitting_pushes_back() {
    let partner =
        Partner::start(|_, request| if request.body == b"slow" { Script::Hang } else { status(200, "", "") }).await;
    let target = json!({ "max_in_flight": 2, "timeout": "2s" });
    let mut bench = Bench::new(&sink(&json!({ "base_url": partner.url() }), &target)).await;
    let mut slow = message(0, &[""]);
    Arc::make_mut(&mut slow.envelope).payload = Some("slow".into());
    let mut batch = vec![slow.clone()];
    batch.extend((1..50).map(|ticket| message(ticket, &[""])));
    bench.send(batch).await;
    for ticket in 1..50 {
        bench.result(ticket).await.unwrap();
    }
    assert!(!bench.results.lock().unwrap().contains_key(&0));
    slow.ticket = Ticket(100);
    bench.send(vec![slow]).await;
    let pushed_back = timeout(Duration::from_millis(300), bench.sender.submit(vec![message(101, &[""])])).await;
    assert!(pushed_back.is_err(), "a third message was taken");
    assert_eq!(bench.result(101).await.unwrap_err().class, FaultClass::Unreachable, "what was not taken is told so");
    assert_eq!(bench.result(0).await.unwrap_err().code, "http.timeout");
    let most = most_at_once(&partner);
    assert!(most <= 2, "{most} connections were used");
}

fn most_at_once(partner: &Partner) -> usize {
    let mut connections: Vec<_> = partner.seen().iter().map(|request| request.connection).collect();
    connections.sort_unstable();
    connections.dedup();
    connections.len()
}

#[tokio::test]
async fn closing_waits_and_then_tells_what_is_left() {
    let partner = Partner::start(|n, _| if n == 0 { Script::Hang } else { status(200, "", "") }).await;
    let mut bench = Bench::new(&sink(&json!({ "base_url": partner.url() }), &json!({}))).await;
    bench.send(vec![message(1, &[""])]).await;
    until("the first request", || partner.seen().len() == 1).await;
    bench.send((2..10).map(|ticket| message(ticket, &[""])).collect()).await;
    let begun = Instant::now();
    bench.sender.close(Instant::now() + Duration::from_millis(500)).await;
    assert!(begun.elapsed() < Duration::from_secs(3));
    let results = bench.results.lock().unwrap();
    assert_eq!(results.len(), 9);
    let fault = results[&1].clone().unwrap_err();
    assert_eq!((fault.class, &*fault.code), (FaultClass::Failed, "http.interrupted"));
    assert!((2..10).all(|ticket| results[&ticket].is_ok()));
}
