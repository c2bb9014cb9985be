//! Redrives that meet letters which stay, queues without room, and a restart.

use crate::rig::{Rig, until, world::Reply};
use crossdock_connector::Receipt;
use crossdock_engine::{OperationState, OperationView, RedriveRequest};
use crossdock_model::MessageId;

/// `gone` and `r` refuse all that they get, into one queue; `q` has room for one message.
const REFUSING: &str = "
channels: { q: { queue: { max_messages: 1 } }, graves: { queue: {} } }
routes:
  gone: { from: { broker: {} }, accept: [ { validate: { json_schema: s.json } } ], to: { queue: q }, dead_letter: { queue: graves } }
  r: { from: { broker: {} }, accept: [ { validate: { json_schema: s.json } } ], to: { queue: q }, dead_letter: { queue: graves } }
  out: { from: { queue: q }, to: { ask: { connection: p, path: a } } }
";

/// `gone` is gone, and `r` lets everything in.
const LATER: &str = "
channels: { q: { queue: { max_messages: 1 } }, graves: { queue: {} } }
routes:
  r: { from: { broker: {} }, to: { queue: q }, dead_letter: { queue: graves } }
  out: { from: { queue: q }, to: { ask: { connection: p, path: a } } }
";

/// Five letters that stay, in turn with five that go to a queue in which one has room, and a redrive of all.
fn begun() -> (Rig, MessageId) {
    let mut rig = Rig::start(REFUSING);
    for n in 0..5 {
        for route in ["gone", "r"] {
            rig.post(route, &format!(r#"{{"n":{n}}}"#));
        }
    }
    assert_eq!(rig.dead().len(), 10);
    rig.kill();
    rig.write(LATER);
    rig.restart();
    rig.world.script(|_| Reply::Hang);
    let id = rig.block_on(rig.gateway().redrive(RedriveRequest::default())).unwrap().operation.unwrap();
    (rig, id)
}

fn operation(rig: &Rig, id: MessageId) -> OperationView {
    rig.gateway().operation(id).unwrap()
}

/// Lets through one after the other, each when the redrive has found no room for the next.
fn finish(rig: &Rig, id: MessageId) {
    for n in 0..5 {
        until("the next is on its way", || rig.world.hanging() == 1);
        if n < 4 {
            assert_eq!(operation(rig, id).state, OperationState::Running, "{n} are through");
            until("it has come to the one behind", || operation(rig, id).failed > n);
        }
        rig.world.release(|| Ok(Receipt::default()));
    }
    until("it is done", || operation(rig, id).state == OperationState::Done);
    let view = operation(rig, id);
    assert_eq!((view.total, view.done, view.failed), (10, 5, 5));
    assert_eq!(rig.dead().len(), 5);
    rig.account();
}

#[test]
fn those_that_stay_are_counted_once_however_often_it_waits_for_room() {
    let (rig, id) = begun();
    finish(&rig, id);
}

#[test]
fn those_that_stay_are_counted_anew_after_a_restart() {
    let (mut rig, id) = begun();
    until("it has come to the second", || operation(&rig, id).failed == 2);
    rig.kill();
    rig.restart();
    finish(&rig, id);
}

#[test]
fn one_that_a_queue_never_holds_stays_and_says_why() {
    let mut rig = Rig::start(REFUSING);
    rig.post("r", &format!(r#"{{"text":"{}"}}"#, "x".repeat(3000)));
    rig.post("r", r#"{"n":1}"#);
    rig.kill();
    rig.write(&LATER.replace("max_messages: 1", "max_bytes: 2KiB"));
    rig.restart();
    let id = rig.block_on(rig.gateway().redrive(RedriveRequest::default())).unwrap().operation.unwrap();
    until("it is done", || operation(&rig, id).state == OperationState::Done);
    let view = operation(&rig, id);
    assert_eq!((view.done, view.failed, rig.dead().len()), (1, 1, 1));
    assert!(view.reason.as_deref().is_some_and(|reason| reason.contains("max_bytes")), "{:?}", view.reason);
    rig.account();
}

#[test]
fn a_rate_that_no_clock_tells_is_very_slow_and_no_more() {
    let mut rig = Rig::start(REFUSING);
    rig.post("r", r#"{"n":1}"#);
    rig.post("r", r#"{"n":2}"#);
    rig.kill();
    rig.write(LATER);
    rig.restart();
    let rate = Some(crossdock_settings::Rate { per_second: 1e-30 });
    let id = rig.block_on(rig.gateway().redrive(RedriveRequest { rate, ..RedriveRequest::default() })).unwrap();
    let id = id.operation.unwrap();
    until("the first is through", || operation(&rig, id).done == 1);
    rig.kill();
    rig.restart();
    until("it has begun again", || {
        operation(&rig, id).done == 2 || operation(&rig, id).state != OperationState::Running
    });
    assert_eq!(operation(&rig, id).failed, 0);
    rig.account();
}
