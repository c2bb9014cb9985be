//! The beginning of a route's task: messages that were tried before, by an earlier process, come first, and those that are
//! suspected to have killed it before them.

use super::{
    RouteTask,
    grave::Letter,
    live::{Live, Stage},
    notes::Noted,
};
use crate::{
    Addressed, Evaluation, Evaluator,
    claims::{Claimed, annotate},
    tasks::blocking,
};
use crossdock_delivery::{Effect, Entry, Prior, failing_for, wait_left};
use crossdock_model::{Answer, Fault, FaultClass, Timestamp};
use crossdock_store::{Channels, Flight, ReadError, StoredMessage, Touch, Touched};
use std::{sync::Arc, time::Duration};

/// How many histories are read to tell since when messages fail; for more of them it is taken to be now.
const HISTORIES_MAX: usize = 1000;
/// So many messages are noted at once before the rules are applied to them.
const NOTED_AT_ONCE: usize = 256;

/// What is known of a message that was tried before.
struct Known {
    offset: u64,
    /// It was in flight at two unclean ends in a row.
    suspected: bool,
    /// Its tries, if it was tried.
    touched: Option<Touched>,
    /// How long it has been failing.
    failing_for: Duration,
    last_failed_at: Option<Timestamp>,
    /// Whether its target asked for the wait.
    asked: bool,
    lane: Option<u64>,
    circuit: u64,
}

impl RouteTask {
    /// Admits what was tried before, so that lanes start where they stood, and what is suspected to kill the process.
    pub(super) async fn recover(&mut self) {
        self.recover_gate().await;
        for at in 0..self.targets.len() {
            let suspects = self.suspects(at, &self.shared.crash.suspects);
            let Some(target) = self.targets.get_mut(at) else { return };
            let (channels, claimed) = (Arc::clone(&self.shared.channels), target.claimed.clone());
            let now = self.shared.time.now();
            let (evaluator, mut noted) = (self.evaluator.clone(), std::mem::take(&mut target.noted));
            let tried = blocking(move || {
                let known = known(&*channels, &evaluator, &mut noted, &suspects, &claimed, now);
                (known, noted)
            });
            let Some((known, noted)) = tried.await else {
                self.shared.signals.fail("the thread that read what was tried before was lost");
                return;
            };
            let known = match known {
                Ok(known) => known,
                Err(error) => return self.cannot_recover(&error),
            };
            if let Some(target) = self.targets.get_mut(at) {
                target.noted = noted;
            }
            for known in known {
                self.admit_again(at, &known);
            }
            self.charge(at).await;
        }
    }

    /// Whether the message has not passed the gate, where it is looked at before any target meets it.
    fn is_at_gate(&self, offset: u64) -> bool {
        self.gate.as_ref().is_some_and(|gate| self.shared.channels.is_pending(gate.claimed.subscription, offset))
    }

    /// Those of the messages that have not passed the gate.
    fn at_gate(&self, flights: &[Flight]) -> Vec<u64> {
        let of_route =
            |flight: &&Flight| self.targets.iter().any(|target| target.claimed.subscription == flight.subscription);
        let offsets = flights.iter().filter(of_route).map(|flight| flight.offset);
        offsets.filter(|offset| self.is_at_gate(*offset)).collect()
    }

    /// What is suspected, and has not passed the gate, is looked at there alone; so is what was charged there before. The
    /// one that was alone when the last process ended is charged for it, durably before it is looked at again.
    async fn recover_gate(&mut self) {
        let Some(claimed) = self.gate.as_ref().map(|gate| gate.claimed.clone()) else { return };
        let subscription = claimed.subscription;
        let (channels, fence) = (Arc::clone(&self.shared.channels), claimed.fence.clone());
        let mut touched = match blocking(move || channels.touched(&fence)).await {
            Some(Ok(touched)) => touched,
            Some(Err(error)) => return self.cannot_recover(&error),
            None => return self.shared.signals.fail("the thread that read what was tried before was lost"),
        };
        let mut offsets = self.at_gate(&self.shared.crash.suspects);
        let charged = self.at_gate(self.shared.crash.charged.as_slice()).first().copied();
        let (mut condemned, now) = (None, self.shared.time.now());
        if let Some(offset) = charged {
            let known = touched.iter().find(|known| known.offset == offset);
            let charges = known.map_or(0, |known| known.charges) + 1;
            condemned = (charges >= self.evaluator.route().retry.attempts).then_some(offset);
            let fault = Some(ended());
            let touch = Touch { subscription, offset, tries: charges, charges, due: None, at: now, fault };
            // What cannot be stored is told by the store.
            drop(annotate(&self.shared, &claimed, touch).await);
        }
        offsets.extend(touched.drain(..).map(|known| known.offset));
        offsets.extend(charged);
        offsets.sort_unstable();
        offsets.dedup();
        let channels = Arc::clone(&self.shared.channels);
        let read = move || offsets.into_iter().filter_map(|offset| claimed.read(&*channels, offset).ok()).collect();
        let read: Option<Vec<StoredMessage>> = blocking(read).await;
        let Some(read) = read else {
            self.shared.signals.fail("the thread that read what is suspected was lost");
            return;
        };
        for stored in read {
            if condemned == Some(stored.offset) {
                self.bury_for_all(stored, ended());
            } else if let Some(gate) = &mut self.gate {
                gate.suspect(stored);
            }
        }
    }

    fn cannot_recover(&self, error: &ReadError) {
        self.shared.signals.fail(&format!("what was tried before cannot be read: {error}"));
    }

    fn admit_again(&mut self, at: usize, known: &Known) {
        let time = &self.shared.time;
        let (now, moment, retry_max) = (time.now(), time.moment(), self.evaluator.route().retry.max);
        let Some(target) = self.targets.get_mut(at) else { return };
        let Known { offset, suspected, .. } = *known;
        let prior = known.touched.as_ref().map(|Touched { tries, charges, due, .. }| Prior {
            tries: *tries,
            charges: *charges,
            due: due.map_or(moment, |due| moment.after(wait_left(due, known.last_failed_at, now, retry_max))),
            asked: known.asked,
            failing_for: known.failing_for,
        });
        if prior.is_none() {
            target.noted.is_early(offset);
        }
        let (lane, circuit) = (known.lane, known.circuit);
        let entry = Entry { lane, circuit, prior, crash_suspect: suspected, ..Entry::fresh(offset) };
        if target.scheduler.admit(moment, entry) {
            // Its deadline is found out when it is read again.
            let due = known.touched.as_ref().and_then(|touched| touched.due);
            let live = Live { stage: Stage::Waiting, loaded: None, deadline: None, due };
            target.insert(offset, live, &self.shared.budget);
        }
    }

    /// Those of the messages that the target has still to settle. What the rules did to one of them they do for every
    /// target; what a send did is the business of its own target.
    fn suspects(&self, at: usize, flights: &[Flight]) -> Vec<u64> {
        let Some(target) = self.targets.get(at) else { return Vec::new() };
        let of_route = |subscription| self.targets.iter().any(|target| target.claimed.subscription == subscription);
        let here = |flight: &&Flight| {
            (flight.subscription == target.claimed.subscription || flight.evaluating && of_route(flight.subscription))
                && self.shared.channels.is_pending(target.claimed.subscription, flight.offset)
                && !self.is_at_gate(flight.offset)
        };
        let mut offsets: Vec<u64> = flights.iter().filter(here).map(|flight| flight.offset).collect();
        offsets.sort_unstable();
        offsets.dedup();
        offsets
    }

    /// The message that was alone when the last process ended is charged for it, durably before it is sent again.
    async fn charge(&mut self, at: usize) {
        let offsets = self.suspects(at, self.shared.crash.charged.as_slice());
        let (Some(offset), Some(target)) = (offsets.first().copied(), self.targets.get_mut(at)) else { return };
        let (now, moment) = (self.shared.time.now(), self.shared.time.moment());
        let fault = ended();
        let mut effects = Vec::new();
        target.scheduler.crashed(moment, offset, fault, &mut effects);
        for effect in effects {
            let (Effect::Touch { tries, charges, ref fault, .. } | Effect::Dead { tries, charges, ref fault, .. }) =
                effect
            else {
                continue;
            };
            tracing::warn!(route = %self.evaluator.route().id, offset, charges, "charged: it was alone when the program ended");
            let (claimed, fault) = (target.claimed.clone(), Some(fault.clone()));
            let subscription = claimed.subscription;
            let touch = Touch { subscription, offset, tries, charges, due: Some(now), at: now, fault };
            // What cannot be stored is told by the store.
            drop(annotate(&self.shared, &claimed, touch).await);
            if let Effect::Dead { offset, tries, fault, .. } = effect {
                let Some(target) = self.targets.get_mut(at) else { return };
                target.remove(offset, &self.shared.budget);
                self.bury(Letter::of_tries(at, offset, None, fault, tries, false));
            }
            return;
        }
    }
}

/// The fault of a message that was alone when the program ended.
fn ended() -> Fault {
    Fault::new(FaultClass::Failed, "process.ended", ENDED).answered_by(Answer::Nobody)
}

/// What is read of a dead letter that killed the program.
const ENDED: &str = "the program ended without being stopped while this message, and nothing else, was on its way";

/// What was tried before, and what is suspected. Where that takes the rules, which may be what kills the process, it is
/// noted before; to a suspect they are applied when it is alone, and not here.
fn known(
    channels: &dyn Channels,
    evaluator: &Evaluator,
    noted: &mut Noted,
    suspects: &[u64],
    claimed: &Claimed,
    now: Timestamp,
) -> Result<Vec<Known>, ReadError> {
    let (order_by, circuit) = (&evaluator.route().order_by, &evaluator.route().circuit);
    let keyed = order_by.is_some() || circuit.is_some();
    let (touched, subscription) = (channels.touched(&claimed.fence)?, claimed.subscription);
    let mut known = Vec::with_capacity(touched.len());
    let is_tried = |offset: &u64| touched.binary_search_by_key(offset, |touched| touched.offset).is_ok();
    for offset in suspects.iter().copied().filter(|offset| !is_tried(offset)) {
        known.push(Known {
            offset,
            suspected: true,
            touched: None,
            failing_for: Duration::ZERO,
            last_failed_at: None,
            asked: false,
            lane: None,
            circuit: 0,
        });
    }
    let is_suspect = |offset: u64| suspects.binary_search(&offset).is_ok();
    for (index, one) in touched.iter().enumerate() {
        let offset = one.offset;
        let history = if index < HISTORIES_MAX { channels.history(subscription, offset).ok() } else { None };
        let tries = history.map(|history| history.kept).unwrap_or_default();
        let failed = tries.iter().map(|tried| (tried.number, tried.at));
        let failing_for = failing_for(failed, now, evaluator.route().retry.max);
        let last_failed_at = tries.last().map(|tried| tried.at);
        let last_fault = tries.last().and_then(|tried| tried.fault.as_ref());
        let asked = last_fault.is_some_and(|fault| fault.class == FaultClass::Busy);
        let suspected = is_suspect(offset);
        if keyed && index.is_multiple_of(NOTED_AT_ONCE) {
            let next = touched.iter().skip(index).take(NOTED_AT_ONCE).map(|touched| touched.offset);
            noted.evaluating(subscription, next.filter(|offset| !is_suspect(*offset)));
        }
        let (lane, circuit) = if keyed && !suspected { keys(channels, evaluator, claimed, offset) } else { (None, 0) };
        let touched = Some(one.clone());
        known.push(Known { offset, suspected, touched, failing_for, last_failed_at, asked, lane, circuit });
    }
    Ok(known)
}

/// Lane and circuit of a message. One that the rules no longer let through is found out when it is read to be sent.
fn keys(channels: &dyn Channels, evaluator: &Evaluator, claimed: &Claimed, offset: u64) -> (Option<u64>, u64) {
    let envelope = claimed.read(channels, offset).ok().and_then(|stored| stored.envelope().ok());
    match envelope.map(|envelope| evaluator.evaluate(&Arc::new(envelope))) {
        Some(Evaluation::Routed(routed)) if routed.targets.iter().any(|to| !matches!(to, Addressed::Not)) => {
            (routed.lane, routed.circuit)
        }
        Some(Evaluation::Routed(_) | Evaluation::Filtered { .. } | Evaluation::Fault(_)) | None => (None, 0),
    }
}
