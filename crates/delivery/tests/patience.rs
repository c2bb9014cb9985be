//! What a target that asks for patience gets, one rule at a time.

#[cfg(test)]
mod desk;

use crossdock_delivery::{Entry, Hold};
use crossdock_model::Moment;
use desk::{Desk, busy, charged, failed, policy, unreachable, wait};

#[test]
fn only_a_second_busy_from_another_message_pauses_the_circuit() {
    let mut desk = Desk::with(policy(), 6);
    desk.pass(0, busy(Some(5)));
    assert_eq!((desk.hold(), desk.suspects()), (None, vec![]));
    desk.pass(1, Ok(()));
    assert_eq!(desk.poll(), [2, 3]);
    desk.end(2, busy(Some(9)));
    assert_eq!(desk.hold(), None, "a success was between");
    desk.now = Moment(10);
    desk.end(3, busy(Some(4)));
    assert_eq!(desk.hold(), Some(Hold::Busy));
    assert_eq!(desk.next(), (9_000, vec![4]), "nothing before the later of the two, then the never tried");
    desk.end(4, Ok(()));
    assert_eq!((desk.hold(), desk.limit()), (None, 1));
}

#[test]
fn a_second_busy_from_the_same_message_does_not() {
    let mut desk = Desk::with(policy(), 1);
    desk.pass(0, busy(Some(1)));
    desk.pass(0, busy(Some(1)));
    assert_eq!(desk.hold(), None);
    desk.admit(Entry::fresh(1));
    assert_eq!(desk.poll(), [1]);
    desk.end(1, busy(None));
    assert_eq!(desk.hold(), Some(Hold::Busy));
}

#[test]
fn a_success_on_its_way_does_not_cut_the_patience_short() {
    let mut desk = Desk::with(policy(), 9);
    desk.pass(0, Ok(()));
    let mut started = desk.poll();
    desk.end(started.remove(0), Ok(()));
    started.extend(desk.poll());
    assert_eq!(started, [2, 3, 4, 5]);
    desk.end(2, failed());
    desk.end(3, busy(Some(3)));
    desk.end(4, busy(Some(2)));
    assert_eq!(desk.hold(), Some(Hold::Busy));
    desk.end(5, Ok(()));
    assert_eq!((desk.hold(), desk.poll()), (Some(Hold::Busy), vec![]));
    assert_eq!(desk.next(), (3_000, vec![6]));
}

#[test]
fn a_lost_connection_does_not_cut_the_patience_short() {
    let mut desk = Desk::with(policy(), 9);
    desk.pass(0, Ok(()));
    let mut started = desk.poll();
    desk.end(started.remove(0), Ok(()));
    started.extend(desk.poll());
    desk.end(2, busy(Some(9)));
    desk.end(3, busy(Some(4)));
    desk.end(4, unreachable());
    assert_eq!(desk.hold(), Some(Hold::Unreachable));
    assert_eq!(desk.scheduler.status(&desk.link).circuit.next_probe, Some(Moment(9_000)));
    desk.now = Moment(500);
    desk.admit(Entry::fresh(20));
    assert_eq!(desk.next(), (9_000, vec![4]));
}

#[test]
fn busy_in_an_outage_only_puts_off_the_next_probe() {
    let mut desk = Desk::with(policy(), 14);
    desk.fail(0..10);
    desk.pass(10, busy(Some(20)));
    let (at, _) = desk.next();
    assert!(at < 5_000);
    desk.end(11, busy(Some(3)));
    assert_eq!(desk.hold(), Some(Hold::Outage));
    let (later, probe) = desk.next();
    assert!((20_000..20_000 + at).contains(&later) && probe == [12], "{later} {probe:?}");
}

#[test]
fn a_busy_suspect_is_none_any_more() {
    let mut desk = Desk::with(policy(), 2);
    desk.pass(0, failed());
    desk.now = Moment(1_000);
    assert_eq!(desk.poll(), [0]);
    desk.end(0, busy(Some(60)));
    assert_eq!(desk.suspects(), []);
    assert_eq!(charged(&desk.pass(1, Ok(()))), []);
}

/// A date that has passed on our clock, for example.
#[test]
fn who_asks_for_no_time_again_and_again_gets_the_back_off() {
    let mut desk = Desk::with(policy(), 1);
    let waits: Vec<_> = (0..4).filter_map(|_| wait(&desk.pass(0, busy(Some(0))))).collect();
    assert_eq!(waits, [0, 1_000, 2_000, 4_000]);
}
