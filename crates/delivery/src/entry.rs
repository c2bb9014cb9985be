//! A message as the scheduler sees it: a few numbers. The payload stays with the caller.

use crossdock_model::Moment;
use std::time::Duration;

/// A message that is to be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Its offset in the channel: its name here, and its place in the order.
    pub offset: u64,
    /// Hash of its `order_by` key; none, or [`Order::None`](crate::Order::None): a lane of its own.
    pub lane: Option<u64>,
    /// Hash of its `circuit` value; 0 where the route has no `circuit`.
    pub circuit: u64,
    /// What is known of earlier tries; none if it was never tried.
    pub prior: Option<Prior>,
    /// It was in flight at two unclean ends in a row (see [`judge`](crate::judge)): it is sent alone and first.
    pub crash_suspect: bool,
}

impl Entry {
    /// A message that was never tried, without lane, in the circuit of the whole target.
    #[must_use]
    pub const fn fresh(offset: u64) -> Self {
        Self { offset, lane: None, circuit: 0, prior: None, crash_suspect: false }
    }
}

/// What the store's touches say of a message that was tried before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Prior {
    /// Failed tries.
    pub tries: u32,
    /// How many of them were charged to it.
    pub charges: u32,
    /// Not before this; a moment that has passed means at once.
    pub due: Moment,
    /// The target asked for the wait (its last fault was `Busy`): until `due` it is not sent as a probe either.
    pub asked: bool,
    /// How long ago its first try failed; zero where that is not known.
    pub failing_for: Duration,
}
