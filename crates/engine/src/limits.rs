//! How much of everything is under way at once. What is full pushes back; nothing grows with the backlog.
//!
//! | What | Messages | Bytes |
//! |---|---|---|
//! | received and not settled, a source | 4,096 | 16 MiB |
//! | one commit of a source | 1,024 | 2 MiB |
//! | admitted with the payload in memory, a target | 1,024 | 8 MiB |
//! | fetched at once, a target | 256 | 1 MiB |
//! | waiting for a constant `delay`, a target | 256 | 1 MiB |
//! | known to wait for another try, a target | 65,536 | no payload |
//! | results shared by the targets of a route | 2,048 | 4 MiB |
//! | payloads in the whole process | | 128 MiB, and for each source and target a least share of 64 KiB beyond |

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Most messages of a source that are received and not settled.
pub(crate) const SOURCE_MESSAGES_MAX: usize = 4096;
/// Most bytes of them.
pub(crate) const SOURCE_BYTES_MAX: usize = 16 << 20;
/// Most messages in one commit of a source.
pub(crate) const COMMIT_MESSAGES_MAX: usize = 1024;
/// Bytes after which a commit of a source takes no more.
pub(crate) const COMMIT_BYTES_MAX: usize = 2 << 20;
/// Most messages of a target that are admitted and never tried.
pub(crate) const WINDOW_MESSAGES_MAX: usize = 1024;
/// Bytes of payload after which a target fetches no more.
pub(crate) const WINDOW_BYTES_MAX: usize = 8 << 20;
/// Most messages fetched at once.
pub(crate) const FETCH_MESSAGES_MAX: usize = 256;
/// Bytes after which a fetch takes no more.
pub(crate) const FETCH_BYTES_MAX: usize = 1 << 20;
/// Most results that the targets of a route share.
pub(crate) const CACHE_MESSAGES_MAX: usize = 2048;
/// Most bytes of them.
pub(crate) const CACHE_BYTES_MAX: usize = 4 << 20;
/// Most sends under way to a channel, where no connector says how many.
pub(crate) const CHANNEL_IN_FLIGHT_MAX: usize = 1024;
/// From this many messages on, a batch is evaluated on several worker tasks.
pub(crate) const PARALLEL_MESSAGES_MIN: usize = 64;
/// Messages that one worker task evaluates.
pub(crate) const CHUNK_MESSAGES: usize = 32;
/// Most bytes of payload in the process.
pub(crate) const PROCESS_BYTES_MAX: usize = 128 << 20;
/// What each source and target may have even if the process has its most: so none waits for another for ever.
pub(crate) const LEAST_SHARE_BYTES: usize = 64 << 10;
/// Most items of a list that is asked for.
pub(crate) const PAGE_MAX: usize = 1000;
/// How soon what found a channel full, or the volume, is tried again.
pub(crate) const FULL_PAUSE: Duration = Duration::from_millis(500);

/// The bytes of payload in the whole process.
#[derive(Default)]
pub(crate) struct Budget(AtomicUsize);

impl Budget {
    /// How much of `wanted` may be taken in now, for an actor that holds `held` bytes.
    pub fn grant(&self, wanted: usize, held: usize) -> usize {
        let left = PROCESS_BYTES_MAX.saturating_sub(self.0.load(Ordering::Relaxed));
        wanted.min(left.max(LEAST_SHARE_BYTES.saturating_sub(held)))
    }

    /// Counts bytes that were taken in.
    pub fn take(&self, bytes: usize) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts bytes that were let go.
    pub fn give(&self, bytes: usize) {
        self.0.fetch_sub(bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_process_leaves_everybody_the_least_share() {
        let budget = Budget::default();
        assert_eq!(budget.grant(1 << 20, 0), 1 << 20);
        budget.take(PROCESS_BYTES_MAX);
        assert_eq!(budget.grant(1 << 20, 0), LEAST_SHARE_BYTES);
        assert_eq!(budget.grant(1 << 20, LEAST_SHARE_BYTES + 1), 0);
        budget.give(PROCESS_BYTES_MAX);
        assert_eq!(budget.grant(10, LEAST_SHARE_BYTES), 10);
    }
}
