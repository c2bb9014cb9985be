//! What the calendar's notes of earlier tries mean to a process that was just started. The calendar may have jumped since:
//! what follows from a note is bounded by what can have happened.

use crate::policy::RETRY_AFTER_MAX;
use crossdock_model::Timestamp;
use std::time::Duration;

/// What is left of a wait: no more than there was of it, should the calendar have gone back since it was noted. Where that
/// is not known it is taken for the longest that a target may ask for; and it is never longer than any wait is, should the
/// calendar have gone on between the two times that were noted.
#[must_use]
pub fn wait_left(due: Timestamp, noted_at: Option<Timestamp>, now: Timestamp, retry_max: Duration) -> Duration {
    let noted = noted_at.map_or(RETRY_AFTER_MAX, |at| due.since(at));
    due.since(now).min(noted).min(retry_max.max(RETRY_AFTER_MAX))
}

/// How long a message has been failing, by its tries: number and time, in order; some may be missing. Between two tries in
/// a row there is no more than the longest wait (`retry_max`, or what a target may ask for), however far the calendar jumped and however long nobody tried.
#[must_use]
pub fn failing_for(tries: impl IntoIterator<Item = (u32, Timestamp)>, now: Timestamp, retry_max: Duration) -> Duration {
    let longest = retry_max.max(RETRY_AFTER_MAX);
    let (mut whole, mut last) = (Duration::ZERO, None);
    for (number, at) in tries {
        if let Some((before, since)) = last.replace((number, at)) {
            whole += at.since(since).min(longest.saturating_mul(number.saturating_sub(before)));
        }
    }
    whole + last.map_or(Duration::ZERO, |(_, at)| now.since(at).min(longest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;
    const DAY: i64 = 24 * HOUR;

    #[test]
    fn a_wait_is_never_longer_than_it_was() {
        let check = |due, noted_at: Option<i64>, now, left: i64| {
            let retry_max = Duration::from_secs(300);
            let found = wait_left(Timestamp(due), noted_at.map(Timestamp), Timestamp(now), retry_max);
            assert_eq!(found, Duration::from_millis(left as u64));
        };
        check(5000, Some(1000), 2000, 3000);
        check(5000, Some(1000), 9000, 0);
        check(5000, Some(1000), 2000 - DAY, 4000);
        check(5000, None, 2000 - DAY, HOUR);
        // It was noted before the calendar went on by a day.
        check(5000, Some(1000), 2000 + DAY, 0);
        // It was noted anew after that, and then the calendar went back.
        check(5000 + DAY, Some(1000), 6000, HOUR);
    }

    #[test]
    fn a_jump_or_a_pause_counts_for_one_wait() {
        let check = |tries: &[(u32, i64)], now, failing: i64| {
            let tries = tries.iter().map(|(number, at)| (*number, Timestamp(*at)));
            let found = failing_for(tries, Timestamp(now), Duration::from_secs(300));
            assert_eq!(found, Duration::from_millis(failing as u64));
        };
        check(&[], DAY, 0);
        check(&[(1, 0)], 5000, 5000);
        check(&[(1, 0), (2, 1000), (3, 3000)], 4000, 4000);
        check(&[(1, 0), (2, 1000)], 2 * DAY, 1000 + HOUR);
        check(&[(1, 0), (2, DAY)], DAY + 1000, HOUR + 1000);
        check(&[(1, DAY), (2, 0)], 1000, 1000);
        // Of many tries only the first and the last are kept.
        check(&[(1, 0), (31, DAY)], DAY, DAY);
        check(&[(1, 0), (5, DAY)], DAY, 4 * HOUR);
    }
}
