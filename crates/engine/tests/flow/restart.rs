//! Kills, stops, and what a new process finds.

use crate::rig::{Rig, envelope, peer::fault, until, world::Reply};
use crossdock_connector::{Claim, Settlement};
use crossdock_engine::{RouteState, TargetState};
use crossdock_model::{Digest, FaultClass};
use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

const ROUTE: &str = "
routes:
  r:
    from: { broker: {} }
    to: { name: erp, ask: { connection: p, path: orders } }
    retry: { attempts: 3, initial: 20ms, factor: 2, max: 100ms }
";

#[test]
fn kills_lose_nothing_that_was_acknowledged_nor_anything_that_was_not() {
    let mut rig = Rig::start(ROUTE);
    // Every eleventh send fails, but none of a message that failed before: of 1,600 one would, by chance, fail three times
    // and be dead, as it must.
    let (mut count, mut failed) = (0_u64, BTreeSet::new());
    rig.world.script(move |got| {
        count += 1;
        if count.is_multiple_of(11) && failed.insert(got.payload.clone()) {
            Reply::Fault(fault(FaultClass::Failed, "ask.failed"))
        } else {
            Reply::Taken
        }
    });
    let mut sent = 0;
    for round in 0..8 {
        for _ in 0..200 {
            rig.push("r", &format!(r#"{{"n":{sent}}}"#));
            sent += 1;
        }
        // Somewhere in the middle of it.
        let settled = 200 * round + 50;
        until("some settlements", || rig.world.settled_count("r") >= settled);
        rig.kill();
        rig.restart();
        // Sometimes nothing comes afterwards that would set going what stands still.
        if round % 2 == 1 {
            drained(&rig, sent);
        }
    }
    drained(&rig, sent);
    until("all deliveries", || {
        let payloads: BTreeSet<String> = rig.world.taken().into_iter().map(|got| got.payload).collect();
        payloads.len() == sent
    });
    assert!(rig.dead().is_empty());
    rig.account();
}

/// Waits until all that was sent is settled at the source, and all that was stored is delivered.
fn drained(rig: &Rig, sent: usize) {
    until("all settlements", || rig.world.settled_count("r") == sent);
    let begun = Instant::now();
    until("nothing is stored", || {
        let view = rig.route("r");
        assert!(begun.elapsed() < Duration::from_secs(15), "what is stored goes nowhere: {view:#?}");
        view.counts.stored == 0
    });
}

#[test]
fn a_key_is_known_after_a_kill() {
    let mut rig =
        Rig::start("channels: { q: { queue: {} } }\nroutes: { r: { from: { ask: {} }, to: { queue: q } } }\n");
    let claim =
        |body| Claim { key: Digest([1; 16]), body: Digest([body; 16]), window: Duration::from_secs(60), place: None };
    let post = |rig: &Rig, body| {
        let mut message = envelope("{}");
        message.id = crossdock_model::MessageId::from_digest(Digest([1; 16]));
        let number = rig.world.push("r", message, Some(claim(body)));
        crate::rig::wait("the settlement", || rig.world.settled("r", number))
    };
    let Settlement::Stored { id: first, duplicate: false } = post(&rig, 2) else { panic!("not stored") };
    rig.kill();
    rig.restart();
    let Settlement::Stored { id, duplicate: true } = post(&rig, 2) else { panic!("not told as stored before") };
    assert_eq!(id, first);
    assert!(matches!(post(&rig, 3), Settlement::Refused(_)), "another body");
    let counts = rig.route("r").counts;
    assert_eq!((counts.received, counts.filtered, counts.refused, rig.channel("q").messages), (2, 1, 1, 1));
    rig.account();
}

#[test]
fn tries_and_waits_survive_a_kill() {
    let mut rig = Rig::start(
        "
routes:
  r:
    from: { ask: {} }
    to: { name: erp, ask: { connection: p, path: orders } }
    retry: { attempts: 3, initial: 300ms, factor: 1, max: 300ms, jitter: 0 }
",
    );
    let busy = || fault(FaultClass::Busy, "ask.busy").retry_after(Some(Duration::from_secs(2)));
    rig.world.script(move |_| Reply::Fault(busy()));
    rig.post("r", "{}");
    until("the try", || rig.world.got().len() == 1);
    let tried = Instant::now();
    until("it is noted", || rig.route("r").targets[0].scheduled == 1);
    let id = rig.world.got()[0].envelope.id;
    until("its history", || {
        let message = rig.block_on(rig.gateway().message(id)).unwrap().unwrap();
        message.attempts.len() == 1 && message.state == crossdock_engine::MessageState::Scheduled
    });
    rig.kill();
    rig.world.script(|_| Reply::Taken);
    rig.restart();
    until("the delivery", || rig.world.taken().len() == 1);
    assert!(tried.elapsed() >= Duration::from_millis(1900), "the wait was forgotten: {:?}", tried.elapsed());
    assert_eq!(rig.world.taken()[0].attempt, 2, "the try was forgotten");
    rig.account();
}

#[test]
fn a_stop_lets_what_is_on_its_way_end_and_keeps_the_rest() {
    let mut rig = Rig::start(ROUTE);
    rig.world.script(|_| Reply::Hang);
    for n in 0..200 {
        rig.push("r", &format!(r#"{{"n":{n}}}"#));
    }
    until("something hangs", || rig.world.hanging() > 0);
    until("all settlements", || rig.world.settled_count("r") == 200);
    let world = Arc::clone(&rig.world);
    let hung = world.hanging();
    let answers = std::thread::spawn(move || {
        std::thread::park_timeout(Duration::from_millis(300));
        world.release(|| Ok(crossdock_connector::Receipt::default()));
    });
    let began = Instant::now();
    rig.stop(Duration::from_secs(10));
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    answers.join().unwrap();
    rig.world.script(|_| Reply::Taken);
    rig.restart();
    until("the rest", || rig.world.taken().len() == 200 - hung);
    until("the count", || rig.route("r").counts.delivered as usize == 200 - hung);
    rig.account();
}

#[test]
fn a_stop_waits_for_no_retry_and_no_longer_than_it_may() {
    let mut rig = Rig::start(ROUTE);
    rig.world.script(|_| Reply::Fault(fault(FaultClass::Failed, "ask.down")));
    for n in 0..50 {
        rig.push("r", &format!(r#"{{"n":{n}}}"#));
    }
    until("the target is held", || rig.route("r").targets[0].state != TargetState::Up);
    let began = Instant::now();
    rig.stop(Duration::from_secs(10));
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    rig.world.script(|_| Reply::Hang);
    rig.restart();
    until("something hangs", || rig.world.hanging() > 0);
    let began = Instant::now();
    rig.stop(Duration::from_millis(500));
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    rig.world.script(|_| Reply::Taken);
    rig.restart();
    until("everything", || rig.world.taken().len() == 50);
    rig.account();
}

#[test]
fn a_paused_route_stores_and_delivers_nothing_also_after_a_restart() {
    let mut rig = Rig::start(ROUTE);
    rig.block_on(rig.gateway().pause("r")).unwrap();
    for n in 0..20 {
        rig.push("r", &format!(r#"{{"n":{n}}}"#));
    }
    until("all settlements", || rig.world.settled_count("r") == 20);
    rig.kill();
    rig.restart();
    assert_eq!(rig.route("r").state, RouteState::Paused);
    std::thread::park_timeout(Duration::from_millis(100));
    assert!(rig.world.got().is_empty());
    assert!(rig.gateway().operations().is_empty(), "what is remembered is no operation for people");
    rig.block_on(rig.gateway().resume("r")).unwrap();
    until("all deliveries", || rig.world.taken().len() == 20);
    assert_eq!(rig.route("r").state, RouteState::Running);
    assert!(rig.block_on(rig.gateway().pause("none")).is_err());
    rig.account();
}

#[test]
fn what_a_changed_file_no_longer_names_is_kept_and_taken_over_where_it_is_clear() {
    let mut rig =
        Rig::start("channels: { q: { queue: {} } }\nroutes: { in: { from: { ask: {} }, to: { queue: q } } }\n");
    for n in 0..10 {
        rig.post("in", &format!(r#"{{"n":{n}}}"#));
    }
    rig.kill();
    // A reader comes: what stands in the queue is its.
    rig.write(
        "
channels: { q: { queue: {} } }
routes:
  in: { from: { ask: {} }, to: { queue: q } }
  out: { from: { queue: q }, to: [ { ask: { connection: p, path: a } }, { ask: { connection: other, path: b } } ] }
",
    );
    rig.world.reachable(false);
    rig.restart();
    assert_eq!(rig.route("out").counts.received, 10);
    rig.kill();
    rig.world.reachable(true);
    rig.restart();
    until("all deliveries", || rig.world.taken().len() == 20);
    until("the count", || rig.route("out").counts.delivered == 10);
    rig.account();
    rig.kill();
    // The route is called otherwise, and a target goes elsewhere.
    rig.world.script(|_| Reply::Hang);
    rig.write(
        "
channels: { q: { queue: {} } }
routes:
  in: { from: { ask: {} }, to: { queue: q } }
  out: { from: { queue: q }, to: { ask: { connection: p, path: a } } }
",
    );
    rig.restart();
    rig.post("in", "{}");
    until("it hangs", || rig.world.hanging() == 1);
    rig.kill();
    rig.world.script(|_| Reply::Taken);
    rig.write(
        "
channels: { q: { queue: {} } }
routes:
  in: { from: { ask: {} }, to: { queue: q } }
  later: { was: out, from: { queue: q }, to: { ask: { connection: p, path: elsewhere } } }
",
    );
    rig.restart();
    until("it arrives elsewhere", || rig.world.taken().last().is_some_and(|got| got.path == "elsewhere"));
    let status = rig.block_on(rig.gateway().status());
    assert!(status.orphans.is_empty(), "`other` had delivered all that it held: {:?}", status.orphans);
    rig.account();
}

#[test]
fn a_target_goes_on_though_a_message_ends_while_it_is_read_again() {
    // Which of two reads is through first is chance: of several routes some meet it.
    let names: Vec<String> = (0..8).map(|n| format!("r{n}")).collect();
    let routes = |steps: &str| -> String {
        let route = |name| {
            format!(
                "  {name}:
    from: {{ ask: {{}} }}
{steps}    to: [ {{ ask: {{ connection: p, path: a }} }}, {{ ask: {{ connection: other, path: b }} }} ]
    retry: {{ attempts: 3, initial: 10ms, factor: 1, max: 10ms }}\n"
            )
        };
        format!("routes:\n{}", names.iter().map(route).collect::<String>())
    };
    let mut rig = Rig::start(&routes(""));
    // The one target has tried it, the other has no answer yet.
    rig.world.script(|got| match &*got.path {
        "a" => Reply::Fault(fault(FaultClass::Failed, "ask.failed")),
        _ => Reply::Hang,
    });
    names.iter().for_each(|name| drop(rig.post(name, r#"{"n":1}"#)));
    for name in &names {
        until("the first try", || rig.world.got().iter().any(|got| got.path == "a" && got.target.starts_with(name)));
        let got = rig.world.got();
        let id = got.iter().find(|got| got.target.starts_with(name)).unwrap().envelope.id;
        until("its note", || !rig.block_on(rig.gateway().message(id)).unwrap().unwrap().attempts.is_empty());
    }
    rig.kill();
    // Now nobody wants it, which the other target finds out while the first one reads it to try again.
    rig.world.script(|_| Reply::Taken);
    rig.write(&routes("    steps: [ { filter: .n != 1 } ]\n"));
    rig.restart();
    until("all are filtered", || names.iter().all(|name| rig.route(name).counts.filtered == 1));
    names.iter().for_each(|name| drop(rig.post(name, r#"{"n":2}"#)));
    until("both deliveries of each", || rig.world.taken().len() == 2 * names.len());
    until("the counts", || names.iter().all(|name| rig.route(name).counts.delivered == 1));
    rig.account();
}
