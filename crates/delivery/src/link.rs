//! Whether a connection can be reached: shared by the targets of all routes that use it.

use crossdock_model::{Fault, Moment};

/// The reachability of one connection and its probe. Plain data: the caller keeps it behind a lock and lends it to each
/// scheduler of the connection.
#[derive(Debug, Default)]
pub struct Link {
    version: u64,
}

impl Link {
    /// A connection that nobody has tried: taken to be reachable.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Changes whenever a scheduler that shares the link has to be polled: compare it before and after a call, and wake
    /// the others if it changed.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// Whether the last word was that it can be reached.
    #[must_use]
    pub const fn is_reachable(&self) -> bool {
        true
    }

    /// The connection was lost or could not be made, seen outside a send.
    pub fn lost(&mut self, _now: Moment, _fault: &Fault) {
        todo!()
    }

    /// The connection was made, seen outside a send.
    pub fn restored(&mut self) {
        todo!()
    }
}
