//! Which records are under way together.

use std::sync::atomic::{AtomicU64, Ordering};

/// How many records librdkafka has, and how many it was given since it last had none: both in one number, since targets that
/// share a producer give records at the same time.
#[derive(Default)]
pub(super) struct Company(AtomicU64);

const UNDER_WAY: u64 = u32::MAX as u64;
const GIVEN: u64 = UNDER_WAY + 1;

impl Company {
    /// A record is about to be given; whether there was none.
    pub fn join(&self) -> bool {
        let joined = |before: u64| match before & UNDER_WAY {
            0 => Some(GIVEN + 1),
            // A count that is full stays so: what counts is whether there was more than one.
            _ => Some((before + 1).checked_add(GIVEN).unwrap_or(before + 1)),
        };
        let before = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, joined);
        before.is_ok_and(|before| before & UNDER_WAY == 0)
    }

    /// A record was answered, or not given after all.
    pub fn leave(&self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }

    /// Whether librdkafka has none.
    pub fn is_empty(&self) -> bool {
        self.0.load(Ordering::Acquire) & UNDER_WAY == 0
    }

    /// Whether a record that is under way has been alone all the time.
    pub fn is_alone(&self) -> bool {
        self.0.load(Ordering::Acquire) < GIVEN * 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_had_company_was_not_alone() {
        let company = Company::default();
        assert!(company.is_empty() && company.join() && company.is_alone() && !company.is_empty());
        assert!(!company.join() && !company.is_alone());
        company.leave();
        assert!(!company.is_alone() && !company.is_empty(), "the other one was with it");
        company.leave();
        assert!(company.is_empty() && company.join() && company.is_alone(), "a new beginning");
    }

    /// Whoever gives a record when another one is under way is not alone, however both come.
    #[test]
    fn two_that_come_at_once_are_together() {
        for _ in 0..2_000 {
            let company = Company::default();
            let gate = std::sync::Barrier::new(2);
            let join = || {
                gate.wait();
                company.join()
            };
            let firsts = std::thread::scope(|scope| {
                let (one, other) = (scope.spawn(join), scope.spawn(join));
                [one, other].map(|thread| thread.join().unwrap())
            });
            assert_eq!(firsts.iter().filter(|first| **first).count(), 1);
            assert!(!company.is_alone() && !company.is_empty());
        }
    }
}
