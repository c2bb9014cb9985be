//! Messages that nobody wants any more: those that a target has, by their deadlines; those that still stand in the
//! channel, behind others or because the route holds, by what the channel's own task tells.

use super::{RouteEvent, RouteTask, live::Stage};
use crate::expiry::{Deadline, ExpiryTask};
use crossdock_store::Outcome;
use std::sync::Arc;

impl RouteTask {
    /// Has what nobody wants any more told, wherever it stands in the channel.
    pub(super) fn find_expired(&self) {
        let (events, evaluator) = (self.events_to_self.clone(), self.evaluator.clone());
        let only_own = evaluator.route().steps.expire_after().is_none();
        let task = ExpiryTask {
            shared: Arc::clone(&self.shared),
            channel: self.channel.number,
            name: self.channel.name.clone(),
            // What cannot be decoded is found out when it is fetched.
            deadline: Deadline { of: Arc::new(move |message| evaluator.stored_expires_at(message)), only_own },
            bell: Arc::clone(&self.expiry_bell),
            // The task has ended: nobody is there to settle anything.
            told: Box::new(move |offsets| drop(events.send(RouteEvent::Expired(offsets)))),
        };
        self.shared.tasks.spawn(format!("expiry of {}", self.channel.name), task.run());
    }

    /// What nobody wants any more goes for each target that is not busy with it, also out of a delay. One that was fetched
    /// and that the target does not have otherwise is being evaluated, buried or settled, which finds out by itself.
    pub(super) fn expired(&mut self, offsets: &[u64]) {
        let now = self.shared.time.now();
        for offset in offsets.iter().copied() {
            if let Some(gate) = self.gate.as_ref().filter(|gate| offset >= gate.fetched_below) {
                self.outbox.settle(gate.claimed.subscription, Outcome::Expired, offset);
            }
            for at in 0..self.targets.len() {
                let Some(target) = self.targets.get_mut(at) else { return };
                match target.live.get_mut(&offset) {
                    Some(live) if live.stage == Stage::Waiting => self.settle(at, offset, Outcome::Expired),
                    // It is left to its answer; if that is a fault, its deadline is looked at again.
                    Some(live) => {
                        live.deadline.get_or_insert(now);
                    }
                    None if offset >= target.fetched_below => {
                        self.outbox.settle(target.claimed.subscription, Outcome::Expired, offset);
                    }
                    None => {
                        // Fetched, and waiting for the end of its delay.
                        if let Ok(place) = target.parked.binary_search_by_key(&offset, |stored| stored.offset) {
                            drop(target.parked.remove(place));
                            self.settle(at, offset, Outcome::Expired);
                        }
                    }
                }
            }
        }
    }

    /// Settles waiting messages that nobody wants any more.
    pub(super) fn expire(&mut self) {
        let now = self.shared.time.now();
        for at in 0..self.targets.len() {
            while let Some(target) = self.targets.get_mut(at)
                && let Some(offset) = target.deadlines.take_passed(now)
            {
                // One that is on its way is left to its answer; if that is a fault, its deadline is looked at again.
                if target.live.get(&offset).is_some_and(|live| live.stage == Stage::Waiting) {
                    self.settle(at, offset, Outcome::Expired);
                }
            }
        }
    }
}
