//! What a turn of a route's task commits: settlements and touches of all its messages, in one decision where it fits a
//! frame.

use crate::limits::{COMMIT_RUNS_MAX, Fill};
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
        let same = |settle: &&mut Settle| {
            let full = settle.offsets.runs().len() >= COMMIT_RUNS_MAX;
            settle.subscription == subscription && settle.outcome == outcome && !full
        };
        match self.settles.iter_mut().rev().find(same) {
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

    /// A decision of what was gathered, as much as fits; it may wait for a frame that is written anyway. None if there is
    /// nothing.
    pub fn take(&mut self, segment_bytes: u64) -> Option<Txn> {
        if self.is_empty() {
            return None;
        }
        let mut fill = Fill::new(segment_bytes);
        let touches = self.touches.iter().take_while(|touch| fill.takes(bytes(touch), 1)).count();
        let settles = self.settles.iter().take_while(|settle| fill.takes(settle.offsets.runs().len() * 20, 1)).count();
        let (settles, touches) = (self.settles.drain(..settles).collect(), self.touches.drain(..touches).collect());
        Some(Txn { settles, touches, rides: true, ..Txn::default() })
    }
}

fn bytes(touch: &Touch) -> usize {
    let step = |step: &crossdock_model::Text| step.len();
    touch.fault.as_ref().map_or(0, |fault| fault.code.len() + fault.text.len() + fault.step.as_ref().map_or(0, step))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossdock_model::{Fault, Timestamp};

    #[test]
    fn what_does_not_fit_a_frame_comes_in_several_decisions_and_all_of_it() {
        let mut outbox = Outbox::default();
        let (subscription, at) = (SubscriptionNumber(3), Timestamp(7));
        for offset in 0..2000 {
            outbox.settle(subscription, Outcome::Delivered, offset * 2);
            let fault = Some(Fault::rejected("x", "y".repeat(500)));
            outbox.touch(Touch { subscription, offset, tries: 1, charges: 0, due: None, at, fault });
        }
        let (mut settled, mut touched, mut decisions) = (0, 0, 0);
        while let Some(txn) = outbox.take(64 << 10) {
            settled += txn.settles.iter().map(|settle| settle.offsets.iter().count()).sum::<usize>();
            touched += txn.touches.len();
            decisions += 1;
            assert!(txn.touches.iter().map(bytes).sum::<usize>() < 16 << 10 && txn.rides);
        }
        assert_eq!((settled, touched), (2000, 2000));
        assert!(decisions > 60, "{decisions}");
    }
}
