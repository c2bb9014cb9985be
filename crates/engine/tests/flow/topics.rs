//! What several readers of a topic have to do with one message.

use crate::rig::{Rig, until, world::Reply};
use crossdock_connector::Receipt;
use std::time::Duration;

#[test]
fn what_waits_for_one_readers_delay_and_is_on_its_way_to_another_counts_once() {
    let rig = Rig::start(
        "
channels: { t: { topic: { retain: 1d } } }
routes:
  in: { from: { ask: {} }, to: { topic: t } }
  late: { from: { topic: t }, steps: [ { delay: 10m } ], to: { ask: { connection: p, path: late } } }
  now: { from: { topic: t }, to: { ask: { connection: p, path: now } } }
",
    );
    for n in 0..5 {
        rig.post("in", &n.to_string());
    }
    until("one has all", || rig.route("now").counts.delivered == 5);
    assert_eq!(rig.channel("t").scheduled, 5);
    rig.jump(Duration::from_secs(601));
    // It wakes the route, as the clock would, and waits itself.
    rig.push_now("in", "5");
    until("all but it are delivered, and retained", || rig.world.taken().len() == 11);
    rig.world.script(|_| Reply::Hang);
    for n in 6..8 {
        rig.push_now("in", &n.to_string());
    }
    until("the last two are on their way to one", || rig.world.hanging() == 2);
    let channel = rig.channel("t");
    assert_eq!((channel.messages, channel.in_flight, channel.scheduled), (8, 2, 1));
    rig.world.release(|| Ok(Receipt::default()));
    until("three wait", || rig.channel("t").scheduled == 3);
}
