//! Sessions of a source: scopes that are taken away, breaks, blocks, ends.

use crate::rig::{Rig, until};
use crossdock_connector::Event;
use std::time::{Duration, Instant};

#[test]
fn a_scope_that_is_taken_away_is_settled_and_released() {
    let rig = Rig::start("channels: { q: { queue: {} } }\nroutes: { r: { from: { broker: {} }, to: { queue: q } } }\n");
    rig.world.scope("r", 4);
    for _ in 0..100 {
        rig.push("r", "{}");
    }
    until("all settlements", || rig.world.settled_count("r") == 100);
    rig.world.event("r", Event::Revoking { scope: 4, by: Instant::now() + Duration::from_secs(5) });
    until("it is released", || rig.world.released("r") == [4]);
    rig.account();
}

#[test]
fn a_broken_session_is_opened_again() {
    let rig = Rig::start("channels: { q: { queue: {} } }\nroutes: { r: { from: { broker: {} }, to: { queue: q } } }\n");
    for round in 1..=5 {
        for _ in 0..50 {
            rig.push("r", "{}");
        }
        rig.world.break_session("r");
        until("all settlements", || rig.world.settled_count("r") == 50 * round);
    }
    until("everything is stored", || rig.channel("q").messages >= 250);
    // Also what was stored when its session was lost already is settled, so nothing was given again.
    assert_eq!(rig.channel("q").messages, 250);
    rig.account();
}

#[test]
fn what_a_peer_does_not_let_through_is_told_while_the_rest_goes_on() {
    let rig = Rig::start("channels: { q: { queue: {} } }\nroutes: { r: { from: { broker: {} }, to: { queue: q } } }\n");
    let reason = || rig.route("r").sources[0].reason.clone();
    rig.world.event("r", Event::Blocked("a file is left".into()));
    for round in 1..=3 {
        rig.push("r", "{}");
        until("it is settled", || rig.world.settled_count("r") == round);
        assert_eq!(reason().as_deref(), Some("a file is left"));
    }
    rig.world.event("r", Event::Unblocked);
    until("it is over", || reason().is_none());
}

#[test]
fn nothing_more_comes_and_the_source_is_at_rest() {
    let rig = Rig::start("channels: { q: { queue: {} } }\nroutes: { r: { from: { broker: {} }, to: { queue: q } } }\n");
    for _ in 0..10 {
        rig.push("r", "{}");
    }
    until("all settlements", || rig.world.settled_count("r") == 10);
    rig.world.event("r", Event::End);
    until("it says so", || rig.route("r").sources[0].reason.as_deref().is_some_and(|r| r.contains("nothing more")));
    rig.account();
}
