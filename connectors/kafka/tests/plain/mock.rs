//! Errors that a real broker seldom has, from librdkafka's mock cluster.

use crate::common::*;
use crossdock_model::FaultClass;
use rdkafka::{
    mocking::MockCluster,
    types::{RDKafkaApiKey, RDKafkaRespErr},
};
use serde_json::json;
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_fail_are_repeated_and_nothing_is_written_twice_or_out_of_order() {
    let cluster = MockCluster::new(3).unwrap();
    cluster.create_topic("out", 1, 3).unwrap();
    let address = cluster.bootstrap_servers();
    let (connector, posted) = (kafka("s"), Posted::default());
    let mut sending =
        sender(&connector, &sink_of(&brokers(&address), &json!({ "topic": "out" })), &posted).await.unwrap();
    let errors = [
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
    ];
    cluster.request_errors(RDKafkaApiKey::Produce, &errors);
    let message = |ticket: u64| outgoing(ticket, envelope(&ticket.to_string()), &[text("out")]);
    sending.submit((0..500).map(message).collect()).await.unwrap();
    let results = posted.count(500).await;
    assert!(results.iter().all(|(_, result)| result.is_ok()), "{results:?}");
    let got: Vec<_> = consume(&address, "out", 500).iter().map(payload).collect();
    assert_eq!(got, (0..500).map(|n| n.to_string()).collect::<Vec<_>>());
    sending.close(Instant::now() + LONG).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_allowed_is_a_failure_and_not_the_messages_fault() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("out", 1, 1).unwrap();
    let (connector, posted) = (kafka("s"), Posted::default());
    let config = sink_of(&brokers(&cluster.bootstrap_servers()), &json!({ "topic": "out" }));
    let mut sending = sender(&connector, &config, &posted).await.unwrap();
    cluster.request_errors(RDKafkaApiKey::Produce, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED]);
    sending.submit(vec![outgoing(1, envelope("x"), &[text("out")])]).await.unwrap();
    let results = posted.count(1).await;
    let fault = results[0].1.as_ref().unwrap_err();
    assert_eq!((fault.class, &*fault.code), (FaultClass::Failed, "kafka.topic_authorization_failed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_that_ends_is_told_of_and_another_takes_over() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("out", 1, 1).unwrap();
    let (connector, posted) = (kafka("s"), Posted::default());
    let config = sink_of(&brokers(&cluster.bootstrap_servers()), &json!({ "topic": "out" }));
    let mut sending = sender(&connector, &config, &posted).await.unwrap();
    // A message that was written before it is said to be out of order: what librdkafka cannot mend.
    let broken = RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
    cluster.request_errors(RDKafkaApiKey::Produce, &[broken]);
    let message = |ticket: u64| outgoing(ticket, envelope("x"), &[text("out")]);
    let until = Instant::now() + LONG;
    let mut next = 0;
    while sending.submit(vec![message(next)]).await.is_ok() && Instant::now() < until {
        let results = posted.count(usize::try_from(next).unwrap() + 1).await;
        next += 1;
        if results.iter().all(|(_, result)| result.is_ok()) && next > 3 {
            // It mended that itself: nothing was lost, and there is nothing to take over.
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let results = posted.count(usize::try_from(next).unwrap() + 1).await;
    assert!(results.last().unwrap().1.is_err(), "{results:?}");
    let mut another = sender(&connector, &config, &posted).await.unwrap();
    posted.0.lock().unwrap().clear();
    another.submit(vec![message(9000)]).await.unwrap();
    assert!(posted.count(1).await[0].1.is_ok());
}
