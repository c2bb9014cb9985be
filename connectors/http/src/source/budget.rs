//! The bytes of request bodies in memory, of all senders together.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// Counts bytes up to a limit.
#[derive(Debug)]
pub(super) struct Budget {
    held: AtomicU64,
    max: u64,
}

/// A share of the budget; given back when dropped.
#[derive(Debug)]
pub(super) struct Share {
    budget: Arc<Budget>,
    bytes: u64,
}

impl Budget {
    pub(super) fn new(max: u64) -> Arc<Self> {
        Arc::new(Self { held: AtomicU64::new(0), max })
    }

    /// A share of so many bytes; none if that is more than is left.
    pub(super) fn take(self: &Arc<Self>, bytes: u64) -> Option<Share> {
        let mut share = Share { budget: Arc::clone(self), bytes: 0 };
        share.grow(bytes).then_some(share)
    }
}

impl Share {
    /// Makes the share larger; false, and nothing changed, if that is more than is left.
    pub(super) fn grow(&mut self, bytes: u64) -> bool {
        let held = self.budget.held.fetch_add(bytes, Ordering::Relaxed);
        if held.saturating_add(bytes) > self.budget.max {
            self.budget.held.fetch_sub(bytes, Ordering::Relaxed);
            return false;
        }
        self.bytes += bytes;
        true
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_no_more_than_there_is() {
        let budget = Budget::new(10);
        let mut first = budget.take(6).unwrap();
        assert!(budget.take(5).is_none());
        assert!(first.grow(4) && !first.grow(1));
        assert!(budget.take(1).is_none());
        drop(first);
        assert!(budget.take(10).is_some());
    }
}
