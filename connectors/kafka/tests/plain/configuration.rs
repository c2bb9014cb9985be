//! What is wrong with settings, told at once and with how to mend it.

use crate::common::*;
use crossdock_connector::{Connector, Diagnostics};
use serde_json::{Value, json};

fn check(found: Result<(), Diagnostics>, expected: &[&str]) {
    let found = found.err().unwrap_or_default();
    let texts: Vec<_> = found.iter().map(|one| format!("{} {} | {:?}", one.code, one.message, one.hint)).collect();
    assert_eq!(texts.len(), expected.len(), "{texts:?}");
    for (text, expected) in texts.iter().zip(expected) {
        assert!(text.contains(expected), "`{expected}` is not in {text}");
    }
}

fn source(connection: &Value, section: &Value) -> Result<(), Diagnostics> {
    kafka("s").source(&source_of(connection, "r", section)).map(drop)
}

#[test]
fn sources_say_everything_that_is_wrong() {
    let good = brokers("127.0.0.1:9092");
    for (section, expected) in [
        (json!({ "topics": ["a", "b.c_d-e"] }), &[][..]),
        (json!({ "pattern": "orders\\..*" }), &[]),
        (json!({ "pattern": "a{1,2}" }), &[]),
        (json!({}), &["`topics: [NAME]`"]),
        (json!({ "topics": ["a"], "pattern": "b" }), &["beside `topics`"]),
        (json!({ "topics": ["a b", "ok", ""] }), &["no name of a topic", "no name of a topic"]),
        (json!({ "pattern": "a(" }), &["`a(` is no regular expression"]),
        (json!({ "topics": ["a"], "group": "" }), &["an empty name is none of a group | Some(\"name it"]),
        (json!({ "topics": ["a"], "start": "newest" }), &["earliest, latest, or a time"]),
        (json!({ "topics": ["a"], "start": "2026-01-31T12:00:00Z" }), &[]),
        (
            json!({ "topics": ["a"], "options": { "enable.auto.commit": "true", "acks": "1", "fetch.min.byte": "1" } }),
            &["`acks` cannot be set", "`enable.auto.commit` cannot be set", "did you mean `fetch.min.bytes`?"],
        ),
    ] {
        check(source(&good, &section), expected);
    }
}

#[test]
fn connections_say_everything_that_is_wrong() {
    let section = json!({ "topics": ["a"] });
    let with = |key: &str, value: Value| {
        let mut connection = brokers("127.0.0.1:9092");
        connection[key] = value;
        connection
    };
    for (connection, expected) in [
        (json!({ "brokers": [] }), &["there is no broker"][..]),
        (json!({ "brokers": ["kafka://a:1", "a:1,b:2", "ok:1"] }), &["HOST:PORT", "HOST:PORT"]),
        (json!({ "brokers": ["a:", ":9092", "a:0", "b:65536", "::1:9092", "[::1]9092"] }), &["HOST:PORT"; 6]),
        (json!({ "brokers": ["a", "a:1", "[::1]", "[::1]:9092"] }), &[]),
        (with("auth", json!({ "user": "u", "password": "p" })), &[]),
        (with("tls", json!({})), &[]),
        (with("tls", json!({ "ca": "/no/such/file" })), &["cannot read /no/such/file"]),
        (with("tls", json!({ "certificate": "/dev/null" })), &["without its `key`"]),
        (with("options", json!({ "linger.ms": "1", "fetch.min.bytes": "2", "sasl.password": "x" })), &["use `auth`"]),
    ] {
        check(source(&connection, &section), expected);
        check(kafka("s").sink(&sink_of(&connection, &json!({ "topic": "t" }))).map(drop), expected);
    }
}

#[test]
fn a_value_that_came_from_outside_is_not_shown() {
    let section = json!({ "topic": "t", "options": { "linger.ms": "often" } });
    check(kafka("s").sink(&sink_of(&brokers("a:1"), &section)).map(drop), &["`often` is no value for `linger.ms`"]);
}

#[test]
fn a_password_without_tls_is_told() {
    let auth = |sasl: &str| json!({ "sasl": sasl, "user": "u", "password": "s3cret" });
    for (section, is_told) in [
        (json!({ "brokers": ["localhost:9092", "kafka.example:9092"], "auth": auth("PLAIN") }), true),
        (json!({ "brokers": ["kafka.example"], "auth": { "user": "u", "password": "s3cret" } }), true),
        (json!({ "brokers": ["kafka.example:9092"], "auth": auth("PLAIN"), "tls": {} }), false),
        (json!({ "brokers": ["kafka.example:9092"], "auth": auth("SCRAM-SHA-256") }), false),
        (json!({ "brokers": ["127.0.0.1:9092", "[::1]:9093"], "auth": auth("PLAIN") }), false),
        (json!({ "brokers": ["kafka.example:9092"] }), false),
    ] {
        let found = kafka("s").advise(&connection(&section));
        let codes: Vec<_> = found.iter().map(|one| one.code).collect();
        assert_eq!(codes, if is_told { vec!["connection.clear_text"] } else { vec![] }, "{section}");
        assert!(!found.has_errors() && !format!("{found:?}").contains("s3cret"), "{found:?}");
    }
}

#[test]
fn options_that_do_not_go_together_are_told() {
    let (good, topic) = (brokers("127.0.0.1:9"), json!({ "topic": "t" }));
    let option = |name: &str, value: &str| json!({ "topic": "t", "options": { name: value } });
    let sink = |connection: &Value, section: &Value| kafka("s").sink(&sink_of(connection, section)).map(drop);
    check(sink(&good, &option("max.in.flight", "5")), &[]);
    check(
        sink(&good, &option("max.in.flight", "6")),
        &["takes no such set of options: `max.in.flight` must be set <= 5"],
    );
    let reads = |name: &str, value: &str| json!({ "topics": ["a"], "options": { name: value } });
    check(source(&good, &reads("session.timeout.ms", "6000")), &[]);
    check(source(&good, &reads("max.poll.interval.ms", "1000")), &["must be >= `session.timeout.ms`"]);
    check(source(&good, &reads("partition.assignment.strategy", "mine")), &["partition.assignment.strategy"]);
    // What the connection says is told of where it is used.
    let mut connection = good;
    connection["options"] = json!({ "max.in.flight": "6" });
    check(sink(&connection, &topic), &["`max.in.flight`"]);
    check(source(&connection, &json!({ "topics": ["a"] })), &[]);
}
