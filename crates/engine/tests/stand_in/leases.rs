//! Leases that run out.

use crate::rig::{Rig, until, world::Reply};
use crossdock_connector::Receipt;
use crossdock_engine::Receive;
use std::time::{Duration, Instant};

#[test]
fn what_is_on_its_way_for_longer_than_a_lease_is_sent_once() {
    let rig =
        Rig::start("routes: { r: { from: { ask: {} }, to: { ask: { connection: p, path: a, max_in_flight: 4 } } } }\n");
    rig.world.script(|_| Reply::Hang);
    for n in 0..40 {
        rig.post("r", &format!("{{\"n\":{n}}}"));
    }
    // Three times as long as a lease lasts.
    let began = Instant::now();
    until("leases would have run out", || began.elapsed() > Duration::from_secs(3));
    rig.world.script(|_| Reply::Taken);
    until("all are delivered", || {
        rig.world.release(|| Ok(Receipt::default()));
        rig.route("r").counts.delivered == 40
    });
    assert_eq!(rig.world.got().len(), 40, "some were sent twice");
    rig.account();
}

#[test]
fn what_a_consumer_has_for_longer_than_a_lease_of_the_store_is_its_own() {
    let rig = Rig::start("channels: { q: { queue: {} } }\nroutes: { r: { from: { ask: {} }, to: { queue: q } } }\n");
    for n in 0..10 {
        rig.post("r", &format!("{{\"n\":{n}}}"));
    }
    let take = || {
        let asked = Receive { messages_max: 100, wait: Duration::ZERO, lease: Duration::from_secs(30) };
        rig.block_on(rig.gateway().receive("q", asked)).unwrap()
    };
    let taken = take();
    assert_eq!(taken.len(), 10);
    let began = Instant::now();
    until("leases would have run out", || {
        assert!(take().is_empty(), "somebody else was given it");
        began.elapsed() > Duration::from_secs(3)
    });
    let leases: Vec<String> = taken.iter().map(|delivery| delivery.lease.to_string()).collect();
    assert!(rig.block_on(rig.gateway().acknowledge("q", &leases)).unwrap().is_empty());
    until("all are gone", || rig.channel("q").messages == 0);
    rig.account();
}
