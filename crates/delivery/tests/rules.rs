//! Every rule of who is to blame, one at a time.

#[cfg(test)]
mod desk;

use crossdock_delivery::{Effect, Entry, Hold, Policy, Prior, Retry, State};
use crossdock_model::Moment;
use desk::{Desk, attempts, busy, charged, died, failed, policy, rejected, silent, unreachable, wait};
use std::time::Duration;

#[test]
fn five_suspects_hold_and_ten_are_an_outage_that_charges_nobody() {
    let mut desk = Desk::with(policy(), 20);
    desk.fail(0..4);
    assert_eq!((desk.hold(), desk.suspects()), (None, vec![0, 1, 2, 3]));
    desk.fail(4..5);
    assert_eq!(desk.hold(), Some(Hold::Suspects));
    desk.fail(5..9);
    assert_eq!((desk.hold(), desk.suspects().len()), (Some(Hold::Suspects), 9));
    desk.fail(9..10);
    assert_eq!((desk.hold(), desk.suspects().len()), (Some(Hold::Outage), 0));
    assert_eq!(charged(&desk.pass(10, Ok(()))), []);
    assert_eq!((desk.hold(), desk.limit(), desk.scheduler.counters().charges), (None, 1, 0));
}

#[test]
fn a_success_charges_whoever_failed_before_it_started() {
    let mut desk = Desk::with(policy(), 4);
    assert_eq!(charged(&desk.pass(0, Ok(()))), []);
    assert_eq!(desk.poll(), [1, 2]);
    desk.end(1, failed());
    assert_eq!(desk.poll(), [3]);
    assert_eq!(charged(&desk.end(2, Ok(()))), [], "2 started before 1 failed");
    assert_eq!(charged(&desk.end(3, Ok(()))), [(1, 1, false)], "3 started after it, and one suspect is enough");
    assert_eq!(desk.suspects(), []);
}

#[test]
fn who_fails_again_is_a_suspect_from_then_on() {
    let mut desk = Desk::with(policy(), 3);
    assert_eq!(charged(&desk.pass(0, Ok(()))), []);
    assert_eq!(desk.poll(), [1, 2]);
    desk.end(1, failed());
    desk.now = Moment(1_000);
    assert_eq!(desk.poll(), [1]);
    desk.end(1, failed());
    assert_eq!(charged(&desk.end(2, Ok(()))), [], "2 started before 1 failed again");
    assert_eq!(desk.suspects(), [1]);
}

#[test]
fn a_suspect_in_a_hold_is_charged_too() {
    let mut desk = Desk::with(policy(), 8);
    desk.fail(0..5);
    let expected: Vec<_> = (0..5).map(|offset| (offset, 1, false)).collect();
    assert_eq!(charged(&desk.pass(5, Ok(()))), expected);
    assert_eq!((desk.hold(), desk.limit()), (None, 1));
}

#[test]
fn rejected_is_dead_at_once_and_moves_the_circuit_but_charges_nobody() {
    let mut desk = Desk::with(policy(), 8);
    desk.fail(0..5);
    let effects = desk.pass(5, rejected());
    assert!(matches!(effects.as_slice(), [Effect::Dead { offset: 5, tries: 1, charges: 0, tried: true, .. }]));
    assert_eq!((desk.hold(), desk.suspects().len()), (None, 5));
    assert_eq!(charged(&desk.pass(6, Ok(()))).len(), 5, "a success still speaks against them");
}

#[test]
fn what_the_sink_itself_rejects_tells_nothing_of_the_target() {
    let mut desk = Desk::with(policy(), 12);
    desk.fail(0..10);
    let mine = rejected().map_err(|fault| fault.answered_by(crossdock_model::Answer::Nobody));
    assert_eq!(died(&desk.pass(10, mine)), [10]);
    assert_eq!(desk.hold(), Some(Hold::Outage));
}

#[test]
fn the_limit_starts_at_one_and_doubles_with_each_success() {
    let mut desk = Desk::with(Policy { max_in_flight: 6, ..policy() }, 64);
    let mut in_flight = desk.poll();
    for limit in [1, 2, 4, 6, 6] {
        assert_eq!((in_flight.len(), desk.limit()), (limit, limit));
        desk.end(in_flight.remove(0), Ok(()));
        in_flight.extend(desk.poll());
    }
}

#[test]
fn what_started_before_the_amnesty_is_no_suspect() {
    let mut desk = Desk::with(Policy { max_in_flight: 32, ..policy() }, 64);
    for _ in 0..5 {
        let started = desk.poll();
        desk.end(started[0], Ok(()));
    }
    let in_flight = desk.scheduler.in_flight();
    desk.poll();
    assert!(in_flight < desk.scheduler.in_flight() && desk.scheduler.in_flight() == 32);
    let started: Vec<u64> = (0..64).filter(|offset| desk.scheduler.in_flight() > 0 && *offset > 0).collect();
    let mut ended = started.into_iter();
    while desk.hold() != Some(Hold::Outage) {
        let offset = ended.next().expect("more are in flight than an outage needs");
        desk.end(offset, failed());
    }
    let late: Vec<u64> = ended.collect();
    desk.end(late[0], failed());
    assert_eq!(desk.suspects(), [], "in an outage nobody is");
    let (_, probe) = desk.next();
    desk.end(probe[0], Ok(()));
    assert_eq!(desk.hold(), None);
    late[1..].iter().for_each(|offset| drop(desk.end(*offset, failed())));
    assert_eq!((desk.hold(), desk.suspects()), (None, vec![]), "they started before it ended");
}

#[test]
fn the_end_of_an_outage_makes_due_what_failed_delayed_and_starts_back_off_anew() {
    let retry = Retry { initial: Duration::from_secs(60), max: Duration::from_secs(600), ..policy().retry };
    let mut desk = Desk::with(Policy { retry, ..policy() }, 11);
    desk.fail(0..10);
    desk.pass(10, Ok(()));
    assert!(desk.now < Moment(2_000));
    let before = desk.now.0;
    assert_eq!(desk.next(), (before, vec![0]), "due though its minute is not over");
    assert_eq!(wait(&desk.end(0, failed())), Some(60_000), "its first back-off again");
    while desk.scheduler.len() > 1 {
        desk.poll().into_iter().for_each(|offset| drop(desk.end(offset, Ok(()))));
    }
    assert_eq!(desk.next(), (before + 60_000, vec![0]));
    assert_eq!(wait(&desk.end(0, failed())), Some(120_000), "and its second");
}

#[test]
fn the_end_of_an_outage_shortens_no_retry_after() {
    let mut desk = Desk::with(policy(), 12);
    desk.pass(0, busy(Some(30)));
    desk.fail(1..11);
    desk.pass(11, Ok(()));
    while desk.scheduler.len() > 1 {
        let (at, started) = desk.next();
        assert!(at < 5_000 && !started.contains(&0));
        started.into_iter().for_each(|offset| drop(desk.end(offset, Ok(()))));
    }
    assert_eq!(desk.next(), (30_000, vec![0]));
}

/// Back-off by tries, whatever the charges; a Retry-After counts from 0 to an hour.
#[test]
fn waits() {
    let mut desk = Desk::with(policy(), 1);
    let waits: Vec<_> = (0..10).filter_map(|_| wait(&desk.pass(0, failed()))).collect();
    assert_eq!(waits, [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 128_000, 256_000, 300_000]);
    let check = |result, expected| {
        let mut desk = Desk::with(policy(), 1);
        assert_eq!(wait(&desk.pass(0, result)), Some(expected));
        assert_eq!(desk.next(), (expected, vec![0]));
    };
    check(busy(Some(7)), 7_000);
    check(busy(Some(0)), 0);
    check(busy(Some(86_400)), 3_600_000);
    check(busy(None), 1_000);
    let failed_after = |seconds| failed().map_err(|fault| fault.retry_after(Some(Duration::from_secs(seconds))));
    check(failed_after(30), 30_000);
    check(failed_after(86_400), 3_600_000);
    check(failed_after(0), 1_000);
}

#[test]
fn unreachable_leaves_a_message_untried_and_holds_the_circuit() {
    let mut desk = Desk::with(policy(), 3);
    assert_eq!(desk.pass(0, unreachable()), []);
    assert_eq!(desk.hold(), Some(Hold::Unreachable));
    for expected in [100, 300, 700, 1_500, 3_100, 6_300, 12_700, 22_700, 32_700] {
        assert_eq!(desk.next(), (expected, vec![0]), "the same one: it was never tried");
        assert_eq!(desk.scheduler.status(&desk.link).circuit.state, State::Probing);
        assert_eq!(desk.end(0, unreachable()), []);
    }
    let (_, started) = desk.next();
    assert!(matches!(desk.end(started[0], Ok(())).as_slice(), [Effect::Delivered { offset: 0, tries: 1 }]));
    assert_eq!((desk.hold(), desk.limit(), desk.poll()), (None, 1, vec![1]));
}

#[test]
fn unreachable_covers_a_hold_and_leaves_an_outage() {
    let mut desk = Desk::with(policy(), 20);
    desk.fail(0..5);
    desk.pass(5, unreachable());
    assert_eq!(desk.hold(), Some(Hold::Unreachable));
    desk.pass(5, failed());
    assert_eq!(desk.hold(), Some(Hold::Suspects), "an answer: it can be reached");
    desk.fail(6..10);
    assert_eq!(desk.hold(), Some(Hold::Outage));
    desk.pass(10, unreachable());
    assert_eq!(desk.hold(), Some(Hold::Outage));
    desk.pass(10, Ok(()));
    assert_eq!((desk.hold(), desk.scheduler.counters().charges), (None, 0));
}

#[test]
fn reached_again_with_a_fault_stays_held_until_a_success() {
    let mut desk = Desk::with(policy(), 3);
    desk.pass(0, unreachable());
    desk.pass(0, silent());
    assert!(desk.link.is_reachable(), "the probe got through, though nobody answered");
    assert_eq!(desk.hold(), Some(Hold::Suspects));
    assert_eq!(desk.scheduler.status(&desk.link).circuit.since, Some(Moment(0)), "since it was lost");
    desk.pass(1, Ok(()));
    assert_eq!(desk.hold(), None);
}

#[test]
fn resets_of_what_was_on_its_way_do_not_show_that_a_target_can_be_reached() {
    let mut desk = Desk::with(policy(), 9);
    desk.pass(0, Ok(()));
    assert_eq!(desk.poll(), [1, 2]);
    desk.end(1, unreachable());
    desk.end(2, silent());
    assert_eq!(desk.hold(), Some(Hold::Unreachable));
}

/// In a hold for suspects a never-tried one waits for the probe under way only.
#[test]
fn probes_take_the_never_tried_first_and_then_the_least_recently_tried() {
    let mut desk = Desk::with(policy(), 7);
    desk.fail(0..5);
    assert_eq!(desk.next(), (0, vec![5]));
    assert_eq!(desk.poll(), [], "one at a time");
    desk.end(5, failed());
    assert_eq!(desk.next(), (0, vec![6]));
    desk.end(6, failed());
    for (wait, offset) in [(400, 0), (800, 1), (1_000, 2), (1_000, 3), (1_000, 4), (1_000, 5), (1_000, 6), (1_000, 0)] {
        let before = desk.now.0;
        let (at, started) = desk.next();
        assert_eq!((at - before, started), (wait, vec![offset]));
        desk.end(offset, failed());
    }
}

#[test]
fn probes_slow_down_further_while_nobody_answers() {
    let mut desk = Desk::with(policy(), 40);
    desk.fail(0..10);
    let mut waits = Vec::new();
    for _ in 0..9 {
        let before = desk.now.0;
        let (at, started) = desk.next();
        waits.push(at - before);
        desk.end(started[0], silent());
    }
    assert_eq!(waits, [1_000, 2_000, 4_000, 8_000, 10_000, 10_000, 10_000, 10_000, 10_000]);
    let (_, started) = desk.next();
    desk.end(started[0], failed());
    let before = desk.now.0;
    assert_eq!(desk.next().0 - before, 1_000, "it answers, be it with a fault");
}

#[test]
fn retries_and_fresh_ones_alternate() {
    let mut desk = Desk::new(policy());
    (0..3).for_each(|offset| desk.admit_tried(offset, 1, 0));
    (10..13).for_each(|offset| desk.admit(Entry::fresh(offset)));
    let mut order = Vec::new();
    while order.len() < 6 {
        let (_, started) = desk.next();
        order.extend(started.iter().copied());
        started.into_iter().for_each(|offset| drop(desk.end(offset, Ok(()))));
    }
    assert_eq!(order, [0, 10, 1, 11, 2, 12]);
}

#[test]
fn a_message_is_dead_when_charged_for_the_last_time() {
    let mut desk = Desk::with(attempts(2), 4);
    desk.pass(0, failed());
    assert_eq!(charged(&desk.pass(1, Ok(()))), [(0, 1, false)]);
    desk.now = Moment(1_000);
    assert_eq!(desk.poll(), [0, 2]);
    desk.end(0, failed());
    assert_eq!(desk.poll(), [3]);
    desk.end(2, Ok(()));
    let effects = desk.end(3, Ok(()));
    assert_eq!(charged(&effects), [(0, 2, true)]);
    assert!(desk.scheduler.is_empty());
    let dead = effects.iter().find(|effect| matches!(effect, Effect::Dead { offset: 0, tries: 2, .. }));
    assert!(matches!(dead, Some(Effect::Dead { fault, .. }) if fault.code == "http.500"), "with its own fault");
}

/// Charged for the last time while in flight: its answer decides.
#[test]
fn a_message_in_flight_may_still_pass() {
    let check = |result, dead: &[u64]| {
        let mut desk = Desk::with(attempts(1), 4);
        desk.pass(0, Ok(()));
        assert_eq!(desk.poll(), [1, 2]);
        desk.end(1, failed());
        desk.end(2, Ok(()));
        desk.now = Moment(1_000);
        assert_eq!(desk.poll(), [1, 3]);
        assert_eq!(charged(&desk.end(3, Ok(()))), [(1, 1, false)], "noted, but not dead yet");
        let effects = desk.end(1, result);
        assert_eq!(died(&effects), dead);
        let own = |effect: &Effect| matches!(effect, Effect::Dead { fault, .. } if fault.code == "http.500");
        assert!(dead.is_empty() || effects.iter().any(own), "{effects:?}");
        assert!(desk.scheduler.is_empty());
    };
    check(Ok(()), &[]);
    check(failed(), &[1]);
    check(busy(Some(1)), &[1]);
    check(unreachable(), &[1]);
}

#[test]
fn a_new_connection_follows_a_failure_only() {
    let check = |result, expected| {
        let mut desk = Desk::with(policy(), 1);
        assert!(!desk.starts()[0].new_connection);
        desk.end(0, result);
        while desk.scheduler.in_flight() == 0 {
            let start = desk.starts();
            if let [start] = start.as_slice() {
                assert_eq!(start.new_connection, expected);
                return;
            }
            desk.now = desk.scheduler.wake_at(desk.now, &desk.link).expect("a retry is to come");
        }
    };
    check(failed(), true);
    check(busy(Some(1)), false);
    check(unreachable(), false);
}

#[test]
fn restored_counts_decide_as_if_nothing_had_happened() {
    let mut desk = Desk::new(policy());
    let prior = Prior { tries: 3, charges: 7, due: Moment(500), asked: true, failing_for: Duration::ZERO };
    desk.admit(Entry { prior: Some(prior), ..Entry::fresh(4) });
    assert_eq!(desk.scheduler.entries(desk.now)[0].prior, Some(prior));
    assert_eq!(desk.next(), (500, vec![4]));
    assert_eq!(wait(&desk.end(4, failed())), Some(8_000), "its fourth");
    desk.admit(Entry::fresh(9));
    assert_eq!(charged(&desk.pass(9, Ok(()))), [(4, 8, true)]);
}

/// Else, of two that take turns, one that ends each session takes the other's chance every time.
#[test]
fn a_probe_that_was_not_sent_is_no_turn() {
    let mut desk = Desk::with(policy(), 2);
    desk.fail(0..2);
    assert_eq!(desk.next().1, [0]);
    desk.end(0, unreachable());
    assert_eq!(desk.next().1, [0], "it has not had its turn");
    desk.end(0, failed());
    assert_eq!(desk.next().1, [1]);
}
