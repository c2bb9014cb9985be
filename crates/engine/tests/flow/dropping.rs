//! Full queues that drop their oldest messages to a dead-letter queue.

use crate::rig::{Rig, peer::fault, until, world::Reply};
use crossdock_engine::{DeadFilter, Delivery, OperationState, Receive, RedriveRequest};
use crossdock_model::FaultClass;
use std::time::Duration;

const QUEUE: &str = "
channels: { q: { queue: { max_messages: 5, when_full: drop_oldest, dead_letter: { queue: dropped } } } }
routes: { in: { from: { ask: {} }, to: { queue: q } } }
";

#[test]
fn what_a_full_queue_drops_is_a_dead_letter_and_can_be_sent_back() {
    let mut rig = Rig::start(QUEUE);
    for n in 0..12 {
        rig.post("in", &format!("{{\"n\":{n}}}"));
    }
    until("five are left and seven are moved", || {
        (rig.channel("q").messages, rig.channel("dropped").messages) == (5, 7)
    });
    let dead = rig.dead();
    assert_eq!(dead.len(), 7);
    assert_eq!((&*dead[0].cause.code, dead[0].source.as_deref()), ("channel.dropped", Some("q")));
    assert_eq!(rig.metric(r#"crossdock_messages_total{route="queue:q",outcome="dead"}"#), Some(7.0));
    assert_eq!(rig.metric(r#"crossdock_messages_total{route="queue:dropped",outcome="received"}"#), Some(7.0));
    rig.account();
    rig.kill();
    rig.restart();
    assert_eq!((rig.channel("q").messages, rig.dead().len()), (5, 7));
    rig.account();
    // With more room all of them fit.
    rig.stop(Duration::from_secs(5));
    rig.write(&QUEUE.replace("max_messages: 5", "max_messages: 50"));
    rig.restart();
    let id = rig.block_on(rig.gateway().redrive(RedriveRequest::default())).unwrap().operation.unwrap();
    until("it is done", || rig.gateway().operation(id).unwrap().state == OperationState::Done);
    assert_eq!((rig.channel("q").messages, rig.dead().len()), (12, 0));
    rig.account();
}

fn take(rig: &Rig, queue: &str, messages_max: usize) -> Vec<Delivery> {
    let asked = Receive { messages_max, wait: Duration::ZERO, lease: Duration::from_secs(60) };
    rig.block_on(rig.gateway().receive(queue, asked)).unwrap()
}

fn leases(taken: &[Delivery]) -> Vec<String> {
    taken.iter().map(|delivery| delivery.lease.to_string()).collect()
}

/// Ready, in flight and scheduled, of all that stands there.
fn check(rig: &Rig, queue: &str, expected: [u64; 3]) {
    let told = || {
        let view = rig.channel(queue);
        [view.messages - view.in_flight - view.scheduled, view.in_flight, view.scheduled]
    };
    until(&format!("{expected:?}"), || told() == expected);
}

#[test]
fn a_lease_on_what_was_dropped_is_stale_and_counts_no_more() {
    let rig = Rig::start(QUEUE);
    (0..5).for_each(|n| drop(rig.post("in", &n.to_string())));
    let taken = take(&rig, "q", 4);
    let (leased, delayed) = (leases(&taken[..3]), leases(&taken[3..]));
    rig.block_on(rig.gateway().give_back("q", &delayed, Duration::from_secs(60))).unwrap();
    check(&rig, "q", [1, 3, 1]);
    // Two of three that a consumer has are dropped.
    (5..7).for_each(|n| drop(rig.post("in", &n.to_string())));
    check(&rig, "q", [3, 1, 1]);
    assert_eq!(rig.block_on(rig.gateway().acknowledge("q", &leased)).unwrap(), leased[..2]);
    check(&rig, "q", [3, 0, 1]);
    // One that is put off goes as well.
    (7..9).for_each(|n| drop(rig.post("in", &n.to_string())));
    check(&rig, "q", [5, 0, 0]);
    assert_eq!(rig.metric(r#"crossdock_messages_total{route="queue:q",outcome="delivered"}"#), Some(1.0));
    rig.account();
}

#[test]
fn a_lease_on_a_dead_letter_that_went_is_stale_and_counts_no_more() {
    let rig = Rig::start(QUEUE);
    (0..9).for_each(|n| drop(rig.post("in", &n.to_string())));
    let taken = take(&rig, "dropped", 4);
    check(&rig, "dropped", [0, 4, 0]);
    let of = |at: usize| DeadFilter { ids: Some(vec![taken[at].message.envelope.id]), ..DeadFilter::default() };
    // There is room for one that is sent back.
    let one = take(&rig, "q", 1);
    assert!(rig.block_on(rig.gateway().acknowledge("q", &leases(&one))).unwrap().is_empty());
    let asked = RedriveRequest { filter: of(1), ..RedriveRequest::default() };
    rig.block_on(rig.gateway().redrive(asked)).unwrap();
    rig.block_on(rig.gateway().delete_dead_letters(of(2), false)).unwrap();
    check(&rig, "dropped", [0, 2, 0]);
    let leased = leases(&taken);
    assert_eq!(rig.block_on(rig.gateway().acknowledge("dropped", &leased)).unwrap(), leased[1..3]);
    check(&rig, "dropped", [0, 0, 0]);
    rig.account();
}

#[test]
fn what_is_dropped_while_it_waits_is_sent_to_nobody_and_what_is_under_way_ends_once() {
    let rig = Rig::start(
        "
channels: { q: { queue: { max_messages: 3, when_full: drop_oldest, dead_letter: { queue: dropped } } } }
routes:
  in: { from: { ask: {} }, to: { queue: q } }
  out: { from: { queue: q }, to: { ask: { connection: p, path: a, max_in_flight: 1 } } }
",
    );
    rig.world.script(|_| Reply::Hang);
    rig.post("in", "0");
    until("one is under way", || rig.world.hanging() == 1);
    (1..6).for_each(|n| drop(rig.post("in", &n.to_string())));
    assert_eq!(rig.dead().len(), 3);
    rig.world.script(|_| Reply::Taken);
    // What comes of one that is a dead letter already makes it no other.
    rig.world.release(|| Err(fault(FaultClass::Rejected, "ask.no")));
    until("the others are delivered", || rig.route("out").counts.delivered == 3);
    let sent: Vec<_> = rig.world.got().into_iter().map(|got| got.payload).collect();
    assert_eq!(sent, ["0", "3", "4", "5"]);
    assert_eq!(rig.dead().len(), 3);
    rig.account();
}

/// Many messages through a small queue that a route reads: where each of them has come to stand, in the end.
fn each_has_one_end(steps: &str, to: &str, taken: impl Fn(&Rig) -> u64) {
    let rig = Rig::start(&format!(
        "
channels:
  q: {{ queue: {{ max_messages: 40, when_full: drop_oldest, dead_letter: {{ queue: dropped }} }} }}
  kept: {{ queue: {{}} }}
routes:
  in: {{ from: {{ ask: {{}} }}, to: {{ queue: q }} }}
  out: {{ from: {{ queue: q }}, steps: [ {steps} ], to: {to} }}
"
    ));
    let count = 6000;
    for n in 0..count {
        rig.push_now("in", &format!(r#"{{"n":{n}}}"#));
    }
    until("all have ended", || {
        let counts = rig.route("out").counts;
        rig.route("in").counts.received == count && counts.stored == 0 && counts.delivered + counts.dead == count
    });
    let dead = rig.channel("dropped").messages;
    let own = rig.channel("out.dead").messages;
    assert_eq!(dead + own + taken(&rig), count, "{dead} dropped, {own} dead");
    rig.account();
}

#[test]
fn what_is_dropped_is_not_moved_as_well() {
    each_has_one_end("", "{ queue: kept }", |rig| rig.channel("kept").messages);
}

#[test]
fn what_is_dropped_does_not_die_of_its_steps_as_well() {
    each_has_one_end("{ transform: '.x = string!(.none)' }", "{ queue: kept }", |rig| rig.channel("kept").messages);
}
