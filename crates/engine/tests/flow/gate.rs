//! `dedupe` among the steps: what repeats another message is filtered, whatever happens to the one that went on.

use crate::rig::{
    Rig,
    peer::fault,
    until,
    world::{Got, Reply},
};
use crossdock_engine::{OperationState, RedriveRequest};
use crossdock_model::{FaultClass, Text, Timestamp};
use crossdock_store::{Flight, Options, Start, Store, SubscriptionNumber, SubscriptionSpec, Touch, Txn};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

/// A route with a `dedupe` by `.key` behind other steps, as many targets as there are paths.
fn route(steps: &str, paths: &[&str]) -> String {
    let target = |path: &&str| format!("{{ name: {path}, ask: {{ connection: p, path: {path} }} }}");
    let targets: Vec<_> = paths.iter().map(target).collect();
    format!(
        "
routes:
  r:
    from: {{ broker: {{}} }}
    steps: [ {steps} ]
    to: [ {} ]
    retry: {{ attempts: 3, initial: 10ms, factor: 1, max: 10ms }}
",
        targets.join(", ")
    )
}

const DEDUPE: &str = "{ transform: '.key = upcase!(.key)' }, { dedupe: { key: .key, window: 10m } }";

fn push(rig: &Rig, keys: u64, numbers: impl Iterator<Item = u64>) {
    for n in numbers {
        rig.push("r", &format!(r#"{{"key":"k{}","n":{n}}}"#, n % keys));
    }
}

fn number(got: &Got) -> u64 {
    got.payload.split("\"n\":").nth(1).unwrap().trim_end_matches('}').parse().unwrap()
}

/// The numbers that each target took.
fn taken(rig: &Rig) -> BTreeMap<String, BTreeSet<u64>> {
    let mut taken = BTreeMap::<String, BTreeSet<u64>>::new();
    for got in rig.world.taken() {
        taken.entry(got.path.clone()).or_default().insert(number(&got));
    }
    taken
}

fn redrive(rig: &Rig) {
    let id = rig.block_on(rig.gateway().redrive(RedriveRequest::default())).unwrap().operation.unwrap();
    until("it is done", || rig.gateway().operation(id).unwrap().state == OperationState::Done);
}

#[test]
fn the_first_of_a_key_is_delivered_to_each_target_and_the_others_are_filtered() {
    let rig = Rig::start(&route(DEDUPE, &["a", "b"]));
    push(&rig, 40, 0..1000);
    until("all are settled", || rig.world.settled_count("r") == 1000);
    until("all ended", || rig.route("r").counts.stored == 0);
    let counts = rig.route("r").counts;
    assert_eq!((counts.received, counts.delivered, counts.filtered), (1000, 40, 960));
    let first: BTreeSet<u64> = (0..40).collect();
    assert_eq!(taken(&rig), BTreeMap::from([("a".to_owned(), first.clone()), ("b".to_owned(), first)]));
    let shown = rig.channel("route:r").subscriptions;
    assert_eq!(shown.len(), 2, "the gate is nobody's subscription: {shown:?}");
    rig.account();
}

#[test]
fn kills_let_no_repetition_through_and_lose_no_first() {
    let mut rig = Rig::start(&route(DEDUPE, &["a", "b"]));
    let (mut count, mut failed) = (0_u64, BTreeSet::new());
    rig.world.script(move |got| {
        count += 1;
        if count.is_multiple_of(7) && failed.insert((got.path.clone(), got.payload.clone())) {
            Reply::Fault(fault(FaultClass::Failed, "ask.failed"))
        } else {
            Reply::Taken
        }
    });
    const KEYS: u64 = 300;
    for round in 0..6 {
        // Each key comes twice in a round, and in every round.
        push(&rig, KEYS, round * 600..(round + 1) * 600);
        let settled = usize::try_from(round * 600 + 300).unwrap();
        until("some settlements", || rig.world.settled_count("r") >= settled);
        rig.kill();
        rig.restart();
    }
    until("all settlements", || rig.world.settled_count("r") == 3600);
    until("all ended", || rig.route("r").counts.stored == 0);
    let taken = taken(&rig);
    for path in ["a", "b"] {
        let keys: BTreeSet<u64> = taken[path].iter().map(|n| n % KEYS).collect();
        assert_eq!((keys.len(), taken[path].len()), (300, 300), "one message of each key, and always the same");
    }
    assert_eq!(taken["a"], taken["b"]);
    assert!(rig.dead().is_empty());
    rig.account();
}

#[test]
fn it_is_decided_while_the_route_is_paused() {
    let rig = Rig::start(&route(DEDUPE, &["a"]));
    rig.block_on(rig.gateway().pause("r")).unwrap();
    push(&rig, 5, 0..20);
    until("the repetitions are filtered", || rig.route("r").counts.filtered == 15);
    assert_eq!((rig.route("r").counts.stored, rig.world.got().len()), (5, 0));
    rig.block_on(rig.gateway().resume("r")).unwrap();
    until("all deliveries", || rig.route("r").counts.delivered == 5);
    rig.account();
}

#[test]
fn a_dead_letter_has_the_original_and_repeats_nobody_when_it_is_redriven() {
    let rig = Rig::start(&route(DEDUPE, &["a", "b"]));
    rig.world.script(|got| match &*got.path {
        "a" => Reply::Fault(fault(FaultClass::Rejected, "ask.refused")),
        _ => Reply::Taken,
    });
    push(&rig, 1, 0..3);
    until("it is dead", || rig.dead().len() == 1 && rig.route("r").counts.stored == 0);
    let dead = rig.dead().remove(0);
    assert_eq!(String::from_utf8_lossy(dead.message.envelope.bytes()), r#"{"key":"k0","n":0}"#);
    assert_eq!(dead.target.as_deref(), Some("a"));
    rig.world.script(|_| Reply::Taken);
    redrive(&rig);
    until("it is delivered after all", || taken(&rig).len() == 2);
    until("the count", || rig.route("r").counts.stored == 0);
    let counts = rig.route("r").counts;
    assert_eq!((counts.received, counts.dead, counts.filtered, counts.delivered), (4, 1, 2, 1));
    rig.account();
}

#[test]
fn what_fails_in_the_steps_claims_no_key_and_passes_the_gate_when_it_is_redriven() {
    let steps = |divisor: &str| {
        format!("{{ dedupe: {{ key: .key, window: 10m }} }}, {{ transform: '.half = to_int!({divisor})' }}")
    };
    let mut rig = Rig::start(&route(&steps(".half"), &["a", "b"]));
    rig.push("r", r#"{"key":"x","half":"none","n":1}"#);
    rig.push("r", r#"{"key":"y","half":"none","n":2}"#);
    until("both are dead", || rig.dead().len() == 2);
    // The sender mends one of them and sends it again.
    rig.push("r", r#"{"half":"4","key":"x","n":3}"#);
    until("it is delivered", || rig.route("r").counts.delivered == 1);
    rig.stop(Duration::from_secs(5));
    rig.write(&route(&steps("7"), &["a", "b"]));
    rig.restart();
    redrive(&rig);
    until("all ended", || rig.route("r").counts.stored == 0 && rig.dead().is_empty());
    let counts = rig.route("r").counts;
    assert_eq!((counts.delivered, counts.filtered), (1, 1), "the mended one was there before the redriven one");
    let of_a: Vec<u64> = rig.world.taken().iter().filter(|got| got.path == "a").map(number).collect();
    assert_eq!(of_a, [3, 2]);
    rig.account();
}

#[test]
fn it_comes_and_goes_with_the_file() {
    let mut rig = Rig::start(&route("{ filter: 'true' }", &["a"]));
    rig.world.reachable(false);
    push(&rig, 10, 0..100);
    until("all settlements", || rig.world.settled_count("r") == 100);
    rig.stop(Duration::from_secs(5));
    // What waits is looked at by the new rule.
    rig.write(&route(DEDUPE, &["a"]));
    rig.restart();
    until("the repetitions are filtered", || rig.route("r").counts.filtered >= 90);
    rig.kill();
    // The route is called otherwise: its keys are known.
    rig.write(&route(DEDUPE, &["a"]).replace("  r:", "  s:\n    was: r"));
    rig.restart();
    for n in 100..110 {
        rig.world.push("s", crate::rig::envelope(&format!(r#"{{"key":"k{}","n":{n}}}"#, n % 10)), None);
    }
    until("these as well", || rig.route("s").counts.filtered == 10);
    rig.account();
    rig.kill();
    // The gate goes with the rule.
    rig.world.reachable(true);
    rig.write(&route("{ filter: 'true' }", &["a"]).replace("  r:", "  s:"));
    rig.restart();
    for n in 110..120 {
        rig.world.push("s", crate::rig::envelope(&format!(r#"{{"key":"k{}","n":{n}}}"#, n % 10)), None);
    }
    until("all are delivered", || rig.world.taken().len() == 20);
    until("and nothing stays", || rig.channel("route:s").messages == 0);
    assert!(rig.block_on(rig.gateway().status()).orphans.is_empty());
    rig.account();
}

#[test]
fn what_was_sent_back_before_there_was_a_gate_is_no_repetition_of_itself() {
    let mut rig = Rig::start(&route("{ filter: 'true' }", &["a", "b"]));
    rig.world.script(|got| match &*got.path {
        "b" => Reply::Fault(fault(FaultClass::Rejected, "ask.no")),
        _ => Reply::Hang,
    });
    push(&rig, 100, 0..5);
    until("they are dead for one and wait for the other", || rig.dead().len() == 5);
    rig.world.script(|_| Reply::Hang);
    redrive(&rig);
    rig.kill();
    rig.write(&route(DEDUPE, &["a", "b"]));
    rig.world.script(|_| Reply::Taken);
    rig.restart();
    until("all ended", || rig.route("r").counts.stored == 0);
    let all: BTreeSet<u64> = (0..5).collect();
    assert_eq!(taken(&rig), [("a".to_owned(), all.clone()), ("b".to_owned(), all)].into());
    rig.account();
}

#[test]
fn one_that_kills_the_process_passes_the_gate_and_is_found_out() {
    let mut rig = Rig::start(&route(DEDUPE, &["a"]));
    rig.world.script(|got| if number(got) == 0 { Reply::Hang } else { Reply::Taken });
    push(&rig, 30, 0..60);
    for kills in 0..20 {
        until("the killer is on its way, or dead", || rig.world.hanging() > 0 || !rig.dead().is_empty());
        if !rig.dead().is_empty() {
            assert_eq!(kills, 5);
            break;
        }
        rig.kill();
        rig.restart();
    }
    until("all others are delivered", || rig.route("r").counts.stored == 0);
    let numbers = taken(&rig).remove("a").unwrap();
    assert_eq!(numbers, (1..30).collect());
    rig.account();
}

/// Ends a process while the rules are applied to a message of a target, or to it alone.
fn end_over(rig: &Rig, alone: bool, flights: &[(SubscriptionNumber, u64)]) {
    let (notes, _) = store(rig).flight_notes([1; 16]).unwrap();
    let flight = |(subscription, offset): &(SubscriptionNumber, u64)| Flight {
        subscription: *subscription,
        offset: *offset,
        evaluating: true,
    };
    let flights: Vec<Flight> = flights.iter().map(flight).collect();
    notes.region(flights[0].subscription).write(alone, &flights).unwrap();
}

/// The store of a rig that does not run.
fn store(rig: &Rig) -> Store {
    Store::open(Arc::clone(&rig.backend.disk), Options::new(Arc::new(|| Timestamp(0)))).unwrap()
}

fn subscription(store: &Store, name: &str) -> SubscriptionNumber {
    store.subscriptions().into_iter().find(|has| has.name == name).unwrap().number
}

/// A killed gateway with messages that wait before a gate.
fn waiting() -> Rig {
    let mut rig = Rig::start(&route("{ filter: 'true' }", &["a"]));
    rig.world.reachable(false);
    push(&rig, 30, 0..60);
    until("all settlements", || rig.world.settled_count("r") == 60);
    rig.stop(Duration::from_secs(5));
    rig.world.reachable(true);
    rig.write(&route(DEDUPE, &["a"]));
    rig
}

#[test]
fn what_may_have_killed_the_process_is_looked_at_alone_and_repeats_nobody_either() {
    let mut rig = waiting();
    let target = subscription(&store(&rig), "r/a");
    for _ in 0..2 {
        end_over(&rig, false, &[(target, 7), (target, 30), (target, 37)]);
    }
    rig.restart();
    until("all ended", || rig.route("r").counts.stored == 0);
    let keys: BTreeSet<u64> = taken(&rig)["a"].iter().map(|n| n % 30).collect();
    assert_eq!((keys.len(), rig.world.taken().len(), rig.route("r").counts.filtered), (30, 30, 30));
    assert!(rig.dead().is_empty());
    rig.account();
}

#[test]
fn what_killed_the_process_at_the_gate_is_charged_there_and_ends_as_a_dead_letter() {
    let check = |ends: &[bool], charged_before: u32, dies: bool| {
        let mut rig = waiting();
        let target = {
            let store = store(&rig);
            let channel = store.channels().into_iter().find(|has| has.name == "route:r").unwrap().number;
            let (name, group) = (Text::from_static("steps:r"), Text::from_static("r"));
            let gate = SubscriptionSpec { name, channel, group, start: Start::Earliest };
            let subscription_of_gate = store.declare_subscription(gate).unwrap();
            let touch = Touch {
                subscription: subscription_of_gate,
                offset: 7,
                tries: charged_before,
                charges: charged_before,
                due: None,
                at: Timestamp(0),
                fault: None,
            };
            store.commit(Txn { touches: vec![touch], ..Txn::default() }).unwrap();
            subscription(&store, "r/a")
        };
        for alone in ends {
            end_over(&rig, *alone, &[(target, 7)]);
        }
        rig.restart();
        until("all ended", || rig.route("r").counts.stored == 0);
        let causes: Vec<String> = rig.dead().iter().map(|dead| dead.cause.code.to_string()).collect();
        assert_eq!(causes, if dies { vec!["process.ended"] } else { vec![] });
        let counts = rig.route("r").counts;
        // What it claimed nobody knows: the next one of its key goes on.
        assert_eq!((counts.delivered, counts.filtered, counts.dead), if dies { (30, 29, 1) } else { (30, 30, 0) });
        rig.account();
    };
    check(&[], 1, false);
    check(&[false, false, true], 1, false);
    check(&[false, false, true], 2, true);
}

#[test]
fn what_is_forgotten_for_want_of_room_is_counted() {
    let rig = Rig::start(&route("{ dedupe: { key: .key, window: 10m, max_keys: 3 } }", &["a"]));
    for n in 0..5 {
        push(&rig, 5, n..n + 1);
        until("it is delivered", || rig.route("r").counts.delivered == n + 1);
    }
    assert_eq!(rig.metric("crossdock_dedupe_forgotten_total"), Some(2.0));
    // The first is new again, the last is known.
    push(&rig, 5, 5..6);
    until("it is delivered", || rig.route("r").counts.delivered == 6);
    push(&rig, 5, 9..10);
    until("it is filtered", || rig.route("r").counts.filtered == 1);
    rig.account();
}

#[test]
fn what_came_in_two_ways_is_one_message() {
    let rig = Rig::start(
        "
channels: { q1: { queue: {} }, q2: { queue: {} }, q3: { queue: {} } }
routes:
  in: { from: { ask: {} }, to: [ { queue: q1 }, { queue: q2 } ] }
  a: { from: { queue: q1 }, to: { queue: q3 } }
  b: { from: { queue: q2 }, to: { queue: q3 } }
  out: { from: { queue: q3 }, steps: [ { dedupe: { key: .key, window: 10m } } ], to: { ask: { connection: p } } }
",
    );
    for key in [1, 2, 3, 3] {
        rig.post("in", &format!(r#"{{"key":{key}}}"#));
    }
    let counts = || rig.route("out").counts;
    until("all are looked at", || counts().delivered + counts().filtered == 8 && counts().stored == 0);
    assert_eq!((counts().delivered, counts().filtered), (3, 5));
    rig.account();
}
