//! What a source declares, and how it hears that its queue is gone.

use super::client::Client;
use super::rig::{Consumer, Publisher, SOON, at, refused, stored};
use crossdock_connector::{Event, SourceErrorKind};
use crossdock_testkit::servers::{self, unique};
use lapin::{BasicProperties, types::FieldTable};
use serde_json::json;
use std::time::Instant;

/// A queue with arguments, bound to an exchange that is declared, too; a second start finds them as they are.
#[tokio::test(flavor = "multi_thread")]
async fn declares_queues_exchanges_and_bindings() {
    let (url, queue, exchange) = (servers::rabbit().url(), unique("q"), unique("e"));
    let client = Client::connect(url).await;
    let section = json!({
        "queue": queue,
        "declare": { "durable": true, "arguments": { "x-max-length": 1000, "x-dead-letter-exchange": "" } },
        "bind": [{ "exchange": exchange, "routing_key": "order.#", "declare": { "type": "topic" } }],
    });
    for round in 0..2 {
        let mut consumer = Consumer::opened(&at(url), &section).await;
        client.publish((&exchange, "order.eu.new"), b"hello", BasicProperties::default()).await;
        let received = consumer.receive(1).await;
        let native: Vec<_> = received[0].envelope.origin.native.iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(
            native,
            [format!("exchange={exchange}"), "routing_key=order.eu.new".into(), "redelivered=false".into()]
        );
        consumer.settle(&received, stored).await;
        consumer.close().await;
        assert_eq!(client.depth(&queue).await, 0, "round {round}");
    }
    let other = json!({ "queue": queue, "declare": { "durable": false } });
    let error = Consumer::new(&at(url), &other).open().await.unwrap_err();
    assert!(error.text.contains("PRECONDITION_FAILED"), "{error}");
}

/// A target that declares its exchange and a queue bound to it.
#[tokio::test(flavor = "multi_thread")]
async fn a_target_declares_what_it_publishes_to() {
    let (url, name) = (servers::rabbit().url(), unique("x"));
    let section = json!({ "exchange": name, "routing_key": name, "declare": { "exchange": {}, "queue": {} } });
    let mut publisher = Publisher::opened(&at(url), &section).await;
    let message = publisher.message((&name, &name, "id"), |_| {});
    assert!(publisher.submit(vec![message]).await);
    assert_eq!(publisher.results(1).await, ["+"]);
    publisher.close().await;
    let got = Client::connect(url).await.get(&name).await.unwrap();
    assert_eq!(got.delivery.properties.message_id().as_ref().unwrap().as_str(), "id");
    assert_eq!(*got.delivery.properties.delivery_mode(), Some(2));
}

/// What `accept` refuses is rejected without requeueing: RabbitMQ's own dead-letter queue has it.
#[tokio::test(flavor = "multi_thread")]
async fn refused_messages_go_to_the_servers_dead_letters() {
    let (url, queue, dead) = (servers::rabbit().url(), unique("q"), unique("dead"));
    let client = Client::connect(url).await;
    client.declare(&dead).await;
    let mut arguments = FieldTable::default();
    arguments.insert("x-dead-letter-exchange".into(), lapin::types::AMQPValue::LongString("".into()));
    arguments.insert("x-dead-letter-routing-key".into(), lapin::types::AMQPValue::LongString(dead.as_str().into()));
    client.declare_with(&queue, arguments).await;
    client.put(&queue, (0..10).map(|n| (vec![n], BasicProperties::default()))).await;
    let mut consumer = Consumer::opened(&at(url), &json!({ "queue": queue })).await;
    let received = consumer.receive(10).await;
    let (wrong, good) = received.split_at(4);
    consumer.settle(good, stored).await;
    consumer.settle(wrong, refused).await;
    consumer.close().await;
    let start = Instant::now();
    // The server moves them in its own time.
    while (client.depth(&queue).await, client.depth(&dead).await) != (0, 4) {
        assert!(start.elapsed() < SOON, "{} are in the dead-letter queue", client.depth(&dead).await);
    }
}

/// The queue is deleted while it is consumed.
#[tokio::test(flavor = "multi_thread")]
async fn hears_that_its_queue_is_gone() {
    let (url, queue) = (servers::rabbit().url(), unique("q"));
    let client = Client::connect(url).await;
    client.declare(&queue).await;
    let mut consumer = Consumer::opened(&at(url), &json!({ "queue": queue })).await;
    client.delete(&queue).await;
    let error = match consumer.next().await {
        Err(error) => error,
        Ok(event) => panic!("{event:?}"),
    };
    assert_eq!(error.kind, SourceErrorKind::Missing, "{error}");
    assert!(error.text.contains(&queue), "{error}");
    let error = consumer.open().await.unwrap_err();
    assert_eq!(error.kind, SourceErrorKind::Missing, "{error}");
}

/// A queue that somebody else has for himself.
#[tokio::test(flavor = "multi_thread")]
async fn an_exclusive_consumer_is_alone() {
    let (url, queue) = (servers::rabbit().url(), unique("q"));
    Client::connect(url).await.declare(&queue).await;
    let mut first = Consumer::opened(&at(url), &json!({ "queue": queue, "exclusive": true })).await;
    let error = Consumer::new(&at(url), &json!({ "queue": queue })).open().await.unwrap_err();
    assert_eq!(error.kind, SourceErrorKind::Denied, "{error}");
    assert!(first.halves.is_some());
    first.halves.take();
    let mut second = Consumer::new(&at(url), &json!({ "queue": queue }));
    let start = Instant::now();
    // The server hears in its own time that the first is gone.
    while let Err(error) = second.open().await {
        assert!(error.kind == SourceErrorKind::Denied && start.elapsed() < SOON, "{error}");
    }
    Client::connect(url).await.put(&queue, [(b"x".to_vec(), BasicProperties::default())]).await;
    assert!(matches!(second.next().await.unwrap(), Event::Messages(messages) if messages.len() == 1));
}
