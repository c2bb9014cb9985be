//! Publishing, and what counts as delivered.

use crate::common::{Broker, Posted, SOON, message, outgoing};
use crossdock_connector::Sender;
use rumqttc_v4::mqttbytes::v4;
use rumqttc_v5::mqttbytes::v5;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::time::timeout;

struct Bench {
    broker: Broker,
    posted: Posted,
    sender: Box<dyn Sender>,
    wire: crate::common::Wire,
}

async fn bench(connection: Value, target: Value) -> Bench {
    let (broker, posted) = (Broker::new().await, Posted::default());
    let mut sink = broker.sink(&connection, &target);
    let (sender, (wire, connect)) = tokio::join!(posted.open(&mut sink), broker.welcome(false));
    assert_eq!((&*connect.client_id, connect.clean_session), ("cd-r-out", true));
    Bench { sender: sender.unwrap(), broker, posted, wire }
}

/// A bench with a broker of MQTT 5, whose CONNACK has these properties.
async fn bench_v5(target: Value, properties: &[u8]) -> Bench {
    let (broker, posted) = (Broker::new().await, Posted::default());
    let mut sink = broker.sink(&json!({ "version": "5" }), &target);
    let script = async {
        let mut wire = broker.accept().await;
        let v5::Packet::Connect(connect, ..) = wire.read_v5().await else { panic!("no CONNECT") };
        assert!(connect.clean_start && connect.properties.unwrap().session_expiry_interval == Some(0));
        let count = u8::try_from(properties.len()).unwrap();
        wire.write(&[0x20, 3 + count, 0, 0, count]).await;
        wire.write(properties).await;
        wire
    };
    let (sender, wire) = tokio::join!(posted.open(&mut sink), script);
    Bench { sender: sender.unwrap(), broker, posted, wire }
}

impl Bench {
    async fn published(&mut self, count: usize) -> Vec<v4::Publish> {
        let mut all = Vec::new();
        while all.len() < count {
            let v4::Packet::Publish(publish) = self.wire.read().await else { panic!("no PUBLISH") };
            all.push(publish);
        }
        all
    }
}

fn target() -> Value {
    json!({ "topic": "out" })
}

#[tokio::test]
async fn each_confirmation_is_of_its_message() {
    let mut bench = bench(json!({}), json!({ "topic": "out", "retain": true })).await;
    bench.sender.submit(outgoing(1..=4)).await.unwrap();
    let published = bench.published(4).await;
    assert_eq!(published.iter().map(|publish| &*publish.payload).collect::<Vec<_>>(), [b"1", b"2", b"3", b"4"]);
    assert!(published.iter().all(|publish| publish.retain && !publish.dup && &*publish.topic == b"out"));
    assert!(bench.posted.shown().is_empty(), "nothing was confirmed yet");
    let ids: Vec<u16> = published.iter().map(|publish| publish.pkid).collect();
    for (at, expected) in [(2, "3: ok"), (0, "1: ok")] {
        let [high, low] = ids[at].to_be_bytes();
        bench.wire.write(&[0x40, 2, high, low]).await;
        let count = bench.posted.shown().len() + 1;
        assert_eq!(bench.posted.results(count).await.last().unwrap(), expected);
    }
    drop(bench.wire);
    let mut results = bench.posted.results(4).await;
    assert_eq!(results.split_off(2), ["2: failed mqtt.connection", "4: failed mqtt.connection"]);
    // The session is gone: what comes next was never sent.
    let refused = timeout(SOON, bench.sender.submit(outgoing(5..=6))).await.unwrap();
    assert!(refused.is_err());
    assert_eq!(
        bench.posted.results(6).await.split_off(4),
        ["5: unreachable mqtt.connection", "6: unreachable mqtt.connection"]
    );
}

#[tokio::test]
async fn qos_2_is_delivered_when_it_is_complete() {
    let mut bench = bench(json!({}), json!({ "topic": "out", "qos": 2 })).await;
    bench.sender.submit(outgoing(1..=2)).await.unwrap();
    let published = bench.published(2).await;
    for publish in &published {
        let [high, low] = publish.pkid.to_be_bytes();
        bench.wire.write(&[0x50, 2, high, low]).await;
    }
    assert_eq!(bench.wire.acknowledged(0x62, 2).await, [published[0].pkid, published[1].pkid]);
    assert!(bench.posted.shown().is_empty());
    let [high, low] = published[1].pkid.to_be_bytes();
    bench.wire.write(&[0x70, 2, high, low]).await;
    assert_eq!(bench.posted.results(1).await, ["2: ok"]);
    drop(bench.wire);
    assert_eq!(bench.posted.results(2).await, ["2: ok", "1: failed mqtt.connection"]);
}

#[tokio::test]
async fn qos_0_is_delivered_when_it_is_written() {
    let mut bench = bench(json!({}), json!({ "topic": "out", "qos": 0 })).await;
    bench.sender.submit(outgoing(1..=3)).await.unwrap();
    assert_eq!(bench.posted.results(3).await, ["1: ok", "2: ok", "3: ok"]);
    assert!(bench.published(3).await.iter().all(|publish| publish.pkid == 0));
}

#[tokio::test]
async fn what_was_not_written_was_not_sent() {
    // The broker does not read: sockets fill, and what is behind them never left us.
    let mut bench = bench(json!({}), json!({ "topic": "out", "max_in_flight": 100 })).await;
    let batch = (1..=40).map(|ticket| message(ticket, "out", vec![7; 1 << 20])).collect();
    let submitted = timeout(Duration::from_secs(2), bench.sender.submit(batch)).await;
    assert!(submitted.is_err(), "it pushes back");
    drop(bench.wire);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let shown = bench.posted.shown();
    let count = |what: &str| shown.iter().filter(|line| line.contains(what)).count();
    assert!(count("failed") > 0 && count("unreachable") > 0, "{shown:?}");
    assert_eq!(count(": failed mqtt.connection") + count(": unreachable mqtt.connection"), shown.len());
    let first_unsent = shown.iter().position(|line| line.contains("unreachable")).unwrap();
    assert!(shown[first_unsent..].iter().all(|line| line.contains("unreachable")), "{shown:?}");
}

#[tokio::test]
async fn a_confirmation_that_does_not_come_ends_the_session() {
    let mut bench = bench(json!({}), json!({ "topic": "out", "timeout": "300ms" })).await;
    bench.sender.submit(outgoing(1..=1)).await.unwrap();
    assert_eq!(bench.posted.results(1).await, ["1: failed mqtt.timeout"]);
    assert!(bench.sender.submit(outgoing(2..=2)).await.is_err());
}

#[tokio::test]
async fn confirmations_of_nothing_end_the_session() {
    for bytes in
        [&[0x40, 2, 0, 9][..], &[0x50, 2, 0, 1], &[0x70, 2, 0, 1], &[0x40, 2, 0, 0], &[0x32, 5, 0, 1, b'a', 0, 1]]
    {
        let mut bench = bench(json!({}), target()).await;
        bench.sender.submit(outgoing(1..=1)).await.unwrap();
        bench.published(1).await;
        bench.wire.write(bytes).await;
        let results = bench.posted.results(1).await;
        assert_eq!(results, ["1: failed mqtt.protocol"], "{bytes:?}");
    }
}

#[tokio::test]
async fn the_window_is_the_smaller_of_ours_and_the_broker_s() {
    // Receive Maximum 2.
    let mut bench = bench_v5(json!({ "topic": "out", "max_in_flight": 50 }), &[0x21, 0, 2]).await;
    let Bench { sender, wire, posted, .. } = &mut bench;
    let script = async {
        for round in 0..5_u16 {
            let mut ids = Vec::new();
            for _ in 0..2 {
                let v5::Packet::Publish(publish) = wire.read_v5().await else { panic!("no PUBLISH") };
                ids.push(publish.pkid);
            }
            ids.sort_unstable();
            assert_eq!(ids, [1, 2], "round {round}");
            wire.assert_quiet().await;
            wire.write(&[0x40, 2, 0, 2, 0x40, 2, 0, 1]).await;
        }
    };
    let (submitted, ()) = tokio::join!(timeout(SOON, sender.submit(outgoing(1..=10))), script);
    submitted.unwrap().unwrap();
    assert_eq!(posted.results(10).await.len(), 10);
}

#[tokio::test]
async fn reasons_of_mqtt_5_have_their_class() {
    for (kind, reason, expected) in [
        (0x40, 0x00, "1: ok"),
        (0x40, 0x10, "1: ok"),
        (0x40, 0x80, "1: failed mqtt.refused"),
        (0x40, 0x87, "1: failed mqtt.not_authorized"),
        (0x40, 0x90, "1: rejected mqtt.topic_invalid"),
        (0x40, 0x97, "1: busy mqtt.quota_exceeded"),
        (0x40, 0x99, "1: rejected mqtt.payload_format_invalid"),
        (0x50, 0x97, "1: busy mqtt.quota_exceeded"),
    ] {
        let qos = if kind == 0x40 { 1 } else { 2 };
        let mut bench = bench_v5(json!({ "topic": "out", "qos": qos }), &[]).await;
        bench.sender.submit(outgoing(1..=1)).await.unwrap();
        bench.wire.read_v5().await;
        bench.wire.write(&[kind, 3, 0, 1, reason]).await;
        assert_eq!(bench.posted.results(1).await, [expected], "{reason:x}");
        // Its packet id is free, and the session goes on.
        bench.sender.submit(outgoing(2..=2)).await.unwrap();
        let v5::Packet::Publish(publish) = bench.wire.read_v5().await else { panic!("no PUBLISH") };
        assert_eq!(publish.pkid, 1);
    }
}

#[tokio::test]
async fn what_the_broker_cannot_take_is_told_before_it_is_sent() {
    // Maximum Packet Size 100.
    let mut bench = bench_v5(target(), &[0x27, 0, 0, 0, 100]).await;
    let batch = vec![message(1, "out", vec![7; 200]), message(2, "out", vec![7; 20]), message(3, "a/#", vec![])];
    bench.sender.submit(batch).await.unwrap();
    assert_eq!(bench.posted.results(2).await, ["1: rejected mqtt.too_large", "3: rejected mqtt.topic"]);
    let v5::Packet::Publish(publish) = bench.wire.read_v5().await else { panic!("no PUBLISH") };
    assert_eq!((publish.pkid, publish.payload.len()), (1, 20));
    // Maximum QoS 1; no retained messages.
    for (section, properties) in
        [(json!({ "topic": "out", "qos": 2 }), [0x24, 1]), (json!({ "topic": "out", "retain": true }), [0x25, 0])]
    {
        let mut sink = bench.broker.sink(&json!({ "version": "5" }), &section);
        let script = async {
            let mut wire = bench.broker.accept().await;
            wire.read_v5().await;
            wire.write(&[0x20, 5, 0, 0, 2, properties[0], properties[1]]).await;
            wire
        };
        let posted = Posted::default();
        let (opened, _) = tokio::join!(posted.open(&mut sink), script);
        let fault = opened.err().unwrap();
        assert_eq!((&*fault.code, fault.class.name()), ("mqtt.unsupported", "unreachable"), "{fault}");
    }
}

#[tokio::test]
async fn closing_waits_for_confirmations_and_says_goodbye() {
    let mut bench = bench(json!({}), target()).await;
    bench.sender.submit(outgoing(1..=2)).await.unwrap();
    bench.published(2).await;
    let Bench { sender, mut wire, posted, .. } = bench;
    let script = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        wire.write(&[0x40, 2, 0, 1, 0x40, 2, 0, 2]).await;
        assert_eq!(wire.read().await, v4::Packet::Disconnect);
    };
    tokio::join!(sender.close(Instant::now() + SOON), script);
    assert_eq!(posted.results(2).await, ["1: ok", "2: ok"]);
}

#[tokio::test]
async fn closing_ends_in_time_with_a_result_for_each() {
    let mut bench = bench(json!({}), target()).await;
    bench.sender.submit(outgoing(1..=2)).await.unwrap();
    let start = Instant::now();
    bench.sender.close(start + Duration::from_millis(200)).await;
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!(bench.posted.shown().len(), 2);
}
