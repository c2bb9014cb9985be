//! How often a target or a connection that is held is probed.

use crossdock_model::Moment;
use std::time::Duration;

/// From the moment it is held to the first probe.
const FIRST: Duration = Duration::from_millis(100);
/// Longest interval while the target answers, whatever it says.
const ANSWERED_MAX: Duration = Duration::from_secs(1);
/// Longest interval while it does not: time-out, reset, unreachable.
const SILENT_MAX: Duration = Duration::from_secs(10);

/// When the next probe may start. Intervals run from the end of one probe to the start of the next, so that a target that
/// answers after its time-out is not probed without pause.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Pace {
    interval: Duration,
    next: Moment,
}

impl Pace {
    pub(crate) fn starting(now: Moment) -> Self {
        Self { interval: FIRST, next: now.after(FIRST) }
    }

    pub(crate) const fn next(&self) -> Moment {
        self.next
    }

    /// A probe did not pass.
    pub(crate) fn missed(&mut self, now: Moment, answered: bool) {
        let longest = if answered { ANSWERED_MAX } else { SILENT_MAX };
        self.interval = self.interval.saturating_mul(2).min(longest);
        self.next = self.next.max(now.after(self.interval));
    }

    pub(crate) fn put_off(&mut self, until: Moment) {
        self.next = self.next.max(until);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(answers: &[bool], expected_millis: &[u64]) {
        let mut now = Moment(5_000);
        let mut pace = Pace::starting(now);
        let mut waits = vec![pace.next().since(now)];
        for answered in answers {
            now = pace.next().after(Duration::from_millis(30));
            pace.missed(now, *answered);
            waits.push(pace.next().since(now));
        }
        let expected: Vec<_> = expected_millis.iter().copied().map(Duration::from_millis).collect();
        assert_eq!(waits, expected);
    }

    #[test]
    fn intervals_double_to_a_second_while_answered_and_to_ten_while_not() {
        check(&[true; 6], &[100, 200, 400, 800, 1000, 1000, 1000]);
        check(&[false; 8], &[100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        check(&[false, false, false, false, false, true, true], &[100, 200, 400, 800, 1600, 3200, 1000, 1000]);
    }

    #[test]
    fn putting_off_never_brings_a_probe_forward() {
        let mut pace = Pace::starting(Moment(0));
        pace.put_off(Moment(50));
        assert_eq!(pace.next(), Moment(100));
        pace.put_off(Moment(9_000));
        pace.missed(Moment(200), true);
        assert_eq!(pace.next(), Moment(9_000));
    }
}
