//! How a store is opened.

use crate::Keyring;
use crossdock_model::Timestamp;
use std::{fmt, sync::Arc, time::Duration};

/// When a frame counts as stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SyncPolicy {
    /// When it is synced.
    #[default]
    Always,
    /// When it is written; it is synced at most this much later. A crash of the machine loses what was not.
    Every(Duration),
    /// When it is written; the system syncs when it likes.
    Never,
}

/// Tells the time; the store never asks the system itself.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Draws 64 random bits.
pub type Random = Arc<dyn Fn() -> u64 + Send + Sync>;

/// Hears of a failure, from the writer's thread: must not block.
pub type OnFailure = Arc<dyn Fn(&str) + Send + Sync>;

/// How a store is opened; `Options::new` has the defaults.
#[derive(Clone)]
pub struct Options {
    /// When a frame counts as stored.
    pub sync: SyncPolicy,
    /// Bytes of a segment [32 MiB]; from 64 KiB to 1 GiB in whole pages of 4 KiB. A message is at most half of it.
    pub segment_bytes: u64,
    /// Bytes of frames that are kept in memory for readers that keep up [4 MiB].
    pub window_bytes: u64,
    /// How long a [`crate::Txn`] that rides waits for company [20 ms].
    pub ride: Duration,
    /// Messages with tries on record that are kept in memory, of each subscription [4,096]; what is known of the others is in
    /// files.
    pub tried_in_memory_max: usize,
    /// After this long without a frame the store tidies up: checkpoint, spare removed, active segment trimmed [10 s].
    pub idle: Duration,
    /// The keys of encryption at rest [none: what is written is plain].
    pub keys: Keyring,
    /// The calendar.
    pub clock: Clock,
    /// Where incarnations of segments and the store's id come from.
    pub random: Random,
    /// Told how long each sync of the log took.
    pub on_sync: Option<Arc<dyn Fn(Duration) + Send + Sync>>,
    /// Told, once, that the store has failed for good.
    pub on_failure: Option<OnFailure>,
}

impl Options {
    /// The defaults with a clock.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self {
            sync: SyncPolicy::Always,
            segment_bytes: 32 << 20,
            window_bytes: 4 << 20,
            ride: Duration::from_millis(20),
            tried_in_memory_max: 4096,
            idle: Duration::from_secs(10),
            keys: Keyring::default(),
            clock,
            random: Arc::new(|| getrandom::u64().unwrap_or_else(|_| fallback_random())),
            on_sync: None,
            on_failure: None,
        }
    }

    /// Bytes of the largest message that fits.
    #[must_use]
    pub const fn message_bytes_max(&self) -> u64 {
        self.segment_bytes / 2
    }
}

/// Where the system has no source of randomness: the seed that the standard library draws for its hash maps.
fn fallback_random() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0_u8)
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("sync", &self.sync)
            .field("segment_bytes", &self.segment_bytes)
            .field("window_bytes", &self.window_bytes)
            .finish_non_exhaustive()
    }
}
