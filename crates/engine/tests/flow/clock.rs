//! A calendar that jumps a day, forth and back (P23): nothing is lost, nothing waits for a day, nobody is charged.

use crate::backend::GATES;
use crate::rig::{Rig, peer::fault, until, world::Reply};
use crossdock_engine::Receive;
use crossdock_model::FaultClass;
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

const DAY: i64 = 24 * 60 * 60 * 1000;

/// With a `dedupe` among the steps, or at the door where there can be no gate.
fn routes() -> String {
    let ordered = if GATES {
        "steps: [ { dedupe: { key: .n, window: 10m } }, { delay: 50ms } ]"
    } else {
        "accept: [ { dedupe: { key: .n, window: 10m } } ]\n    steps: [ { delay: 50ms } ]"
    };
    ROUTES.replace("ORDERED", ordered)
}

const ROUTES: &str = "
channels: { q: { queue: {} } }
routes:
  plain:
    from: { broker: {} }
    to: { name: erp, ask: { connection: p, path: orders } }
    retry: { attempts: 3, initial: 20ms, factor: 2, max: 100ms }
  ordered:
    from: { broker: {} }
    order_by: .key
    ORDERED
    to: { name: erp, ask: { connection: other, path: lanes } }
    retry: { attempts: 3, initial: 20ms, factor: 2, max: 100ms }
  shop: { from: { ask: {} }, to: { queue: q } }
";

fn push(rig: &Rig, numbers: std::ops::Range<u64>) {
    for n in numbers {
        for route in ["plain", "ordered"] {
            rig.push_now(route, &format!(r#"{{"n":{n},"key":"k{}"}}"#, n % 5));
        }
    }
}

#[test]
fn p23_a_calendar_that_jumps_holds_up_nobody_and_loses_nothing() {
    let mut rig = Rig::start(&routes());
    // Every fifth send fails once.
    let (mut count, mut failed) = (0_u64, BTreeSet::new());
    rig.world.script(move |got| {
        count += 1;
        if count.is_multiple_of(5) && failed.insert((got.path.clone(), got.payload.clone())) {
            Reply::Fault(fault(FaultClass::Failed, "ask.failed"))
        } else {
            Reply::Taken
        }
    });
    let began = Instant::now();
    let mut sent = 0;
    for (round, jump) in [DAY, -DAY, -DAY, DAY, -DAY, DAY].into_iter().enumerate() {
        push(&rig, sent..sent + 40);
        sent += 40;
        // In the middle of it.
        let settled = 40 * round + 20;
        until("some settlements", || rig.world.settled_count("plain") >= settled);
        rig.jump_by(jump);
        if round % 2 == 1 {
            rig.kill();
            rig.restart();
        }
    }
    for route in ["plain", "ordered"] {
        until("all settlements", || rig.world.settled_count(route) as u64 == sent);
        until("all ended", || rig.route(route).counts.stored == 0);
        let taken: BTreeSet<String> =
            rig.world.taken().into_iter().filter(|got| got.target.starts_with(route)).map(|got| got.payload).collect();
        assert_eq!(taken.len() as u64, sent, "{route}");
    }
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    assert!(rig.dead().is_empty(), "{:?}", rig.dead());
    rig.account();
}

#[test]
fn p23_what_waits_for_its_next_try_waits_no_longer_because_the_calendar_went_back() {
    for jump in [DAY, -DAY] {
        let mut rig = Rig::start(&routes());
        rig.world.script(|_| Reply::Fault(fault(FaultClass::Failed, "ask.failed")));
        rig.push_now("plain", "{}");
        until("it was tried", || !rig.world.got().is_empty());
        until("its note", || rig.route("plain").targets[0].scheduled == 1);
        rig.kill();
        rig.jump_by(jump);
        rig.world.script(|_| Reply::Taken);
        let began = Instant::now();
        rig.restart();
        until("it is delivered", || rig.route("plain").counts.delivered == 1);
        assert!(began.elapsed() < Duration::from_secs(10), "{jump}: {:?}", began.elapsed());
        rig.account();
    }
}

/// The calendar goes on a day between a try and the charge for it, which another message's success brings, and then back.
#[test]
fn p23_what_was_charged_in_between_waits_no_longer_either() {
    let mut rig = Rig::start(&routes().replacen("initial: 20ms, factor: 2, max: 100ms", "initial: 3s, max: 3s", 1));
    rig.world.script(|got| match got.payload.as_str() {
        "1" => Reply::Fault(fault(FaultClass::Failed, "ask.failed")),
        _ => Reply::Taken,
    });
    rig.push_now("plain", "1");
    until("its note", || rig.route("plain").targets[0].scheduled == 1);
    rig.jump_by(DAY);
    rig.push_now("plain", "2");
    // Settled no earlier than the charge is noted.
    until("the other one is delivered", || rig.route("plain").counts.delivered == 1);
    rig.kill();
    rig.jump_by(-DAY);
    rig.world.script(|_| Reply::Taken);
    let began = Instant::now();
    rig.restart();
    until("it is delivered", || rig.route("plain").counts.stored == 0);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    rig.account();
}

#[test]
fn p23_a_constant_delay_is_over_when_the_calendar_says_that_the_message_is_of_the_future() {
    for jump in [DAY, -DAY] {
        let rig = Rig::start(&routes());
        rig.world.script(|_| Reply::Taken);
        rig.push_now("ordered", r#"{"n":1,"key":"k"}"#);
        rig.jump_by(jump);
        until("it is delivered", || rig.route("ordered").counts.delivered == 1);
        rig.account();
    }
}

#[test]
fn p23_a_lease_runs_out_by_the_stopwatch() {
    for jump in [DAY, -DAY] {
        let rig = Rig::start(&routes());
        rig.post("shop", "{}");
        let receive = |rig: &Rig, lease| {
            let request = Receive { messages_max: 1, wait: Duration::ZERO, lease };
            rig.block_on(rig.gateway().receive("q", request)).unwrap()
        };
        let lease = Duration::from_secs(2);
        let leased = Instant::now();
        assert_eq!(receive(&rig, lease).len(), 1);
        rig.jump_by(jump);
        until("it is given again", || !receive(&rig, lease).is_empty());
        let after = leased.elapsed();
        assert!(after >= Duration::from_millis(1900) && after < Duration::from_secs(8), "{jump}: {after:?}");
        rig.account();
    }
}
