//! What all tasks of a gateway share.

use crate::{
    claims::Claims, crash::Crash, limits::Budget, metrics::Losses, signals::Signals, tasks::Tasks, time::Time,
};
use crossdock_config::Plan;
use crossdock_model::Timestamp;
use crossdock_store::{Channels, CommitError};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};
use tokio::{
    sync::{Semaphore, watch},
    time::Instant,
};

/// What all tasks of a gateway share.
pub(crate) struct Shared {
    /// What runs.
    pub plan: Arc<Plan>,
    /// Where messages stand.
    pub channels: Arc<dyn Channels>,
    /// What of it is this gateway's.
    pub claims: Claims,
    /// Both clocks.
    pub time: Time,
    /// When the gateway began to work.
    pub started_at: Timestamp,
    /// Failure, and what the store's thread tells.
    pub signals: Arc<Signals>,
    /// The tasks.
    pub tasks: Tasks,
    /// Payload in memory.
    pub budget: Budget,
    /// What protocols could not carry.
    pub losses: Losses,
    /// Lets one task at a time look for what has expired.
    pub looks: Semaphore,
    /// What killed the processes before, and notes for those after.
    pub crash: Crash,
    /// Whether the gateway runs or stops.
    pub phase: watch::Sender<Phase>,
    random: AtomicU64,
}

/// Where a gateway stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Phase {
    /// It works.
    Running,
    /// The connectors take nothing new; what they have is stored and answered, what is on its way ends.
    Draining {
        /// Until when.
        by: Instant,
    },
    /// The connectors have nothing more.
    Closing {
        /// Until when.
        by: Instant,
    },
}

impl Shared {
    /// What the tasks share.
    pub fn new(
        plan: Arc<Plan>,
        (channels, claims): (Arc<dyn Channels>, Claims),
        options: crate::Options,
        crash: Crash,
    ) -> Self {
        let time = Time::new(options.clock);
        Self {
            plan,
            channels,
            claims,
            started_at: time.now(),
            time,
            tasks: Tasks::new(Arc::clone(&options.signals)),
            signals: options.signals,
            budget: Budget::default(),
            losses: Losses::default(),
            crash,
            looks: Semaphore::new(1),
            phase: watch::Sender::new(Phase::Running),
            random: AtomicU64::new(options.seed),
        }
    }

    /// 64 bits for jitter and seeds (`SplitMix64`, which gives every seed a full period); nothing for secrets.
    pub fn random(&self) -> u64 {
        let mut bits = self.random.fetch_add(0x9e37_79b9_7f4a_7c15, Relaxed);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// Whether the gateway stops.
    pub fn is_stopping(&self) -> bool {
        !matches!(*self.phase.borrow(), Phase::Running)
    }

    /// A commit failed for good: nothing is acknowledged any more.
    pub fn store_failed(&self, error: &CommitError) {
        if !self.is_stopping() {
            self.signals.fail(&error.to_string());
        }
    }

    /// A commit of settlements failed, though not for want of room. They name only what the store gave out, so that one which
    /// is refused is a bug: what was settled is delivered again by the next process, rather than counted wrongly for
    /// ever by this one.
    pub fn settlements_failed(&self, error: &CommitError) {
        match error {
            CommitError::Failed(_) | CommitError::Closed | CommitError::Fenced => self.store_failed(error),
            CommitError::NoSpace | CommitError::Full { .. } | CommitError::Invalid(_) => {
                self.signals.fail(&format!("the store did not take settlements: {error}"));
            }
        }
    }
}
