//! The beginning of a route's task: messages that were tried before, by an earlier process, come first.

use super::{
    RouteTask,
    live::{Live, Stage},
};
use crate::{Addressed, Evaluation, Evaluator, tasks::blocking};
use crossdock_delivery::{Entry, Prior};
use crossdock_model::{FaultClass, Timestamp};
use crossdock_store::{ChannelNumber, Store, SubscriptionNumber, Touched};
use std::{sync::Arc, time::Duration};

/// How many histories are read to tell since when messages fail; for more of them it is taken to be now.
const HISTORIES_MAX: usize = 1000;

/// What is known of a message that was tried before.
struct Known {
    touched: Touched,
    first_failed_at: Option<Timestamp>,
    /// Whether its target asked for the wait.
    asked: bool,
    lane: Option<u64>,
    circuit: u64,
}

impl RouteTask {
    /// Admits what was tried before, so that lanes start where they stood.
    pub(super) async fn recover(&mut self) {
        for at in 0..self.targets.len() {
            let Some(target) = self.targets.get(at) else { return };
            let (store, subscription) = (self.shared.store.clone(), target.subscription);
            let channel = self.channel.number;
            let evaluator = self.evaluator.clone();
            let known = blocking(move || known(&store, &evaluator, channel, subscription)).await;
            let Some(known) = known else {
                self.shared.signals.fail("the thread that read what was tried before was lost");
                return;
            };
            for known in known {
                self.admit_again(at, &known);
            }
        }
    }

    fn admit_again(&mut self, at: usize, known: &Known) {
        let time = &self.shared.time;
        let (now, moment) = (time.now(), time.moment());
        let Some(target) = self.targets.get_mut(at) else { return };
        let Touched { offset, tries, charges, due } = known.touched;
        let prior = Prior {
            tries,
            charges,
            due: due.map_or(moment, |due| moment.after(due.since(now))),
            asked: known.asked,
            failing_for: known.first_failed_at.map_or(Duration::ZERO, |at| now.since(at)),
        };
        let (lane, circuit) = (known.lane, known.circuit);
        let entry = Entry { lane, circuit, prior: Some(prior), ..Entry::fresh(offset) };
        if target.scheduler.admit(moment, entry) {
            // Its deadline is found out when it is read again.
            let live = Live { stage: Stage::Waiting, loaded: None, deadline: None };
            target.insert(offset, live, &self.shared.budget);
        }
    }
}

fn known(store: &Store, evaluator: &Evaluator, channel: ChannelNumber, subscription: SubscriptionNumber) -> Vec<Known> {
    let (order_by, circuit) = (&evaluator.route().order_by, &evaluator.route().circuit);
    let keyed = order_by.is_some() || circuit.is_some();
    let mut known = Vec::new();
    for (index, touched) in store.touched(subscription).into_iter().enumerate() {
        let history = if index < HISTORIES_MAX { store.history(subscription, touched.offset).ok() } else { None };
        let tries = history.map(|history| history.kept).unwrap_or_default();
        let first_failed_at = tries.first().map(|tried| tried.at);
        let last_fault = tries.last().and_then(|tried| tried.fault.as_ref());
        let asked = last_fault.is_some_and(|fault| fault.class == FaultClass::Busy);
        let (lane, circuit) = if keyed { keys(store, evaluator, channel, touched.offset) } else { (None, 0) };
        known.push(Known { touched, first_failed_at, asked, lane, circuit });
    }
    known
}

/// Lane and circuit of a message. One that the rules no longer let through is found out when it is read to be sent.
fn keys(store: &Store, evaluator: &Evaluator, channel: ChannelNumber, offset: u64) -> (Option<u64>, u64) {
    let envelope = store.read(channel, offset).ok().and_then(|stored| stored.envelope().ok());
    match envelope.map(|envelope| evaluator.evaluate(&Arc::new(envelope))) {
        Some(Evaluation::Routed(routed)) if routed.targets.iter().any(|to| !matches!(to, Addressed::Not)) => {
            (routed.lane, routed.circuit)
        }
        Some(Evaluation::Routed(_) | Evaluation::Filtered { .. } | Evaluation::Fault(_)) | None => (None, 0),
    }
}
