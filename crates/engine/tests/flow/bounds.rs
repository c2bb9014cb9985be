//! What is full pushes back.

use crate::rig::{Rig, peer::fault, until, world::Reply};
use crossdock_connector::Settlement;
use crossdock_engine::{DeadFilter, OperationState, RedriveRequest};
use crossdock_model::{FaultClass, RefusalKind};
use std::time::{Duration, Instant};

const FULL: &str = "
channels: { q: { queue: { max_messages: 100 } } }
routes:
  told: { from: { ask: {} }, to: { queue: q } }
  kept: { from: { broker: {} }, to: { queue: q } }
  out: { from: { queue: q }, to: { ask: { connection: p, path: a } } }
";

#[test]
fn a_full_queue_is_told_or_waited_for() {
    let rig = Rig::start(FULL);
    rig.block_on(rig.gateway().pause("out")).unwrap();
    for n in 0..100 {
        assert!(matches!(rig.post("told", &format!("{{\"n\":{n}}}")), Settlement::Stored { .. }), "{n}");
    }
    assert!(matches!(rig.post("told", "{}"), Settlement::Again { after: Some(_) }));
    assert_eq!(rig.route("told").counts.received, 100, "what found no room is not received");
    for n in 100..250 {
        rig.push("kept", &format!("{{\"n\":{n}}}"));
    }
    until("the source says why", || rig.route("kept").sources[0].reason.as_deref().is_some_and(|r| r.contains('q')));
    assert_eq!(rig.world.settled_count("kept"), 0, "neither acknowledged nor refused");
    rig.block_on(rig.gateway().resume("out")).unwrap();
    until("all deliveries", || rig.world.taken().len() == 250);
    let payloads: Vec<String> = rig.world.taken().into_iter().map(|got| got.payload).collect();
    let expected: Vec<String> = (0..250).map(|n| format!("{{\"n\":{n}}}")).collect();
    assert_eq!(payloads, expected, "the order of receipt is kept over the wait");
    until("all settlements", || rig.world.settled_count("kept") == 150);
    until("the source is at ease", || rig.route("kept").sources[0].reason.is_none());
    rig.account();
}

#[test]
fn a_full_channel_behind_steps_is_busy() {
    let rig = Rig::start(
        "
channels: { a: { queue: {} }, b: { queue: { max_messages: 10 } } }
routes:
  in: { from: { ask: {} }, to: { queue: a } }
  move:
    from: { queue: a }
    to: { queue: b }
    retry: { attempts: 3, initial: 20ms, factor: 1, max: 20ms }
  out: { from: { queue: b }, to: { ask: { connection: p, path: a } } }
",
    );
    rig.block_on(rig.gateway().pause("out")).unwrap();
    for n in 0..60 {
        rig.push("in", &format!("{{\"n\":{n}}}"));
    }
    until("it is full", || rig.channel("b").messages == 10);
    until("the target says so", || rig.route("move").targets[0].reason.is_some());
    assert!(rig.dead().is_empty());
    rig.block_on(rig.gateway().resume("out")).unwrap();
    until("all deliveries", || rig.world.taken().len() == 60);
    assert!(rig.dead().is_empty());
    rig.account();
}

/// Room in a queue is made by whoever reads it, all the time: neither a source nor a route that finds none waits for long.
#[test]
fn a_small_queue_does_not_slow_down_what_flows_through_it() {
    let rig = Rig::start(
        "
channels: { a: { queue: { max_messages: 7 } }, b: { queue: { max_messages: 5 } } }
routes:
  in: { from: { broker: {} }, to: { queue: a } }
  move: { from: { queue: a }, to: { queue: b } }
  out: { from: { queue: b }, to: { ask: { connection: p, path: a } } }
",
    );
    // With half a second for each time that one of them is full, this would take minutes.
    for n in 0..1500 {
        rig.push("in", &format!("{{\"n\":{n}}}"));
    }
    until("all deliveries", || rig.world.taken().len() == 1500);
    let payloads: Vec<String> = rig.world.taken().into_iter().map(|got| got.payload).collect();
    let expected: Vec<String> = (0..1500).map(|n| format!("{{\"n\":{n}}}")).collect();
    assert_eq!(payloads, expected, "the order of receipt is kept");
    rig.account();
}

/// What waits for room in a channel is on its way only as far as it can be taken back.
#[test]
fn what_waits_for_room_can_be_paused_and_expires() {
    let rig = Rig::start(
        "
channels: { a: { queue: {} }, b: { queue: { max_messages: 10 } } }
routes:
  in: { from: { ask: {} }, to: { queue: a } }
  move: { from: { queue: a }, steps: [ { expire: { after: 8s } } ], to: { queue: b } }
  out: { from: { queue: b }, to: { ask: { connection: p, path: a } } }
",
    );
    rig.block_on(rig.gateway().pause("out")).unwrap();
    for n in 0..60 {
        rig.push("in", &format!("{{\"n\":{n}}}"));
    }
    until("it is full", || rig.channel("b").messages == 10);
    rig.block_on(rig.gateway().pause("move")).unwrap();
    until("nothing is on its way", || rig.route("move").targets[0].in_flight == 0);
    rig.block_on(rig.gateway().resume("out")).unwrap();
    until("the queue is empty", || rig.channel("b").messages == 0);
    assert_eq!((rig.route("move").counts.delivered, rig.world.taken().len()), (10, 10), "it is paused");
    rig.block_on(rig.gateway().pause("out")).unwrap();
    rig.block_on(rig.gateway().resume("move")).unwrap();
    until("it is full again", || rig.channel("b").messages == 10);
    until("the rest expires", || rig.route("move").counts.expired == 40);
    assert_eq!(rig.route("move").counts.delivered, 20);
    rig.account();
}

#[test]
fn several_channels_take_a_message_or_none_does() {
    let rig = Rig::start(
        "
channels: { a: { queue: {} }, b: { queue: { max_messages: 3 } } }
routes: { in: { from: { ask: {} }, to: [ { queue: a }, { queue: b } ] } }
",
    );
    let stored = (0..5).filter(|_| matches!(rig.post("in", "{}"), Settlement::Stored { .. })).count();
    assert_eq!((stored, rig.channel("a").messages, rig.channel("b").messages), (3, 3, 3));
    assert_eq!(rig.route("in").counts.delivered, 3, "a message for two channels is one message");
    rig.account();
}

#[test]
fn a_full_dead_letter_queue_holds_the_route() {
    let rig = Rig::start(
        "
channels: { graves: { queue: { max_messages: 3 } } }
routes:
  r:
    from: { ask: {} }
    to: { name: erp, ask: { connection: p, path: a } }
    dead_letter: { queue: graves }
",
    );
    rig.world.script(|got| {
        if got.payload.contains("bad") { Reply::Fault(fault(FaultClass::Rejected, "ask.no")) } else { Reply::Taken }
    });
    for n in 0..5 {
        rig.post("r", &format!("{{\"bad\":{n}}}"));
    }
    until("the route holds", || rig.route("r").reason.is_some());
    assert_eq!(rig.dead().len(), 3);
    rig.push("r", "{\"good\":1}");
    std::thread::park_timeout(Duration::from_millis(300));
    let counts = rig.route("r").counts;
    assert_eq!((counts.dead, counts.delivered), (3, 0), "{counts:?}");
    rig.block_on(rig.gateway().delete_dead_letters(DeadFilter::default(), false)).unwrap();
    until("all are dead", || rig.route("r").counts.dead == 5);
    until("the good one", || rig.route("r").counts.delivered == 1);
    until("the route goes on", || rig.route("r").reason.is_none());
    rig.account();
}

#[test]
fn what_is_larger_than_the_store_takes_is_not_received() {
    let rig = Rig::start(
        "
gateway: { store: { segment: 1MiB } }
channels: { q: { queue: {} } }
routes:
  told: { from: { ask: {} }, to: { queue: q } }
  kept: { from: { broker: {} }, to: { queue: q }, dead_letter: { queue: graves } }
",
    );
    let large = format!("\"{}\"", "x".repeat(600 << 10));
    for route in ["told", "kept"] {
        let refused = rig.post(route, &large);
        let Settlement::Refused(refusal) = refused else { panic!("{refused:?}") };
        assert_eq!(refusal.kind, RefusalKind::TooLarge);
        assert!(matches!(rig.post(route, "{}"), Settlement::Stored { .. }));
    }
    let counts = |route: &str| {
        let counts = rig.route(route).counts;
        (counts.received, counts.refused, counts.delivered)
    };
    assert_eq!(counts("told"), (1, 0, 1), "413 is not received");
    assert_eq!(counts("kept"), (2, 1, 1), "a broker's message is");
    rig.account();
}

#[test]
fn a_source_takes_no_more_than_it_can_hold() {
    let rig = Rig::start(
        "channels: { q: { queue: { max_messages: 1 } } }\nroutes: { r: { from: { broker: {} }, to: { queue: q } } }\n",
    );
    for _ in 0..10_000 {
        rig.push("r", "{}");
    }
    until("one is stored", || rig.world.settled_count("r") == 1);
    let credit = rig.world.credit("r").unwrap();
    assert!(credit.messages <= 4096 && credit.bytes <= 16 << 20, "{credit:?}");
}

/// Lets a number of messages die.
fn graveyard(yaml: &str, count: usize) -> Rig {
    let rig = Rig::start(yaml);
    rig.world.script(|_| Reply::Fault(fault(FaultClass::Rejected, "ask.no")));
    for n in 0..count {
        rig.push("r", &format!("{{\"id\":\"o-{n}\",\"n\":{n}}}"));
    }
    until("all are dead", || rig.dead().len() == count);
    rig
}

const MORTAL: &str = "
routes:
  r:
    from: { ask: {} }
    to: [ { name: one, ask: { connection: p, path: a } }, { name: two, ask: { connection: other, path: b }, idempotency: per_redrive } ]
";

#[test]
fn a_redriven_letter_goes_to_the_target_that_failed_with_its_id() {
    let rig = Rig::start(MORTAL);
    rig.world.script(
        |got| {
            if got.path == "b" { Reply::Fault(fault(FaultClass::Rejected, "ask.no")) } else { Reply::Taken }
        },
    );
    for n in 0..30 {
        rig.push("r", &format!("{{\"n\":{n}}}"));
    }
    until("thirty are dead", || rig.dead().len() == 30);
    until("the other has all", || rig.world.taken().len() == 30);
    let dry = RedriveRequest { dry_run: true, ..RedriveRequest::default() };
    let dry = rig.block_on(rig.gateway().redrive(dry)).unwrap();
    assert_eq!((dry.matched, dry.operation, rig.dead().len()), (30, None, 30));
    rig.world.script(|_| Reply::Taken);
    let redrive = rig.block_on(rig.gateway().redrive(RedriveRequest::default())).unwrap();
    let id = redrive.operation.unwrap();
    until("it is done", || rig.gateway().operation(id).unwrap().state == OperationState::Done);
    until("sixty deliveries", || rig.world.taken().len() == 60);
    let taken = rig.world.taken();
    let second: Vec<_> = taken.iter().filter(|got| got.path == "b").collect();
    assert_eq!(second.len(), 30, "the target that had it was not bothered again");
    assert!(second.iter().all(|got| got.key == format!("{}-1", got.envelope.id)), "{:?}", second[0].key);
    assert!(
        second.iter().all(|got| taken.iter().any(|other| other.path == "a" && other.envelope.id == got.envelope.id))
    );
    let view = rig.gateway().operation(id).unwrap();
    assert_eq!((view.total, view.done, view.failed), (30, 30, 0));
    until("the count", || rig.route("r").counts.delivered == 30);
    let counts = rig.route("r").counts;
    assert_eq!((counts.received, counts.dead, counts.stored), (60, 30, 0), "a redriven message is received again");
    assert!(rig.dead().is_empty());
    rig.account();
}

#[test]
fn a_redrive_keeps_its_pace_over_a_kill_and_counts_what_dies_again() {
    let mut rig =
        graveyard("routes: { r: { from: { ask: {} }, to: { name: one, ask: { connection: p, path: a } } } }\n", 40);
    rig.world.script(|got| {
        let again = got.payload.contains("\"o-7\"");
        if again { Reply::Fault(fault(FaultClass::Rejected, "ask.no")) } else { Reply::Taken }
    });
    let rate = Some(crossdock_settings::Rate { per_second: 40.0 });
    let began = Instant::now();
    let redrive = rig.block_on(rig.gateway().redrive(RedriveRequest { rate, ..RedriveRequest::default() })).unwrap();
    let id = redrive.operation.unwrap();
    until("ten are through", || rig.world.taken().len() >= 10);
    assert!(began.elapsed() >= Duration::from_millis(200), "a burst");
    rig.kill();
    rig.restart();
    until("it is done", || rig.gateway().operation(id).unwrap().state == OperationState::Done);
    assert!(began.elapsed() >= Duration::from_millis(900), "the pace was not kept: {:?}", began.elapsed());
    until("the one that died again", || rig.dead().len() == 1);
    assert_eq!(rig.dead()[0].redrives, 1);
    until("the others", || rig.route("r").counts.stored == 0);
    rig.account();
}

#[test]
fn a_redrive_can_be_narrowed_bounded_and_cancelled() {
    let rig =
        graveyard("routes: { r: { from: { ask: {} }, to: { name: one, ask: { connection: p, path: a } } } }\n", 20);
    rig.world.script(|_| Reply::Taken);
    let ids = Some(rig.dead().iter().take(3).map(|dead| dead.message.envelope.id).collect());
    let gateway = rig.gateway();
    let dry = |filter| {
        let request = RedriveRequest { filter, dry_run: true, ..RedriveRequest::default() };
        rig.block_on(gateway.redrive(request)).unwrap().matched
    };
    assert_eq!(dry(DeadFilter { ids, ..DeadFilter::default() }), 3);
    assert_eq!(dry(DeadFilter { route: Some("none".into()), ..DeadFilter::default() }), 0);
    assert_eq!(dry(DeadFilter { code: Some("ask.no".into()), ..DeadFilter::default() }), 20);
    let some = RedriveRequest { max: Some(5), ..RedriveRequest::default() };
    let some = rig.block_on(gateway.redrive(some)).unwrap();
    assert_eq!(some.matched, 5);
    until("five are back", || rig.dead().len() == 15);
    let slow = Some(crossdock_settings::Rate { per_second: 5.0 });
    let slow = rig.block_on(gateway.redrive(RedriveRequest { rate: slow, ..RedriveRequest::default() })).unwrap();
    let id = slow.operation.unwrap();
    let cancelled = rig.block_on(gateway.cancel(id)).unwrap();
    assert_eq!(cancelled.state, OperationState::Cancelled);
    assert!(rig.block_on(gateway.cancel(id)).is_err(), "it has ended");
    std::thread::park_timeout(Duration::from_millis(500));
    assert!(rig.dead().len() >= 13, "{}", rig.dead().len());
    rig.account();
}

#[test]
fn what_accept_refused_goes_through_accept_again() {
    let mut rig = Rig::start(
        "
channels: { q: { queue: {} } }
routes:
  r: { from: { broker: {} }, accept: [ { validate: { json_schema: s.json } } ], to: { queue: q } }
",
    );
    rig.post("r", "{\"n\":1}");
    assert_eq!(rig.dead().len(), 1);
    let again = |rig: &Rig| {
        let id = rig.block_on(rig.gateway().redrive(RedriveRequest::default())).unwrap().operation.unwrap();
        until("it is done", || rig.gateway().operation(id).unwrap().state == OperationState::Done);
        rig.gateway().operation(id).unwrap()
    };
    let refused = again(&rig);
    assert_eq!((refused.done, refused.failed, rig.dead().len()), (0, 1, 1));
    rig.kill();
    rig.write("channels: { q: { queue: {} } }\nroutes: { r: { from: { broker: {} }, to: { queue: q } } }\n");
    rig.restart();
    let taken = again(&rig);
    assert_eq!((taken.done, taken.failed, rig.dead().len(), rig.channel("q").messages), (1, 0, 0, 1));
    let counts = rig.route("r").counts;
    assert_eq!((counts.received, counts.delivered), (1, 1));
    rig.account();
}

/// P10: were those behind it delivered while its letter finds no room, a crash would give it back behind them.
#[test]
fn a_key_waits_until_its_dead_letter_is_stored() {
    let mut rig = Rig::start(
        "
channels: { d: { queue: { max_messages: 1 } } }
routes:
  r:
    from: { ask: {} }
    order_by: .key
    dead_letter: { queue: d }
    to: { ask: { connection: p, path: a } }
",
    );
    const BODIES: [&str; 3] = [r#"{"key":"a","n":0}"#, r#"{"key":"b","n":1}"#, r#"{"key":"b","n":2}"#];
    rig.world.script(|got| match got.payload.as_str() {
        last if last == BODIES[2] => Reply::Taken,
        _ => Reply::Fault(fault(FaultClass::Rejected, "ask.no")),
    });
    rig.push("r", BODIES[0]);
    until("the first to be dead", || rig.dead().len() == 1);
    rig.block_on(rig.gateway().pause("r")).unwrap();
    rig.push("r", BODIES[1]);
    rig.push("r", BODIES[2]);
    until("both to be stored", || rig.world.settled_count("r") == 3);
    rig.block_on(rig.gateway().resume("r")).unwrap();
    until("the second to find no room", || rig.route("r").reason.is_some());
    rig.world.script(|_| Reply::Taken);
    // It is taken after all when it comes back; the other of its key comes after it.
    rig.kill();
    rig.restart();
    until("both", || rig.world.taken().len() == 2);
    let taken: Vec<_> = rig.world.taken().into_iter().map(|got| got.payload).collect();
    assert_eq!(taken, BODIES[1..]);
    rig.account();
}

/// P13: it would never find room, and would hold up whoever comes after it.
#[test]
fn what_a_queue_never_holds_is_refused_and_not_waited_with() {
    let rig = Rig::start(
        "
channels: { q: { queue: { max_bytes: 2KiB } } }
routes:
  in: { from: { ask: {} }, to: { queue: q } }
  move: { from: { ask: {} }, steps: [ { transform: .done = true } ], to: { queue: q } }
",
    );
    let large = format!(r#"{{"text":"{}"}}"#, "x".repeat(3000));
    let refused = rig.post("in", &large);
    let Settlement::Refused(refusal) = refused else { panic!("{refused:?}") };
    assert_eq!(refusal.kind, RefusalKind::TooLarge);
    rig.push("move", &large);
    rig.push("move", "{}");
    until("the small one to be moved", || rig.channel("q").messages == 1);
    until("the large one to be dead", || rig.dead().len() == 1);
    assert_eq!(rig.dead()[0].cause.class, FaultClass::Rejected);
    rig.account();
}
