//! What a turn of a route's task commits: tries and settlements of all its messages, which are in one frame where they fit
//! one. A crash between two frames costs a try or a settlement that followed from the same answer as the other: it is
//! asked for again.
//!
//! What finds no room on the volume is kept and submitted again after a pause: settlements give the room back, so that the
//! task starts nothing new while they wait. Tries wait beside, the last of each message.

use crate::limits::{COMMIT_RUNS_MAX, FULL_PAUSE, Fill};
use crossdock_store::{
    Annotations, Channels, Completion, Fence, Offsets, Outcome, Settle, SubscriptionNumber, Touch, Txn,
};
use std::collections::BTreeMap;
use tokio::time::Instant;

/// Settlements and touches that are gathered during a turn.
#[derive(Default)]
pub(crate) struct Outbox {
    settles: Vec<Settle>,
    touches: Vec<Touch>,
    refused: Refused,
}

/// What the volume had no room for.
#[derive(Default)]
struct Refused {
    settles: Vec<Settle>,
    /// By subscription and offset.
    touches: BTreeMap<(u32, u64), Touch>,
    retry_at: Option<Instant>,
    /// Settlements are among it, or were submitted again and are not answered.
    holds: bool,
}

/// What of it is submitted at once.
#[derive(Clone)]
pub(crate) enum Parcel {
    /// Tries that went wrong, and charges.
    Touches(Vec<Touch>),
    /// Messages that are done.
    Settles(Vec<Settle>),
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
        // What waits of its earlier tries would come behind it: it is submitted before it, now.
        self.touches.extend(self.refused.touches.remove(&(touch.subscription.0, touch.offset)));
        self.touches.push(touch);
    }

    /// The volume has no room: it is submitted again later.
    pub fn refuse(&mut self, parcel: Parcel) {
        let refused = &mut self.refused;
        match parcel {
            Parcel::Settles(settles) => {
                if !refused.holds {
                    tracing::warn!("the volume has no room for settlements: they wait, and nothing new is delivered");
                }
                refused.holds = true;
                refused.settles.extend(settles);
            }
            Parcel::Touches(touches) => {
                let touches = touches.into_iter().map(|touch| ((touch.subscription.0, touch.offset), touch));
                refused.touches.extend(touches);
            }
        }
        refused.retry_at.get_or_insert_with(|| Instant::now() + FULL_PAUSE);
    }

    /// The store has it.
    pub fn stored(&mut self, parcel: &Parcel) {
        let refused = &mut self.refused;
        match parcel {
            Parcel::Settles(_) => refused.holds &= !refused.settles.is_empty(),
            // What was refused of them before is of earlier tries, and may not come behind these.
            Parcel::Touches(touches) if !refused.touches.is_empty() => {
                for touch in touches {
                    refused.touches.remove(&(touch.subscription.0, touch.offset));
                }
            }
            Parcel::Touches(_) => {}
        }
    }

    /// Whether settlements find no room.
    pub const fn is_stuck(&self) -> bool {
        self.refused.holds
    }

    /// When what found no room is submitted again.
    pub const fn retry_at(&self) -> Option<Instant> {
        self.refused.retry_at
    }

    /// Gathers again what found no room, once the pause is over.
    pub fn retry(&mut self, now: Instant) {
        let refused = &mut self.refused;
        if refused.retry_at.is_none_or(|at| at > now) {
            return;
        }
        refused.retry_at = None;
        self.settles.append(&mut refused.settles);
        // What was gathered since is of later tries.
        let touches = std::mem::take(&mut refused.touches);
        self.touches.splice(0..0, touches.into_values());
    }

    /// Whether nothing was gathered.
    pub const fn is_empty(&self) -> bool {
        self.settles.is_empty() && self.touches.is_empty()
    }

    /// What was gathered, as much as fits a frame, tries before settlements. None if there is nothing.
    pub fn take(&mut self, segment_bytes: u64) -> Option<Parcel> {
        let mut fill = Fill::new(segment_bytes);
        if !self.touches.is_empty() {
            let count = self.touches.iter().take_while(|touch| fill.takes(bytes(touch), 1)).count();
            return Some(Parcel::Touches(self.touches.drain(..count).collect()));
        }
        let fits = |settle: &&Settle| fill.takes(settle.offsets.runs().len() * 20, 1);
        let count = self.settles.iter().take_while(fits).count();
        (count > 0).then(|| Parcel::Settles(self.settles.drain(..count).collect()))
    }
}

impl Parcel {
    /// Submits it; `rides` if it may wait for a frame that is written anyway.
    pub fn submit(self, channels: &dyn Channels, fences: &[Fence], rides: bool, completion: Completion) {
        match self {
            Self::Touches(touches) => channels.annotate(fences, Annotations { touches, rides }, completion),
            Self::Settles(settles) => {
                // What somebody waits for may be what a consumer has.
                let txn = Txn { settles, rides, tells_late: !rides, ..Txn::default() };
                channels.commit(fences, txn, completion);
            }
        }
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
        while let Some(parcel) = outbox.take(64 << 10) {
            decisions += 1;
            match parcel {
                Parcel::Touches(touches) => {
                    assert!(touches.iter().map(bytes).sum::<usize>() < 16 << 10);
                    touched += touches.len();
                }
                Parcel::Settles(settles) => {
                    settled += settles.iter().map(|settle| settle.offsets.iter().count()).sum::<usize>();
                }
            }
        }
        assert!(outbox.is_empty());
        assert_eq!((settled, touched), (2000, 2000));
        assert!(decisions > 60, "{decisions}");
    }

    #[test]
    fn an_earlier_try_does_not_come_behind_a_later_one_that_found_room() {
        let mut outbox = Outbox::default();
        let (subscription, at) = (SubscriptionNumber(3), Timestamp(7));
        let touch = |offset, tries| Touch { subscription, offset, tries, charges: 0, due: None, at, fault: None };
        outbox.touch(touch(5, 1));
        outbox.touch(touch(6, 1));
        let earlier = outbox.take(64 << 10).unwrap();
        outbox.touch(touch(5, 2));
        let later = outbox.take(64 << 10).unwrap();
        outbox.refuse(earlier);
        outbox.stored(&later);
        outbox.retry(outbox.retry_at().unwrap());
        let again = outbox.take(64 << 10).unwrap();
        let Parcel::Touches(touches) = &again else { panic!("the other is submitted again") };
        assert_eq!(touches.iter().map(|touch| (touch.offset, touch.tries)).collect::<Vec<_>>(), [(6, 1)]);
        // One that was not answered yet when the earlier was to be submitted again.
        outbox.refuse(again);
        outbox.touch(touch(6, 2));
        outbox.retry(outbox.retry_at().unwrap());
        let Some(Parcel::Touches(touches)) = outbox.take(64 << 10) else { panic!("both") };
        assert_eq!(touches.iter().map(|touch| (touch.offset, touch.tries)).collect::<Vec<_>>(), [(6, 1), (6, 2)]);
    }

    #[test]
    fn what_finds_no_room_is_submitted_again_after_a_pause() {
        let mut outbox = Outbox::default();
        let (subscription, at) = (SubscriptionNumber(3), Timestamp(7));
        let touch = |tries| Touch { subscription, offset: 5, tries, charges: 0, due: None, at, fault: None };
        for tries in 1..4 {
            outbox.touch(touch(tries));
            let tried = outbox.take(64 << 10).unwrap();
            outbox.refuse(tried);
        }
        assert!(!outbox.is_stuck(), "what was tried can wait while deliveries give room back");
        outbox.settle(subscription, Outcome::Delivered, 9);
        let settled = outbox.take(64 << 10).unwrap();
        outbox.refuse(settled);
        assert!(outbox.is_stuck());
        let due = outbox.retry_at().unwrap();
        outbox.retry(due - FULL_PAUSE);
        assert!(outbox.is_empty(), "not at once");
        outbox.touch(touch(4));
        outbox.retry(due);
        let Some(Parcel::Touches(touches)) = outbox.take(64 << 10) else { panic!("tries come first") };
        assert_eq!(touches.iter().map(|touch| touch.tries).collect::<Vec<_>>(), [3, 4], "the last that was refused");
        let settled = outbox.take(64 << 10).unwrap();
        assert!(outbox.is_stuck() && outbox.retry_at().is_none(), "until the store has it");
        outbox.stored(&settled);
        assert!(!outbox.is_stuck() && outbox.is_empty());
    }
}
