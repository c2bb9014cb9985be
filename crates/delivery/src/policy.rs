//! What a route says about retries, order and how much may be under way, and the back-off that follows from it.

use crate::random::Random;
use std::time::Duration;

/// Longest Retry-After that is kept; a target that asks for more is asked again after this.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(60 * 60);

/// Most messages that wait for a back-off or behind a failed head of their lane, by default.
pub const HELD_MAX: usize = 65_536;

/// Most messages taken one at a time beyond [`Policy::held_max`], since only another one can end a backlog of poison.
pub const VOICES_MAX: usize = 4096;

/// `retry:` of a route.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Retry {
    /// Charges after which a message is dead; 0 is taken as 1.
    pub attempts: u32,
    /// Wait after the first failed try.
    pub initial: Duration,
    /// What each further failed try multiplies the wait by; below 1 is taken as 1.
    pub factor: f64,
    /// Longest wait between two tries, jitter included.
    pub max: Duration,
    /// Part by which a wait is lengthened or shortened at random, 0 to 1. A Retry-After is never shortened.
    pub jitter: f64,
    /// How long a message that nobody else can speak for may fail before its failures are charged to it.
    pub alone_limit: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 8,
            initial: Duration::from_secs(1),
            factor: 2.0,
            max: Duration::from_secs(5 * 60),
            jitter: 0.2,
            alone_limit: Duration::from_secs(24 * 60 * 60),
        }
    }
}

impl Retry {
    /// The wait after the given number of failed tries (from 1).
    pub(crate) fn back_off(&self, tries: u32, random: &mut Random) -> Duration {
        let factor = if self.factor >= 1.0 { self.factor } else { 1.0 };
        let exponent = i32::try_from(tries.saturating_sub(1)).unwrap_or(i32::MAX);
        let base = (self.initial.as_secs_f64() * factor.powi(exponent)).min(self.max.as_secs_f64());
        let jitter = if self.jitter >= 0.0 { self.jitter.min(1.0) } else { 0.0 };
        let spread = jitter * random.unit().mul_add(2.0, -1.0);
        Duration::try_from_secs_f64(base * (1.0 + spread)).unwrap_or(self.max).min(self.max)
    }

    /// Charges after which a message is dead.
    pub(crate) const fn charges_max(&self) -> u32 {
        if self.attempts == 0 { 1 } else { self.attempts }
    }
}

/// What order messages keep (`order_by` and `on_failure` of a route).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Order {
    /// No `order_by`: every message is a lane of its own, whatever its entry says; fresh ones start in offset order.
    #[default]
    None,
    /// One lane a key; a failed head blocks its lane until it is delivered or dead.
    BlockKey,
    /// One lane a key; the lane goes on past a failed head, one message at a time all the same.
    Skip,
}

/// What a scheduler keeps to.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Policy {
    /// When to try again and when to give up.
    pub retry: Retry,
    /// What order to keep.
    pub order: Order,
    /// Most sends under way at once, over all circuits of the target; 0 is taken as 1.
    pub max_in_flight: usize,
    /// Most messages admitted and unfinished, those of `held_max` not counted; 0 is taken as 1.
    pub window: usize,
    /// Most messages that wait for a back-off, behind a failed head, or in a held circuit of their own.
    pub held_max: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Self { retry: Retry::default(), order: Order::None, max_in_flight: 64, window: 1024, held_max: HELD_MAX }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(retry: Retry, tries: u32, at_least_millis: u64, at_most_millis: u64) {
        let mut random = Random::new(7);
        let (mut shortest, mut longest) = (Duration::MAX, Duration::ZERO);
        for _ in 0..2000 {
            let wait = retry.back_off(tries, &mut random);
            shortest = shortest.min(wait);
            longest = longest.max(wait);
        }
        let (low, high) = (Duration::from_millis(at_least_millis), Duration::from_millis(at_most_millis));
        assert!(low <= shortest && longest <= high, "{tries} tries: {shortest:?} to {longest:?}");
        let width = high.saturating_sub(low);
        assert!(longest - shortest >= width.mul_f64(0.9), "jitter uses its range: {shortest:?} to {longest:?}");
    }

    #[test]
    fn the_wait_doubles_up_to_its_maximum_within_the_jitter() {
        let retry = Retry::default();
        check(retry, 1, 800, 1200);
        check(retry, 2, 1600, 2400);
        check(retry, 5, 12_800, 19_200);
        check(retry, 9, 204_800, 300_000);
        check(retry, 12, 240_000, 300_000);
        check(retry, u32::MAX, 240_000, 300_000);
    }

    #[test]
    fn odd_settings_still_give_a_wait() {
        let retry = Retry { factor: 0.0, jitter: 0.0, ..Retry::default() };
        check(retry, 40, 1000, 1000);
        check(Retry { factor: f64::NAN, jitter: f64::NAN, ..Retry::default() }, 40, 1000, 1000);
        check(Retry { factor: f64::INFINITY, jitter: 0.0, ..Retry::default() }, 2, 300_000, 300_000);
        check(Retry { initial: Duration::ZERO, ..Retry::default() }, 3, 0, 0);
        check(Retry { initial: Duration::from_secs(900), jitter: 0.0, ..Retry::default() }, 1, 300_000, 300_000);
    }
}
