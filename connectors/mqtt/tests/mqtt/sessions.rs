//! Logging in and subscribing: what goes wrong there, and what is told of it.

use crate::common::{Broker, SOON, Session, connection, connector};
use crossdock_connector::{Connector, Event, SourceError, SourceErrorKind as Kind};
use rumqttc_v4::mqttbytes::v4;
use rumqttc_v5::mqttbytes::v5;
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// How opening fails while the broker does what it does.
async fn trouble(broker: &Broker, connection: serde_json::Value, script: impl Future<Output = ()>) -> SourceError {
    let mut source = broker.source(&connection, &json!({ "topics": ["a/#", "b"] }));
    let (opened, ()) = tokio::join!(timeout(SOON, source.open()), script);
    match opened.expect("opening hangs") {
        Ok(_) => panic!("it opens"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn a_connection_dropped_at_each_step_is_told() {
    let broker = Broker::new().await;
    for step in 0..5 {
        let script = async {
            let mut wire = broker.accept().await;
            if step > 0 {
                wire.read().await;
            }
            if step > 1 {
                wire.write(&[0x20, 2]).await;
            }
            if step > 2 {
                wire.write(&[0, 0]).await;
            }
            if step > 3 {
                wire.read().await;
                wire.write(&[0x90, 4, 0]).await;
            }
        };
        let error = trouble(&broker, json!({}), script).await;
        assert_eq!(error.kind, Kind::Connection, "step {step}: {error}");
    }
}

#[tokio::test]
async fn what_is_no_mqtt_is_told() {
    let broker = Broker::new().await;
    for answer in
        [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], &[0x20, 0xff, 0xff, 0xff, 0xff], &[0x20, 2, 0, 77], &[0xd0, 0]]
    {
        let script = async {
            let mut wire = broker.accept().await;
            wire.read().await;
            wire.write(answer).await;
            wire.try_read().await;
        };
        let error = trouble(&broker, json!({}), script).await;
        assert_eq!(error.kind, Kind::Internal, "{answer:?}: {error}");
    }
}

#[tokio::test]
async fn a_broker_that_does_not_answer_is_given_up() {
    let broker = Broker::new().await;
    let started = Instant::now();
    let script = async {
        let mut wire = broker.accept().await;
        while wire.try_read().await.is_some() {}
    };
    let error = trouble(&broker, json!({ "connect_timeout": "300ms" }), script).await;
    assert_eq!(error.kind, Kind::Connection, "{error}");
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_broker_that_does_not_answer_the_subscribe_is_given_up_though_it_answers_pings() {
    let broker = Broker::new().await;
    let section = json!({ "connect_timeout": "700ms", "keep_alive": "1s" });
    let script = async {
        let (mut wire, _) = broker.welcome(false).await;
        while let Some(packet) = wire.try_read().await {
            if packet == v4::Packet::PingReq {
                wire.write(&[0xd0, 0]).await;
            }
        }
    };
    let error = trouble(&broker, section.clone(), script).await;
    assert_eq!(error.kind, Kind::Connection, "{error}");
    assert_eq!(error.text, "the broker did not answer the SUBSCRIBE within 700ms");
    // The session may be subscribed to what an earlier one of the same name had asked for.
    let mut source = broker.source(&json!({}), &json!({ "topics": ["gone"] }));
    tokio::join!(Session::open(&mut source), broker.subscribed(false));
    let script = async {
        let (mut wire, _) = broker.welcome(true).await;
        assert!(matches!(wire.read().await, v4::Packet::Unsubscribe(_)));
        wire.grant().await;
        while wire.try_read().await.is_some() {}
    };
    let error = trouble(&broker, section, script).await;
    assert_eq!(error.text, "the broker did not answer the UNSUBSCRIBE within 700ms");
}

/// The answer stands behind what the session held back, and the way is slow.
#[tokio::test]
async fn a_broker_that_is_in_the_middle_of_a_message_is_given_the_time() {
    let broker = Broker::new().await;
    let section = json!({ "connect_timeout": "300ms", "keep_alive": "4s" });
    let mut source = broker.source(&section, &json!({ "topics": ["t"] }));
    let script = async {
        let (mut wire, _) = broker.welcome(true).await;
        wire.read().await;
        wire.write(&[0x32, 9, 0, 1, b't', 0, 1, b'k']).await;
        // This comes after two seconds.
        assert_eq!(wire.try_read().await, Some(v4::Packet::PingReq));
        wire.write(b"ept").await;
        wire.write(&[0xd0, 0, 0x90, 3, 0, 1, 1]).await;
        wire
    };
    let (mut session, _wire) = tokio::join!(Session::open(&mut source), script);
    assert_eq!(session.receive(1).await[0].envelope.bytes(), b"kept");
}

#[tokio::test]
async fn refused_logins_say_why() {
    let broker = Broker::new().await;
    for (code, kind) in
        [(1, Kind::Missing), (2, Kind::Denied), (3, Kind::Connection), (4, Kind::Denied), (5, Kind::Denied)]
    {
        let script = async {
            let mut wire = broker.accept().await;
            wire.read().await;
            wire.write(&[0x20, 2, 0, code]).await;
        };
        let error = trouble(&broker, json!({}), script).await;
        assert_eq!(error.kind, kind, "{code}: {error}");
    }
    let script = async {
        let mut wire = broker.accept().await;
        wire.read_v5().await;
        // Not authorized (0x87), with a reason string.
        wire.write(b"\x20\x0a\0\x87\x07\x1f\0\x04nope").await;
    };
    let error = trouble(&broker, json!({ "version": "5" }), script).await;
    assert_eq!((error.kind, &*error.text), (Kind::Denied, "the broker refuses the login: not authorized: nope"));
}

#[tokio::test]
async fn refused_subscriptions_name_the_filter() {
    let broker = Broker::new().await;
    for (codes, kind, filter) in [
        ([0x80, 1], Kind::Denied, "`a/#`"),
        ([1, 0x80], Kind::Denied, "`b`"),
        ([1, 0], Kind::Missing, "grants QoS 0 and not 1"),
    ] {
        let script = async {
            let (mut wire, _) = broker.welcome(false).await;
            wire.read().await;
            wire.write(&[0x90, 4, 0, 1, codes[0], codes[1]]).await;
        };
        let error = trouble(&broker, json!({}), script).await;
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.text.contains(filter), "{error}");
    }
    for (code, kind) in [(0x87, Kind::Denied), (0x8f, Kind::Missing), (0x9e, Kind::Missing), (0x97, Kind::Connection)] {
        let script = async {
            let mut wire = broker.accept().await;
            wire.read_v5().await;
            wire.write(&[0x20, 3, 0, 0, 0]).await;
            wire.read_v5().await;
            wire.write(&[0x90, 5, 0, 1, 0, 1, code]).await;
        };
        let error = trouble(&broker, json!({ "version": "5" }), script).await;
        assert_eq!(error.kind, kind, "{code:x}: {error}");
    }
}

#[tokio::test]
async fn logins_carry_what_is_configured() {
    let broker = Broker::new().await;
    let section = json!({
        "auth": { "user": "u", "password": "p" },
        "keep_alive": "90s",
        "will": { "topic": "gone", "payload": "bye", "qos": 1, "retain": true },
    });
    let mut source = broker.source(&section, &json!({ "topics": ["a"], "qos": 2 }));
    let (session, (wire, connect)) = tokio::join!(Session::open(&mut source), async {
        let (mut wire, connect) = broker.welcome(false).await;
        assert_eq!(wire.grant().await, ["a"]);
        (wire, connect)
    });
    assert_eq!((&*connect.client_id, connect.clean_session, connect.keep_alive), ("cd-r", false, 90));
    let will = connect.last_will.unwrap();
    assert_eq!((&*will.topic, &*will.message, will.retain), ("gone", &b"bye"[..], true));
    assert_eq!(connect.auth, v4::ConnectAuth::UsernamePassword { username: "u".into(), password: "p".into() });
    drop((session, wire));
    let mut source = broker
        .source(&json!({ "version": "5", "session_expiry": "2h" }), &json!({ "topics": ["a"], "receive_maximum": 7 }));
    let script = async {
        let mut wire = broker.accept().await;
        let v5::Packet::Connect(connect, ..) = wire.read_v5().await else { panic!("no CONNECT") };
        let properties = connect.properties.unwrap();
        assert_eq!((properties.session_expiry_interval, properties.receive_maximum), (Some(7200), Some(7)));
        assert!(!connect.clean_start);
        wire.write(&[0x20, 3, 0, 0, 0]).await;
        let v5::Packet::Subscribe(subscribe) = wire.read_v5().await else { panic!("no SUBSCRIBE") };
        assert_eq!(subscribe.filters[0].retain_forward_rule, v5::RetainForwardRule::OnNewSubscribe);
        wire.write(&[0x90, 4, 0, 1, 0, 1]).await;
        wire
    };
    tokio::join!(Session::open(&mut source), script);
}

#[tokio::test]
async fn a_broker_that_keeps_the_session_for_a_shorter_time_is_told_of() {
    let broker = Broker::new().await;
    for (section, granted, told) in [
        (json!({}), Some(0_u32), Some("for 0s after a connection ends, not for 86400s")),
        (json!({}), Some(86_399), Some("for 86399s after")),
        (json!({ "session_expiry": "100000d" }), Some(86_400), Some("not for ever")),
        (json!({}), Some(86_400), None),
        (json!({}), Some(u32::MAX), None),
        (json!({}), None, None),
        (json!({ "clean_start": true }), Some(0), None),
    ] {
        let mut section = section;
        section["version"] = json!("5");
        let mut source = broker.source(&section, &json!({ "topics": ["a"] }));
        let script = async {
            let mut wire = broker.accept().await;
            wire.read_v5().await;
            match granted {
                Some(seconds) => {
                    wire.write(&[0x20, 8, 0, 0, 5, 0x11]).await;
                    wire.write(&seconds.to_be_bytes()).await;
                }
                None => wire.write(&[0x20, 3, 0, 0, 0]).await,
            }
            wire.read_v5().await;
            wire.write(&[0x90, 4, 0, 1, 0, 1]).await;
            wire.write(&[0x32, 7, 0, 1, b'a', 0, 1, 0, b'x']).await;
            wire
        };
        let (mut session, _wire) = tokio::join!(Session::open(&mut source), script);
        if let Some(told) = told {
            let Event::Blocked(text) = session.next().await else { panic!("it is not told") };
            assert!(text.contains(told), "{text}");
        }
        assert_eq!(session.receive(1).await[0].envelope.bytes(), b"x");
    }
}

#[tokio::test]
async fn filters_that_are_wanted_no_more_are_unsubscribed() {
    let broker = Broker::new().await;
    for (filters, session_present, unsubscribed) in [
        (json!(["a", "b/#"]), false, vec![]),
        (json!(["b/#", "c"]), true, vec!["a"]),
        (json!(["c"]), false, vec![]),
        (json!(["c"]), true, vec![]),
    ] {
        let mut source = broker.source(&json!({}), &json!({ "topics": filters }));
        let script = async {
            let (mut wire, _) = broker.welcome(session_present).await;
            if !unsubscribed.is_empty() {
                let v4::Packet::Unsubscribe(packet) = wire.read().await else { panic!("no UNSUBSCRIBE") };
                assert_eq!(packet.topics, unsubscribed);
                wire.write(&[0xb0, 2, 0, 2]).await;
            }
            assert_eq!(json!(wire.grant().await), filters);
            wire
        };
        tokio::join!(Session::open(&mut source), script);
    }
}

#[tokio::test]
async fn messages_before_the_suback_are_kept_and_a_flood_of_them_does_not_block() {
    let broker = Broker::new().await;
    let mut source = broker.source(&json!({}), &json!({ "topics": ["t/#"], "receive_maximum": 50 }));
    let script = async {
        let (mut wire, _) = broker.welcome(true).await;
        wire.read().await;
        for id in 1..=60 {
            wire.publish(1, id, false, b"kept").await;
        }
        wire
    };
    let (mut session, mut wire) = tokio::join!(Session::open(&mut source), script);
    let first = session.receive(60).await;
    wire.write(&[0x90, 3, 0, 1, 0x80]).await;
    session.store(&first.iter().map(|message| message.token).collect::<Vec<_>>()).await;
    let error = timeout(SOON, session.receiver.next(crate::common::CREDIT)).await.unwrap().unwrap_err();
    assert_eq!(error.kind, Kind::Denied, "the answer to the SUBSCRIBE is heard late: {error}");
}

#[tokio::test]
async fn a_probe_takes_nobody_s_place() {
    let broker = Broker::new().await;
    let (mqtt, of) = (connector(broker.state.path()), connection(&broker.connection(&json!({}))));
    let (probed, ()) = tokio::join!(mqtt.probe(&of), async {
        let (mut wire, connect) = broker.welcome(false).await;
        assert!(connect.client_id.starts_with("cd--check-") && connect.clean_session, "{connect:?}");
        assert_eq!(wire.read().await, v4::Packet::Disconnect);
    });
    probed.unwrap();
    drop(broker);
    let fault = mqtt.probe(&of).await.unwrap_err();
    assert_eq!((&*fault.code, fault.class), ("mqtt.connection", crossdock_model::FaultClass::Unreachable));
}
