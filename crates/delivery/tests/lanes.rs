//! Order lanes: who waits for whom, and what a lone poison message may do to those behind it.

#[cfg(test)]
mod desk;

use crossdock_delivery::{Entry, Order, Policy, Prior, Retry};
use crossdock_model::{Fault, FaultClass, Moment};
use desk::{Desk, busy, charged, died, failed, policy, rejected, silent, unreachable, wait};
use std::time::Duration;

/// A circuit at its full limit with messages of the given lanes.
fn warm(order: Order, lanes: &[u64]) -> Desk {
    let mut desk = Desk::new(Policy { order, max_in_flight: 8, ..policy() });
    (1_000..1_003).for_each(|offset| desk.admit(Entry::fresh(offset)));
    (1_000..1_003).for_each(|offset| {
        desk.poll();
        desk.end(offset, Ok(()));
    });
    for (offset, lane) in (0..).zip(lanes) {
        desk.admit(Entry { lane: Some(*lane), ..Entry::fresh(offset) });
    }
    assert_eq!((desk.limit(), desk.scheduler.len()), (8, lanes.len()));
    desk
}

#[test]
fn one_of_a_lane_at_a_time_in_offset_order_and_the_lanes_in_parallel() {
    for order in [Order::BlockKey, Order::Skip] {
        let mut desk = warm(order, &[1, 1, 2, 1, 2, 3]);
        assert_eq!(desk.poll(), [0, 2, 5]);
        desk.end(2, Ok(()));
        assert_eq!(desk.poll(), [4]);
        desk.end(0, Ok(()));
        assert_eq!(desk.poll(), [1]);
        desk.end(1, Ok(()));
        assert_eq!(desk.poll(), [3]);
    }
    assert_eq!(warm(Order::None, &[1, 1, 2, 1, 2, 3]).poll(), [0, 1, 2, 3, 4, 5]);
}

#[test]
fn a_failed_head_blocks_its_lane_or_is_skipped() {
    let mut desk = warm(Order::BlockKey, &[1, 1, 2, 2]);
    assert_eq!(desk.poll(), [0, 2]);
    desk.end(0, failed());
    desk.end(2, Ok(()));
    assert_eq!(desk.poll(), [3]);
    assert_eq!(desk.next(), (1_000, vec![0]));
    desk.end(0, Ok(()));
    assert_eq!(desk.poll(), [1]);

    let mut desk = warm(Order::Skip, &[1, 1, 1, 1]);
    assert_eq!(desk.poll(), [0]);
    desk.end(0, failed());
    assert_eq!(desk.poll(), [1]);
    desk.now = Moment(1_000);
    assert_eq!(desk.poll(), [], "it is due, but its lane has one in flight");
    desk.end(1, busy(Some(1)));
    assert_eq!(desk.poll(), [0], "the first of those that wait");
    desk.end(0, Ok(()));
    assert_eq!(desk.poll(), [2]);
    desk.now = Moment(2_000);
    desk.end(2, Ok(()));
    assert_eq!(desk.poll().len(), 1);

    // A probe ignores the back-off. Where it reached nobody it waits on, and nobody waits for it.
    let mut desk = warm(Order::Skip, &[1]);
    desk.pass(0, failed());
    desk.link.lost(desk.now, &Fault::new(FaultClass::Unreachable, "http.connect", "connection refused"));
    assert_eq!(desk.next(), (100, vec![0]));
    desk.admit(Entry { lane: Some(1), ..Entry::fresh(1) });
    desk.end(0, unreachable());
    desk.link.restored();
    assert_eq!(desk.poll(), [1]);
}

#[test]
fn who_dies_or_is_settled_elsewhere_frees_its_lane() {
    for order in [Order::BlockKey, Order::Skip] {
        let mut desk = warm(order, &[1, 1, 1, 1, 1, 1]);
        assert_eq!(desk.poll(), [0]);
        assert_eq!(died(&desk.end(0, rejected())), [0]);
        assert_eq!(desk.poll(), [1]);
        desk.scheduler.forget(2);
        desk.scheduler.forget(1);
        assert_eq!(desk.poll(), [], "it is in flight all the same");
        assert_eq!(desk.end(1, Ok(())), [], "and its answer has no effect");
        desk.scheduler.forget(3);
        assert_eq!(desk.poll(), [4]);
        desk.end(4, Ok(()));
        desk.scheduler.forget(5);
        assert!(desk.scheduler.is_empty() && desk.poll().is_empty());
    }
}

#[test]
fn what_was_not_sent_keeps_its_place() {
    for order in [Order::None, Order::BlockKey, Order::Skip] {
        let mut desk = warm(order, &[1, 1, 1]);
        let started = desk.poll();
        started.iter().rev().for_each(|offset| desk.scheduler.unsent(&mut desk.link, *offset));
        assert_eq!(desk.poll(), started);
        started.iter().rev().for_each(|offset| drop(desk.end(*offset, unreachable())));
        assert_eq!(desk.next().1, [0]);
    }
}

#[test]
fn a_head_that_comes_late_takes_the_turn() {
    let mut desk = warm(Order::BlockKey, &[]);
    let prior = Prior { tries: 2, charges: 1, due: Moment(50), asked: false, failing_for: Duration::ZERO };
    desk.admit(Entry { lane: Some(1), prior: Some(prior), ..Entry::fresh(5) });
    desk.admit(Entry { lane: Some(1), ..Entry::fresh(6) });
    desk.admit(Entry { lane: Some(1), ..Entry::fresh(3) });
    assert_eq!(desk.poll(), [3]);
    desk.admit(Entry { lane: Some(1), ..Entry::fresh(2) });
    desk.end(3, Ok(()));
    assert_eq!(desk.poll(), [2]);
    desk.end(2, Ok(()));
    assert_eq!(desk.next(), (50, vec![5]));
    desk.end(5, Ok(()));
    assert_eq!(desk.poll(), [6]);
}

/// What waits behind a failed head leaves room for the others (promise P13).
#[test]
fn a_blocked_lane_does_not_fill_the_window() {
    let policy = Policy { order: Order::BlockKey, window: 10, held_max: 25, ..policy() };
    let mut desk = Desk::new(policy);
    (0..10).for_each(|offset| desk.admit(Entry { lane: Some(1), ..Entry::fresh(offset) }));
    assert_eq!((desk.scheduler.room(), desk.poll()), (0, vec![0]));
    desk.end(0, failed());
    assert_eq!((desk.scheduler.room(), desk.scheduler.apart().count()), (10, 10));
    (10..20).for_each(|offset| desk.admit(Entry { lane: Some(1), ..Entry::fresh(offset) }));
    assert_eq!(desk.scheduler.room(), 5, "bounded all the same");
    (20..25).for_each(|offset| desk.admit(Entry { lane: Some(2), ..Entry::fresh(offset) }));
    assert_eq!((desk.scheduler.room(), desk.poll()), (5, vec![20]));
    (0..25).for_each(|offset| desk.scheduler.forget(offset));
    desk.end(20, Ok(()));
    assert_eq!(desk.scheduler.room(), 10);
}

/// A row that gathered behind a head goes one by one when the head has passed: it does not fill the window then either.
#[test]
fn a_lane_that_was_blocked_does_not_fill_the_window_when_it_goes_on() {
    let policy = Policy { order: Order::BlockKey, window: 10, ..policy() };
    let mut desk = Desk::new(policy);
    desk.admit(Entry { lane: Some(1), ..Entry::fresh(0) });
    desk.pass(0, failed());
    (1..500).for_each(|offset| desk.admit(Entry { lane: Some(1), ..Entry::fresh(offset) }));
    assert_eq!(desk.scheduler.room(), 10);
    desk.pass(0, Ok(()));
    for offset in 1..500 {
        // Those that wait apart no more are the one that goes next and, at the end, nobody.
        assert!(desk.scheduler.room() >= 9, "{offset}: {}", desk.scheduler.room());
        desk.pass(offset, Ok(()));
    }
    assert_eq!((desk.scheduler.room(), desk.scheduler.apart().count()), (10, 0));
}

/// What waits behind one that was never tried, in a circuit that is held, waits for that circuit.
#[test]
fn a_lane_of_a_held_circuit_does_not_fill_the_window() {
    for order in [Order::BlockKey, Order::Skip] {
        let policy = Policy { order, window: 10, ..policy() };
        let mut desk = Desk::new(policy);
        let of = |lane, circuit, offset| Entry { lane: Some(lane), circuit, ..Entry::fresh(offset) };
        for (offset, wait) in [(0, 3_600), (1, 3_600)] {
            desk.admit(of(offset, 7, offset));
            desk.pass(offset, busy(Some(wait)));
        }
        (2..200).for_each(|offset| desk.admit(of(2, 7, offset)));
        assert_eq!(desk.scheduler.room(), 10, "{order:?}");
        desk.admit(of(3, 8, 200));
        assert_eq!(desk.poll(), [200]);
        // What was there before the circuit was held counts for it, too.
        desk.end(200, Ok(()));
        (210..300).for_each(|offset| desk.admit(of(4, 9, offset)));
        assert_eq!(desk.scheduler.room(), 0, "it counts with the others while its circuit is up");
        for offset in [300, 301] {
            desk.admit(of(offset, 9, offset));
        }
        let started = desk.poll();
        assert!(started.contains(&210), "{started:?}");
        desk.end(210, busy(Some(3_600)));
        while let Some(other) = desk.poll().first().copied() {
            desk.end(other, busy(Some(3_600)));
        }
        assert_eq!(desk.scheduler.room(), 10, "{order:?}: {:?}", desk.scheduler.circuits(&desk.link));
        let mut newly = Vec::new();
        desk.scheduler.take_newly_apart(&mut newly);
        let apart: Vec<u64> = desk.scheduler.apart().collect();
        let untold: Vec<&u64> = apart.iter().filter(|offset| !newly.contains(offset)).collect();
        assert!(untold.is_empty(), "who waits apart is told: {untold:?}");
    }
}

/// One that is skipped comes back on its own time, also when it was parked for a while.
#[test]
fn a_lane_that_skips_waits_for_no_back_off() {
    let mut desk = warm(Order::Skip, &[1, 1, 1]);
    desk.pass(0, failed());
    assert_eq!(desk.poll(), [1]);
    // It is probed before its back-off ends, while another one of its lane is on its way, and so is parked behind that.
    desk.link.lost(desk.now, &Fault::new(FaultClass::Unreachable, "http.connect", "connection refused"));
    desk.now = Moment(100);
    assert_eq!(desk.poll(), []);
    desk.end(1, Ok(()));
    assert_eq!(desk.poll(), [2]);
    desk.end(2, Ok(()));
    assert_eq!(desk.next(), (1_000, vec![0]));
}

fn alone_after(limit: Duration) -> Policy {
    let retry = Retry { attempts: 2, alone_limit: limit, ..policy().retry };
    Policy { order: Order::BlockKey, retry, ..policy() }
}

const DAY_MILLIS: u64 = 24 * 60 * 60 * 1_000;

/// The head of the only lane fails for more than a day with messages behind it: is it charged?
fn check_alone(result: fn() -> Result<(), Fault>, behind: u64, expected: &[u64]) {
    let mut desk = Desk::new(alone_after(Duration::from_millis(DAY_MILLIS)));
    (0..=behind).for_each(|offset| desk.admit(Entry { lane: Some(1), ..Entry::fresh(offset) }));
    let mut dead = Vec::new();
    let mut died_at = 0;
    while desk.now.0 < 3 * DAY_MILLIS && dead.is_empty() {
        let (_, started) = desk.next();
        for offset in started {
            dead.extend(died(&desk.end(offset, result())));
            died_at = desk.now.0;
        }
    }
    assert_eq!(dead, expected);
    assert!(dead.is_empty() || (DAY_MILLIS..DAY_MILLIS + 20 * 60 * 1_000).contains(&died_at), "{died_at}");
    assert_eq!(desk.scheduler.counters().charges, 2 * dead.len() as u64);
    assert_eq!(desk.poll(), if dead.is_empty() { vec![] } else { vec![1] });
}

#[test]
fn a_message_alone_is_charged_for_what_the_application_answers() {
    check_alone(failed, 1, &[0]);
    check_alone(failed, 0, &[]);
    check_alone(silent, 1, &[]);
    let bad_gateway = || failed().map_err(|fault| fault.answered_by(crossdock_model::Answer::Intermediary));
    check_alone(bad_gateway, 1, &[]);
    check_alone(|| busy(Some(60)), 1, &[]);
    check_alone(unreachable, 1, &[]);
}

/// Two lanes whose heads both fail, and nobody else who could tell: both end.
#[test]
fn two_poison_heads_do_not_keep_each_other_alive() {
    let mut desk = Desk::new(alone_after(Duration::from_secs(600)));
    for offset in 0..4 {
        desk.admit(Entry { lane: Some(offset % 2), ..Entry::fresh(offset) });
    }
    let mut delivered = 0;
    while !desk.scheduler.is_empty() {
        let (at, started) = desk.next();
        assert!(at < 3_600_000);
        for offset in started {
            delivered += u64::from(offset > 1);
            desk.end(offset, if offset > 1 { Ok(()) } else { failed() });
        }
    }
    assert_eq!(delivered, 2);
}

#[test]
fn a_restart_does_not_start_the_day_anew() {
    let mut desk = Desk::new(alone_after(Duration::from_secs(600)));
    let prior = Prior { tries: 9, charges: 1, due: Moment(0), asked: false, failing_for: Duration::from_secs(599) };
    desk.admit(Entry { lane: Some(1), prior: Some(prior), ..Entry::fresh(0) });
    desk.admit(Entry { lane: Some(1), ..Entry::fresh(1) });
    desk.now = Moment(500);
    let effects = desk.pass(0, failed());
    assert_eq!((wait(&effects), charged(&effects)), (Some(300_000), vec![]));
    assert_eq!(died(&desk.pass(0, failed())), [0]);
}

/// While another lane has a message that was never tried, that one will tell whose fault it is.
#[test]
fn a_message_is_not_alone_while_another_lane_can_speak() {
    let mut desk = warm(Order::BlockKey, &[]);
    let failing_for = Duration::from_millis(2 * DAY_MILLIS);
    let prior = Prior { tries: 9, charges: 0, due: Moment(0), asked: false, failing_for };
    desk.admit(Entry { lane: Some(1), prior: Some(prior), ..Entry::fresh(0) });
    desk.admit(Entry { lane: Some(1), ..Entry::fresh(1) });
    let charges = |desk: &Desk| desk.scheduler.counters().charges;
    assert_eq!(desk.poll(), [0]);
    desk.admit(Entry { lane: Some(2), ..Entry::fresh(2) });
    desk.end(0, failed());
    assert_eq!(charges(&desk), 0, "it waits");
    assert_eq!(desk.poll(), [2]);
    desk.now = Moment(300_000);
    assert_eq!(desk.poll(), [0]);
    desk.end(0, failed());
    assert_eq!(charges(&desk), 0, "it is being sent");
    desk.end(2, failed());
    assert_eq!(desk.next(), (301_000, vec![2]));
    desk.end(2, rejected());
    desk.pass(0, failed());
    assert_eq!((charges(&desk), desk.suspects()), (1, vec![]));
}

/// A crash would give it back, and those behind it would have been delivered before it.
#[test]
fn the_lane_of_a_dead_head_goes_on_when_it_is_buried() {
    let mut desk = warm(Order::BlockKey, &[1, 1, 2]);
    assert_eq!(desk.poll(), [0, 2]);
    assert_eq!(died(&desk.end_unburied(0, rejected())), [0]);
    desk.end(2, Ok(()));
    desk.admit(Entry { lane: Some(1), ..Entry::fresh(3) });
    desk.admit(Entry { lane: Some(2), ..Entry::fresh(4) });
    assert_eq!(desk.poll(), [4], "others are not held up");
    desk.scheduler.buried(0);
    assert_eq!(desk.poll(), [1]);
    // Somebody else settled it before it was buried.
    assert_eq!(died(&desk.end_unburied(1, rejected())), [1]);
    desk.scheduler.forget(1);
    assert_eq!(desk.poll(), [3]);
    let mut desk = warm(Order::Skip, &[1, 1]);
    assert_eq!(desk.poll(), [0]);
    desk.end_unburied(0, rejected());
    assert_eq!(desk.poll(), [1], "nobody waits for one that is skipped");
}
