//! What every sink passes. A message is reported as delivered when the other end has it; each ticket has one result.

use super::{
    Message, Peer, SOON, comparable, name, numbered, odd,
    player::{Sinking, Site},
};
use crate::Direction;
use crossdock_connector::{Receipt, Sender};
use crossdock_model::{Fault, FaultClass};
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};
use tokio::time::timeout;

fn payloads(messages: &[Message]) -> Vec<String> {
    messages.iter().map(|message| String::from_utf8_lossy(&message.payload).into_owned()).collect()
}

async fn close(sender: Box<dyn Sender>, within: Duration) {
    timeout(SOON, sender.close(Instant::now() + within)).await.expect("closing hangs");
}

/// Faults that are nobody's but the connection's: the message is tried again.
fn assert_faults(results: &[Result<Receipt, Fault>]) {
    for result in results {
        let fault = result.as_ref().expect_err("nothing confirmed it");
        assert!(matches!(fault.class, FaultClass::Failed | FaultClass::Unreachable), "{}: {fault}", fault.class);
    }
}

fn assert_delivered(results: &[Result<Receipt, Fault>]) {
    for result in results {
        result.as_ref().unwrap_or_else(|fault| panic!("{fault}"));
    }
}

/// Sends until all were confirmed, over as many sessions as it takes; gives what arrived.
async fn deliver<P: Peer>(site: &mut Site<P>, sink: &mut Sinking, count: usize) -> Vec<String> {
    let (start, mut left) = (Instant::now(), numbered(0..count));
    while !left.is_empty() {
        assert!(start.elapsed() < SOON, "these were never confirmed: {:?}", payloads(&left));
        let mut sender = sink.reopen().await;
        let (tickets, _) = sink.submit(&mut sender, &left).await;
        let results = sink.results(&tickets).await;
        let sent = left.into_iter().zip(results);
        left = sent.filter_map(|(message, result)| result.is_err().then_some(message)).collect();
        close(sender, Duration::from_secs(5)).await;
        if !left.is_empty() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    payloads(&site.take(count).await)
}

/// Bytes and metadata arrive as they were sent, empty, binary and large ones.
pub async fn sends_bytes_and_metadata<P: Peer>() {
    let mut site = Site::<P>::new().await;
    let mut sink = site.sink();
    let mut sender = sink.reopen().await;
    let (tickets, _) = sink.submit(&mut sender, &odd()).await;
    assert_delivered(&sink.results(&tickets).await);
    close(sender, Duration::from_secs(5)).await;
    let mut taken = site.take(odd().len()).await;
    for message in &odd() {
        let expected = comparable::<P>(message);
        let at = taken.iter().position(|message| message.payload == expected.payload);
        let mut found = comparable::<P>(&taken.swap_remove(at.expect("each payload arrives as it was sent")));
        // What has no field travels in headers of its own.
        found.headers.retain(|header| expected.headers.contains(header));
        assert_eq!(found, expected);
    }
}

/// What is submitted in order arrives in order, in batches.
pub async fn keeps_order<P: Peer>() {
    let mut site = Site::<P>::new().await;
    let mut sink = site.sink();
    let mut sender = sink.reopen().await;
    let (tickets, _) = sink.submit(&mut sender, &numbered(0..300)).await;
    assert_delivered(&sink.results(&tickets).await);
    close(sender, Duration::from_secs(5)).await;
    assert_eq!(payloads(&site.take(300).await), (0..300).map(name).collect::<Vec<_>>());
}

/// Closing waits for what was taken.
pub async fn closes_with_a_result_for_each<P: Peer>() {
    let mut site = Site::<P>::new().await;
    let mut sink = site.sink();
    for _ in 0..2 {
        let mut sender = sink.reopen().await;
        let (tickets, _) = sink.submit(&mut sender, &numbered(0..50)).await;
        close(sender, Duration::from_secs(20)).await;
        assert_eq!(sink.result_count(&tickets), 50, "closing waits");
        assert_delivered(&sink.results(&tickets).await);
        site.take(50).await;
    }
}

/// A connection that is lost between sending and confirming: nothing is reported as delivered, nothing is lost.
pub async fn believes_nothing_but_the_confirm<P: Peer>() {
    let mut site = Site::<P>::new().await;
    let mut sink = site.sink();
    let mut sender = sink.reopen().await;
    site.proxy().stall(Direction::ToClient);
    let passed = site.proxy().passed(Direction::ToServer);
    let (tickets, _) = sink.submit(&mut sender, &numbered(0..20)).await;
    let start = Instant::now();
    while site.proxy().passed(Direction::ToServer) == passed {
        assert!(start.elapsed() < SOON, "nothing was sent");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(sink.delivered_count(&tickets), 0, "nothing was confirmed");
    site.proxy_mut().down();
    assert_faults(&sink.results(&tickets).await);
    drop(sender);
    site.proxy().heal();
    site.proxy_mut().up();
    let arrived: BTreeSet<_> = deliver(&mut site, &mut sink, 20).await.into_iter().collect();
    // Of what was sent before, some may have arrived first.
    let more = site.peer.take().await;
    let arrived: BTreeSet<_> = arrived.into_iter().chain(payloads(&more)).collect();
    assert_eq!(arrived, (0..20).map(name).collect());
}

/// A connection that is cut at one byte after the other, in either direction.
pub async fn bears_a_cut_at_any_byte<P: Peer>() {
    let mut site = Site::<P>::new().await;
    for direction in [Direction::ToServer, Direction::ToClient] {
        for bytes in [1, 7, 8, 9, 20, 60, 200, 400, 700, 1200] {
            let mut sink = site.sink();
            site.proxy().cut_after(direction, bytes);
            if let Ok(mut sender) = sink.open().await {
                let (tickets, _) = sink.submit(&mut sender, &numbered(0..5)).await;
                close(sender, Duration::from_secs(2)).await;
                assert_eq!(sink.result_count(&tickets), 5, "cut after {bytes} bytes {direction:?}");
            }
            site.proxy().heal();
        }
    }
    let mut sink = site.sink();
    deliver(&mut site, &mut sink, 10).await;
}

/// A server that is not there is told as such, and found when it is.
pub async fn waits_for_a_server_that_is_absent<P: Peer>() {
    let mut site = Site::<P>::new().await;
    site.proxy_mut().down();
    let mut sink = site.sink();
    match sink.open().await {
        Err(fault) => assert_eq!(fault.class, FaultClass::Unreachable, "{fault}"),
        Ok(mut sender) => {
            let (tickets, _) = sink.submit(&mut sender, &numbered(0..2)).await;
            assert_faults(&sink.results(&tickets).await);
            close(sender, Duration::from_secs(2)).await;
        }
    }
    site.proxy_mut().up();
    let arrived: BTreeSet<_> = deliver(&mut site, &mut sink, 10).await.into_iter().collect();
    assert!(!arrived.is_empty());
}

/// A server that falls silent holds nobody up: closing ends in time, with a fault for each.
pub async fn closes_in_time_before_a_silent_server<P: Peer>() {
    let site = Site::<P>::new().await;
    let mut sink = site.sink();
    let mut sender = sink.reopen().await;
    site.proxy().half_open();
    let (outgoing, tickets) = sink.outgoing(&numbered(0..5));
    // It may wait where the peer pushes back; then nothing was taken, and dropping it is all there is to do.
    let submitted = timeout(Duration::from_secs(5), sender.submit(outgoing)).await;
    let start = Instant::now();
    close(sender, Duration::from_secs(2)).await;
    assert!(start.elapsed() < Duration::from_secs(6), "closing took {:?}", start.elapsed());
    assert!(submitted.is_ok(), "a handful of messages is taken at once");
    assert_eq!(sink.result_count(&tickets), 5);
    assert_faults(&sink.results(&tickets).await);
}

/// Wrong credentials are told as such, before anything is sent.
pub async fn tells_wrong_credentials<P: Peer>() {
    let site = Site::around(P::alone().await);
    let connection = site.peer.denied(&site.address()).expect("a server that asks for credentials");
    let mut sink = site.sink_of(Some(connection), &site.peer.target());
    let fault = match sink.open().await {
        Err(fault) => fault,
        Ok(mut sender) => {
            let (tickets, _) = sink.submit(&mut sender, &numbered(0..1)).await;
            let results = sink.results(&tickets).await;
            results.into_iter().next().expect("one result").expect_err("nobody took it")
        }
    };
    assert!(fault.class != FaultClass::Rejected, "the message is not to blame: {fault}");
}

/// A queue or topic that is not there: a fault of the class that the peer names, for each message.
pub async fn tells_what_is_missing<P: Peer>() {
    let site = Site::<P>::new().await;
    let (section, class) = site.peer.missing_target().expect("what is not there");
    let mut sink = site.sink_of(site.connection(), &section);
    match sink.open().await {
        Err(fault) => assert_eq!(fault.class, class, "{fault}"),
        Ok(mut sender) => {
            let (tickets, _) = sink.submit(&mut sender, &numbered(0..5)).await;
            for result in sink.results(&tickets).await {
                let fault = result.expect_err("nobody took it");
                assert_eq!(fault.class, class, "{fault}");
            }
            close(sender, Duration::from_secs(2)).await;
        }
    }
}

/// A slow line is slow and no more.
pub async fn bears_a_slow_line<P: Peer>() {
    let mut site = Site::<P>::new().await;
    site.proxy().delay(Direction::ToClient, Duration::from_millis(20));
    site.proxy().throttle(Direction::ToServer, 300_000);
    let mut sink = site.sink();
    let mut sender = sink.reopen().await;
    let large = |n: usize| Message { key: Some("k".into()), ..Message::new(vec![b'0' + n as u8; 20_000]) };
    let messages: Vec<_> = (0..10).map(large).collect();
    let (tickets, _) = sink.submit(&mut sender, &messages).await;
    assert_delivered(&sink.results(&tickets).await);
    close(sender, Duration::from_secs(5)).await;
    let mut arrived = payloads(&site.take(10).await);
    arrived.sort_unstable();
    assert_eq!(arrived, payloads(&messages));
}

/// A restart of the server costs nothing that was confirmed.
pub async fn loses_nothing_with_a_restart_of_the_server<P: Peer>() {
    let mut site = Site::around(P::alone().await);
    let mut sink = site.sink();
    let mut sender = sink.reopen().await;
    let (tickets, _) = sink.submit(&mut sender, &numbered(0..5)).await;
    assert_delivered(&sink.results(&tickets).await);
    let mut peer = site.peer;
    let restarted = tokio::task::spawn_blocking(move || {
        peer.restart();
        peer
    });
    site.peer = restarted.await.expect("the server to restart");
    drop(sender);
    let before = payloads(&site.take(5).await);
    let after = deliver(&mut site, &mut sink, 5).await;
    assert_eq!(before, (0..5).map(name).collect::<Vec<_>>());
    assert!(after.len() >= 5);
}
