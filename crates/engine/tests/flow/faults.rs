//! What goes wrong with a message or a target, and what is left of it.

use crate::rig::{
    Rig,
    peer::fault,
    until, wait,
    world::{Got, Reply},
};
use crossdock_connector::Settlement;
use crossdock_engine::{DeadFilter, MessageState, TargetState};
use crossdock_model::{Fault, FaultClass};
use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

const ROUTE: &str = "
routes:
  r:
    from: { ask: {} }
    steps: [ { filter: .n != 13 }, { validate: { json_schema: s.json } } ]
    to: { name: erp, ask: { connection: p, path: orders } }
    retry: { attempts: 3, initial: 20ms, factor: 2, max: 100ms }
";

/// The number in the payload.
fn number(got: &Got) -> u64 {
    let digits: String = got.payload.split("\"n\":").nth(1).unwrap().chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

fn message(n: u64) -> String {
    format!(r#"{{"id":"o-{n}","n":{n}}}"#)
}

#[test]
fn a_refused_message_is_a_dead_letter_with_cause_attempts_and_original() {
    let rig = Rig::start(ROUTE);
    rig.world.script(|got| match number(got) {
        5 => Reply::Fault(fault(FaultClass::Rejected, "ask.refused")),
        _ => Reply::Taken,
    });
    for n in 1..8 {
        rig.post("r", &message(n));
    }
    let dead = wait("the dead letter", || rig.dead().pop());
    assert_eq!((dead.cause.class, &*dead.cause.code), (FaultClass::Rejected, "ask.refused"));
    assert_eq!((dead.target.as_deref(), dead.source.as_deref(), dead.redrives), (Some("erp"), Some("route:r"), 0));
    assert_eq!(dead.message.envelope.bytes(), message(5).as_bytes());
    assert_eq!((dead.message.route.as_deref(), &*dead.message.channel), (Some("r"), "r.dead"));
    let attempts: Vec<_> = dead.message.attempts.iter().map(|a| (a.outcome(), a.target.as_deref())).collect();
    assert_eq!(attempts, [("rejected", Some("erp"))], "a refusal is not tried again");
    until("the counts", || {
        let counts = rig.route("r").counts;
        (counts.delivered, counts.dead, counts.stored) == (6, 1, 0)
    });
    assert_eq!(rig.metric(r#"crossdock_messages_total{route="queue:r.dead",outcome="received"}"#), Some(1.0));
    rig.account();
}

#[test]
fn what_a_step_refuses_dies_for_all_targets_in_one_letter() {
    let rig = Rig::start(
        "
routes:
  r:
    from: { ask: {} }
    steps: [ { validate: { json_schema: s.json } } ]
    to: [ { ask: { connection: p, path: a } }, { ask: { connection: other, path: b } } ]
  none:
    from: { ask: {} }
    to: [ { ask: { connection: p, path: a }, when: .n == 1 }, { ask: { connection: other, path: b }, when: .n == 2 } ]
",
    );
    rig.post("r", r#"{"n":1}"#);
    rig.post("r", &message(2));
    rig.post("none", r#"{"n":3}"#);
    until("two deliveries", || rig.world.taken().len() == 2);
    until("the dead letters", || rig.dead().len() == 2);
    for dead in rig.dead() {
        assert_eq!((dead.target, dead.message.attempts.len(), dead.message.attempts_total), (None, 0, 0));
        let codes = ["validate.json_schema", "route.no_target"];
        assert!(codes.contains(&&*dead.cause.code), "{:?}", dead.cause);
    }
    let step =
        rig.dead().into_iter().find(|dead| dead.message.route.as_deref() == Some("r")).unwrap().cause.step.clone();
    assert!(step.as_deref().is_some_and(|step| step.contains("validate")), "{step:?}");
    assert_eq!((rig.route("r").counts.dead, rig.route("none").counts.dead), (1, 1));
    rig.account();
}

#[test]
fn a_formula_that_fails_kills_for_its_target_alone() {
    let rig = Rig::start(
        "
routes:
  r:
    from: { ask: {} }
    to: [ { name: keyed, ask: { connection: p, path: \"a/{{ .id }}\" } }, { ask: { connection: other, path: b } } ]
",
    );
    rig.post("r", r#"{"n":1}"#);
    let dead = wait("the dead letter", || rig.dead().pop());
    assert_eq!(dead.target.as_deref(), Some("keyed"));
    until("the other's", || rig.world.taken().len() == 1);
    until("the count", || rig.route("r").counts.dead == 1);
    rig.account();
}

#[test]
fn a_busy_target_is_given_the_time_it_asks_for() {
    let rig = Rig::start(ROUTE);
    rig.world.script(|got| match got.attempt {
        1 => Reply::Fault(fault(FaultClass::Busy, "ask.busy").retry_after(Some(Duration::from_millis(300)))),
        2 => Reply::Fault(fault(FaultClass::Failed, "ask.failed")),
        _ => Reply::Taken,
    });
    rig.post("r", &message(1));
    until("the delivery", || rig.world.taken().len() == 1);
    let got = rig.world.got();
    let attempts: Vec<_> = got.iter().map(|got| got.attempt).collect();
    assert_eq!(attempts, [1, 2, 3]);
    assert!(got[1].at.duration_since(got[0].at) >= Duration::from_millis(299), "Retry-After was not kept");
    assert_eq!(got.iter().map(|got| &got.key).collect::<BTreeSet<_>>().len(), 1, "the key changed");
    assert!(rig.dead().is_empty());
    rig.account();
}

#[test]
fn poison_dies_after_its_attempts_and_holds_up_nobody() {
    let rig = Rig::start(ROUTE);
    rig.world.script(|got| match number(got) % 50 {
        7 => Reply::Fault(fault(FaultClass::Failed, "ask.failed")),
        _ => Reply::Taken,
    });
    for n in 0..500 {
        if n != 13 {
            rig.push("r", &message(n));
        }
    }
    until("the good ones", || rig.world.taken().len() == 489);
    let mut n = 1000;
    until("the dead letters", || {
        rig.push("r", &message(n + u64::from(n % 50 == 7)));
        n += 2;
        rig.dead().len() == 10
    });
    for dead in rig.dead() {
        assert_eq!((dead.cause.class, &*dead.cause.code), (FaultClass::Failed, "ask.failed"));
        assert!(dead.message.attempts.len() >= 3, "{:?}", dead.message.attempts);
        assert!(dead.message.attempts.iter().all(|attempt| attempt.outcome() == "failed"));
    }
    let groups = rig.block_on(rig.gateway().dead_groups()).unwrap();
    assert_eq!(groups.iter().map(|group| group.count).collect::<Vec<_>>(), [10]);
    let route = DeadFilter { route: Some("none".into()), ..DeadFilter::default() };
    assert!(rig.block_on(rig.gateway().dead_letters(&route, None, 10)).unwrap().items.is_empty());
    rig.account();
}

#[test]
fn an_outage_costs_nobody_and_ends_by_itself() {
    let rig = Rig::start(ROUTE);
    rig.world.script(|_| Reply::Fault(fault(FaultClass::Failed, "ask.down")));
    for n in 100..1100 {
        rig.push("r", &message(n));
    }
    until("the target is held", || rig.route("r").targets[0].state != TargetState::Up);
    until("everything is stored", || rig.world.settled_count("r") == 1000);
    std::thread::park_timeout(Duration::from_millis(1500));
    let target = rig.route("r").targets.remove(0);
    assert!(target.reason.as_deref().is_some_and(|reason| reason.contains("ask.down")), "{target:?}");
    assert!(rig.dead().is_empty() && rig.world.got().len() < 60, "{} tries", rig.world.got().len());
    assert_eq!(rig.metric(r#"crossdock_target_up{route="r",target="erp"}"#), Some(0.0));
    assert!(rig.gateway().ready().is_ok(), "a target that is down does not make the gateway unready");
    rig.world.script(|_| Reply::Taken);
    until("everything is delivered", || rig.route("r").counts.delivered == 1000);
    assert!(rig.dead().is_empty());
    rig.account();
}

#[test]
fn a_peer_that_is_not_there_costs_no_try() {
    let rig = Rig::start(ROUTE);
    rig.world.reachable(false);
    for n in 100..300 {
        rig.push("r", &message(n));
    }
    until("the target is held", || rig.route("r").targets[0].state != TargetState::Up);
    assert_eq!((rig.world.got().len(), rig.dead().len()), (0, 0));
    rig.world.reachable(true);
    until("everything is delivered", || rig.route("r").counts.delivered == 200);
    assert!(rig.world.got().iter().all(|got| got.attempt == 1));
    rig.account();
}

#[test]
fn a_lost_session_is_opened_again_and_loses_nothing() {
    let rig = Rig::start(ROUTE);
    let mut seen = HashMap::<u64, u32>::new();
    rig.world.script(move |got| {
        let tries = seen.entry(number(got)).or_default();
        *tries += 1;
        if number(got).is_multiple_of(40) && *tries == 1 { Reply::Lost } else { Reply::Taken }
    });
    for n in 100..400 {
        rig.push("r", &message(n));
    }
    until("everything is delivered", || rig.route("r").counts.delivered == 300);
    let numbers: BTreeSet<u64> = rig.world.taken().iter().map(number).collect();
    assert_eq!((numbers.len(), rig.dead().len()), (300, 0));
    assert!(*rig.world.opened.lock().unwrap() > 3);
    rig.account();
}

#[test]
fn the_message_over_which_a_connector_panics_dies_and_no_other() {
    let rig = Rig::start(ROUTE);
    rig.world.script(|got| if number(got) == 150 { Reply::Panic } else { Reply::Taken });
    for n in 100..200 {
        rig.push("r", &message(n));
    }
    until("the others", || rig.route("r").counts.delivered == 99);
    let dead = wait("the dead letter", || rig.dead().pop());
    assert_eq!((&*dead.cause.code, dead.cause.class), ("internal.panic", FaultClass::Rejected));
    assert!(rig.gateway().ready().is_ok());
    rig.account();
}

#[test]
fn nobody_waits_for_an_expired_message() {
    let rig = Rig::start(
        "
routes:
  r:
    from: { ask: {} }
    accept: [ { expire: { after: 10m } } ]
    to: { ask: { connection: p, path: a } }
    retry: { attempts: 3, initial: 20ms, factor: 2, max: 100ms }
",
    );
    rig.world.script(|_| Reply::Fault(fault(FaultClass::Failed, "ask.down")));
    for n in 0..50 {
        rig.post("r", &message(n));
    }
    rig.jump(Duration::from_secs(601));
    until("all expired", || {
        rig.push("r", &message(99));
        rig.route("r").counts.expired >= 50
    });
    assert!(rig.dead().is_empty());
    rig.account();
}

#[test]
fn a_message_waits_for_its_delay_and_no_longer() {
    let rig = Rig::start(
        "
routes:
  r: { from: { ask: {} }, steps: [ { delay: 10m } ], to: { ask: { connection: p, path: a } } }
",
    );
    for n in 0..5 {
        rig.post("r", &message(n));
    }
    std::thread::park_timeout(Duration::from_millis(200));
    assert!(rig.world.got().is_empty());
    assert_eq!(rig.route("r").counts.stored, 5);
    let target = rig.route("r").targets[0].clone();
    assert_eq!((target.ready, target.in_flight, target.scheduled), (0, 0, 5));
    assert_eq!((rig.channel("route:r").ready(), rig.channel("route:r").scheduled), (0, 5));
    let found = rig.block_on(rig.gateway().browse("route:r", None, 10)).unwrap().items;
    assert!(found.len() == 5 && found.iter().all(|message| message.state == MessageState::Scheduled), "{found:?}");
    rig.jump(Duration::from_secs(601));
    // The next one wakes the route, as the clock would.
    rig.post("r", &message(9));
    until("all deliveries", || rig.route("r").counts.delivered == 6);
    rig.account();
}

#[test]
fn a_key_is_delivered_in_order_whatever_fails() {
    let rig = Rig::start(
        "
routes:
  r:
    from: { ask: {} }
    order_by: .key
    steps: [ { transform: del(.key) } ]
    to: { ask: { connection: p, path: a } }
    retry: { attempts: 50, initial: 5ms, factor: 1, max: 5ms }
",
    );
    let mut count = 0_u64;
    rig.world.script(move |_| {
        count += 1;
        if count.is_multiple_of(7) { Reply::Fault(fault(FaultClass::Failed, "ask.failed")) } else { Reply::Taken }
    });
    for n in 0..300 {
        rig.push("r", &format!(r#"{{"key":"k-{}","n":{n}}}"#, n % 5));
    }
    until("all deliveries", || rig.route("r").counts.delivered == 300);
    let mut last = HashMap::<u64, u64>::new();
    for n in rig.world.taken().iter().map(number) {
        let before = last.insert(n % 5, n);
        assert!(before.is_none_or(|before| before < n), "{n} after {before:?}");
    }
    rig.account();
}

#[test]
fn the_sender_hears_what_accept_says() {
    let rig = Rig::start(
        "
channels: { q: { queue: {} } }
routes:
  r:
    from: { ask: {} }
    accept: [ { validate: { json_schema: s.json } }, { filter: .n != 13 }, { dedupe: { key: .id, window: 10m } } ]
    to: { queue: q }
",
    );
    assert!(matches!(rig.post("r", "{\"n\":1}"), Settlement::Refused(_)));
    assert!(matches!(rig.post("r", "{"), Settlement::Refused(_)));
    assert!(matches!(rig.post("r", &message(13)), Settlement::Filtered));
    assert!(matches!(rig.post("r", &message(1)), Settlement::Stored { duplicate: false, .. }));
    assert!(matches!(rig.post("r", &message(1)), Settlement::Filtered), "the same key again");
    let counts = rig.route("r").counts;
    assert_eq!((counts.received, counts.refused, counts.filtered, counts.delivered), (5, 2, 2, 1));
    rig.account();
}

#[test]
fn a_broker_keeps_nothing_that_accept_refuses() {
    let rig = Rig::start(
        "
channels: { q: { queue: {} } }
routes:
  r: { from: { broker: {} }, accept: [ { validate: { json_schema: s.json } } ], to: { queue: q } }
",
    );
    assert!(matches!(rig.post("r", "{\"n\":1}"), Settlement::Stored { .. }), "it is in the dead letters");
    assert!(matches!(rig.post("r", &message(1)), Settlement::Stored { .. }));
    let dead = wait("the dead letter", || rig.dead().pop());
    assert_eq!((dead.source, dead.target, &*dead.cause.code), (None, None, "validate.json_schema"));
    let counts = rig.route("r").counts;
    assert_eq!((counts.received, counts.refused, counts.dead, counts.delivered), (2, 0, 1, 1));
    rig.account();
}

#[test]
fn faults_have_a_text_for_people() {
    let fault: Fault = fault(FaultClass::Failed, "ask.down");
    assert_eq!(fault.to_string(), "ask.down: ask.down was scripted");
}
