//! What every source passes. Nothing that was put is lost, whatever breaks; what was settled does not come again.

use super::{
    Message, Peer, QUIET, SOON, comparable, name, numbered, odd,
    player::{CREDIT, Site, Sourcing, seen, stored},
};
use crate::Direction;
use crossdock_connector::{Credit, Received, Settlement, SourceError, SourceErrorKind};
use crossdock_model::{Fault, Refusal, RefusalKind};
use std::{collections::BTreeSet, time::Duration};

fn payloads(messages: &[Received]) -> Vec<String> {
    messages.iter().map(|message| String::from_utf8_lossy(message.envelope.bytes()).into_owned()).collect()
}

fn names(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(name).collect()
}

/// Receives and stores until each of these numbered messages has come at least once.
async fn receive_all(source: &mut Sourcing, numbers: std::ops::Range<usize>) {
    receive_each(source, names(numbers).into_iter().collect()).await;
}

/// Receives and stores until each of these has come at least once.
async fn receive_each(source: &mut Sourcing, mut missing: BTreeSet<String>) {
    let start = std::time::Instant::now();
    while !missing.is_empty() {
        assert!(start.elapsed() < SOON, "these never came: {missing:?}");
        let messages = source.receive(1, |_| None).await;
        for payload in payloads(&messages) {
            missing.remove(&payload);
        }
        source.store(&messages).await;
    }
}

/// Receives and stores, over as many sessions as it takes, until nothing comes for a while in one that holds.
async fn store_until_quiet(source: &mut Sourcing) {
    loop {
        source.reopen().await;
        match source.next(CREDIT, QUIET).await {
            Ok(Some(messages)) => source.store(&messages).await,
            Ok(None) => return,
            Err(_) => {}
        }
    }
}

/// A new process sees nothing, because all was settled.
async fn assert_silent<P: Peer>(site: &Site<P>) {
    let mut source = site.source().await;
    source.reopen().await;
    let more = source.drain(QUIET * 2).await;
    assert!(more.is_empty(), "settled messages came again: {:?}", payloads(&more));
    source.close().await;
}

/// How opening, or the first receiving, fails.
async fn trouble(source: &mut Sourcing) -> SourceError {
    let start = std::time::Instant::now();
    loop {
        if let Err(error) = source.open().await {
            return error;
        }
        let next = source.next(Credit { messages: 1, bytes: 1 << 20 }, QUIET).await;
        match next {
            Err(error) => return error,
            Ok(Some(messages)) => panic!("messages come: {messages:?}"),
            Ok(None) => assert!(start.elapsed() < SOON, "no trouble is told"),
        }
    }
}

/// Sessions and processes follow each other.
pub async fn opens_and_closes<P: Peer>() {
    let site = Site::<P>::new().await;
    for _ in 0..2 {
        let mut source = site.source().await;
        source.reopen().await;
        source.drop_session();
        source.reopen().await;
        source.close().await;
    }
}

/// Bytes and metadata come as they were put, empty, binary and large ones.
pub async fn receives_bytes_and_metadata<P: Peer>() {
    let mut site = Site::<P>::new().await;
    let mut source = site.source().await;
    source.reopen().await;
    site.peer.put(&odd()).await;
    let received = source.receive(odd().len(), |_| None).await;
    source.store(&received).await;
    source.close().await;
    let only = comparable::<P>;
    let mut seen: Vec<_> = received.iter().map(|message| only(&seen(&message.envelope))).collect();
    for message in &odd() {
        let expected = only(message);
        let at = seen.iter().position(|message| message.payload == expected.payload);
        let mut found = seen.swap_remove(at.expect("each payload comes as it was put"));
        // Its sender's tools may add headers of their own.
        found.headers.retain(|header| expected.headers.contains(header));
        assert_eq!(found, expected);
    }
    assert_silent(&site).await;
}

/// What was put in order comes in order, and settled in order it is gone.
pub async fn keeps_order<P: Peer>() {
    let mut site = Site::<P>::new().await;
    let mut source = site.source().await;
    source.reopen().await;
    site.peer.put(&numbered(0..300)).await;
    let mut received = Vec::new();
    while received.len() < 300 {
        let more = source.receive(1, |_| None).await;
        source.store(&more).await;
        received.extend(payloads(&more));
    }
    assert_eq!(received, names(0..300));
    source.close().await;
    assert_silent(&site).await;
}

/// What a process had not settled when it was killed comes to the next one.
pub async fn gives_again_what_was_not_settled<P: Peer>() {
    let mut site = Site::<P>::new().await;
    let mut source = site.source().await;
    source.reopen().await;
    site.peer.put(&numbered(0..20)).await;
    let received = source.receive(20, |_| None).await;
    let (settled, open) = received.split_at(5);
    let open = payloads(open);
    source.store(settled).await;
    // What is settled may still be on its way to the server: it may come again, the others must.
    source.kill().await;
    let mut source = site.source().await;
    source.reopen().await;
    let mut again = BTreeSet::new();
    while !open.iter().all(|name| again.contains(name)) {
        let more = source.receive(1, |_| None).await;
        again.extend(payloads(&more));
        source.store(&more).await;
    }
    let more = source.drain(QUIET).await;
    source.store(&more).await;
    source.close().await;
    assert_silent(&site).await;
}

/// Messages that are settled in one go just before the goodbye are settled.
pub async fn settles_what_it_can_before_it_closes<P: Peer>() {
    let mut site = Site::<P>::new().await;
    let mut source = site.source().await;
    source.reopen().await;
    let count = P::CAN.window.unwrap_or(100).min(100);
    site.peer.put(&numbered(0..count)).await;
    let received = source.receive(count, |_| None).await;
    source.store(&received).await;
    source.close().await;
    assert_silent(&site).await;
}

/// An engine that takes and does not settle gets no more than the window, and the rest when it settles.
pub async fn stops_when_nothing_is_settled<P: Peer>() {
    let window = P::CAN.window.expect("a source with a window");
    let mut site = Site::<P>::new().await;
    let mut source = site.source().await;
    source.reopen().await;
    site.peer.put(&numbered(0..window * 3)).await;
    let first = source.drain(QUIET).await;
    assert!(!first.is_empty() && first.len() <= window, "{} messages of a window of {window}", first.len());
    source.store(&first).await;
    let mut all = payloads(&first);
    while all.len() < window * 3 {
        let more = source.receive(1, |_| None).await;
        source.store(&more).await;
        all.extend(payloads(&more));
    }
    all.sort_unstable();
    assert_eq!(all, names(0..window * 3));
    source.close().await;
    assert_silent(&site).await;
}

/// A refused message does not come again; one that cannot be stored now does.
pub async fn refused_is_gone_and_postponed_is_not<P: Peer>() {
    let mut site = Site::<P>::new().await;
    let mut source = site.source().await;
    source.reopen().await;
    site.peer.put(&numbered(0..2)).await;
    let received = source.receive(2, |_| None).await;
    let fault = Fault::rejected("validate.json_schema", "it is wrong");
    let refused = Settlement::Refused(Refusal { kind: RefusalKind::Invalid, fault, violations: Vec::new() });
    let postponed = Settlement::Again { after: Some(Duration::from_millis(100)) };
    let number = |n: usize| received.iter().find(|message| message.envelope.bytes() == name(n).as_bytes());
    let token = |n| number(n).expect("both came").token;
    source.settle(vec![(token(0), refused), (token(1), postponed)]).await;
    source.close().await;
    let mut source = site.source().await;
    source.reopen().await;
    let again = source.receive(1, |_| None).await;
    assert_eq!(payloads(&again), names(1..2));
    source.store(&again).await;
    source.close().await;
    assert_silent(&site).await;
}

/// A lost connection is told, and costs nothing; what is settled for the lost session moves nothing in the next one.
pub async fn loses_nothing_with_the_connection<P: Peer>() {
    let mut site = Site::<P>::new().await;
    let mut source = site.source().await;
    source.reopen().await;
    let count = P::CAN.window.unwrap_or(60).min(60);
    site.peer.put(&numbered(0..count)).await;
    let early = source.receive(count / 2, |_| None).await;
    site.proxy().cut();
    source.reopen().await;
    // Late, and for whatever session is open now.
    source.store(&early).await;
    site.proxy().cut();
    // If the source had not noticed the cut by then, they may be settled and need not come again; what is put later comes.
    site.peer.put(&numbered(count..count + 5)).await;
    let early: BTreeSet<_> = payloads(&early).into_iter().collect();
    let missing = names(0..count + 5).into_iter().filter(|name| !early.contains(name));
    receive_each(&mut source, missing.collect()).await;
    store_until_quiet(&mut source).await;
    source.close().await;
    assert_silent(&site).await;
}

/// Acknowledgements that do not reach the server, because the network swallows them, lose nothing: what they were for comes
/// again, or the next session says them again, and what is put later comes.
pub async fn loses_nothing_with_acknowledgements<P: Peer>() {
    let mut site = Site::<P>::new().await;
    let mut source = site.source().await;
    source.reopen().await;
    site.peer.put(&numbered(0..10)).await;
    let received = source.receive(10, |_| None).await;
    site.proxy().stall(Direction::ToServer);
    source.store(&received).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    site.proxy().cut();
    site.proxy().heal();
    source.drop_session();
    source.reopen().await;
    site.peer.put(&numbered(10..20)).await;
    receive_all(&mut source, 10..20).await;
    let more = source.drain(QUIET).await;
    source.store(&more).await;
    source.close().await;
    assert_silent(&site).await;
}

/// A connection that is cut at one byte after the other, in either direction, while it is opened and used.
pub async fn bears_a_cut_at_any_byte<P: Peer>() {
    let mut site = Site::<P>::new().await;
    let mut source = site.source().await;
    source.reopen().await;
    site.peer.put(&numbered(0..5)).await;
    for direction in [Direction::ToServer, Direction::ToClient] {
        for bytes in [1, 7, 8, 9, 20, 60, 200, 400, 700, 1200] {
            site.proxy().cut();
            source.drop_session();
            site.proxy().cut_after(direction, bytes);
            if source.open().await.is_ok() {
                // Whether something comes or the session breaks: nothing is settled.
                drop(source.next(Credit { messages: 10, bytes: 1 << 20 }, Duration::from_millis(200)).await);
            }
            site.proxy().heal();
        }
    }
    site.proxy().cut();
    source.drop_session();
    receive_all(&mut source, 0..5).await;
    store_until_quiet(&mut source).await;
    source.close().await;
    assert_silent(&site).await;
}

/// A server that is not there is told as such, and found when it is.
pub async fn waits_for_a_server_that_is_absent<P: Peer>() {
    let mut site = Site::<P>::new().await;
    site.proxy_mut().down();
    let mut source = site.source().await;
    let error = trouble(&mut source).await;
    assert_eq!(error.kind, SourceErrorKind::Connection, "{error}");
    site.proxy_mut().up();
    source.reopen().await;
    site.peer.put(&numbered(0..3)).await;
    receive_all(&mut source, 0..3).await;
    source.close().await;
}

/// A server that takes the connection and never says a word is told as such.
pub async fn does_not_wait_for_a_silent_server_for_ever<P: Peer>() {
    let mut site = Site::<P>::new().await;
    site.proxy().half_open();
    let mut source = site.source().await;
    let error = trouble(&mut source).await;
    assert_eq!(error.kind, SourceErrorKind::Connection, "{error}");
    site.proxy().heal();
    site.proxy().cut();
    source.reopen().await;
    site.peer.put(&numbered(0..3)).await;
    receive_all(&mut source, 0..3).await;
    source.close().await;
}

/// Wrong credentials are told as such.
pub async fn tells_wrong_credentials<P: Peer>() {
    let site = Site::around(P::alone().await);
    let connection = site.peer.denied(&site.address()).expect("a server that asks for credentials");
    let mut source = site.source_of(Some(connection), &site.peer.source()).await;
    let error = trouble(&mut source).await;
    assert_eq!(error.kind, SourceErrorKind::Denied, "{error}");
}

/// A queue or topic that is not there is told as such.
pub async fn tells_what_is_missing<P: Peer>() {
    let site = Site::<P>::new().await;
    let section = site.peer.missing_source().expect("what is not there");
    let mut source = site.source_of(site.connection(), &section).await;
    let error = trouble(&mut source).await;
    assert_eq!(error.kind, P::CAN.missing, "{error}");
}

/// A slow line is slow and no more.
pub async fn bears_a_slow_line<P: Peer>() {
    let mut site = Site::<P>::new().await;
    site.proxy().delay(Direction::ToServer, Duration::from_millis(20));
    site.proxy().throttle(Direction::ToClient, 200_000);
    let mut source = site.source().await;
    source.reopen().await;
    let large = |n: usize| Message { key: Some("k".into()), ..Message::new(vec![b'0' + n as u8; 20_000]) };
    let messages: Vec<_> = (0..10).map(large).collect();
    site.peer.put(&messages).await;
    let received = source.receive(10, |_| None).await;
    source.store(&received).await;
    let mut arrived: Vec<_> = received.iter().map(|message| message.envelope.bytes()).collect();
    arrived.sort_unstable();
    assert!(arrived.iter().zip(&messages).all(|(arrived, put)| *arrived == put.payload));
    site.proxy().heal();
    source.close().await;
    assert_silent(&site).await;
}

/// A restart of the server costs nothing that it keeps.
pub async fn loses_nothing_with_a_restart_of_the_server<P: Peer>() {
    let mut site = Site::around(P::alone().await);
    let mut source = site.source().await;
    source.reopen().await;
    site.peer.put(&numbered(0..10)).await;
    let early = source.receive(5, |_| None).await;
    let mut peer = site.peer;
    let restarted = tokio::task::spawn_blocking(move || {
        peer.restart();
        peer
    });
    site.peer = restarted.await.expect("the server to restart");
    // The session broke; what is settled for it moves nothing.
    source.store(&early).await;
    receive_all(&mut source, 0..10).await;
    let more = source.drain(QUIET).await;
    source.settle(more.iter().map(|message| (message.token, stored(message))).collect()).await;
    source.close().await;
    assert_silent(&site).await;
}
