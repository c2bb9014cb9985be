//! What is held up by its own key or by its own circuit takes nothing from the others, however large it is.

use crate::rig::{Rig, peer::fault, until, world::Reply};
use crossdock_model::FaultClass;

/// Bytes of a message: 80 of them are all that a target has in memory at once.
const LARGE: usize = 100 << 10;

fn body(key: &str, n: usize) -> String {
    format!(r#"{{"key":"{key}","n":{n},"text":"{}"}}"#, "x".repeat(LARGE))
}

/// Two hundred messages wait because of `key: a`, behind which others come; all of them arrive in the end.
fn check(route: &str) -> Vec<String> {
    let rig = Rig::start(&format!(
        "
routes:
  r:
    from: {{ ask: {{}} }}
    {route}
    retry: {{ attempts: 1000, initial: 1s, factor: 1, max: 1s }}
    to: {{ ask: {{ connection: p, path: a }} }}
"
    ));
    let is_held = |payload: &str| payload.starts_with(r#"{"key":"a""#);
    rig.world.script(move |got| {
        if is_held(&got.payload) { Reply::Fault(fault(FaultClass::Failed, "ask.silent")) } else { Reply::Taken }
    });
    for n in 0..200 {
        rig.push("r", &body("a", n));
    }
    for n in 0..100 {
        rig.push("r", &body("b", n));
    }
    until("all that are not held up", || rig.world.taken().len() == 100);
    let route = rig.route("r");
    assert!(route.targets[0].scheduled < 200, "what was never tried is ready: {:?}", route.targets);
    rig.world.script(|_| Reply::Taken);
    until("the others", || rig.world.taken().len() == 300);
    assert!(rig.dead().is_empty());
    rig.account();
    let taken = rig.world.taken().into_iter().map(|got| got.payload);
    taken.filter(|payload| is_held(payload)).collect()
}

#[test]
fn a_blocked_key_holds_up_no_other() {
    let expected: Vec<String> = (0..200).map(|n| body("a", n)).collect();
    assert!(check("order_by: .key") == expected, "the order of the key");
}

#[test]
fn a_held_circuit_holds_up_no_other() {
    assert_eq!(check("circuit: .key").len(), 200);
}
