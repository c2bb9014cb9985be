//! The second kind of schedule: the real [`Gateway`](crossdock_engine::Gateway) of several routes between scripted peers, on a
//! disk in memory, in the virtual time of one thread. A crash takes the disk as it is at that moment, less what was not
//! synced, and drops everything else.
//!
//! A seed repeats what happens to the gateway. How far the store's own thread is by then is not repeated: the stopwatch
//! runs on while it writes, as it would before a slow disk.

mod check;
mod life;
mod plan;

#[path = "../../flow/rig/peer.rs"]
mod peer;
#[expect(dead_code, reason = "made for the tests of `flow`")]
#[path = "../../flow/rig/world.rs"]
mod world;

use super::seeds::Seeds;

#[test]
fn p1_p3_p10_p12_the_real_gateway_keeps_what_is_promised_in_every_schedule() {
    Seeds { kept: "seeds-gateway.txt", count: 300, live: life::live }.run();
}
