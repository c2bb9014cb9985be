//! Nothing is lost while clients and the broker come and go.

use crate::{
    client::{Client, publish},
    only_mqtt::{Site, qos},
};
use crossdock_connector::{Event, Receiver, Settler, Source};
use crossdock_testkit::servers::{self, Mosquitto};
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};
use tokio::time::timeout;

const COUNT: usize = 2000;
const SOON: Duration = Duration::from_secs(60);

fn payload(number: usize) -> String {
    format!("{number:06}")
}

type Session = (Box<dyn Receiver>, Box<dyn Settler>);

async fn open(source: &mut Box<dyn Source>) -> Session {
    let start = Instant::now();
    loop {
        match source.open().await {
            Ok(session) => return session,
            Err(error) => assert!(start.elapsed() < SOON, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Stores what comes until all of it has; ten times a second the session, and at times the process, is killed with messages
/// received and not settled.
async fn receive(site: &Site, section: &serde_json::Value) -> usize {
    let (start, mut missing) = (Instant::now(), (0..COUNT).map(payload).collect::<BTreeSet<_>>());
    let (mut all, mut kills) = (0, 0);
    let mut source = site.source("r", section);
    let mut session = open(&mut source).await;
    let mut lives_since = Instant::now();
    while !missing.is_empty() {
        assert!(start.elapsed() < SOON, "{} never came", missing.len());
        let next = timeout(Duration::from_secs(5), session.0.next(crate::only_mqtt::CREDIT)).await;
        let Ok(Ok(Event::Messages(messages))) = next else {
            session = open(&mut source).await;
            continue;
        };
        all += messages.len();
        if lives_since.elapsed() > Duration::from_millis(100) {
            kills += 1;
            // Half of it was stored, and the acknowledgements may or may not get out.
            let half = &messages[..messages.len() / 2];
            let settled = half.iter().map(|message| (message.token, crate::only_mqtt::stored())).collect();
            for message in half {
                missing.remove(std::str::from_utf8(message.envelope.bytes()).unwrap());
            }
            drop(session.1.settle(settled).await);
            drop(session);
            if kills % 2 == 0 {
                source = site.source("r", section);
            }
            session = open(&mut source).await;
            lives_since = Instant::now();
            continue;
        }
        for message in &messages {
            missing.remove(std::str::from_utf8(message.envelope.bytes()).unwrap());
        }
        let settled = messages.iter().map(|message| (message.token, crate::only_mqtt::stored())).collect();
        drop(session.1.settle(settled).await);
    }
    assert!(kills >= 3, "{kills} kills");
    all
}

async fn kills_lose_nothing(version: &str, of: u8) {
    let site = Site::new(servers::mosquitto().address(), version);
    let topic = servers::unique("ledger");
    let section = serde_json::json!({ "topics": [format!("{topic}/#")], "qos": of });
    let mut source = site.source("r", &section);
    drop(open(&mut source).await);
    drop(source);
    let address = servers::mosquitto().address().to_owned();
    let publishing = tokio::spawn(async move {
        let mut client = Client::connect(&address, "", false, None).await;
        let message = |number| publish(&format!("{topic}/{}", number % 7), qos(of), payload(number));
        for some in (0..COUNT).collect::<Vec<_>>().chunks(100) {
            client.publish(some.iter().map(|number| message(*number)).collect()).await;
            // Long enough for some kills.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let received = receive(&site, &section).await;
    publishing.await.unwrap();
    assert!(received >= COUNT);
}

#[tokio::test]
async fn kills_lose_nothing_of_qos_1() {
    kills_lose_nothing("3.1.1", 1).await;
    kills_lose_nothing("5", 1).await;
}

#[tokio::test]
async fn kills_lose_nothing_of_qos_2() {
    kills_lose_nothing("3.1.1", 2).await;
    kills_lose_nothing("5", 2).await;
}

/// A message of QoS 2 is known again by DUP and what is in it: the broker sets the one and does not change the other.
#[tokio::test]
async fn a_connection_that_is_lost_while_qos_2_is_being_stored_stores_it_once() {
    for version in ["3.1.1", "5"] {
        let address = servers::mosquitto().address();
        let (site, topic) = (Site::new(address, version), servers::unique("once"));
        let section = serde_json::json!({ "topics": [format!("{topic}/#")], "qos": 2 });
        let mut source = site.source("r", &section);
        let mut session = open(&mut source).await;
        let mut client = Client::connect(address, "", false, None).await;
        let message = |number| publish(&format!("{topic}/{number}"), qos(2), payload(number));
        client.publish((0..10).map(message).collect()).await;
        let mut received = Vec::new();
        while received.len() < 10 {
            match timeout(SOON, session.0.next(crate::only_mqtt::CREDIT)).await.unwrap().unwrap() {
                Event::Messages(messages) => received.extend(messages),
                event => panic!("{event:?}"),
            }
        }
        // Another client of the same id takes the connection over and settles nothing.
        drop(open(&mut site.source("r", &section)).await);
        timeout(SOON, session.0.next(crate::only_mqtt::CREDIT)).await.unwrap().unwrap_err();
        let settled = received.iter().map(|message| (message.token, crate::only_mqtt::stored())).collect();
        session.1.settle(settled).await.unwrap_err();
        drop(session);
        let mut session = open(&mut source).await;
        client.publish(vec![message(10)]).await;
        let Event::Messages(after) = timeout(SOON, session.0.next(crate::only_mqtt::CREDIT)).await.unwrap().unwrap()
        else {
            panic!("no message")
        };
        let after: Vec<_> = after.iter().map(|message| message.envelope.bytes().to_vec()).collect();
        assert_eq!(after, [payload(10).into_bytes()], "{version}");
    }
}

/// The broker stops as its operator stops it, and comes back, while messages go in and out.
#[tokio::test(flavor = "multi_thread")]
async fn restarts_of_the_broker_lose_nothing() {
    let mut server = tokio::task::spawn_blocking(Mosquitto::start).await.unwrap();
    let address = server.address().to_owned();
    let site = Site::new(&address, "5");
    let section = serde_json::json!({ "topics": ["x"] });
    let mut source = site.source("r", &section);
    let mut session = open(&mut source).await;
    let deliveries = tokio::spawn(async move { site.deliver("x", COUNT, Duration::from_millis(200)).await });
    let restarts = tokio::task::spawn_blocking(move || {
        for _ in 0..3 {
            std::thread::park_timeout(Duration::from_millis(400));
            server.restart();
        }
        server
    });
    let (start, mut missing) = (Instant::now(), (0..COUNT).map(payload).collect::<BTreeSet<_>>());
    while !missing.is_empty() {
        assert!(start.elapsed() < SOON, "{} never came", missing.len());
        match timeout(Duration::from_secs(5), session.0.next(crate::only_mqtt::CREDIT)).await {
            Ok(Ok(Event::Messages(messages))) => {
                for message in &messages {
                    missing.remove(std::str::from_utf8(message.envelope.bytes()).unwrap());
                }
                let settled = messages.iter().map(|message| (message.token, crate::only_mqtt::stored())).collect();
                drop(session.1.settle(settled).await);
            }
            Ok(Ok(event)) => panic!("{event:?}"),
            Ok(Err(_)) => session = open(&mut source).await,
            Err(_) => {}
        }
    }
    assert!(deliveries.await.unwrap() >= 1, "no delivery was interrupted: the test shows nothing");
    restarts.await.unwrap();
}
