//! What is found before anything is opened.

use crate::common::{connection, connector, message, sink_config, source_config};
use crossdock_connector::{Connector, Diagnostics};
use serde_json::{Value, json};
use std::path::Path;

fn floor(more: &Value) -> Value {
    let mut section = json!({ "url": "mqtt://127.0.0.1:1883", "client_id": "cd" });
    section.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    section
}

fn codes(found: &Diagnostics) -> Vec<&'static str> {
    found.iter().map(|error| error.code).collect()
}

#[test]
fn wrong_settings_are_told() {
    let state = Path::new("unused");
    for (connection, topics, expected) in [
        (json!({}), json!(["a"]), vec![]),
        (json!({}), json!([]), vec!["mqtt.topics"]),
        (json!({}), json!(["a", "b#", "a/#/b", "$share/x"]), vec!["mqtt.filter"; 3]),
        (json!({}), json!(["a", "b", "a"]), vec!["mqtt.filter_twice"]),
        (json!({ "url": "http://h" }), json!(["a"]), vec!["mqtt.url"]),
        (json!({ "url": "mqtt://h/path" }), json!(["b#"]), vec!["mqtt.url", "mqtt.filter"]),
        (json!({ "client_id": "" }), json!(["a"]), vec!["mqtt.client_id"]),
        (json!({ "client_id": "a\u{0}" }), json!(["a"]), vec!["mqtt.client_id"]),
        (json!({ "keep_alive": "1d" }), json!(["a"]), vec!["mqtt.keep_alive"]),
        (json!({ "will": { "topic": "a/#" } }), json!(["a"]), vec!["mqtt.topic"]),
        (json!({ "tls": {} }), json!(["a"]), vec!["mqtt.tls"]),
        (json!({ "url": "mqtts://h", "tls": { "ca": "no/such.pem" } }), json!(["a"]), vec!["mqtt.tls"]),
        (json!({ "url": "mqtts://h", "tls": { "key": "k.pem" } }), json!(["a"]), vec!["mqtt.tls"]),
        (json!({ "url": "mqtt://u@h", "auth": { "user": "u" } }), json!(["a"]), vec!["mqtt.auth"]),
    ] {
        let config = source_config("r", &floor(&connection), &json!({ "topics": topics }));
        let found = connector(state).source(&config).err().unwrap_or_default();
        assert_eq!(codes(&found), expected, "{connection} {topics}");
        assert!(found.iter().all(|error| error.hint.is_some() || error.code == "mqtt.tls"), "{found:?}");
    }
}

#[test]
fn two_clients_of_one_name_at_one_broker_are_told() {
    let mqtt = connector(Path::new("unused"));
    let source =
        |route: &str, connection: Value| source_config(route, &floor(&connection), &json!({ "topics": ["a"] }));
    let other = json!({ "url": "mqtt://127.0.0.1:1884" });
    let check = |sources: &[_]| codes(&mqtt.check(sources));
    assert!(check(&[source("a", json!({})), source("b", json!({}))]).is_empty());
    assert_eq!(
        check(&[source("a-b", json!({})), source("b", json!({ "client_id": "cd-a" }))]),
        ["mqtt.client_id_taken"]
    );
    assert!(
        check(&[source("a-b", json!({})), source("b", json!({ "client_id": "cd-a", "url": other["url"] }))]).is_empty()
    );
    let target = |route: &str, ordinal, connection: Value| {
        mqtt.sink(&sink_config(route, ordinal, &floor(&connection), &json!({ "topic": "a" }))).err().unwrap_or_default()
    };
    assert!(codes(&target("a", 0, json!({}))).is_empty());
    assert!(codes(&target("a", 0, json!({}))).is_empty(), "it is the same one");
    assert!(codes(&target("a", 1, json!({}))).is_empty());
    assert_eq!(check(&[source("a-out", json!({}))]), ["mqtt.client_id_taken"]);
    assert_eq!(codes(&target("x-a", 0, json!({ "client_id": "cd" }))), Vec::<&str>::new());
    assert_eq!(codes(&target("a", 0, json!({ "client_id": "cd-x" }))), ["mqtt.client_id_taken"]);
}

#[test]
fn a_preview_tells_topic_properties_and_losses() {
    let mqtt = connector(Path::new("unused"));
    let preview = |version: &str, topic: &str| {
        let section = json!({ "topic": "x", "qos": 2, "retain": true });
        let config = sink_config("r", 0, &floor(&json!({ "version": version })), &section);
        let mut outgoing = message(1, topic, b"{}".to_vec());
        std::sync::Arc::make_mut(&mut outgoing.envelope).properties.content_type = Some("application/json".into());
        mqtt.preview(&config, &outgoing)
    };
    let five = preview("5", "plant/3").unwrap();
    assert_eq!(&*five.act, "publish to plant/3 (QoS 2, retained)");
    let shown: Vec<_> = five.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    assert_eq!(shown, ["Content Type: application/json", "Payload Format Indicator: 1", "message-id: k"]);
    assert!(five.lost.is_empty());
    let three = preview("3.1.1", "plant/3").unwrap();
    assert!(three.headers.is_empty());
    assert_eq!(three.lost, ["content_type"]);
    assert_eq!(&*preview("5", "a/#").unwrap_err().code, "mqtt.topic");
}

#[test]
fn a_password_without_tls_is_told() {
    let auth = json!({ "user": "u", "password": "s3cret" });
    for (section, expected) in [
        (json!({ "url": "mqtt://10.0.0.7", "auth": auth }), vec!["connection.clear_text"]),
        (json!({ "url": "mqtt://u:s3cret@floor.example" }), vec!["connection.clear_text"]),
        (json!({ "url": "mqtts://floor.example", "auth": auth }), vec![]),
        (json!({ "url": "mqtt://floor.example" }), vec![]),
        (json!({ "url": "mqtt://[::1]", "auth": auth }), vec![]),
    ] {
        let found = connector(Path::new("unused")).advise(&connection(&section));
        assert_eq!((codes(&found), found.has_errors()), (expected, false), "{section}");
        assert!(found.iter().all(|one| !one.message.contains("s3cret")), "{found:?}");
    }
}
