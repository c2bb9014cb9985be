//! Messages that come again, and others that only seem to.

use crate::common::{Broker, CREDIT, SOON, Session, stored};
use crossdock_connector::{Event, SourceErrorKind as Kind};
use serde_json::{Value, json};
use tokio::time::timeout;

fn topics() -> Value {
    json!({ "topics": ["t/#"], "qos": 2 })
}

/// Stores a message of QoS 2 under the id 7 whose PUBREC the broker never hears, connects again and publishes under the same
/// id: whether it is given out.
async fn is_new(session_present: bool, dup: bool, payload: &[u8]) -> bool {
    let broker = Broker::new().await;
    let mut source = broker.source(&json!({}), &topics());
    let (mut session, mut wire) = tokio::join!(Session::open(&mut source), broker.subscribed(false));
    wire.publish(2, 7, false, b"x").await;
    let first = session.receive(1).await[0].token;
    drop(wire);
    timeout(SOON, session.receiver.next(CREDIT)).await.unwrap().unwrap_err();
    session.settler.settle(vec![(first, stored())]).await.unwrap_err();
    drop(session);
    let (mut session, mut wire) = tokio::join!(Session::open(&mut source), broker.subscribed(session_present));
    wire.publish(2, 7, dup, payload).await;
    wire.publish(1, 8, false, b"next").await;
    let mut payloads = Vec::new();
    while payloads.last().is_none_or(|payload| payload != b"next") {
        match session.next().await {
            Event::Messages(all) => payloads.extend(all.iter().map(|message| message.envelope.bytes().to_vec())),
            event => panic!("{event:?}"),
        }
    }
    payloads.pop();
    assert!(payloads.iter().all(|given| given == payload) && payloads.len() < 2, "{payloads:?}");
    !payloads.is_empty()
}

#[tokio::test]
async fn a_stale_packet_id_swallows_no_other_message() {
    assert!(!is_new(true, true, b"x").await, "the same, which is repeated");
    // The broker was restored from an older state, or has dropped the message, and gives the id to another one.
    assert!(is_new(true, false, b"y").await, "another one");
    assert!(is_new(true, true, b"y").await, "another one that was lost on the way once");
    assert!(is_new(true, false, b"x").await, "another one of the same look");
    // It knows of no session, and so of no exchange.
    assert!(is_new(false, true, b"x").await);
}

/// Some brokers of 3.1.1 repeat on the same connection what is not acknowledged for a while.
#[tokio::test]
async fn what_is_repeated_before_it_is_settled_is_on_its_way_already() {
    let broker = Broker::new().await;
    let mut source = broker.source(&json!({}), &topics());
    let (mut session, mut wire) = tokio::join!(Session::open(&mut source), broker.subscribed(false));
    for dup in [false, true, true] {
        wire.publish(2, 7, dup, b"two").await;
        wire.publish(1, 8, dup, b"one").await;
    }
    wire.publish(1, 9, true, b"next").await;
    let received = session.receive(3).await;
    let payloads: Vec<_> = received.iter().map(|message| message.envelope.bytes().to_vec()).collect();
    assert_eq!(payloads, [&b"two"[..], b"one", b"next"]);
    session.store(&received.iter().map(|message| message.token).collect::<Vec<_>>()).await;
    assert_eq!(wire.acknowledged(0x50, 1).await, [7]);
    assert_eq!(wire.acknowledged(0x40, 2).await, [8, 9], "each once");
    wire.assert_quiet().await;
    // Settled, the ids are free for others.
    wire.write(&[0x62, 2, 0, 7]).await;
    assert_eq!(wire.acknowledged(0x70, 1).await, [7]);
    wire.publish(1, 7, true, b"more").await;
    assert_eq!(session.receive(1).await[0].envelope.bytes(), b"more");
}

#[tokio::test]
async fn another_message_under_an_id_of_qos_2_that_is_not_free_ends_the_session() {
    let broker = Broker::new().await;
    let mut source = broker.source(&json!({}), &topics());
    let (mut session, mut wire) = tokio::join!(Session::open(&mut source), broker.subscribed(false));
    wire.publish(2, 7, false, b"x").await;
    session.receive(1).await;
    wire.publish(2, 7, false, b"y").await;
    let error = timeout(SOON, session.receiver.next(CREDIT)).await.unwrap().unwrap_err();
    assert_eq!(error.kind, Kind::Internal, "{error}");
}
