//! Every protocol to every other one: bytes in are bytes out, and nothing from outside sets what is ours.

use crate::place::*;
use crossdock_testkit::{Gateway, wait_for};
use std::collections::BTreeSet;

/// Payloads that no step touches, each with the name of its pair.
fn payloads(pair: &str) -> BTreeSet<Vec<u8>> {
    let binary: Vec<u8> = (0..=255).collect();
    let large = vec![b'x'; 60_000];
    let ends: [&[u8]; 5] = [b"{\"a\": 1.50, \"a\": 2}", b"a\r\nb\n\n", "°C ß 漢".as_bytes(), &binary, &large];
    ends.into_iter().map(|end| [pair.as_bytes(), b" ", end].concat()).collect()
}

#[test]
fn sixteen_pairs_bytes_equal_and_the_account_at_zero() {
    let mut pairs = Vec::new();
    for from in Protocol::ALL {
        for to in Protocol::ALL {
            let name = format!("{}-to-{}", from.name(), to.name());
            let (source, target) = (Place::new(from, &name), Place::with_listener(to, &format!("{name}-out")));
            pairs.push((name, source, target));
        }
    }
    let mut text = "connections:\n".to_owned();
    for protocol in Protocol::BROKERS {
        text += &protocol.connection(protocol.address(), &crossdock_testkit::servers::unique("pairs"));
    }
    let mut routes = "routes:\n".to_owned();
    for (name, source, target) in &pairs {
        let mut to = target.to();
        if let Some(service) = &target.service {
            // Each service is a connection of its own.
            text += &format!("  {name}: {{ http: {{ base_url: \"http://127.0.0.1:{}\" }} }}\n", service.port());
            to = to.replace("connection: http", &format!("connection: {name}"));
        }
        routes += &format!("  {name}:\n    from: {}\n    to: {to}\n", source.from());
    }
    let mut gateway = Gateway::new(env!("CARGO_BIN_EXE_crossdock"), &(text + &routes));
    gateway.start();
    wait_until_up(&gateway);
    for (name, source, _) in &pairs {
        for payload in payloads(name) {
            source.put(&gateway, &payload, &[]);
        }
    }
    for (name, _, target) in &pairs {
        let expected = payloads(name);
        let more = target.wait_for_all(&gateway, &expected);
        assert_eq!(more, 0, "{name}: nothing broke, so nothing comes twice");
    }
    let names: Vec<_> = pairs.iter().map(|(name, ..)| name.clone()).collect();
    assert_all_delivered(&gateway, &names);
    for (name, ..) in &pairs {
        let counts = gateway.api("GET", &format!("/routes/{name}"), "").unwrap().json()["counts"].clone();
        assert_eq!((&counts["received"], &counts["delivered"]), (&5.into(), &5.into()), "{name}");
    }
}

#[test]
fn ten_mebibytes_go_through() {
    let pairs = [(Protocol::Amqp, Protocol::Mqtt), (Protocol::Mqtt, Protocol::Amqp)];
    let pairs = pairs.map(|(from, to)| {
        let name = format!("{}-to-{}", from.name(), to.name());
        (Place::new(from, "large"), Place::with_listener(to, "large-out"), name)
    });
    let mut text = "connections:\n".to_owned();
    for protocol in [Protocol::Amqp, Protocol::Mqtt] {
        text += &protocol.connection(protocol.address(), &crossdock_testkit::servers::unique("large"));
    }
    text += "routes:\n";
    for (source, target, name) in &pairs {
        text += &format!("  {name}:\n    from: {}\n    to: {}\n", source.from(), target.to());
    }
    let mut gateway = Gateway::new(env!("CARGO_BIN_EXE_crossdock"), &text);
    gateway.start();
    wait_until_up(&gateway);
    let large: Vec<u8> = (0..10 << 20).map(|n: u32| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    for (source, ..) in &pairs {
        source.put(&gateway, &large, &[]);
        source.put(&gateway, b"small", &[]);
    }
    for (_, target, _) in &pairs {
        target.wait_for_all(&gateway, &BTreeSet::from([large.clone(), b"small".to_vec()]));
    }
    assert_all_delivered(&gateway, &pairs.map(|(.., name)| name));
}

#[test]
fn nothing_from_outside_sets_what_is_ours() {
    let out = Place::with_listener(Protocol::Http, "out");
    let service = out.service.as_ref().unwrap();
    let mut text = "connections:\n".to_owned();
    text += &Protocol::Http.connection(&format!("127.0.0.1:{}", service.port()), "");
    let mut routes = "routes:\n".to_owned();
    let places = Protocol::BROKERS.map(|protocol| {
        text += &protocol.connection(protocol.address(), &crossdock_testkit::servers::unique("hostile"));
        let place = Place::new(protocol, "hostile");
        routes += &format!("  {}:\n    from: {}\n    to: {}\n", protocol.name(), place.from(), out.to());
        place
    });
    let mut gateway = Gateway::new(env!("CARGO_BIN_EXE_crossdock"), &(text + &routes));
    gateway.start();
    wait_until_up(&gateway);
    // What is ours, what belongs to HTTP, what would split a request, and what is the sender's own.
    let hostile = [
        ("crossdock-origin", "evil"),
        ("crossdock-key", "evil"),
        ("host", "evil.example"),
        ("content-length", "1"),
        ("transfer-encoding", "chunked"),
        ("authorization", "Bearer evil"),
        ("x-split", "a\r\nx-evil: 1"),
        ("x-ok", "fine"),
    ];
    for place in &places {
        // Mosquitto itself takes no line breaks there.
        let is_sent = |(name, _): &&(&str, &str)| place.protocol != Protocol::Mqtt || *name != "x-split";
        let headers = hostile.iter().filter(is_sent).flat_map(|(name, value)| match place.protocol {
            Protocol::Http | Protocol::Amqp => vec!["-H".into(), format!("{name}: {value}")],
            Protocol::Kafka => vec!["-H".into(), format!("{name}={value}")],
            Protocol::Mqtt => ["-D", "publish", "user-property", name, value].map(String::from).to_vec(),
        });
        let headers: Vec<String> = headers.collect();
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        place.put(&gateway, place.protocol.name().as_bytes(), &headers);
    }
    wait_for(SOON, "a request of each route", || (service.count() >= 3).then_some(()));
    for request in service.got() {
        let sent = String::from_utf8_lossy(&request.body).into_owned();
        assert_eq!(request.header("x-ok"), Some("fine"), "{sent}: {:?}", request.headers);
        assert_eq!(request.header("content-length"), Some(sent.len().to_string().as_str()), "{sent}");
        for name in ["crossdock-origin", "crossdock-key", "transfer-encoding", "authorization", "x-evil", "x-split"] {
            assert_eq!(request.header(name), None, "{sent}: {:?}", request.headers);
        }
        assert_eq!(request.header("host"), Some(format!("127.0.0.1:{}", service.port()).as_str()), "{sent}");
    }
    assert_all_delivered(&gateway, &Protocol::BROKERS.map(|protocol| protocol.name().to_owned()));
    let losses = gateway.metrics().unwrap().sum("crossdock_mapping_losses_total", &[]).unwrap_or(0.0);
    assert!(losses >= 3.0, "what could not be carried is counted: {losses}");
}
