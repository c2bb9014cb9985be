//! What a route says about retries, order and how much may be under way, and the back-off that follows from it.

use std::time::Duration;

/// Longest Retry-After that is kept; a target that asks for more is asked again after this.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(60 * 60);

/// Most messages that wait for a back-off or behind a failed head of their lane, by default.
pub const HELD_MAX: usize = 65_536;

/// `retry:` of a route.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Retry {
    /// Charges after which a message is dead; at least 1.
    pub attempts: u32,
    /// Wait after the first failed try.
    pub initial: Duration,
    /// What each further failed try multiplies the wait by; at least 1.
    pub factor: f64,
    /// Longest wait between two tries.
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
    /// Most sends under way at once, over all circuits of the target; at least 1.
    pub max_in_flight: usize,
    /// Most messages admitted and unfinished, those of `held_max` not counted; at least 1.
    pub window: usize,
    /// Most messages that wait for a back-off, behind a failed head, or in a held circuit of their own; at least 1.
    pub held_max: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Self { retry: Retry::default(), order: Order::None, max_in_flight: 64, window: 1024, held_max: HELD_MAX }
    }
}
