//! What schedulers and circuits share, and what they do not; what the caller may do from outside.

#[cfg(test)]
mod desk;

use crossdock_delivery::{Effect, Entry, Hold, Order, Policy, Scheduler, State};
use crossdock_model::Moment;
use desk::{Desk, attempts, busy, charged, died, failed, policy, rejected, unreachable};

fn poll(desk: &mut Desk, scheduler: &mut Scheduler) -> Vec<u64> {
    let mut starts = Vec::new();
    scheduler.poll(desk.now, &mut desk.link, &mut starts);
    starts.iter().map(|start| start.offset).collect()
}

/// Two routes over one connection.
fn two() -> (Desk, Scheduler) {
    let mut other = Scheduler::new(policy(), 2);
    (100..104).for_each(|offset| assert!(other.admit(Moment(0), Entry::fresh(offset))));
    (Desk::with(policy(), 4), other)
}

#[test]
fn unreachable_and_its_probe_are_shared_by_a_connection() {
    let (mut desk, mut other) = two();
    desk.pass(0, unreachable());
    let version = desk.link.version();
    assert_eq!(poll(&mut desk, &mut other), [], "it never tried, and is held all the same");
    assert_eq!(other.status(&desk.link).circuit.hold, Some(Hold::Unreachable));
    assert_eq!(other.wake_at(desk.now, &desk.link), Some(Moment(100)));
    desk.now = Moment(100);
    assert_eq!(poll(&mut desk, &mut other), [100]);
    assert_eq!((desk.poll(), other.wake_at(desk.now, &desk.link)), (vec![], None), "one probe for both");
    assert_eq!(desk.scheduler.status(&desk.link).circuit.state, State::Probing);
    other.finished(desk.now, &mut desk.link, 100, unreachable(), &mut Vec::new());
    assert_ne!(desk.link.version(), version, "the other one is to be woken");
    assert_eq!(desk.next(), (300, vec![0]));
    desk.end(0, Ok(()));
    assert_eq!((poll(&mut desk, &mut other), desk.poll()), (vec![100], vec![1]));
    assert_eq!((other.status(&desk.link).circuit.limit, desk.limit()), (1, 1));
}

#[test]
fn a_probe_is_given_back_when_its_scheduler_goes_or_does_not_send() {
    let (mut desk, mut other) = two();
    desk.pass(0, unreachable());
    desk.now = Moment(100);
    assert_eq!(poll(&mut desk, &mut other), [100]);
    other.close(&mut desk.link);
    assert_eq!(desk.poll(), [0]);
    desk.scheduler.unsent(&mut desk.link, 0);
    assert_eq!(desk.poll(), [0]);
    let own = rejected().map_err(|fault| fault.answered_by(crossdock_model::Answer::Nobody));
    assert_eq!(died(&desk.end(0, own)), [0]);
    assert_eq!((desk.poll(), desk.link.is_reachable()), (vec![1], false));
    desk.end(1, rejected());
    assert!(desk.link.is_reachable(), "the target itself answered");
}

#[test]
fn a_link_that_the_caller_saw_come_and_go() {
    let mut desk = Desk::with(policy(), 2);
    let fault = unreachable().expect_err("a fault");
    desk.link.lost(Moment(0), &fault);
    assert_eq!((desk.poll(), desk.hold()), (vec![], Some(Hold::Unreachable)));
    desk.link.restored();
    assert_eq!((desk.poll(), desk.hold()), (vec![0], None));
}

/// Messages of circuit 7 (odd offsets) and 8 (even ones).
fn two_circuits(policy: Policy, messages: u64) -> Desk {
    let mut desk = Desk::new(policy);
    (0..messages).for_each(|offset| desk.admit(Entry { circuit: 8 - offset % 2, ..Entry::fresh(offset) }));
    desk
}

#[test]
fn circuits_are_held_one_by_one() {
    let mut desk = two_circuits(Policy { max_in_flight: 8, window: 60, ..policy() }, 60);
    let mut delivered = Vec::new();
    while delivered.len() < 30 {
        let (_, started) = desk.next();
        for offset in started {
            let odd = offset % 2 == 1;
            delivered.extend((!odd).then_some(offset));
            desk.end(offset, if odd { failed() } else { Ok(()) });
        }
    }
    assert!(desk.now < Moment(1_000), "the good tenant is not kept waiting");
    assert_eq!(desk.scheduler.counters().charges, 0, "nor does it speak for the other's target");
    let shown: Vec<_> = desk.scheduler.circuits(&desk.link).iter().map(|one| (one.circuit, one.hold)).collect();
    assert_eq!(shown, [(7, Some(Hold::Suspects)), (8, None)]);
    let status = desk.scheduler.status(&desk.link);
    assert_eq!((status.circuit.circuit, status.circuits, status.circuits_held), (7, 2, 1));
    assert_eq!(desk.scheduler.room(), 60, "what waits for the held one takes no room");
    assert!(desk.scheduler.apart().count() > 10 && desk.scheduler.apart().all(|offset| offset % 2 == 1));
}

#[test]
fn circuits_take_turns_within_the_target_s_limit() {
    let mut desk = two_circuits(Policy { max_in_flight: 4, ..policy() }, 40);
    for _ in 0..6 {
        let started = desk.poll();
        started.into_iter().for_each(|offset| drop(desk.end(offset, Ok(()))));
    }
    let started = desk.poll();
    let odd = started.iter().filter(|offset| *offset % 2 == 1).count();
    assert_eq!((started.len(), odd), (4, 2));
    assert_eq!(desk.scheduler.wake_at(desk.now, &desk.link), None, "full: an answer comes first");
}

#[test]
fn idle_circuits_are_forgotten_beyond_a_bound() {
    let mut desk = Desk::new(policy());
    for tenant in 1..5_000 {
        desk.admit(Entry { circuit: tenant, ..Entry::fresh(tenant) });
        desk.pass(tenant, Ok(()));
    }
    assert!(desk.scheduler.circuits(&desk.link).len() <= 1_025);
}

#[test]
fn a_paused_route_starts_nothing_and_loses_nothing() {
    let mut desk = Desk::with(policy(), 2);
    assert_eq!(desk.poll(), [0]);
    desk.scheduler.hold();
    desk.end(0, failed());
    assert_eq!((desk.poll(), desk.scheduler.wake_at(desk.now, &desk.link)), (vec![], None));
    assert!(desk.scheduler.status(&desk.link).paused);
    desk.scheduler.release();
    assert_eq!(desk.next(), (0, vec![1]));
    assert_eq!(charged(&desk.end(1, Ok(()))), [(0, 1, false)]);
    assert_eq!(desk.next(), (1_000, vec![0]));
}

#[test]
fn answers_nobody_waits_for_are_ignored() {
    let mut desk = Desk::with(policy(), 2);
    assert_eq!((desk.end(0, failed()), desk.end(77, Ok(()))), (vec![], vec![]));
    desk.scheduler.forget(77);
    assert_eq!(desk.pass(0, Ok(())).len(), 1);
    assert_eq!((desk.end(0, Ok(())), desk.scheduler.counters().delivered), (vec![], 1));
}

#[test]
fn a_forgotten_message_is_no_suspect_and_is_charged_nothing() {
    let mut desk = Desk::with(policy(), 3);
    desk.pass(0, failed());
    desk.scheduler.forget(0);
    assert_eq!((desk.suspects(), desk.scheduler.len()), (vec![], 2));
    desk.next();
    desk.scheduler.forget(1);
    assert_eq!((desk.end(1, failed()), desk.suspects()), (vec![], vec![]));
    assert_eq!(charged(&desk.pass(2, Ok(()))), []);
    assert!(desk.scheduler.is_empty());
}

#[test]
fn a_forgotten_message_keeps_its_place_until_it_is_answered_or_was_not_sent() {
    let mut desk = Desk::with(policy(), 3);
    for offset in [0, 1] {
        assert_eq!(desk.poll(), [offset], "one at a time");
        desk.scheduler.forget(offset);
        assert_eq!((desk.poll(), desk.scheduler.forgotten().collect::<Vec<_>>()), (vec![], vec![offset]));
        match offset {
            0 => desk.scheduler.unsent(&mut desk.link, offset),
            _ => assert_eq!(desk.end(offset, failed()), []),
        }
        assert_eq!(desk.scheduler.forgotten().count(), 0);
    }
    assert_eq!(desk.poll(), [2]);
}

#[test]
fn crash_suspects_go_first_and_alone() {
    let mut desk = Desk::with(policy(), 3);
    for offset in [10, 20] {
        desk.admit(Entry { crash_suspect: true, lane: Some(1), ..Entry::fresh(offset) });
    }
    assert!(desk.scheduler.wants_alone(desk.now, &desk.link));
    let starts = desk.starts();
    assert!(matches!(starts.as_slice(), [start] if start.offset == 10 && start.alone));
    assert_eq!((desk.poll(), desk.scheduler.wake_at(desk.now, &desk.link)), (vec![], None));
    desk.end(10, failed());
    let starts = desk.starts();
    assert!(matches!(starts.as_slice(), [start] if start.offset == 20 && start.alone));
    desk.end(20, Ok(()));
    assert!(!desk.scheduler.wants_alone(desk.now, &desk.link));
    assert_eq!(desk.poll(), [0, 1], "what survived is sent as usual");
}

#[test]
fn a_crash_suspect_waits_for_what_is_in_flight_and_for_the_connection() {
    let mut desk = Desk::with(policy(), 3);
    assert_eq!(desk.poll(), [0]);
    desk.admit(Entry { crash_suspect: true, ..Entry::fresh(10) });
    assert_eq!((desk.poll(), desk.scheduler.wake_at(desk.now, &desk.link)), (vec![], None));
    desk.end(0, unreachable());
    assert!(!desk.scheduler.wants_alone(desk.now, &desk.link), "nothing is sent now");
    assert_eq!(desk.next(), (100, vec![10]));
    desk.end(10, unreachable());
    assert_eq!(desk.next(), (300, vec![10]), "not sent, so a suspect still");
    assert!(desk.scheduler.entries(desk.now).iter().all(|entry| !entry.crash_suspect));
    desk.end(10, Ok(()));
    assert_eq!(desk.poll(), [0]);
}

#[test]
fn the_lane_of_a_crash_suspect_is_told_while_it_is_alone() {
    let mut desk = Desk::with(Policy { order: Order::BlockKey, ..policy() }, 0);
    desk.admit(Entry { crash_suspect: true, ..Entry::fresh(10) });
    desk.scheduler.identified(10, Some(1), 5);
    assert_eq!(desk.scheduler.entries(desk.now)[0].lane, None, "it is not in flight");
    assert_eq!((desk.poll(), desk.scheduler.crash_suspects()), (vec![10], 1));
    assert_eq!(desk.scheduler.flying().collect::<Vec<_>>(), [10]);
    desk.scheduler.identified(10, Some(1), 5);
    desk.admit(Entry { lane: Some(1), ..Entry::fresh(11) });
    desk.end(10, failed());
    let entry = desk.scheduler.entries(desk.now)[0];
    assert_eq!((entry.lane, entry.circuit, desk.scheduler.crash_suspects()), (Some(1), 5, 0));
    assert_eq!(desk.poll(), [], "the failed head of its lane holds those behind it");
    let (_, sent) = desk.next();
    assert_eq!(sent, [10]);
    desk.end(10, Ok(()));
    assert_eq!(desk.poll(), [11]);
}

#[test]
fn only_a_crash_charges_a_crash_suspect() {
    let fault = failed().expect_err("a fault");
    let mut desk = Desk::new(attempts(2));
    desk.admit(Entry { crash_suspect: true, ..Entry::fresh(1) });
    desk.admit(Entry::fresh(2));
    let mut effects = Vec::new();
    desk.scheduler.crashed(desk.now, 2, fault.clone(), &mut effects);
    assert_eq!(effects, [], "it was no suspect");
    desk.scheduler.crashed(desk.now, 1, fault.clone(), &mut effects);
    assert!(matches!(effects.as_slice(), [Effect::Touch { offset: 1, tries: 1, charges: 1, tried: true, .. }]));
    desk.scheduler.crashed(desk.now, 1, fault, &mut effects);
    assert_eq!(died(&effects), [1]);
    assert!(!desk.scheduler.wants_alone(desk.now, &desk.link));
    assert_eq!(desk.poll(), [2]);
}

#[test]
fn what_is_shown() {
    let mut desk = Desk::new(policy());
    let status = desk.scheduler.status(&desk.link);
    assert_eq!((status.circuit.state, status.circuit.since, status.circuits), (State::Up, None, 0));
    (0..9).for_each(|offset| desk.admit(Entry::fresh(offset)));
    desk.now = Moment(70);
    desk.fail(0..6);
    let status = desk.scheduler.status(&desk.link);
    assert_eq!((status.circuit.state.name(), status.circuit.since), ("held", Some(Moment(70))));
    assert_eq!(status.circuit.fault.map(|fault| fault.code.to_string()), Some("http.500".to_owned()));
    assert_eq!(status.circuit.next_probe, Some(Moment(270)));
    assert_eq!((status.fresh, status.scheduled, status.in_flight), (3, 6, 0));
    desk.next();
    let status = desk.scheduler.status(&desk.link);
    assert_eq!((status.circuit.state.name(), status.circuit.next_probe, status.in_flight), ("probing", None, 1));
    desk.end(6, rejected());
    assert_eq!(desk.scheduler.status(&desk.link).circuit.state.name(), "up");
    let counters = desk.scheduler.counters();
    assert_eq!((counters.failed, counters.rejected, counters.charges), (6, 1, 0));
}

#[test]
fn what_never_left_does_not_show_that_the_connection_works() {
    let mut desk = Desk::with(policy(), 2);
    desk.pass(0, unreachable());
    assert_eq!(desk.next(), (100, vec![0]));
    let unread = busy(None).map_err(|fault| fault.answered_by(crossdock_model::Answer::Nobody));
    desk.end(0, unread);
    assert_eq!((desk.hold(), desk.poll()), (Some(Hold::Unreachable), vec![1]), "the probe is another one's");
}
