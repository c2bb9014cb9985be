//! Messages that nobody wants any more end as expired, wherever they stand, also when nobody reads.

use crate::rig::{Rig, envelope, peer::fault, until, world::Reply};
use crossdock_engine::{Receive, RedriveRequest};
use crossdock_model::{FaultClass, Timestamp};
use std::time::{Duration, SystemTime};

const UNREAD: &str = "
channels: { q: { queue: {} } }
routes: { in: { from: { ask: {} }, to: { queue: q } } }
";

const READ: &str = "
channels: { q: { queue: {} } }
routes:
  in: { from: { ask: {} }, to: { queue: q } }
  out: { from: { queue: q }, to: { ask: { connection: p, path: a } } }
";

/// Sends messages that expire after a while, or never; waits until they are stored.
fn fill(rig: &Rig, count: usize, expires_in: Option<Duration>) {
    let before = rig.world.settled_count("in");
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let expires_at = expires_in.map(|after| Timestamp(i64::try_from((now + after).as_millis()).unwrap()));
    for n in 0..count {
        let mut envelope = envelope(&format!("{{\"n\":{n}}}"));
        envelope.properties.expires_at = expires_at;
        rig.world.push("in", envelope, None);
    }
    until("they are stored", || rig.world.settled_count("in") == before + count);
}

fn expired(rig: &Rig, group: &str) -> f64 {
    rig.metric(&format!("crossdock_messages_total{{route=\"{group}\",outcome=\"expired\"}}")).unwrap()
}

/// Waits until so many are expired and so many stand in the queue.
fn check(rig: &Rig, group: &str, ended: usize, left: u64) {
    until(&format!("{ended} expired, {left} left"), || {
        expired(rig, group) == ended as f64 && rig.channel("q").messages == left
    });
    rig.account();
}

#[test]
fn what_nobody_receives_expires_in_whatever_order_and_the_others_stay() {
    let rig = Rig::start(UNREAD);
    fill(&rig, 3, None);
    fill(&rig, 20, Some(Duration::from_secs(6)));
    fill(&rig, 10, Some(Duration::from_millis(100)));
    fill(&rig, 4, Some(Duration::from_secs(3600)));
    check(&rig, "queue:q", 10, 27);
    check(&rig, "queue:q", 30, 7);
}

#[test]
fn a_backlog_expires_after_a_kill_and_from_disk() {
    let mut rig = Rig::start(UNREAD);
    fill(&rig, 2500, Some(Duration::from_secs(7)));
    fill(&rig, 5, None);
    rig.kill();
    rig.restart();
    check(&rig, "queue:q", 2500, 5);
    fill(&rig, 700, Some(Duration::from_millis(1)));
    rig.stop(Duration::from_secs(5));
    rig.restart();
    until("the rest", || rig.channel("q").messages == 5);
    rig.account();
}

#[test]
fn what_a_consumer_has_is_left_to_it_and_expires_when_it_comes_back() {
    let rig = Rig::start(UNREAD);
    fill(&rig, 3, Some(Duration::from_millis(2000)));
    let asked = Receive { messages_max: 3, wait: Duration::ZERO, lease: Duration::from_secs(8) };
    let taken = rig.block_on(rig.gateway().receive("q", asked)).unwrap();
    assert_eq!(taken.len(), 3);
    // The last ones expire in the hands of nobody: by now those of the consumer have, too.
    fill(&rig, 2, Some(Duration::from_millis(2500)));
    check(&rig, "queue:q", 2, 3);
    let leases: Vec<String> = taken.iter().map(|delivery| delivery.lease.to_string()).collect();
    assert!(rig.block_on(rig.gateway().acknowledge("q", &leases[..1])).unwrap().is_empty());
    assert!(rig.block_on(rig.gateway().give_back("q", &leases[1..2], Duration::from_secs(60))).unwrap().is_empty());
    check(&rig, "queue:q", 3, 1);
    check(&rig, "queue:q", 4, 0);
    assert_eq!(rig.metric(r#"crossdock_messages_total{route="queue:q",outcome="delivered"}"#), Some(1.0));
}

#[test]
fn what_was_put_off_expires_before_it_is_due() {
    let rig = Rig::start(UNREAD);
    fill(&rig, 1, Some(Duration::from_secs(4)));
    let asked = Receive { messages_max: 3, wait: Duration::ZERO, lease: Duration::from_secs(30) };
    let taken = rig.block_on(rig.gateway().receive("q", asked)).unwrap();
    let leases = [taken[0].lease.to_string()];
    assert!(rig.block_on(rig.gateway().give_back("q", &leases, Duration::from_secs(60))).unwrap().is_empty());
    check(&rig, "queue:q", 1, 0);
}

#[test]
fn a_dead_letter_stays_whatever_the_message_said() {
    let rig = Rig::start(READ);
    rig.world.script(|_| Reply::Fault(fault(FaultClass::Rejected, "ask.no")));
    fill(&rig, 2, Some(Duration::from_secs(3600)));
    until("they are dead", || rig.dead().len() == 2);
    let expires_at = rig.dead()[0].message.envelope.properties.expires_at.unwrap();
    rig.jump(Duration::from_secs(7200));
    // It is later, and what comes now makes the queue's task look around.
    fill(&rig, 1, None);
    until("the third", || rig.dead().len() == 3);
    rig.block_on(async { tokio::time::sleep(Duration::from_millis(900)).await });
    assert!(rig.dead().len() == 3 && rig.dead()[2].dead_since > expires_at);
    assert_eq!(expired(&rig, "queue:out.dead"), 0.0);
    rig.account();
}

#[test]
fn what_stands_behind_others_that_hang_expires_and_so_does_what_a_paused_route_has() {
    let mut rig = Rig::start(READ);
    rig.world.script(|_| Reply::Hang);
    fill(&rig, 1500, None);
    until("some hang", || rig.world.hanging() > 0);
    fill(&rig, 300, Some(Duration::from_millis(500)));
    check(&rig, "out", 300, 1500);
    rig.kill();
    rig.world.script(|_| Reply::Taken);
    rig.restart();
    until("the others are delivered", || rig.route("out").counts.delivered == 1500);
    rig.block_on(rig.gateway().pause("out")).unwrap();
    fill(&rig, 1300, Some(Duration::from_millis(700)));
    check(&rig, "out", 1300, 0);
    rig.block_on(rig.gateway().resume("out")).unwrap();
    fill(&rig, 1, None);
    until("it goes on", || rig.route("out").counts.delivered == 1501);
    rig.account();
}

/// Whoever could not be reached has not had it: it is over as soon as that is known, also where nothing may be sent.
#[test]
fn what_ran_out_on_its_way_expires_when_it_comes_back() {
    let rig = Rig::start(READ);
    rig.world.script(|_| Reply::Hang);
    fill(&rig, 1, Some(Duration::from_secs(600)));
    until("it is on its way", || rig.world.hanging() == 1);
    rig.block_on(rig.gateway().pause("out")).unwrap();
    rig.jump(Duration::from_secs(1200));
    // The route's task has looked at the time when it answers the second time.
    (0..2).for_each(|_| assert_eq!(rig.route("out").targets[0].in_flight, 1));
    rig.world.release(|| Err(fault(FaultClass::Unreachable, "ask.connect")));
    check(&rig, "out", 1, 0);
}

#[test]
fn dead_letters_expire_only_where_their_queue_says_so() {
    let rig = Rig::start(
        "
channels: { r.dead: { queue: { expire: 700ms } } }
routes:
  r: { from: { ask: {} }, to: { ask: { connection: p, path: a } } }
  kept: { from: { ask: {} }, to: { ask: { connection: p, path: b } } }
",
    );
    rig.world.script(|_| Reply::Fault(fault(FaultClass::Rejected, "ask.refused")));
    for route in ["r", "kept"] {
        rig.world.push(route, envelope("{}"), None);
    }
    until("both to die", || rig.dead().len() == 2);
    until("the one to expire", || expired(&rig, "queue:r.dead") == 1.0);
    let left: Vec<_> = rig.dead().into_iter().map(|letter| letter.message.channel.to_string()).collect();
    assert_eq!(left, ["kept.dead"]);
    rig.account();
}

#[test]
fn what_a_step_says_is_over_is_not_sent() {
    let rig = Rig::start(
        "
channels: { q: { queue: {} } }
routes:
  in: { from: { ask: {} }, to: { queue: q } }
  out:
    from: { queue: q }
    steps: [ { transform: '%expires_at = string!(.until)' } ]
    to: { ask: { connection: p, path: a } }
",
    );
    for until in ["2020-01-01T00:00:00Z", "2999-01-01T00:00:00Z"] {
        rig.world.push("in", envelope(&format!("{{\"until\":\"{until}\"}}")), None);
    }
    check(&rig, "out", 1, 0);
    assert_eq!(rig.world.taken().len(), 1);
}

/// `expire` of a step and of `accept`, and a message's own.
const REDRIVEN: &str = "
routes:
  step: { from: { broker: {} }, steps: [ { expire: { after: 8s } } ], to: { ask: { connection: p, path: a } } }
  door: { from: { broker: {} }, accept: [ { expire: { after: 8s } } ], to: { ask: { connection: p, path: a } } }
  own: { from: { broker: {} }, to: { ask: { connection: p, path: a } } }
  late: { from: { broker: {} }, accept: [ { validate: { json_schema: s.json } }, { expire: { after: 8s } } ], to: { ask: { connection: p, path: a } } }
";

const OF_TIME: [&str; 4] = ["step", "door", "own", "late"];

/// Has a message die in each route, long before it is sent back.
fn die(rig: &mut Rig) {
    rig.world.script(|_| Reply::Fault(fault(FaultClass::Rejected, "ask.no")));
    for route in OF_TIME {
        let mut envelope = envelope("{}");
        envelope.properties.expires_at = (route == "own").then(|| envelope.received_at.after(Duration::from_secs(60)));
        rig.world.push(route, envelope, None);
    }
    until("all are dead", || rig.dead().len() == OF_TIME.len());
    rig.kill();
    rig.write(&REDRIVEN.replace("{ validate: { json_schema: s.json } },", ""));
    rig.jump(Duration::from_secs(3600));
    rig.world.script(|_| Reply::Taken);
    rig.restart();
}

fn redrive(rig: &Rig) {
    let asked = rig.block_on(rig.gateway().redrive(RedriveRequest::default())).unwrap();
    assert_eq!(asked.matched, OF_TIME.len() as u64);
    until("they are back", || rig.dead().is_empty());
}

#[test]
fn what_is_redriven_is_wanted_however_long_it_was_dead() {
    let mut rig = Rig::start(REDRIVEN);
    die(&mut rig);
    let received_at: Vec<_> = rig.dead().iter().map(|letter| letter.message.envelope.received_at).collect();
    redrive(&rig);
    until("they are delivered", || rig.world.taken().len() == OF_TIME.len());
    assert!(rig.world.taken().iter().all(|got| received_at.contains(&got.envelope.received_at)), "as it was received");
    rig.account();
}

#[test]
fn what_is_redriven_expires_when_it_has_waited_as_long_again() {
    let mut rig = Rig::start(REDRIVEN);
    die(&mut rig);
    OF_TIME.iter().for_each(|route| rig.block_on(rig.gateway().pause(route)).unwrap());
    redrive(&rig);
    let stored = |route: &str| rig.route(route).counts.stored;
    assert!(OF_TIME.iter().all(|route| stored(route) == 1 && expired(&rig, route) == 0.0));
    until("those with an `expire` expire", || OF_TIME.map(stored) == [0, 0, 1, 0]);
    assert_eq!(OF_TIME.map(|route| expired(&rig, route)), [1.0, 1.0, 0.0, 1.0]);
    rig.account();
}
