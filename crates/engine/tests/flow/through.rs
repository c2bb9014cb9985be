//! What goes well, and where each message ends.

use crate::{
    backend::GATES,
    rig::{Rig, peer::fault, until, world::Reply},
};
use crossdock_connector::Settlement;
use crossdock_engine::SourceState;
use crossdock_model::FaultClass;
use std::collections::BTreeMap;

const HIDDEN: &str = "
routes:
  r:
    from: { ask: {} }
    steps: [ { filter: .n != 13 }, { transform: .seen = true } ]
    to: { name: erp, ask: { connection: p, path: \"orders/{{ .id }}\" } }
";

#[test]
fn a_message_goes_through_changed_and_is_accounted_for() {
    let rig = Rig::start(HIDDEN);
    for n in 0..20 {
        let settlement = rig.post("r", &format!(r#"{{"id":"o-{n}","n":{n}}}"#));
        assert!(matches!(settlement, Settlement::Stored { duplicate: false, .. }), "{settlement:?}");
    }
    until("19 deliveries", || rig.world.taken().len() == 19);
    let taken = rig.world.taken();
    assert_eq!((&*taken[4].target, &*taken[4].path), ("r/erp", "orders/o-4"));
    assert_eq!(taken[4].payload, r#"{"id":"o-4","n":4,"seen":true}"#);
    assert!(taken.iter().all(|got| got.key == got.envelope.id.to_string()));
    until("the counts", || {
        let counts = rig.route("r").counts;
        (counts.received, counts.delivered, counts.filtered, counts.stored) == (20, 19, 1, 0)
    });
    assert_eq!(rig.metric(r#"crossdock_messages_total{route="r",outcome="delivered"}"#), Some(19.0));
    assert_eq!(rig.metric(r#"crossdock_attempts_total{route="r",target="erp",outcome="delivered"}"#), Some(19.0));
    rig.account();
}

#[test]
fn a_queue_joins_two_routes() {
    let rig = Rig::start(
        "
channels: { q: { queue: {} } }
routes:
  in: { from: { ask: {} }, to: { queue: q } }
  out: { from: { queue: q }, to: { ask: { connection: p, path: a } } }
",
    );
    for n in 0..500 {
        rig.push("in", &format!(r#"{{"n":{n}}}"#));
    }
    until("all deliveries", || rig.world.taken().len() == 500);
    let numbers: Vec<String> = rig.world.taken().into_iter().map(|got| got.payload).collect();
    let expected: Vec<String> = (0..500).map(|n| format!(r#"{{"n":{n}}}"#)).collect();
    assert_eq!(numbers, expected, "bytes are untouched, and the order of receipt is kept while nothing fails");
    until("the counts", || rig.route("out").counts.delivered == 500);
    let counts = rig.route("in").counts;
    assert_eq!((counts.received, counts.delivered, counts.stored), (500, 500, 0));
    rig.account();
}

#[test]
fn a_channel_behind_steps_is_moved_to() {
    let rig = Rig::start(
        "
channels: { a: { queue: {} }, b: { queue: {} } }
routes:
  move: { from: { queue: a }, steps: [ { transform: .moved = true } ], to: { queue: b } }
  in: { from: { ask: {} }, to: { queue: a } }
",
    );
    for n in 0..300 {
        rig.push("in", &format!(r#"{{"n":{n}}}"#));
    }
    until("all moved", || rig.channel("b").messages == 300);
    if GATES {
        assert_eq!(rig.channel("a").messages, 0, "there and here in one decision");
    } else {
        until("they are settled a moment later", || rig.channel("a").messages == 0);
    }
    let page = rig.block_on(rig.gateway().browse("b", None, 10)).unwrap();
    assert_eq!(page.items.len(), 10);
    assert_eq!(page.items[3].envelope.bytes(), br#"{"moved":true,"n":3}"#);
    let rest = rig.block_on(rig.gateway().browse("b", page.next.as_deref(), 1000)).unwrap();
    assert_eq!((rest.items.len(), rest.next), (290, None));
    until("the counts", || rig.route("move").counts.delivered == 300);
    // What is received is counted when the append is answered, a moment after the message is there.
    let received = || rig.metric(r#"crossdock_messages_total{route="queue:b",outcome="received"}"#);
    until("the other count", || received() == Some(300.0));
    assert_eq!(rig.metric(r#"crossdock_queue_messages{queue="b",state="ready"}"#), Some(300.0));
    rig.account();
}

#[test]
fn a_router_addresses_whom_it_says_and_a_list_everybody() {
    let rig = Rig::start(
        "
routes:
  routed:
    from: { ask: {} }
    to:
      - { ask: { connection: p, path: de }, when: .country == \"DE\" }
      - { ask: { connection: p, path: big }, when: to_int!(.total) > 100 }
      - { ask: { connection: p, path: other }, otherwise: true }
  all:
    from: { ask: {} }
    to: [ { ask: { connection: p, path: first } }, { ask: { connection: other, path: second } } ]
",
    );
    for (country, total) in [("DE", 1), ("DE", 200), ("FR", 5)] {
        rig.post("routed", &format!(r#"{{"country":"{country}","total":{total}}}"#));
    }
    for n in 0..200 {
        rig.push("all", &format!(r#"{{"n":{n}}}"#));
    }
    until("all deliveries", || rig.world.taken().len() == 404);
    let mut by_path = BTreeMap::<String, usize>::new();
    for got in rig.world.taken() {
        *by_path.entry(got.path).or_default() += 1;
    }
    let expected = [("big", 1), ("de", 2), ("first", 200), ("other", 1), ("second", 200)];
    assert_eq!(by_path, expected.map(|(path, count)| (path.to_owned(), count)).into());
    until("the counts", || rig.route("all").counts.delivered == 200 && rig.route("routed").counts.delivered == 3);
    rig.account();
}

/// Without steps and without a target outside nothing else needs a queue between the door and the router.
#[test]
fn a_router_between_channels_is_asked_too() {
    let rig = Rig::start(
        "
channels: { de: { queue: {} }, big: { queue: {} }, other: { queue: {} }, odd: { queue: {} } }
routes:
  routed:
    from: { ask: {} }
    to:
      - { queue: de, when: .country == \"DE\" }
      - { queue: big, when: to_int!(.total) > 100 }
      - { queue: other, otherwise: true }
  lone: { from: { ask: {} }, to: { queue: odd, when: .n == 1 || .n == 3 } }
",
    );
    for (country, total) in [("DE", 1), ("DE", 200), ("FR", 5)] {
        rig.post("routed", &format!(r#"{{"country":"{country}","total":{total}}}"#));
    }
    for n in 0..4 {
        rig.push("lone", &format!(r#"{{"n":{n}}}"#));
    }
    rig.push("routed", "not json");
    until("all to be where they belong", || {
        ["de", "big", "other", "odd"].map(|channel| rig.channel(channel).messages) == [2, 1, 1, 2]
    });
    until("the rest to be dead", || rig.dead().len() == 3);
    let mut codes: Vec<_> = rig.dead().into_iter().map(|letter| letter.cause.code.clone()).collect();
    codes.sort();
    assert_eq!(codes, ["decode", "route.no_target", "route.no_target"]);
    rig.account();
}

#[test]
fn each_target_goes_at_its_own_pace() {
    let rig = Rig::start(
        "
routes:
  r:
    from: { ask: {} }
    to: [ { ask: { connection: p, path: slow } }, { ask: { connection: other, path: fast } } ]
",
    );
    rig.world.script(|got| if got.path == "slow" { Reply::Hang } else { Reply::Taken });
    // More than a target's window.
    for n in 0..3000 {
        rig.push("r", &format!(r#"{{"n":{n}}}"#));
    }
    until("the fast one has all", || rig.world.taken().len() == 3000);
    let counts = rig.route("r").counts;
    assert_eq!((counts.received, counts.stored, counts.delivered), (3000, 3000, 0));
    rig.world.script(|_| Reply::Taken);
    until("the slow one has all", || {
        rig.world.release(|| Ok(crossdock_connector::Receipt::default()));
        rig.route("r").counts.delivered == 3000
    });
    rig.account();
}

#[test]
fn whoever_waits_for_an_answer_is_let_in_when_the_gateway_has_started() {
    let routes: String =
        (0..40).map(|n| format!("  r{n}: {{ from: {{ ask: {{}} }}, to: {{ queue: q }} }}\n")).collect();
    let rig = Rig::start(&format!("channels: {{ q: {{ queue: {{}} }} }}\nroutes:\n{routes}"));
    for n in 0..40 {
        assert_eq!(rig.route(&format!("r{n}")).sources[0].state, SourceState::Up, "{n}");
    }
}

#[test]
fn a_message_is_in_one_state_however_many_targets_it_has() {
    let target = |path: &str| format!("{{ ask: {{ connection: p, path: {path} }} }}");
    let all = ["a", "b", "c"].map(target).join(", ");
    let rig = Rig::start(&format!(
        "
channels: {{ t: {{ topic: {{}} }} }}
routes:
  own: {{ from: {{ broker: {{}} }}, to: [ {all} ], retry: {{ attempts: 8, initial: 1h, max: 1h }} }}
  in: {{ from: {{ broker: {{}} }}, to: {{ topic: t }} }}
  one: {{ from: {{ topic: t }}, to: [ {all} ], retry: {{ attempts: 8, initial: 1h, max: 1h }} }}
  two: {{ from: {{ topic: t }}, to: {}, retry: {{ attempts: 8, initial: 1h, max: 1h }} }}
",
        target("d")
    ));
    // The second hangs at one target, and the third at none.
    rig.world.script(|got| match (&*got.path, &*got.payload) {
        ("a", "2") => Reply::Hang,
        ("a", "3") => Reply::Taken,
        _ => Reply::Fault(fault(FaultClass::Failed, "ask.failed")),
    });
    for route in ["own", "in"] {
        for n in 1..=3 {
            rig.push(route, &n.to_string());
        }
    }
    let states = |queue: &str| {
        let state = |state| rig.metric(&format!("crossdock_queue_messages{{queue=\"{queue}\",state=\"{state}\"}}"));
        ["ready", "in_flight", "scheduled"].map(|name| state(name).unwrap())
    };
    for queue in ["route:own", "t"] {
        until("all are tried", || states(queue) == [0.0, 1.0, 2.0]);
        assert_eq!(rig.channel(queue).messages, 3);
    }
}
