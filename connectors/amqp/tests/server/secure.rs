//! TLS, and who may log in.

use super::rig::{Consumer, Publisher, connection, connector};
use crossdock_connector::{Connector as _, SourceErrorKind};
use crossdock_model::FaultClass;
use crossdock_testkit::servers::{self, PASSWORD, Rabbit, RabbitOptions, USER};
use serde_json::json;

/// A password over TLS, a certificate instead of one, and an authority that is not trusted.
#[tokio::test(flavor = "multi_thread")]
async fn tls_with_a_password_or_a_certificate() {
    let rabbit = Rabbit::with(&RabbitOptions { tls: true, ..RabbitOptions::default() });
    let (address, made) = rabbit.tls();
    let queue = json!({ "queue": "q", "declare": {} });
    let url = format!("amqps://{address}/%2f");
    let identity = json!({ "ca": made.ca, "certificate": made.client, "key": made.client_key });
    for section in [
        json!({ "url": url, "auth": { "user": USER, "password": PASSWORD }, "tls": { "ca": made.ca } }),
        json!({ "url": url, "auth": "external", "tls": identity }),
    ] {
        let mut publisher =
            Publisher::opened(&section, &json!({ "routing_key": "q", "declare": { "queue": {} } })).await;
        let message = publisher.message(("", "q", "id"), |_| {});
        assert!(publisher.submit(vec![message]).await);
        assert_eq!(publisher.results(1).await, ["+"]);
        publisher.close().await;
        let mut consumer = Consumer::opened(&section, &queue).await;
        let received = consumer.receive(1).await;
        consumer.settle(&received, super::rig::stored).await;
        consumer.close().await;
    }
    let mut stranger = Consumer::new(&json!({ "url": url, "auth": { "user": USER, "password": PASSWORD } }), &queue);
    let error = stranger.open().await.unwrap_err();
    assert_eq!(error.kind, SourceErrorKind::Connection, "{error}");
    assert!(error.text.contains("TLS"), "{error}");
}

/// A probe says whether the server is there and takes the credentials, and never says the password.
#[tokio::test(flavor = "multi_thread")]
async fn a_probe_tells_what_is_wrong() {
    let server = servers::rabbit();
    let probe = async |url: String| connector().probe(&connection(&json!({ "url": url }))).await;
    probe(server.url().to_owned()).await.unwrap();
    let free = crossdock_testkit::free_port();
    for (url, words) in [
        (format!("amqp://guest:wr0ng-pass@{}/%2f", server.address()), "ACCESS_REFUSED"),
        (format!("amqp://guest:guest@{}/nope", server.address()), "vhost nope not found"),
        (format!("amqp://guest:guest@127.0.0.1:{free}/"), "cannot connect to 127.0.0.1"),
    ] {
        let fault = probe(url).await.unwrap_err();
        assert_eq!(fault.class, FaultClass::Unreachable);
        assert!(fault.text.contains(words) && !fault.text.contains("wr0ng-pass"), "{fault}");
    }
}
