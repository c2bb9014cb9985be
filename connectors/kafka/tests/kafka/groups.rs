//! Watermarks, rebalances, static members.

use crate::common::*;
use crossdock_connector::{Connector, Event, Received};
use crossdock_testkit::servers;
use serde_json::json;
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_committed_over_a_hole_however_a_session_ends() {
    let address = servers::kafka().address();
    let (topic, group) = (topic(address, 1), servers::unique("g"));
    produce(address, &topic, Some(0), 0..1000);
    let section = json!({ "topics": [topic] });
    // The places that are left open, one a session; each next session begins there.
    let mut begins = 0;
    for (hole, cleanly) in [(100, false), (400, true), (401, false), (999, true)] {
        let (source, mut session) = read(address, "s1", &group, &section).await;
        let got = session.take(1000 - begins).await;
        assert_eq!(number(&got[0]), begins);
        session.settle(got.iter().filter(|received| number(received) != hole).map(|received| received.token)).await;
        await_committed(address, &group, &topic, 1, i64::try_from(hole).unwrap());
        if cleanly {
            session.close().await;
        } else {
            // As if the process was killed: nothing is said to anybody.
            std::mem::forget((source, session));
        }
        assert_eq!(committed(address, &group, &topic, 1), i64::try_from(hole).unwrap());
        begins = hole;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_comes_back_under_its_name_goes_on_at_once() {
    let address = servers::kafka().address();
    let (topic, group) = (topic(address, 2), servers::unique("g"));
    produce(address, &topic, None, 0..100);
    let section = json!({ "topics": [topic] });
    let (source, mut session) = read(address, "s1", &group, &section).await;
    let got = session.take(100).await;
    session.settle(got.iter().map(|received| received.token)).await;
    await_committed(address, &group, &topic, 2, 100);
    std::mem::forget((source, session));
    produce(address, &topic, None, 100..110);
    let began = Instant::now();
    let (_source, mut session) = read(address, "s1", &group, &section).await;
    let got: BTreeSet<_> = session.take(10).await.iter().map(number).collect();
    assert_eq!(got, (100..110).collect());
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}: a dynamic member takes 45 s", began.elapsed());
    session.close().await;
}

/// Settles each message some time after it came, as an engine does, and answers revocations.
async fn work(mut session: Session, until: usize, seen: tokio::sync::mpsc::UnboundedSender<usize>) -> Session {
    let mut late: Vec<Received> = Vec::new();
    let mut idle = 0;
    while idle < until {
        let next = tokio::time::timeout(Duration::from_millis(50), session.receiver.next(CREDIT)).await;
        let (mut revoked, mut fresh) = (None, Vec::new());
        match next {
            Err(_) => idle += 1,
            Ok(Ok(Event::Messages(messages))) => {
                idle = 0;
                fresh = messages;
            }
            Ok(Ok(Event::Revoking { scope, .. })) => revoked = Some(scope),
            Ok(other) => panic!("{other:?}"),
        }
        for received in &late {
            seen.send(number(received)).unwrap();
        }
        session.settle(late.drain(..).map(|received| received.token)).await;
        if let Some(scope) = revoked {
            session.settler.released(scope).await;
        }
        late = fresh;
    }
    session
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_member_takes_over_its_share_and_nothing_is_lost() {
    let address = servers::kafka().address();
    let (topic, group) = (topic(address, 4), servers::unique("g"));
    let section = json!({ "topics": [topic] });
    let (sent, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let (_one, session) = read(address, "s1", &group, &section).await;
    let first = tokio::spawn(work(session, 100, sent.clone()));
    let writer = tokio::task::spawn_blocking({
        let topic = topic.clone();
        move || (0..20).for_each(|part| produce(servers::kafka().address(), &topic, None, part * 500..(part + 1) * 500))
    });
    let (_two, session) = read(address, "s2", &group, &section).await;
    let second = tokio::spawn(work(session, 100, sent));
    writer.await.unwrap();
    let (first, second) = (first.await.unwrap(), second.await.unwrap());
    let mut all = Vec::new();
    while let Ok(number) = seen.try_recv() {
        all.push(number);
    }
    let distinct: BTreeSet<_> = all.iter().copied().collect();
    assert_eq!(distinct.len(), 10_000, "some were lost");
    assert_eq!(all.len(), 10_000, "some were settled and came again although there was time to drain");
    first.close().await;
    second.close().await;
    await_committed(address, &group, &topic, 4, 10_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_its_place_ends_a_member() {
    let address = servers::kafka().address();
    let (topic, group) = (topic(address, 1), servers::unique("g"));
    let section = json!({ "topics": [topic] });
    let (_one, mut old) = read(address, "same", &group, &section).await;
    let (_two, new) = read(address, "same", &group, &section).await;
    let error = tokio::time::timeout(LONG, async {
        loop {
            if let Err(error) = old.receiver.next(CREDIT).await {
                return error;
            }
        }
    });
    let error = error.await.unwrap();
    assert!(error.text.contains("another process"), "{error}");
    new.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn order_within_a_partition_is_kept() {
    let address = servers::kafka().address();
    let (topic, group) = (topic(address, 4), servers::unique("g"));
    for partition in 0..4 {
        produce(address, &topic, Some(partition), 0..2000);
    }
    let (_source, mut session) = read(address, "s1", &group, &json!({ "topics": [topic] })).await;
    let got = session.take(8000).await;
    for partition in 0..4 {
        let of_it = got.iter().filter(|received| received.envelope.origin.partition == Some(partition));
        assert_eq!(of_it.map(number).collect::<Vec<_>>(), (0..2000).collect::<Vec<_>>());
    }
    session.close().await;
}

#[test]
fn two_routes_of_one_group_are_told() {
    let section = json!({ "topics": ["a"], "group": "g" });
    let sources = ["one", "two"].map(|route| source_of(&brokers("127.0.0.1:1"), route, &section));
    let found = kafka("s").check(&sources);
    assert!(!found.has_errors() && found.iter().any(|found| found.message.contains("`one`")), "{found:?}");
    let apart = ["one", "two"].map(|route| source_of(&brokers("127.0.0.1:1"), route, &json!({ "topics": ["a"] })));
    assert!(kafka("s").check(&apart).is_empty());
}
