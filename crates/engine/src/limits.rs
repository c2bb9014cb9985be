//! How much of everything is under way at once. What is full pushes back; nothing grows with the backlog.
//!
//! | What | Messages | Bytes |
//! |---|---|---|
//! | received and not settled, a source | 2,048 | 16 MiB |
//! | one commit | 1,024 | 2 MiB, and a quarter of a segment |
//! | admitted with the payload in memory, a target | 1,024 beyond its `max_in_flight` | 8 MiB |
//! | fetched at once, a target | 256 | 1 MiB |
//! | waiting for a constant `delay`, a target | 256 | 1 MiB |
//! | known to wait for another try, a target | 65,536 | no payload |
//! | dead letters on their way into the store, a route | 4,096, and what its targets had taken in | 8 MiB, and so |
//! | results shared by the targets of a route | 2,048 | 4 MiB |
//! | leased, put off or given back, a queue that no route reads | 65,536 | no payload |
//! | one answer to a consumer | 1,000 | 8 MiB |
//! | consumers that wait, a queue | 1,024 | |
//! | payloads in the whole process | | 128 MiB, and for each source and target a least share of 64 KiB beyond |

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Most messages of a source that are received and not settled.
pub(crate) const SOURCE_MESSAGES_MAX: usize = 2048;
/// Most bytes of them.
pub(crate) const SOURCE_BYTES_MAX: usize = 16 << 20;
/// Most messages in one commit.
pub(crate) const COMMIT_MESSAGES_MAX: usize = 1024;
/// Bytes after which a commit takes no more.
const COMMIT_BYTES_MAX: usize = 2 << 20;
/// What a message, a key or a touch takes of a frame beside its own bytes, at most.
const RECORD_BYTES: usize = 256;
/// Runs of offsets in one commit: about 20 bytes each.
pub(crate) const COMMIT_RUNS_MAX: usize = 512;
/// Most messages of a target that are admitted beyond those that may be in flight.
pub(crate) const WINDOW_MESSAGES_MAX: usize = 1024;
/// Bytes of payload after which a target fetches no more.
pub(crate) const WINDOW_BYTES_MAX: usize = 8 << 20;
/// Most messages fetched at once.
pub(crate) const FETCH_MESSAGES_MAX: usize = 256;
/// Bytes after which a fetch takes no more.
pub(crate) const FETCH_BYTES_MAX: usize = 1 << 20;
/// Dead letters of a route that are not stored yet, from which on it reads no more.
pub(crate) const LETTERS_MAX: usize = 4096;
/// Bytes of them from which on it reads no more.
pub(crate) const LETTERS_BYTES_MAX: usize = 8 << 20;
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
/// Most messages of a queue that no route reads that are leased, put off or given back.
pub(crate) const LEASED_MAX: usize = 65_536;
/// Most keys of senders that a route's source remembers, or of publishers of a channel.
pub(crate) const SENDER_KEYS_MAX: u64 = 1_000_000;
/// How long a publisher's key is remembered: as at a route's door.
pub(crate) const PUBLISHER_KEY_WINDOW: Duration = Duration::from_secs(24 * 3600);
/// Most decisions of a route's gate that are under way.
pub(crate) const GATE_COMMITS_MAX: usize = 4;
/// Bytes of messages after which an answer to a consumer takes no more.
pub(crate) const ANSWER_BYTES_MAX: usize = 8 << 20;
/// Most consumers that wait for messages of a queue.
pub(crate) const WAITERS_MAX: usize = 1024;
/// Most messages that are looked at at once for what has expired.
pub(crate) const EXPIRY_MESSAGES_MAX: usize = 256;
/// Messages after which a search by a condition answers with what it has.
pub(crate) const SIFT_MESSAGES_MAX: usize = 20_000;
/// Messages that such a search reads at once.
pub(crate) const SIFT_PAGE: usize = 128;
/// How soon a channel that was full is looked at again, at first.
pub(crate) const ROOM_PAUSE_MIN: Duration = Duration::from_millis(1);
/// How soon at the latest.
pub(crate) const ROOM_LOOK_MAX: Duration = Duration::from_millis(32);
/// How soon what found no room is tried again, wherever there was none.
pub(crate) const FULL_PAUSE: Duration = Duration::from_millis(500);

/// How much of a frame a commit has taken: it must fit one, and a frame must fit a segment.
#[derive(Clone, Copy)]
pub(crate) struct Fill {
    left: usize,
    messages_left: usize,
    empty: bool,
}

impl Fill {
    /// An empty commit for a store whose segments have so many bytes.
    pub fn new(segment_bytes: u64) -> Self {
        let quarter = usize::try_from(segment_bytes / 4).unwrap_or(usize::MAX);
        Self { left: COMMIT_BYTES_MAX.min(quarter), messages_left: COMMIT_MESSAGES_MAX, empty: true }
    }

    /// Whether `records` with so many bytes fit beside what is there; the first always do.
    pub fn takes(&mut self, bytes: usize, records: usize) -> bool {
        let cost = bytes.saturating_add(records * RECORD_BYTES);
        let fits = self.empty || (cost <= self.left && self.messages_left > 0);
        if fits {
            self.left = self.left.saturating_sub(cost);
            self.messages_left = self.messages_left.saturating_sub(1);
            self.empty = false;
        }
        fits
    }
}

/// Bytes of the largest message that can be appended to so many channels in one commit.
pub(crate) fn message_bytes_max(segment_bytes: u64, channels: usize) -> u64 {
    let frame = segment_bytes.saturating_sub(FRAME_BYTES);
    (segment_bytes / 2).min((frame / (channels.max(1) as u64)).saturating_sub(RECORD_BYTES as u64))
}

/// What a frame takes of a segment beside its records, at most.
const FRAME_BYTES: u64 = 16 << 10;

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
