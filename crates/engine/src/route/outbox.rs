//! What a turn of a route's task commits: settlements and touches of all its messages, in one decision.

use crossdock_store::{Offsets, Outcome, Settle, SubscriptionNumber, Touch, Txn};

/// Settlements and touches that are gathered during a turn.
#[derive(Default)]
pub(crate) struct Outbox {
    settles: Vec<Settle>,
    touches: Vec<Touch>,
}

impl Outbox {
    /// A message is done for a subscription.
    pub fn settle(&mut self, subscription: SubscriptionNumber, outcome: Outcome, offset: u64) {
        let same = |settle: &&mut Settle| settle.subscription == subscription && settle.outcome == outcome;
        match self.settles.iter_mut().find(same) {
            Some(settle) => settle.offsets.push(offset),
            None => self.settles.push(Settle { subscription, outcome, offsets: Offsets::one(offset) }),
        }
    }

    /// A try went wrong, or was charged.
    pub fn touch(&mut self, touch: Touch) {
        self.touches.push(touch);
    }

    /// Whether nothing was gathered.
    pub const fn is_empty(&self) -> bool {
        self.settles.is_empty() && self.touches.is_empty()
    }

    /// Everything that was gathered; it may wait for a frame that is written anyway. None if there is nothing.
    pub fn take(&mut self) -> Option<Txn> {
        if self.is_empty() {
            return None;
        }
        let Self { settles, touches } = std::mem::take(self);
        Some(Txn { settles, touches, rides: true, ..Txn::default() })
    }
}
