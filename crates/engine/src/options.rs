//! What the engine is told by whoever starts it.

use crossdock_model::Timestamp;
use std::{sync::Arc, time::Duration};

/// Tells the calendar's time.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What the engine is told by whoever starts it. Give the store the same one: [`Options::observe`].
#[derive(Clone)]
pub struct Options {
    /// The calendar.
    pub clock: Clock,
    /// Feeds the jitter of back-offs and reconnects.
    pub seed: u64,
    /// Which start of the machine this is; without it nothing is found out about messages that kill the process.
    pub boot: Option<[u8; 16]>,
    pub(crate) signals: Arc<crate::signals::Signals>,
}

impl Options {
    /// Options with a clock and a seed.
    #[must_use]
    pub fn new(clock: Clock, seed: u64) -> Self {
        Self { clock, seed, boot: None, signals: Arc::default() }
    }

    /// What is to be told how long each sync of the log took.
    #[must_use]
    pub fn on_sync(&self) -> Arc<dyn Fn(Duration) + Send + Sync> {
        let signals = Arc::clone(&self.signals);
        Arc::new(move |took| signals.sync_seconds.observe(took))
    }

    /// What is to be told that the channels have failed for good.
    #[must_use]
    pub fn on_failure(&self) -> Arc<dyn Fn(&str) + Send + Sync> {
        let signals = Arc::clone(&self.signals);
        Arc::new(move |reason| signals.fail(&format!("the store stopped: {reason}")))
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("seed", &self.seed).finish_non_exhaustive()
    }
}
