//! Consumers of a queue that no route reads: leases, and what becomes of them.

use crate::rig::{Rig, until, wait};
use crossdock_connector::Settlement;
use crossdock_engine::{Delivery, MessageState, MessageView, Receive, RequestError};
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

const QUEUE: &str = "
channels: { q: { queue: {} }, events: { topic: {} } }
routes:
  in: { from: { ask: {} }, to: { queue: q } }
  mirror: { from: { ask: {} }, to: { queue: read } }
  reader: { from: { queue: read }, to: { ask: { connection: p, path: a } } }
";

const LONG: Duration = Duration::from_secs(30);

fn start() -> Rig {
    Rig::start(&QUEUE.replace("events:", "read: { queue: {} }, events:"))
}

fn fill(rig: &Rig, count: usize) {
    for n in 0..count {
        assert!(matches!(rig.post("in", &format!("{{\"n\":{n}}}")), Settlement::Stored { .. }));
    }
}

fn take(rig: &Rig, messages_max: usize, lease: Duration) -> Vec<Delivery> {
    let asked = Receive { messages_max, wait: Duration::ZERO, lease };
    rig.block_on(rig.gateway().receive("q", asked)).unwrap()
}

fn leases(deliveries: &[Delivery]) -> Vec<String> {
    deliveries.iter().map(|delivery| delivery.lease.to_string()).collect()
}

/// The number that a message was sent with.
fn number(message: &MessageView) -> u64 {
    let payload = message.envelope.payload.as_ref().unwrap();
    let digits = payload.strip_prefix(br#"{"n":"#).and_then(|rest| rest.strip_suffix(b"}")).unwrap();
    std::str::from_utf8(digits).unwrap().parse().unwrap()
}

fn numbers(deliveries: &[Delivery]) -> Vec<u64> {
    deliveries.iter().map(|delivery| number(&delivery.message)).collect()
}

/// Acknowledges; how many leases were stale.
fn ack(rig: &Rig, leases: &[String]) -> usize {
    rig.block_on(rig.gateway().acknowledge("q", leases)).unwrap().len()
}

fn nack(rig: &Rig, leases: &[String], delay: Duration) -> usize {
    rig.block_on(rig.gateway().give_back("q", leases, delay)).unwrap().len()
}

/// Delivered, in flight, scheduled, and all that is stored.
fn check(rig: &Rig, expected: [f64; 4]) {
    let told = || {
        let channel = rig.channel("q");
        let delivered = rig.metric(r#"crossdock_messages_total{route="queue:q",outcome="delivered"}"#).unwrap();
        [delivered, channel.in_flight as f64, channel.scheduled as f64, channel.messages as f64]
    };
    until(&format!("{expected:?}"), || told() == expected);
    assert_eq!(rig.metric(r#"crossdock_queue_messages{queue="q",state="in_flight"}"#), Some(expected[1]));
    assert_eq!(rig.metric(r#"crossdock_queue_messages{queue="q",state="scheduled"}"#), Some(expected[2]));
    rig.account();
}

#[test]
fn what_is_acknowledged_is_gone_and_what_is_given_back_comes_again() {
    let rig = start();
    fill(&rig, 50);
    let first = take(&rig, 20, LONG);
    assert_eq!(numbers(&first), (0..20).collect::<Vec<_>>());
    assert!(first.iter().all(|delivery| delivery.message.state == MessageState::InFlight));
    assert_eq!(numbers(&take(&rig, 10, LONG)), (20..30).collect::<Vec<_>>());
    check(&rig, [0.0, 30.0, 0.0, 50.0]);
    let (done, back) = (leases(&first[..15]), leases(&first[15..]));
    assert_eq!((ack(&rig, &done), nack(&rig, &back, Duration::ZERO)), (0, 0));
    check(&rig, [15.0, 10.0, 0.0, 35.0]);
    assert_eq!(numbers(&take(&rig, 1000, LONG)), (15..20).chain(30..50).collect::<Vec<_>>(), "what came back is first");
    assert_eq!((ack(&rig, &done), nack(&rig, &back, LONG), take(&rig, 9, LONG).len()), (15, 5, 0), "all stale");
    check(&rig, [15.0, 35.0, 0.0, 35.0]);
    let browsed = rig.block_on(rig.gateway().browse("q", None, 100)).unwrap();
    assert!(browsed.items.len() == 35 && browsed.items.iter().all(|item| item.state == MessageState::InFlight));
}

#[test]
fn a_stale_lease_hurts_no_other_of_the_request() {
    let rig = start();
    fill(&rig, 3);
    let taken = leases(&take(&rig, 3, LONG));
    let mut asked = taken.clone();
    // A lease named twice is meant once; what is no lease at all is stale, too.
    asked.extend([taken[0].clone(), String::from("nonsense"), String::from("0000000000000000-0-1")]);
    assert_eq!(ack(&rig, &asked), 2);
    check(&rig, [3.0, 0.0, 0.0, 0.0]);
}

#[test]
fn a_lease_that_runs_out_is_given_to_the_next_one_who_waits() {
    let rig = start();
    fill(&rig, 1);
    let began = Instant::now();
    let first = take(&rig, 1, Duration::from_millis(150));
    let asked = Receive { messages_max: 5, wait: LONG, lease: LONG };
    let second = rig.block_on(rig.gateway().receive("q", asked)).unwrap();
    assert!(began.elapsed() >= Duration::from_millis(150), "it had run out in {:?}", began.elapsed());
    assert_eq!(second[0].message.envelope.id, first[0].message.envelope.id);
    assert_eq!(second[0].message.attempts_total, 0, "nothing is charged");
    assert_eq!((ack(&rig, &leases(&first)), ack(&rig, &leases(&second))), (1, 0));
    check(&rig, [1.0, 0.0, 0.0, 0.0]);
}

#[test]
fn consumers_who_wait_are_served_in_turn_and_one_who_left_gets_nothing() {
    let rig = start();
    let gateway = rig.gateway().clone();
    let wait_for = |wait| {
        let gateway = gateway.clone();
        async move { gateway.receive("q", Receive { messages_max: 1, wait, lease: LONG }).await }
    };
    // It gives up: what comes later is not for it.
    assert!(rig.block_on(wait_for(Duration::from_millis(50))).unwrap().is_empty());
    let gone = rig.block_on(async { tokio::time::timeout(Duration::from_millis(50), wait_for(LONG)).await });
    assert!(gone.is_err());
    let (sent, received) = std::sync::mpsc::channel();
    for consumer in 0..4 {
        let (waiting, sent) = (wait_for(LONG), sent.clone());
        let consume = async move { sent.send((consumer, waiting.await.unwrap())).unwrap() };
        rig.block_on(async { drop(tokio::spawn(consume)) });
        // The order in which they ask is told by nothing else.
        std::thread::park_timeout(Duration::from_millis(30));
    }
    fill(&rig, 4);
    let mut given: Vec<_> = (0..4).map(|_| received.recv_timeout(LONG).unwrap()).collect();
    given.sort_by_key(|(consumer, _)| *consumer);
    let order: Vec<_> = given.iter().map(|(_, deliveries)| numbers(deliveries)).collect();
    assert_eq!(order, [[0], [1], [2], [3]]);
    check(&rig, [0.0, 4.0, 0.0, 4.0]);
}

#[test]
fn what_is_put_off_stays_put_off_over_a_kill_and_leases_do_not() {
    let mut rig = start();
    fill(&rig, 10);
    let taken = take(&rig, 10, LONG);
    let lost = leases(&taken);
    assert_eq!(ack(&rig, &lost[..2]), 0);
    assert_eq!(nack(&rig, &lost[2..5], Duration::from_secs(3)), 0);
    assert_eq!(nack(&rig, &lost[5..6], Duration::from_secs(3600)), 0);
    let began = Instant::now();
    check(&rig, [2.0, 4.0, 4.0, 8.0]);
    rig.kill();
    rig.restart();
    check(&rig, [0.0, 0.0, 4.0, 8.0]);
    assert_eq!(ack(&rig, &lost[6..]), 4, "leases of another process");
    assert_eq!(numbers(&take(&rig, 100, LONG)), [6, 7, 8, 9]);
    let late = wait("those that were put off", || Some(take(&rig, 100, LONG)).filter(|taken| !taken.is_empty()));
    assert!(began.elapsed() >= Duration::from_millis(2500), "too early: {:?}", began.elapsed());
    let mut late: BTreeSet<u64> = numbers(&late).into_iter().collect();
    until("all three", || {
        late.extend(numbers(&take(&rig, 100, LONG)));
        late.len() == 3
    });
    check(&rig, [0.0, 7.0, 1.0, 8.0]);
}

#[test]
fn a_backlog_on_disk_is_given_out_once_and_in_order() {
    let mut rig = start();
    fill(&rig, 700);
    rig.stop(Duration::from_secs(5));
    rig.restart();
    let mut taken = Vec::new();
    while taken.len() < 700 {
        let some = take(&rig, 90, LONG);
        assert!(!some.is_empty(), "{} of 700", taken.len());
        assert_eq!(ack(&rig, &leases(&some)), 0);
        taken.extend(numbers(&some));
    }
    assert_eq!(taken, (0..700).collect::<Vec<_>>());
    check(&rig, [700.0, 0.0, 0.0, 0.0]);
}

#[test]
fn only_a_queue_that_no_route_reads_is_received_from() {
    let rig = start();
    let asked = Receive { messages_max: 1, wait: Duration::ZERO, lease: LONG };
    for (name, conflict) in [("read", true), ("events", true), ("none", false), ("reader.dead", false)] {
        let result = rig.block_on(rig.gateway().receive(name, asked));
        match (name, result) {
            ("reader.dead", result) => assert_eq!(result, Ok(Vec::new()), "dead letters may be taken as well"),
            (_, Err(RequestError::Conflict(_))) => assert!(conflict, "{name}"),
            (_, Err(RequestError::NotFound(_))) => assert!(!conflict, "{name}"),
            (_, other) => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn messages_are_found_by_a_condition_where_they_stand() {
    let rig = start();
    fill(&rig, 300);
    assert_eq!(take(&rig, 10, LONG).len(), 10);
    let gateway = rig.gateway();
    let page = |condition: &str, cursor: Option<&str>, limit| {
        rig.block_on(gateway.browse_where("q", condition, cursor, limit))
    };
    let first = page("mod!(.n, 7) == 0", None, 30).unwrap();
    let second = page("mod!(.n, 7) == 0", first.next.as_deref(), 30).unwrap();
    let found: Vec<u64> = first.items.iter().chain(&second.items).map(number).collect();
    assert_eq!(found, (0..300).filter(|n| n % 7 == 0).collect::<Vec<_>>());
    assert_eq!((first.items.len(), &second.next, first.items[1].state), (30, &None, MessageState::InFlight));
    // The last message is the last that was asked for: nothing is left.
    assert_eq!(page(".n == 299", None, 1).unwrap().next, None);
    assert!(page(".missing.field == 1", None, 10).unwrap().items.is_empty());
    for wrong in ["", ".n >", ".n > 5", ".n = 5", "nonsense(.n)"] {
        assert!(matches!(page(wrong, None, 10), Err(RequestError::Invalid(_))), "{wrong}");
    }
    check(&rig, [0.0, 10.0, 0.0, 300.0]);
}
