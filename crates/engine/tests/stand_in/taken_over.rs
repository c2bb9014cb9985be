//! Several on the same channels: the later one has them, the earlier one can do nothing more.

use crate::rig::{Rig, plan, until, world::Reply};
use crossdock_connector::Receipt;
use crossdock_engine::Options;
use crossdock_model::Timestamp;
use crossdock_store::LaneRange;
use std::sync::Arc;

const ROUTE: &str = "routes: { r: { from: { ask: {} }, to: { ask: { connection: p, path: a } } } }\n";

#[test]
fn who_was_taken_over_settles_nothing_and_ends() {
    let first = Rig::start(ROUTE);
    first.world.script(|_| Reply::Hang);
    for n in 0..5 {
        first.post("r", &format!("{{\"n\":{n}}}"));
    }
    until("the first message is on its way", || first.world.got().len() == 1);
    // Somebody claims everything, and leaves it where it is.
    let channels = first.backend.open(&plan(ROUTE), &Options::new(Arc::new(|| Timestamp(0)), 1));
    for reader in channels.subscriptions() {
        channels.claim(reader.number, LaneRange::ALL).unwrap();
    }
    // What the first one is answered it may not write down.
    first.world.release(|| Ok(Receipt::default()));
    let reason = first.block_on(first.gateway().failed());
    assert!(reason.contains("taken over"), "{reason}");
    assert!(first.gateway().ready().is_err());
    assert_eq!(first.backend.messages("route:r"), 5, "it has settled what is another's");
    drop(channels);
    let second = Rig::start_on(ROUTE, first.backend.clone());
    until("all are delivered", || second.route("r").counts.delivered == 5);
    assert_eq!(second.world.taken().len(), 5);
    assert!(second.gateway().ready().is_ok());
    second.account();
}
