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
async fn a_batch_that_is_refused_is_not_the_fault_of_each_message_in_it() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("out", 1, 1).unwrap();
    let (connector, posted) = (kafka("s"), Posted::default());
    let config = sink_of(&brokers(&cluster.bootstrap_servers()), &json!({ "topic": "out" }));
    let mut sending = sender(&connector, &config, &posted).await.unwrap();
    let message = |ticket: u64| outgoing(ticket, envelope("x"), &[text("out")]);
    // A record without a key sent all that went with it to a compacted topic to the dead letters.
    cluster.request_errors(RDKafkaApiKey::Produce, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_RECORD]);
    sending.submit((0..20).map(message).collect()).await.unwrap();
    let results = posted.count(20).await;
    let faults: Vec<_> = results.iter().filter_map(|(_, result)| result.as_ref().err()).collect();
    assert!(!faults.is_empty() && faults.iter().all(|fault| fault.class == FaultClass::Failed), "{faults:?}");
    posted.0.lock().unwrap().clear();
    cluster.request_errors(RDKafkaApiKey::Produce, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_RECORD]);
    sending.submit(vec![message(30)]).await.unwrap();
    let results = posted.count(1).await;
    let fault = results[0].1.as_ref().unwrap_err();
    assert_eq!((fault.class, &*fault.code), (FaultClass::Rejected, "kafka.invalid_record"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_that_ends_is_told_of_and_another_takes_over() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("out", 1, 1).unwrap();
    let (connector, posted) = (kafka("s"), Posted::default());
    let config = sink_of(&brokers(&cluster.bootstrap_servers()), &json!({ "topic": "out" }));
    // Without the right to be idempotent a producer is of no use any more.
    let denied = RDKafkaRespErr::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED;
    cluster.request_errors(RDKafkaApiKey::InitProducerId, &[denied]);
    let mut sending = sender(&connector, &config, &posted).await.unwrap();
    let message = |ticket: u64| outgoing(ticket, envelope("x"), &[text("out")]);
    let (mut next, until) = (0, Instant::now() + LONG);
    let error = loop {
        next += 1;
        match sending.submit(vec![message(next)]).await {
            Ok(()) => assert!(Instant::now() < until, "it never ended"),
            Err(error) => break error,
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(error.to_string().contains("the producer has ended"), "{error}");
    let results = posted.count(usize::try_from(next).unwrap()).await;
    assert_eq!(results.iter().map(|(ticket, _)| *ticket).collect::<Vec<_>>(), (1..=next).collect::<Vec<_>>());
    assert!(results.iter().all(|(_, result)| result.is_err()), "{results:?}");
    drop(sending);
    let mut another = sender(&connector, &config, &posted).await.unwrap();
    posted.0.lock().unwrap().clear();
    another.submit(vec![message(9000)]).await.unwrap();
    assert!(posted.count(1).await[0].1.is_ok());
}
