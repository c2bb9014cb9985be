//! A decision of which a crash left the puts alone: it is made again, and its puts are known.

use crate::rig::{Rig, until, world::Reply};
use crossdock_connector::Settlement;
use std::sync::atomic::Ordering::SeqCst;

/// Has the gateway killed between the puts and the settlements of the next decision that has both.
fn tear(rig: &mut Rig, route: &str, payload: &str) {
    rig.backend.tears.store(true, SeqCst);
    assert!(matches!(rig.post(route, payload), Settlement::Stored { .. }));
    until("a decision is torn", || !rig.backend.tears.load(SeqCst));
    rig.kill();
}

#[test]
fn what_was_moved_to_a_channel_is_there_once() {
    let mut rig = Rig::start(
        "
channels: { q: { queue: {} } }
routes:
  r: { from: { ask: {} }, steps: [ { transform: '.seen = true' } ], to: { queue: q } }
",
    );
    rig.post("r", "{\"n\":0}");
    until("it is there", || rig.channel("q").messages == 1);
    tear(&mut rig, "r", "{\"n\":1}");
    assert_eq!((rig.backend.messages("route:r"), rig.backend.messages("q")), (1, 2), "it stands in both");
    rig.restart();
    until("it is settled", || rig.route("r").counts.stored == 0);
    assert_eq!(rig.channel("q").messages, 2);
    rig.account();
}

#[test]
fn a_dead_letter_is_there_once() {
    let mut rig = Rig::start("routes: { r: { from: { broker: {} }, steps: [ { transform: 'fail' } ], to: { ask: { connection: p, path: a } } } }\n".replace("'fail'", "'.n = to_int!(.n)'").as_str());
    rig.world.script(|_| Reply::Taken);
    tear(&mut rig, "r", "{\"n\":\"none\"}");
    assert_eq!((rig.backend.messages("route:r"), rig.backend.messages("r.dead")), (1, 1), "it stands in both");
    rig.restart();
    until("it is settled", || rig.route("r").counts.stored == 0);
    assert_eq!(rig.dead().len(), 1);
    // One more that dies is another one.
    rig.post("r", "{\"n\":\"none\"}");
    until("both are there", || rig.dead().len() == 2);
    rig.account();
}
