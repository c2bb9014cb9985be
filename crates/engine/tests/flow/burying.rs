//! Many messages die at once: their letters are stored as fast as the disk takes them, and no further ahead.

use crate::{
    backend::Backend,
    rig::{Rig, until},
};
use crossdock_store::{DiskOperation, FaultyDisk, MemoryDisk};
use std::sync::Arc;

/// Letters that a route makes before it waits for the disk, and what its target had taken in by then.
const AHEAD_MAX: f64 = 4096.0 + 1024.0 + 64.0;
const COUNT: usize = 9000;

fn evaluated(rig: &Rig) -> f64 {
    rig.metric(r#"crossdock_step_seconds_count{route="r",stage="steps"}"#).unwrap_or(0.0)
}

/// The steps fail for each message of a backlog while the disk hangs.
fn check(steps: &str) {
    let faulty = FaultyDisk::new(Arc::new(MemoryDisk::new()));
    let rig = Rig::start_on(
        &format!(
            "
routes:
  r:
    from: {{ ask: {{}} }}
    steps: [ {steps} ]
    to: {{ ask: {{ connection: p, path: a }} }}
"
        ),
        Backend { disk: Arc::new(faulty.clone()) },
    );
    rig.block_on(rig.gateway().pause("r")).unwrap();
    for n in 0..COUNT {
        rig.push("r", &format!(r#"{{"n":{n}}}"#));
    }
    until("they are stored", || rig.world.settled_count("r") == COUNT);
    // That the route goes on is durable when it is answered; a few letters may be.
    faulty.stall(DiskOperation::Sync, faulty.count(DiskOperation::Sync) + 3);
    rig.block_on(rig.gateway().resume("r")).unwrap();
    until("it waits for the disk", || evaluated(&rig) >= 4096.0);
    let ahead = || evaluated(&rig) - rig.route("r").counts.dead as f64;
    let end = std::time::Instant::now() + std::time::Duration::from_millis(500);
    while std::time::Instant::now() < end {
        assert!(ahead() <= AHEAD_MAX, "{} letters are in memory", ahead());
    }
    faulty.go_on();
    until("all are dead", || rig.route("r").counts.dead == COUNT as u64);
    rig.account();
}

#[test]
fn letters_are_made_no_faster_than_they_are_stored() {
    check("{ transform: '. = parse_json!(.n)' }");
}

#[test]
fn nor_are_they_at_the_gate() {
    check("{ dedupe: { key: .n, window: 1h } }, { transform: '. = parse_json!(.n)' }");
}
