//! Messages that break the rules of MQTT, which some brokers pass on: each is refused by itself. Ended over it, the session
//! would begin with it again, and so would every session after that.

use crate::common::{Broker, CREDIT, SOON, Session, Wire, stored};
use crossdock_connector::{Event, Settlement, SourceErrorKind as Kind, Token};
use crossdock_model::RefusalKind;
use rumqttc_v4::mqttbytes::v4;
use rumqttc_v5::mqttbytes::v5;
use serde_json::{Value, json};
use tokio::time::timeout;

fn topics() -> Value {
    json!({ "topics": ["#"], "qos": 2 })
}

/// A PUBLISH; its id is left out for QoS 0. `rest` is what stands behind: properties of MQTT 5, payload.
fn publish(qos: u8, topic: &[u8], id: u16, rest: &[u8]) -> Vec<u8> {
    let mut body = u16::try_from(topic.len()).unwrap().to_be_bytes().to_vec();
    body.extend(topic);
    if qos > 0 {
        body.extend(id.to_be_bytes());
    }
    body.extend(rest);
    let mut packet = vec![0x30 | qos << 1, u8::try_from(body.len()).unwrap()];
    packet.extend(body);
    packet
}

/// Takes so many messages and refusals: the tokens in order of arrival, the payloads, and what is said of the refused.
async fn take(session: &mut Session, count: usize) -> (Vec<(Token, Settlement)>, Vec<Vec<u8>>, Vec<String>) {
    let (mut settled, mut payloads, mut refused) = (Vec::new(), Vec::new(), Vec::new());
    while settled.len() < count {
        match session.next().await {
            Event::Messages(all) => {
                settled.extend(all.iter().map(|message| (message.token, stored())));
                payloads.extend(all.iter().map(|message| message.envelope.bytes().to_vec()));
            }
            Event::Refused(all) => {
                for (token, refusal) in all {
                    assert_eq!((refusal.kind, &*refusal.fault.code), (RefusalKind::Undecodable, "mqtt.malformed"));
                    refused.push(refusal.fault.text.to_string());
                    settled.push((token, Settlement::Refused(refusal)));
                }
            }
            event => panic!("{event:?}"),
        }
    }
    assert_eq!(settled.iter().map(|(token, _)| token.seq).collect::<Vec<_>>(), (0..count as u64).collect::<Vec<_>>());
    (settled, payloads, refused)
}

#[tokio::test]
async fn a_topic_that_is_none_is_refused_and_acknowledged_and_holds_up_nothing() {
    let broker = Broker::new().await;
    let mut source = broker.source(&json!({}), &topics());
    let (mut session, mut wire) = tokio::join!(Session::open(&mut source), broker.subscribed(false));
    for (qos, topic, id) in [
        (1, &b"t/\xff"[..], 1),
        (0, b"t/\xc3", 0),
        (1, b"t/+", 2),
        (1, b"t/good", 3),
        (1, b"t/\0", 4),
        (2, b"#", 5),
        (1, b"t/good", 6),
    ] {
        wire.write(&publish(qos, topic, id, b"x")).await;
    }
    let (settled, payloads, refused) = take(&mut session, 7).await;
    assert_eq!((payloads.len(), refused.len()), (2, 5));
    assert!(refused[0].ends_with("its topic is no UTF-8") && refused[2].contains("`+`"), "{refused:?}");
    session.settler.settle(settled).await.unwrap();
    assert_eq!(wire.acknowledged(0x40, 4).await, [1, 2, 3, 4]);
    assert_eq!(wire.acknowledged(0x50, 1).await, [5]);
    assert_eq!(wire.acknowledged(0x40, 1).await, [6]);
    wire.write(&[0x62, 2, 0, 5]).await;
    assert_eq!(wire.acknowledged(0x70, 1).await, [5]);
    wire.publish(1, 7, false, b"next").await;
    assert_eq!(session.receive(1).await[0].envelope.bytes(), b"next");
}

/// A source of MQTT 5 that is connected.
async fn connected_v5(broker: &Broker) -> (Session, Wire) {
    let mut source = broker.source(&json!({ "version": "5" }), &topics());
    let script = async {
        let mut wire = broker.accept().await;
        wire.read_v5().await;
        wire.write(&[0x20, 3, 0, 0, 0]).await;
        wire.read_v5().await;
        wire.write(&[0x90, 4, 0, 1, 0, 2]).await;
        wire
    };
    tokio::join!(Session::open(&mut source), script)
}

#[tokio::test]
async fn properties_that_cannot_be_read_are_refused_and_the_broker_hears_why() {
    let broker = Broker::new().await;
    let (mut session, mut wire) = connected_v5(&broker).await;
    for (qos, id, rest) in [
        // A user property whose value is no UTF-8.
        (1, 1, &b"\x08\x26\0\x01a\0\x02\xff\xfex"[..]),
        // A content type with NUL in it.
        (2, 2, b"\x04\x03\0\x01\0x"),
        // A property that no publish has, and a length beyond the packet.
        (1, 3, b"\x02\x24\x01x"),
        (1, 4, b"\x7f\x01\x01x"),
        (1, 5, b"\0good"),
    ] {
        wire.write(&publish(qos, b"t/a", id, rest)).await;
    }
    let (settled, payloads, refused) = take(&mut session, 5).await;
    assert_eq!((payloads, refused.len()), (vec![b"good".to_vec()], 4));
    session.settler.settle(settled).await.unwrap();
    for id in [1, 2, 3, 4] {
        let told = match wire.read_v5().await {
            v5::Packet::PubAck(ack) => (ack.pkid, ack.reason as u8),
            v5::Packet::PubRec(ack) => (ack.pkid, ack.reason as u8),
            other => panic!("{other:?}"),
        };
        assert_eq!(told, (id, v5::PubAckReason::PayloadFormatInvalid as u8));
    }
    let v5::Packet::PubAck(ack) = wire.read_v5().await else { panic!("no PUBACK") };
    assert_eq!((ack.pkid, ack.reason), (5, v5::PubAckReason::Success));
}

/// What was refused and not acknowledged when the connection broke comes again and is refused again.
#[tokio::test]
async fn it_is_refused_again_when_it_comes_again() {
    let broker = Broker::new().await;
    let mut source = broker.source(&json!({}), &topics());
    for session_present in [false, true] {
        let (mut session, mut wire) = tokio::join!(Session::open(&mut source), broker.subscribed(session_present));
        for qos in [1, 2] {
            wire.write(&publish(qos, b"t/#", u16::from(qos), b"x")).await;
        }
        let (settled, ..) = take(&mut session, 2).await;
        if session_present {
            session.settler.settle(settled).await.unwrap();
            assert_eq!(wire.acknowledged(0x40, 1).await, [1]);
            assert_eq!(wire.acknowledged(0x50, 1).await, [2]);
        }
    }
}

#[tokio::test]
async fn without_a_packet_id_nothing_can_be_acknowledged_and_the_session_ends() {
    let broker = Broker::new().await;
    for bytes in [&[0x32, 4, 0, 2, b'#', 0xff][..], &[0x32, 4, 0, 1, b'#', 0], &[0x34, 5, 0, 1, b'#', 0, 0], &[0x30, 0]]
    {
        let mut source = broker.source(&json!({}), &topics());
        let (mut session, mut wire) = tokio::join!(Session::open(&mut source), broker.subscribed(false));
        wire.write(bytes).await;
        let error = timeout(SOON, session.receiver.next(CREDIT)).await.unwrap().unwrap_err();
        assert_eq!(error.kind, Kind::Internal, "{bytes:?}: {error}");
        assert!(!matches!(wire.try_read().await, Some(v4::Packet::PubAck(_))));
    }
    // A topic alias is no matter of one message: a broker that sets some would lose all.
    let (mut session, mut wire) = connected_v5(&broker).await;
    wire.write(&publish(1, b"", 1, b"\x03\x23\0\x01x")).await;
    let error = timeout(SOON, session.receiver.next(CREDIT)).await.unwrap().unwrap_err();
    assert!(error.text.contains("topic alias"), "{error}");
}
