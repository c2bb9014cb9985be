//! TLS, certificates and SASL.

use crate::common::*;
use crossdock_connector::{Connector, SourceErrorKind};
use crossdock_testkit::servers::{self, Kafka, KafkaOptions, PASSWORD, USER};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn who_shows_the_right_papers_comes_in_and_nobody_else() {
    let server = Kafka::with(&KafkaOptions { secured: true, ..KafkaOptions::default() });
    server.create_topic("t", 1);
    let (tls, certificates) = server.tls();
    let ca = json!({ "ca": certificates.ca });
    let shown = json!({ "ca": certificates.ca, "certificate": certificates.client, "key": certificates.client_key });
    let auth = |sasl: &str, password: &str| json!({ "sasl": sasl, "user": USER, "password": password });
    let with = |address: &str, auth: Option<Value>, tls: Option<&Value>| {
        let mut section = brokers(address);
        section["auth"] = auth.unwrap_or_default();
        section["tls"] = tls.cloned().unwrap_or_default();
        section.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        section
    };
    for (what, section, lets_in) in [
        ("plain", with(server.login(), Some(auth("PLAIN", PASSWORD)), None), true),
        ("scram 256", with(server.login(), Some(auth("SCRAM-SHA-256", PASSWORD)), None), true),
        ("scram 512", with(server.login(), Some(auth("SCRAM-SHA-512", PASSWORD)), None), true),
        ("wrong password", with(server.login(), Some(auth("SCRAM-SHA-512", "wrong-xyz")), None), false),
        ("wrong password, plain", with(server.login(), Some(auth("PLAIN", "wrong-xyz")), None), false),
        ("both", with(server.tls_login(), Some(auth("PLAIN", PASSWORD)), Some(&ca)), true),
        ("a certificate", with(tls, None, Some(&shown)), true),
        ("tls without trust", with(tls, None, Some(&json!({}))), false),
        ("tls towards plaintext", with(server.address(), None, Some(&ca)), false),
    ] {
        let probed = kafka("s").probe(&connection(&section)).await;
        assert_eq!(probed.is_ok(), lets_in, "{what}: {probed:?}");
        let source = source_of(&section, &servers::unique("g"), &json!({ "topics": ["t"] }));
        let opened = open(&mut kafka(what).source(&source).unwrap()).await;
        match opened {
            Ok(session) => {
                assert!(lets_in, "{what}");
                session.close().await;
            }
            Err(error) => {
                assert!(!lets_in, "{what}: {error}");
                assert!(!error.text.contains("wrong-xyz"), "{error}");
                let expected =
                    if what.starts_with("wrong") { SourceErrorKind::Denied } else { SourceErrorKind::Connection };
                assert_eq!(error.kind, expected, "{what}: {error}");
            }
        }
    }
}
