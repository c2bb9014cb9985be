//! Brokers that are away: at the start, in between, for ever.

use crate::common::*;
use crossdock_connector::{Connector, SourceErrorKind};
use crossdock_model::FaultClass;
use crossdock_testkit::{free_port, servers};
use serde_json::json;
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_not_there_is_told_soon() {
    let address = format!("127.0.0.1:{}", free_port());
    let began = Instant::now();
    let config = source_of(&brokers(&address), "r", &json!({ "topics": ["t"] }));
    let Err(error) = open(&mut kafka("s").source(&config).unwrap()).await else { panic!("nobody is there") };
    assert_eq!(error.kind, SourceErrorKind::Connection);
    assert!(error.text.contains("refused") && error.text.contains(&address), "{error}");
    let sink = sink_of(&brokers(&address), &json!({ "topic": "t" }));
    let Err(fault) = sender(&kafka("s"), &sink, &Posted::default()).await else { panic!("nobody is there") };
    assert_eq!(fault.class, FaultClass::Unreachable);
    let fault = kafka("s").probe(&connection(&brokers(&address))).await.unwrap_err();
    assert_eq!(fault.class, FaultClass::Unreachable);
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    kafka("s").probe(&connection(&brokers(servers::kafka().address()))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_killed_and_comes_back_loses_nothing() {
    let mut server = servers::Kafka::start();
    let address = server.address().to_owned();
    server.create_topic("in", 2);
    server.create_topic("out", 1);
    produce(&address, "in", None, 0..100);
    let (mut source, mut session) = read(&address, "s1", "g", &json!({ "topics": ["in"] })).await;
    let got = session.take(100).await;
    session.settle(got.iter().take(50).map(|received| received.token)).await;
    let (connector, posted) = (kafka("s"), Posted::default());
    let config = sink_of(&brokers(&address), &json!({ "topic": "out", "timeout": "60s" }));
    let mut sending = sender(&connector, &config, &posted).await.unwrap();
    let message = |ticket: u64| outgoing(ticket, envelope(&ticket.to_string()), &[text("out")]);
    sending.submit((0..100).map(message).collect()).await.unwrap();
    server.kill();
    let error = tokio::time::timeout(LONG, async {
        loop {
            if let Err(error) = session.receiver.next(CREDIT).await {
                return error;
            }
        }
    });
    assert_eq!(error.await.unwrap().kind, SourceErrorKind::Connection);
    drop(session);
    // The producer has heard by now or hears soon that nobody is there: what comes then is surely not sent.
    let mut next = 1000;
    loop {
        sending.submit(vec![message(next)]).await.unwrap();
        let known = posted.0.lock().unwrap().iter().find(|(ticket, _)| ticket.0 == next).map(|(_, it)| it.clone());
        if known.is_some_and(|it| it.is_err_and(|fault| fault.class == FaultClass::Unreachable)) {
            break;
        }
        next += 1;
        assert!(next < 1500, "it never heard");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    server.restart();
    let mut session = loop {
        match open(&mut source).await {
            Ok(session) => break session,
            Err(error) => assert_eq!(error.kind, SourceErrorKind::Connection, "{error}"),
        }
    };
    let mut again = BTreeSet::new();
    while !(50..100).all(|at| again.contains(&number(&got[at]))) {
        again.extend(session.batch(|_| {}).await.iter().map(number));
    }
    session.close().await;
    // All that was taken before the kill arrives when the broker is back, none twice.
    let results = posted.count(100).await;
    let delivered: BTreeSet<_> = results.iter().filter(|(_, it)| it.is_ok()).map(|(ticket, _)| *ticket).collect();
    assert!((0..100).all(|ticket| delivered.contains(&ticket)), "{results:?}");
    let there = consume(&address, "out", delivered.len());
    let distinct: BTreeSet<_> = there.iter().map(payload).collect();
    assert_eq!((there.len(), distinct.len()), (delivered.len(), delivered.len()));
    posted.0.lock().unwrap().clear();
    sending.submit(vec![message(5000)]).await.unwrap();
    assert!(posted.count(1).await[0].1.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_says_nothing_fails_a_message_in_time() {
    let server = servers::Kafka::start();
    server.create_topic("out", 1);
    let (connector, posted) = (kafka("s"), Posted::default());
    let config = sink_of(&brokers(server.address()), &json!({ "topic": "out", "timeout": "2s" }));
    let mut sending = sender(&connector, &config, &posted).await.unwrap();
    server.freeze();
    let began = Instant::now();
    sending.submit(vec![outgoing(1, envelope("x"), &[text("out")])]).await.unwrap();
    let results = posted.count(1).await;
    let fault = results[0].1.as_ref().unwrap_err();
    assert_eq!((fault.class, &*fault.code), (FaultClass::Failed, "kafka.message_timed_out"), "{fault}");
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    server.thaw();
}
