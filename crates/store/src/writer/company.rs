//! How long the writer waits for company.
//!
//! Whoever was just answered often comes back with more at once: a sender that sends one after the other. If the writer
//! goes on with those who came during the sync, two halves take turns and each pays a sync. So it waits for the others to
//! come back, and less and less often where they do not. The wait is shorter than a sync by so much that senders who do
//! not wait for answers, of whom as many come in each moment, are never enough: waiting would only delay them.
//!
//! ```text
//!  without   ├ sync A ┤├ sync B ┤├ sync A ┤├ sync B ┤        A and B: halves of the senders
//!  with      ├ sync A+B ┤ A, B come ├ sync A+B ┤
//! ```

use super::queue::Queue;
use std::time::Duration;

/// Most groups in a row that are not waited for.
const SKIPPED_MAX: u32 = 63;

/// What is known of those who come back.
#[derive(Debug, Default)]
pub struct Company {
    /// Groups to go on without waiting, before it is tried again.
    skips: u32,
    /// The last time that nobody came, so many were not waited for; doubles.
    skipped: u32,
}

impl Company {
    /// Waits a moment for those who were just answered, `answered` messages, so that they and those who wait already
    /// are one group.
    pub fn gather(&mut self, queue: &Queue, answered: usize, sync_time: Duration) {
        if let Some(wanted) = self.wanted(answered, queue.pressing()) {
            let came = queue.gather(wanted.enough, sync_time * 5 / 8);
            self.learn(wanted, came);
        }
    }

    /// What to wait for, if it is worth it.
    fn wanted(&mut self, answered: usize, waiting: usize) -> Option<Wanted> {
        if answered + waiting <= 1 {
            return None;
        }
        if self.skips > 0 {
            self.skips -= 1;
            return None;
        }
        let all = answered + waiting;
        Some(Wanted { waiting, enough: all - all / 8 })
    }

    fn learn(&mut self, wanted: Wanted, came: usize) {
        self.skipped = if came >= wanted.enough { 0 } else { (self.skipped * 2 + 1).min(SKIPPED_MAX) };
        self.skips = self.skipped;
    }
}

/// How many messages to wait for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Wanted {
    /// So many wait already.
    waiting: usize,
    /// So many are enough.
    enough: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goes through groups: how many were answered, wait, and are there in the end; tells which were waited for.
    fn waited(groups: impl IntoIterator<Item = (usize, usize, usize)>) -> String {
        let mut company = Company::default();
        let one = |(answered, waiting, came)| match company.wanted(answered, waiting) {
            Some(wanted) => {
                company.learn(wanted, came);
                'w'
            }
            None => '.',
        };
        groups.into_iter().map(one).collect()
    }

    #[test]
    fn waits_for_those_who_come_back() {
        assert_eq!(waited([(16, 16, 32); 5]), "wwwww");
        assert_eq!(waited([(16, 16, 28); 3]), "www");
        assert_eq!(Company::default().wanted(16, 16), Some(Wanted { waiting: 16, enough: 28 }));
    }

    #[test]
    fn waits_less_and_less_for_those_who_do_not() {
        assert_eq!(waited([(16, 2, 3); 16]), "w.w...w.......w.");
        let mut rare = waited([(16, 2, 3); 1000]);
        rare.retain(|each| each == 'w');
        assert!(rare.len() < 25, "{}", rare.len());
        let back = [(16, 2, 3); 3].into_iter().chain([(16, 2, 18); 6]);
        assert_eq!(waited(back), "w.w...www");
    }

    #[test]
    fn never_waits_for_one() {
        assert_eq!(waited([(1, 0, 0); 4]), "....");
        assert_eq!(waited([(0, 1, 1); 4]), "....");
    }
}
