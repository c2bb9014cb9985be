//! Messages that kill the process.

use crate::rig::{Rig, peer::fault, until, world::Reply};
use crossdock_model::FaultClass;
use std::time::Duration;

const ATTEMPTS: usize = 3;

/// A route whose targets are to take three attempts, with steps and lanes as given.
fn routes(more: &str, targets: &str) -> String {
    format!(
        "
routes:
  r:
    from: {{ broker: {{}} }}
{more}
    to: {targets}
    retry: {{ attempts: {ATTEMPTS}, initial: 10ms, factor: 1, max: 10ms }}
  other:
    from: {{ broker: {{}} }}
    to: {{ name: erp, ask: {{ connection: other, path: others }} }}
"
    )
}

const TARGET: &str = "{ name: erp, ask: { connection: p, path: orders } }";

/// Kills the process whenever the message `{"n":0}` is on its way, until it is dead; how often that was.
fn kill_until_dead(rig: &mut Rig) -> usize {
    for kills in 0..20 {
        until("the killer is on its way, or dead", || rig.world.hanging() > 0 || !rig.dead().is_empty());
        if !rig.dead().is_empty() {
            return kills;
        }
        rig.kill();
        rig.restart();
    }
    panic!("it kills for ever");
}

fn hangs(payload: &str) -> bool {
    payload.contains("\"n\":0")
}

fn check(more: &str) {
    let mut rig = Rig::start(&routes(more, TARGET));
    rig.world.script(|got| if hangs(&got.payload) { Reply::Hang } else { Reply::Taken });
    for n in 0..30 {
        rig.push("r", &format!(r#"{{"n":{n},"k":{}}}"#, n % 4));
        rig.push("other", r#"{"n":7}"#);
    }
    assert_eq!(kill_until_dead(&mut rig), ATTEMPTS + 2, "{more}");
    until("all others are delivered", || rig.route("r").counts.stored == 0 && rig.route("other").counts.stored == 0);
    let dead = rig.dead();
    assert_eq!((dead.len(), &*dead[0].cause.code), (1, "process.ended"), "{dead:?}");
    rig.account();
}

#[test]
fn a_message_that_kills_is_dead_two_ends_after_its_attempts_and_nobody_else_is() {
    check("");
}

#[test]
fn a_message_that_kills_is_found_out_behind_steps_and_in_a_lane() {
    check("    steps: [ { transform: .seen = true } ]\n    order_by: .k");
}

#[test]
fn kills_in_a_row_charge_nobody_whose_target_answers() {
    let mut rig = Rig::start(&routes("", TARGET));
    rig.world.script(|_| Reply::Hang);
    for n in 0..20 {
        rig.push("r", &format!(r#"{{"n":{n}}}"#));
    }
    for _ in 0..2 {
        until("something is on its way", || rig.world.hanging() > 0);
        rig.kill();
        rig.restart();
    }
    // Now one is alone. It fails, which is no crash: it waits its turn like any other.
    until("one is on its way", || rig.world.hanging() == 1);
    rig.push("other", "{}");
    std::thread::park_timeout(Duration::from_millis(100));
    assert_eq!((rig.world.hanging(), rig.world.taken().len()), (1, 0), "nothing else is");
    rig.world.script(|_| Reply::Taken);
    rig.world.release(|| Err(fault(FaultClass::Failed, "ask.failed")));
    until("all deliveries", || rig.route("r").counts.delivered == 20 && rig.route("other").counts.delivered == 1);
    assert!(rig.dead().is_empty());
    rig.account();
}

#[test]
fn a_stop_between_two_kills_suspects_nobody() {
    let mut rig = Rig::start(&routes("", TARGET));
    rig.world.script(|_| Reply::Hang);
    rig.push("r", r#"{"n":0}"#);
    for round in 0..6 {
        until("it is on its way", || rig.world.hanging() == 1);
        if round % 2 == 0 {
            rig.kill()
        } else {
            rig.stop(Duration::from_millis(100))
        }
        rig.restart();
    }
    until("it is on its way", || rig.world.hanging() == 1);
    rig.push("other", "{}");
    until("something else is, too", || rig.world.hanging() == 2);
    assert!(rig.dead().is_empty());
    rig.world.script(|_| Reply::Taken);
    rig.kill();
    rig.restart();
    until("all deliveries", || rig.route("r").counts.stored == 0 && rig.route("other").counts.stored == 0);
    rig.account();
}
