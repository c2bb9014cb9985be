//! Receiving and acknowledging.

use crate::common::{Broker, CREDIT, SOON, Session, stored};
use crossdock_connector::{Credit, Event, Settlement, SourceErrorKind as Kind, Token};
use crossdock_model::{Fault, Refusal, RefusalKind};
use rumqttc_v4::mqttbytes::v4;
use rumqttc_v5::mqttbytes::v5;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::time::timeout;

fn topics() -> Value {
    json!({ "topics": ["t/#"], "qos": 2 })
}

fn refused() -> Settlement {
    let fault = Fault::rejected("validate.json_schema", "it is wrong");
    Settlement::Refused(Refusal { kind: RefusalKind::Invalid, fault, violations: Vec::new() })
}

#[tokio::test]
async fn acknowledgements_follow_the_order_of_arrival() {
    let broker = Broker::new().await;
    let mut source = broker.source(&json!({}), &topics());
    let (mut session, mut wire) = tokio::join!(Session::open(&mut source), broker.subscribed(false));
    for (id, qos) in [(11, 1), (5, 1), (0, 0), (9, 1), (1, 1)] {
        wire.publish(qos, id, false, b"x").await;
    }
    let received = session.receive(5).await;
    let token = |n: usize| received[n].token;
    session.store(&[token(1), token(4)]).await;
    wire.assert_quiet().await;
    session.settler.settle(vec![(token(0), Settlement::Filtered)]).await.unwrap();
    assert_eq!(wire.acknowledged(0x40, 2).await, [11, 5]);
    session.settler.settle(vec![(token(2), stored()), (token(3), refused())]).await.unwrap();
    assert_eq!(wire.acknowledged(0x40, 2).await, [9, 1]);
    let origin = &received[0].envelope.origin;
    assert_eq!((&*origin.address, &*origin.connection, received[0].envelope.bytes()), ("t/11", "floor", &b"x"[..]));
}

#[tokio::test]
async fn settlements_of_an_earlier_connection_go_nowhere() {
    let broker = Broker::new().await;
    let mut source = broker.source(&json!({}), &topics());
    let (mut session, mut wire) = tokio::join!(Session::open(&mut source), broker.subscribed(false));
    wire.publish(1, 1, false, b"x").await;
    let early = session.receive(1).await[0].token;
    drop(wire);
    let error = timeout(SOON, session.receiver.next(CREDIT)).await.unwrap().unwrap_err();
    assert_eq!(error.kind, Kind::Connection);
    drop(session);
    let (mut session, mut wire) = tokio::join!(Session::open(&mut source), broker.subscribed(true));
    wire.publish(1, 1, true, b"x").await;
    let late = session.receive(1).await[0].token;
    assert_eq!((early.seq, late.seq), (0, 0));
    session.store(&[early]).await;
    wire.assert_quiet().await;
    session.store(&[late]).await;
    assert_eq!(wire.acknowledged(0x40, 1).await, [1]);
}

#[tokio::test]
async fn qos_2_is_recorded_when_it_is_stored() {
    let broker = Broker::new().await;
    let mut source = broker.source(&json!({}), &topics());
    let (mut session, mut wire) = tokio::join!(Session::open(&mut source), broker.subscribed(false));
    wire.publish(2, 7, false, b"x").await;
    wire.publish(2, 8, false, b"y").await;
    let received = session.receive(2).await;
    wire.assert_quiet().await;
    session.store(&[received[0].token]).await;
    assert_eq!(wire.acknowledged(0x50, 1).await, [7]);
    // The connection breaks before the broker hears it: 7 was stored and is not given out again, 8 is.
    drop((wire, session));
    let (mut session, mut wire) = tokio::join!(Session::open(&mut source), broker.subscribed(true));
    wire.publish(2, 7, true, b"x").await;
    wire.publish(2, 8, true, b"y").await;
    assert_eq!(wire.acknowledged(0x50, 1).await, [7]);
    let again = session.receive(1).await;
    assert_eq!(again[0].envelope.bytes(), b"y");
    wire.write(&[0x62, 2, 0, 7]).await;
    assert_eq!(wire.acknowledged(0x70, 1).await, [7]);
    session.store(&[again[0].token]).await;
    assert_eq!(wire.acknowledged(0x50, 1).await, [8]);
    // The id is free again, for another message.
    wire.publish(2, 7, false, b"z").await;
    assert_eq!(session.receive(1).await[0].envelope.bytes(), b"z");
    // A release of what nobody knows is a leftover of another connection.
    wire.write(&[0x62, 2, 0, 99]).await;
    assert_eq!(wire.acknowledged(0x70, 1).await, [99]);
    drop((wire, session));
    // The broker forgot the session, and 8 is another message now.
    let (mut session, mut wire) = tokio::join!(Session::open(&mut source), broker.subscribed(false));
    wire.publish(2, 8, false, b"new").await;
    assert_eq!(session.receive(1).await[0].envelope.bytes(), b"new");
}

/// The store answers when the connection is gone, and not in order.
#[tokio::test]
async fn qos_2_that_is_stored_after_the_connection_broke_is_known_when_it_comes_again() {
    let broker = Broker::new().await;
    let mut source = broker.source(&json!({}), &topics());
    let (mut session, mut wire) = tokio::join!(Session::open(&mut source), broker.subscribed(false));
    for (id, payload) in [(7, b"x"), (8, b"y"), (9, b"z")] {
        wire.publish(2, id, false, payload).await;
    }
    let received = session.receive(3).await;
    drop(wire);
    timeout(SOON, session.receiver.next(CREDIT)).await.unwrap().unwrap_err();
    let told = session.settler.settle(vec![(received[1].token, stored()), (received[2].token, Settlement::Filtered)]);
    assert_eq!(told.await.unwrap_err().kind, Kind::Connection);
    drop(session);
    let (mut session, mut wire) = tokio::join!(Session::open(&mut source), broker.subscribed(true));
    for (id, payload) in [(7, b"x"), (8, b"y"), (9, b"z")] {
        wire.publish(2, id, true, payload).await;
    }
    let again = session.receive(1).await;
    assert_eq!(again[0].envelope.bytes(), b"x");
    session.store(&[again[0].token]).await;
    assert_eq!(wire.acknowledged(0x50, 3).await, [7, 8, 9]);
    wire.publish(1, 10, false, b"next").await;
    assert_eq!(session.receive(1).await[0].envelope.bytes(), b"next");
}

#[tokio::test]
async fn a_broker_that_releases_what_is_not_confirmed_is_wrong() {
    let broker = Broker::new().await;
    for bytes in [
        &[0x62, 2, 0, 7][..],
        &[0x40, 2, 0, 7],
        &[0x20, 2, 0, 0],
        &[0x82, 6, 0, 1, 0, 1, b'a', 0],
        &[0x36, 4, 0, 1, b'a', 0],
    ] {
        let mut source = broker.source(&json!({}), &topics());
        let (mut session, mut wire) = tokio::join!(Session::open(&mut source), broker.subscribed(false));
        wire.publish(2, 7, false, b"x").await;
        session.receive(1).await;
        wire.write(bytes).await;
        let error = timeout(SOON, session.receiver.next(CREDIT)).await.unwrap().unwrap_err();
        assert_eq!(error.kind, Kind::Internal, "{bytes:?}: {error}");
    }
}

#[tokio::test]
async fn what_is_too_large_is_refused_and_acknowledged_and_holds_up_nothing() {
    let broker = Broker::new().await;
    let mut source = broker.source(&json!({}), &json!({ "topics": ["t/#"], "max_body": "100KiB" }));
    let (mut session, mut wire) = tokio::join!(Session::open(&mut source), broker.subscribed(false));
    // A little too large, and far too large: one is read and dropped, the other is skipped.
    for (id, bytes) in [(1, 100 << 10), (2, (100 << 10) + 1), (3, 3 << 20), (4, 10)] {
        wire.publish(1, id, false, &vec![7; bytes]).await;
    }
    let (mut messages, mut refusals, mut tokens) = (Vec::new(), Vec::new(), Vec::new());
    while tokens.len() < 4 {
        match session.next().await {
            Event::Messages(all) => {
                tokens.extend(all.iter().map(|message| message.token));
                messages.extend(all.into_iter().map(|message| message.envelope.bytes().len()));
            }
            Event::Refused(all) => {
                tokens.extend(all.iter().map(|(token, _)| *token));
                refusals.extend(all.into_iter().map(|(_, refusal)| (refusal.kind, refusal.fault.code.to_string())));
            }
            event => panic!("{event:?}"),
        }
    }
    assert_eq!(messages, [100 << 10, 10]);
    assert_eq!(refusals, vec![(RefusalKind::TooLarge, "mqtt.too_large".to_owned()); 2]);
    assert_eq!(tokens.iter().map(|token| token.seq).collect::<Vec<_>>(), [0, 1, 2, 3]);
    session.settler.settle(tokens.iter().map(|token| (*token, refused())).collect()).await.unwrap();
    assert_eq!(wire.acknowledged(0x40, 4).await, [1, 2, 3, 4]);
}

#[tokio::test]
async fn mqtt_5_hears_why_a_message_is_refused() {
    let broker = Broker::new().await;
    let mut source = broker.source(&json!({ "version": "5" }), &topics());
    let script = async {
        let mut wire = broker.accept().await;
        wire.read_v5().await;
        wire.write(&[0x20, 3, 0, 0, 0]).await;
        wire.read_v5().await;
        wire.write(&[0x90, 4, 0, 1, 0, 2]).await;
        for (id, qos) in [(1, rumqttc_v5::mqttbytes::QoS::AtLeastOnce), (2, rumqttc_v5::mqttbytes::QoS::ExactlyOnce)] {
            let mut publish = v5::Publish::new("t/a", qos, "x", None);
            publish.pkid = id;
            wire.write_v5(&v5::Packet::Publish(publish)).await;
        }
        wire
    };
    let (mut session, mut wire) = tokio::join!(Session::open(&mut source), script);
    let received = session.receive(2).await;
    session.settler.settle(received.iter().map(|message| (message.token, refused())).collect()).await.unwrap();
    let v5::Packet::PubAck(ack) = wire.read_v5().await else { panic!("no PUBACK") };
    assert_eq!((ack.pkid, ack.reason), (1, v5::PubAckReason::PayloadFormatInvalid));
    let v5::Packet::PubRec(ack) = wire.read_v5().await else { panic!("no PUBREC") };
    assert_eq!((ack.pkid, ack.reason), (2, v5::PubRecReason::PayloadFormatInvalid));
    // Another client took over: it is said so.
    wire.write(&[0xe0, 2, 0x8e, 0]).await;
    let error = timeout(SOON, session.receiver.next(CREDIT)).await.unwrap().unwrap_err();
    assert!(error.text.contains("client_id"), "{error}");
}

#[tokio::test]
async fn a_message_that_cannot_be_stored_is_offered_again() {
    let broker = Broker::new().await;
    let mut source = broker.source(&json!({}), &topics());
    let (mut session, mut wire) = tokio::join!(Session::open(&mut source), broker.subscribed(false));
    wire.publish(1, 1, false, b"x").await;
    let token = session.receive(1).await[0].token;
    let again = Settlement::Again { after: Some(Duration::from_millis(50)) };
    session.settler.settle(vec![(token, again)]).await.unwrap();
    let error = timeout(SOON, session.receiver.next(CREDIT)).await.unwrap().unwrap_err();
    assert_eq!(error.kind, Kind::Connection, "{error}");
    drop(session);
    assert_eq!(wire.try_read().await, None, "it was not acknowledged");
}

#[tokio::test]
async fn credit_bounds_what_is_given_out() {
    let broker = Broker::new().await;
    let mut source = broker.source(&json!({}), &topics());
    let (mut session, mut wire) = tokio::join!(Session::open(&mut source), broker.subscribed(false));
    for id in 1..=6 {
        wire.publish(1, id, false, &[0; 1000]).await;
    }
    let mut counts = Vec::new();
    for credit in [(2, 1 << 20), (9, 1), (9, 2500), (9, 1 << 20)] {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let credit = Credit { messages: credit.0, bytes: credit.1 };
        match timeout(SOON, session.receiver.next(credit)).await.unwrap().unwrap() {
            Event::Messages(messages) => counts.push(messages.len()),
            event => panic!("{event:?}"),
        }
    }
    assert_eq!(counts, [2, 1, 2, 1]);
}

/// A fixed header of three bytes, and a remaining length of 0x14 + 0x4e * 128.
const PACKET_BYTES: usize = 10_007;

#[tokio::test]
async fn a_full_gateway_stops_reading_and_goes_on_pinging() {
    let broker = Broker::new().await;
    let mut source =
        broker.source(&json!({ "keep_alive": "1s" }), &json!({ "topics": ["t/#"], "receive_maximum": 10 }));
    let (mut session, mut wire) = tokio::join!(Session::open(&mut source), broker.subscribed(false));
    // Far more than sockets hold, in packets of 10 kB.
    let flood: Vec<u8> = (1..=3000_u16)
        .flat_map(|id| {
            let mut packet = vec![0x32, 0x94, 0x4e, 0, 6];
            packet.extend(b"t/full");
            packet.extend(id.to_be_bytes());
            packet.resize(PACKET_BYTES, 7);
            packet
        })
        .collect();
    let packet = PACKET_BYTES;
    let mut sent = 0;
    while let Ok(()) = timeout(Duration::from_millis(500), wire.write(&flood[sent..sent + packet])).await {
        sent += packet;
        assert!(sent < flood.len(), "it reads all there is");
    }
    // For three times the keep-alive nothing is read from us, and it neither gives up nor falls silent.
    let start = Instant::now();
    let mut pings = 0;
    while start.elapsed() < Duration::from_secs(3) {
        let packet = timeout(SOON, wire.try_read()).await.expect("it pings").expect("it stays connected");
        assert_eq!(packet, v4::Packet::PingReq);
        pings += 1;
    }
    assert!(pings >= 3);
    let some = session.next().await;
    assert!(matches!(some, Event::Messages(messages) if (10..200).contains(&messages.len())));
}

/// Anybody who may publish chooses topic and properties.
#[tokio::test]
async fn a_full_gateway_stops_reading_also_where_payloads_are_empty() {
    let broker = Broker::new().await;
    let mut source = broker.source(&json!({}), &topics());
    let (_session, mut wire) = tokio::join!(Session::open(&mut source), broker.subscribed(false));
    let mut packet = vec![0x30, 0xe2, 0xd4, 0x03, 0xea, 0x00];
    packet.resize(packet.len() + 60_000, b't');
    // Sixty times what waits at most, and several times what sockets hold.
    let flood = async {
        for _ in 0..1000 {
            wire.write(&packet).await;
        }
    };
    assert!(timeout(Duration::from_secs(3), flood).await.is_err(), "it reads all there is");
}

#[tokio::test]
async fn a_silent_broker_is_given_up() {
    let broker = Broker::new().await;
    let mut source = broker.source(&json!({ "keep_alive": "1s" }), &topics());
    let (mut session, _wire) = tokio::join!(Session::open(&mut source), broker.subscribed(false));
    let error = timeout(SOON, session.receiver.next(CREDIT)).await.unwrap().unwrap_err();
    assert_eq!(error.kind, Kind::Connection, "{error}");
    assert!(error.text.contains("silent"), "{error}");
}

#[tokio::test]
async fn closing_says_what_is_left_and_goodbye() {
    let broker = Broker::new().await;
    let mut source = broker.source(&json!({}), &topics());
    let (mut session, mut wire) = tokio::join!(Session::open(&mut source), broker.subscribed(false));
    for id in 1..=3 {
        wire.publish(1, id, false, b"x").await;
    }
    let tokens: Vec<Token> = session.receive(3).await.iter().map(|message| message.token).collect();
    session.store(&tokens[..2]).await;
    let Session { receiver, settler } = session;
    drop(receiver);
    settler.close(Instant::now() + SOON).await;
    assert_eq!(wire.acknowledged(0x40, 2).await, [1, 2]);
    assert_eq!(wire.read().await, v4::Packet::Disconnect);
    assert_eq!(wire.try_read().await, None);
}
