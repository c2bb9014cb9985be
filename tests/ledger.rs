//! P1 and P3: what was acknowledged is delivered, stored or dead, whatever is killed and when.
//!
//! The real program is killed (SIGKILL) at random moments under load: while it serves, while it starts, while it recovers
//! from the kill before. `CROSSDOCK_KILLS` says how often, `CROSSDOCK_SEED` repeats a run's moments.

mod support;

use crossdock_testkit::{Load, Random, pause, seed};
use std::time::Duration;
use support::{assert_nothing_lost, gateway, moody_partner, order};

/// Kills in a run.
const KILLS: u64 = 60;

#[test]
fn acknowledged_messages_survive_kills() {
    let kills = std::env::var("CROSSDOCK_KILLS").map_or(KILLS, |text| text.parse().unwrap());
    let mut random = Random::new(seed("ledger"));
    let partner = moody_partner(random.next());
    let mut gateway = gateway(&partner, "");
    let load = Load::start(gateway.http, "/orders", 4, order);
    for kill in 0..kills {
        if random.chance(25) {
            // Not yet ready: while it reads the store, or before it has begun.
            gateway.spawn();
            pause(Duration::from_millis(random.between(0, 150)));
        } else {
            gateway.start();
            pause(Duration::from_millis(random.between(5, 400)));
        }
        eprintln!("kill {kill}: {} acknowledged", load.acknowledged());
        gateway.kill();
    }
    gateway.start();
    pause(Duration::from_millis(200));
    let (acknowledged, sent) = load.stop();
    eprintln!("{} acknowledged of {sent} sent, {} requests at the partner", acknowledged.len(), partner.count());
    assert!(acknowledged.len() as u64 > kills * 5, "too few to prove anything: {}", acknowledged.len());
    assert_nothing_lost(&gateway, &partner, &acknowledged);
}
