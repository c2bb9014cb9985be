//! Confirms, returns, refusals and blocks of a publisher.

use super::client::Client;
use super::rig::{Publisher, SOON, at};
use crossdock_testkit::servers::{self, Rabbit, unique};
use lapin::types::{AMQPValue, FieldTable};
use serde_json::json;
use std::time::{Duration, Instant};

/// Three of five hundred go to no queue: those and no others are unroutable, in whatever bundles the server confirms.
#[tokio::test(flavor = "multi_thread")]
async fn returned_messages_are_matched_among_many() {
    let (url, queue) = (servers::rabbit().url(), unique("q"));
    let client = Client::connect(url).await;
    client.declare(&queue).await;
    let mut publisher = Publisher::opened(&at(url), &json!({ "routing_key": "{{ .to }}" })).await;
    for _ in 0..4 {
        let batch = (0..500).map(|n| {
            let key = if [17, 250, 499].contains(&n) { "nowhere" } else { &queue };
            publisher.message(("", key, &unique("id")), |_| {})
        });
        let batch = batch.collect();
        assert!(publisher.submit(batch).await);
    }
    let results = publisher.results(2000).await;
    let unroutable: Vec<_> = results.iter().enumerate().filter(|(_, result)| *result != "+").collect();
    let expected: Vec<_> = (0..4).flat_map(|round| [17, 250, 499].map(|n| round * 500 + n)).collect();
    assert_eq!(unroutable.iter().map(|(n, _)| *n).collect::<Vec<_>>(), expected);
    assert!(unroutable.iter().all(|(_, result)| *result == "rejected amqp.unroutable"), "{unroutable:?}");
    assert_eq!(client.depth(&queue).await, 2000 - 12);
    publisher.close().await;
}

/// Two messages of one idempotency key (a redrive beside the original) are told apart: the second waits for the first.
#[tokio::test(flavor = "multi_thread")]
async fn messages_of_one_id_are_told_apart() {
    let (url, queue) = (servers::rabbit().url(), unique("q"));
    Client::connect(url).await.declare(&queue).await;
    let mut publisher = Publisher::opened(&at(url), &json!({ "routing_key": "{{ .to }}" })).await;
    let keys = ["nowhere", queue.as_str(), queue.as_str(), "nowhere", queue.as_str()];
    let batch = keys.map(|key| publisher.message(("", key, "same"), |_| {})).to_vec();
    assert!(publisher.submit(batch).await);
    let unroutable = "rejected amqp.unroutable";
    assert_eq!(publisher.results(5).await, [unroutable, "+", "+", unroutable, "+"]);
    publisher.close().await;
}

/// Content picks the exchange, and one in ten names one that is not there: its neighbours do not notice.
#[tokio::test(flavor = "multi_thread")]
async fn an_exchange_that_is_not_there_harms_nobody_else() {
    let (url, queue) = (servers::rabbit().url(), unique("q"));
    let client = Client::connect(url).await;
    client.declare(&queue).await;
    client.bind(&queue, "amq.direct", &queue).await;
    let mut publisher =
        Publisher::opened(&at(url), &json!({ "exchange": "{{ .ex }}", "routing_key": "{{ .to }}" })).await;
    let batch = (0..100).map(|n| {
        let exchange = if n % 10 == 3 { "nobody-declared-this" } else { "amq.direct" };
        publisher.message((exchange, &queue, &unique("id")), |_| {})
    });
    let batch = batch.collect();
    assert!(publisher.submit(batch).await, "the session goes on");
    for (n, result) in publisher.results(100).await.iter().enumerate() {
        assert_eq!(result, if n % 10 == 3 { "rejected amqp.no_exchange" } else { "+" }, "{n}");
    }
    assert_eq!(client.depth(&queue).await, 90);
    publisher.close().await;
}

/// The one exchange of a target is not there: nothing is sent, and the fault is this target's. `Unreachable` it would be all of
/// the connection's, whose other targets can very well be sent to (blame.md: DNS, connect, TLS, login).
#[tokio::test(flavor = "multi_thread")]
async fn a_target_whose_exchange_is_not_there_has_failed_alone() {
    let url = servers::rabbit().url();
    let mut publisher = Publisher::new(&at(url), &json!({ "exchange": "nobody-declared-this", "routing_key": "k" }));
    let fault = publisher.open().await.unwrap_err();
    assert_eq!((fault.class.name(), &*fault.code), ("failed", "amqp.404"));
    assert!(fault.text.contains("nobody-declared-this"), "{fault}");
}

/// The exchange goes away while messages wait behind those in flight: those that were not sent have no fault that is all of the
/// connection's either.
#[tokio::test(flavor = "multi_thread")]
async fn a_target_whose_exchange_goes_away_has_failed_alone() {
    let (url, exchange) = (servers::rabbit().url(), unique("e"));
    let client = Client::connect(url).await;
    client.declare_exchange(&exchange).await;
    let section = json!({ "exchange": exchange, "routing_key": "k", "mandatory": false, "max_in_flight": 1 });
    let mut publisher = Publisher::opened(&at(url), &section).await;
    client.delete_exchange(&exchange).await;
    let batch = (0..50).map(|_| publisher.message((&exchange, "k", &unique("id")), |_| {})).collect();
    assert!(!publisher.submit(batch).await, "the session is over");
    assert_eq!(publisher.results(50).await, ["failed amqp.404"; 50]);
}

/// What is wrong with a message is found before the server would close the channel over it.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_message_does_not_end_the_session() {
    let (url, queue) = (servers::rabbit().url(), unique("q"));
    let client = Client::connect(url).await;
    client.declare(&queue).await;
    let mut publisher = Publisher::opened(&at(url), &json!({ "routing_key": "{{ .to }}" })).await;
    let long = "k".repeat(256);
    let batch = vec![
        publisher.message(("", &long, "1"), |_| {}),
        publisher.message(("", &queue, "2"), |envelope| {
            envelope.headers.push("large", crossdock_model::Value::Bytes(vec![0; 200_000].into()));
        }),
        publisher.message(("", &queue, "3"), |envelope| envelope.headers.push("CC", "elsewhere")),
        publisher.message(("", &queue, "4"), |envelope| envelope.payload = Some(vec![9; 10 << 20].into())),
        publisher.message(("", &queue, "5"), |envelope| envelope.payload = None),
    ];
    assert!(publisher.submit(batch).await);
    assert_eq!(publisher.results(5).await, ["rejected amqp.address", "rejected amqp.headers", "+", "+", "+"]);
    let lengths = [r#"{"id":"3"}"#.len(), 10 << 20, 0];
    for length in lengths {
        assert_eq!(client.get(&queue).await.unwrap().delivery.data.len(), length);
    }
    publisher.close().await;
}

/// A queue that is full and rejects: the message failed, the session goes on.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_does_not_take_has_failed() {
    let (url, queue) = (servers::rabbit().url(), unique("q"));
    let mut arguments = FieldTable::default();
    arguments.insert("x-max-length".into(), AMQPValue::LongInt(2));
    arguments.insert("x-overflow".into(), AMQPValue::LongString("reject-publish".into()));
    Client::connect(url).await.declare_with(&queue, arguments).await;
    let mut publisher = Publisher::opened(&at(url), &json!({ "routing_key": queue })).await;
    for n in 0..4 {
        let message = publisher.message(("", &queue, &unique("id")), |_| {});
        assert!(publisher.submit(vec![message]).await);
        publisher.results(n + 1).await;
    }
    assert_eq!(publisher.results(4).await, ["+", "+", "failed amqp.nack", "failed amqp.nack"]);
    publisher.close().await;
}

/// A server that runs low on memory: the target is busy, nothing times out, nothing is lost, and it goes on by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_blocks_is_busy() {
    let rabbit = Rabbit::start();
    let client = Client::connect(rabbit.url()).await;
    client.declare("q").await;
    let section = json!({ "url": rabbit.url(), "heartbeat": "1s", "timeout": "2s" });
    let mut publisher = Publisher::opened(&section, &json!({ "routing_key": "q" })).await;
    rabbit.control(&["set_vm_memory_high_watermark", "0.0000001"]);
    // The server says so in answer to the first message.
    let start = Instant::now();
    let mut sent = 0;
    while publisher.results(sent).await.iter().filter(|result| *result == "busy amqp.blocked").count() < 2 {
        assert!(start.elapsed() < SOON, "it is never blocked");
        let message = publisher.message(("", "q", &unique("id")), |_| {});
        assert!(publisher.submit(vec![message]).await);
        sent += 1;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // Longer than a confirm may take, and than two heartbeats.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let message = publisher.message(("", "q", &unique("id")), |_| {});
    assert!(publisher.submit(vec![message]).await, "the session stands");
    rabbit.control(&["set_vm_memory_high_watermark", "0.4"]);
    let before = publisher.results(sent + 1).await.iter().filter(|result| *result == "+").count();
    let start = Instant::now();
    loop {
        let message = publisher.message(("", "q", &unique("id")), |_| {});
        assert!(publisher.submit(vec![message]).await, "the session stands");
        sent += 1;
        let results = publisher.results(sent + 1).await;
        if results.last().unwrap() == "+" {
            assert!(results.iter().filter(|result| *result == "+").count() > before);
            break;
        }
        assert!(start.elapsed() < SOON, "it stays blocked: {results:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    publisher.close().await;
}

/// A server that is killed with messages on their way: each has its fault, and none was reported as taken that is not there.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_owes_nothing() {
    let mut rabbit = Rabbit::start();
    Client::connect(rabbit.url()).await.declare("q").await;
    // RabbitMQ writes down what is declared a while after it has said yes; when it ends by itself it has.
    rabbit.restart();
    let mut publisher = Publisher::opened(&at(rabbit.url()), &json!({ "routing_key": "q" })).await;
    let mut submitted = 0;
    while publisher.posted() < 200 {
        let batch = (0..50).map(|_| publisher.message(("", "q", &unique("id")), |_| {})).collect();
        assert!(publisher.submit(batch).await);
        submitted += 50;
    }
    let batch = (0..50).map(|_| publisher.message(("", "q", &unique("id")), |_| {})).collect();
    publisher.submit(batch).await;
    rabbit.kill();
    let results = publisher.results(submitted + 50).await;
    let confirmed = results.iter().filter(|result| *result == "+").count();
    assert!(
        results.iter().all(|result| result == "+" || result.starts_with("failed") || result.starts_with("unreach"))
    );
    let message = publisher.message(("", "q", "late"), |_| {});
    assert!(!publisher.submit(vec![message]).await, "the session is over");
    assert_eq!(publisher.results(submitted + 51).await.last().unwrap(), "unreachable amqp.connection");
    drop(publisher);
    rabbit.restart();
    let client = Client::connect(rabbit.url()).await;
    assert!(client.depth("q").await as usize >= confirmed, "{confirmed} were confirmed");
}

/// A server that falls silent with messages on their way: they are given up after two heartbeats, and it goes on with the
/// next session.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_falls_silent_is_given_up() {
    let rabbit = Rabbit::start();
    Client::connect(rabbit.url()).await.declare("q").await;
    let section = json!({ "url": rabbit.url(), "heartbeat": "1s" });
    let mut publisher = Publisher::opened(&section, &json!({ "routing_key": "q" })).await;
    rabbit.freeze();
    let batch = (0..3).map(|_| publisher.message(("", "q", &unique("id")), |_| {})).collect();
    assert!(publisher.submit(batch).await);
    assert_eq!(publisher.results(3).await, ["failed amqp.connection"; 3]);
    rabbit.thaw();
    publisher.open().await.unwrap();
    let message = publisher.message(("", "q", &unique("id")), |_| {});
    assert!(publisher.submit(vec![message]).await);
    assert_eq!(publisher.results(4).await.last().unwrap(), "+");
    publisher.close().await;
}
