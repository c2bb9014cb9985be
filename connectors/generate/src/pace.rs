//! When the next message is due: evenly at the rate, and after a standstill at most a second's worth at once.

use crossdock_connector::Rate;
use std::time::Duration;
use tokio::time::Instant;

/// How much may be made up for.
const ARREARS_MAX: Duration = Duration::from_secs(1);

/// A rate and how far it was kept.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Pace {
    interval: Duration,
    next: Instant,
}

impl Pace {
    /// A pace at a rate, the first at `now`.
    pub fn new(rate: Rate, now: Instant) -> Self {
        Self { interval: rate.interval(), next: now }
    }

    /// When the next one is due.
    pub const fn next(&self) -> Instant {
        self.next
    }

    /// One was made.
    pub fn made(&mut self, now: Instant) {
        let oldest = now.checked_sub(ARREARS_MAX).unwrap_or(now);
        self.next = self.next.max(oldest) + self.interval;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_and_without_a_flood_after_a_standstill() {
        let start = Instant::now();
        let mut pace = Pace::new(Rate { per_second: 10.0 }, start);
        let count = |pace: &mut Pace, now: Instant| {
            let mut made = 0;
            while pace.next() <= now {
                pace.made(now);
                made += 1;
            }
            made
        };
        for (millis, made) in [(0, 1), (99, 0), (100, 1), (450, 3), (60_000, 11), (60_050, 0), (60_100, 1)] {
            assert_eq!(count(&mut pace, start + Duration::from_millis(millis)), made, "at {millis} ms");
        }
        Pace::new(Rate { per_second: 1e-300 }, start).made(start);
    }
}
