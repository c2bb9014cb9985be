//! What answers mean: the scheduler's verdict, and what is to be committed.

use super::{RouteTask, event::Loss, grave::Letter, live::Stage, target::Way};
use crate::evaluate::panicked;
use crossdock_connector::Results;
use crossdock_delivery::Effect;
use crossdock_model::{Answer, Fault, FaultClass, Timestamp};
use crossdock_store::{Outcome, Touch};

/// An answer to a send.
type Finished = Vec<(u64, Result<(), Fault>)>;

impl RouteTask {
    /// A sink posted results.
    pub(super) fn results(&mut self, at: usize, session: u64, results: Results) {
        let Some(target) = self.targets.get_mut(at) else { return };
        let mut finished = Vec::with_capacity(results.len());
        for (ticket, result) in results {
            let offset = ticket.0;
            // Of a session that is gone, or of a message that is settled: the scheduler must hear of the latter, to which
            // it has given a place.
            let stage = target.live.get(&offset).map(|live| live.stage);
            if stage.is_some_and(|stage| !matches!(stage, Stage::Sending { session: of, .. } if of == session)) {
                continue;
            }
            match result {
                Ok(receipt) => {
                    if !receipt.lost.is_empty() {
                        self.shared.losses.count(&target.name, &receipt.lost);
                    }
                    finished.push((offset, Ok(())));
                }
                Err(fault) => finished.push((offset, Err(fault))),
            }
        }
        self.finish(at, finished);
    }

    /// A session ended: what it took and did not answer may have arrived. What it was not given is as before its start.
    pub(super) fn lost(&mut self, at: usize, session: u64, loss: &Loss, unsent: Vec<u64>) {
        let Some(target) = self.targets.get_mut(at) else { return };
        for offset in unsent {
            target.unsent(offset);
        }
        let sending = |stage: Stage| matches!(stage, Stage::Sending { session: of, .. } if of == session);
        let left = target.live.iter().filter(|(_, live)| sending(live.stage)).map(|(at, _)| *at);
        // Of what was settled elsewhere meanwhile only the scheduler knows that it is on its way.
        let left: Vec<u64> = left.chain(target.scheduler.forgotten()).collect();
        let finished = left.into_iter().map(|offset| (offset, Err(loss.fault(offset)))).collect();
        self.finish(at, finished);
    }

    /// A session could not be opened: the fault is that of all that were to start in it.
    pub(super) fn not_opened(&mut self, at: usize, fault: &Fault) {
        let Some(target) = self.targets.get_mut(at) else { return };
        let Way::Sink(sink) = &mut target.way else { return };
        let started = sink.take_back();
        let finished = started.into_iter().map(|outgoing| (outgoing.ticket.0, Err(fault.clone()))).collect();
        self.finish(at, finished);
    }

    /// Tells the scheduler, and does what follows.
    pub(super) fn finish(&mut self, at: usize, finished: Finished) {
        let (moment, now) = (self.shared.time.moment(), self.shared.time.now());
        let Some(target) = self.targets.get_mut(at) else { return };
        // What passed is gone in a moment.
        for (offset, _) in finished.iter().filter(|(_, result)| result.is_err()) {
            target.wait_again(*offset);
        }
        target.standing.hear(finished.iter().any(|(_, result)| result.is_err()));
        let mut effects = Vec::with_capacity(finished.len());
        target.finished(moment, finished, &mut effects);
        for effect in effects {
            self.apply(at, effect, now);
        }
    }

    fn apply(&mut self, at: usize, effect: Effect, now: Timestamp) {
        match effect {
            Effect::Delivered { offset, .. } => self.delivered(at, offset, now),
            Effect::Touch { offset, tries, charges, wait, fault, tried } => {
                let Some(target) = self.targets.get_mut(at) else { return };
                target.noted.change();
                let mut due = now.after(wait);
                if let Some(live) = target.live.get_mut(&offset) {
                    // A charge does not put off the try: the calendar may have gone on since its end was noted.
                    due = live.due.filter(|_| !tried).map_or(due, |noted| noted.min(due));
                    live.due = Some(due);
                    let loaded = live.loaded.take();
                    target.unload(loaded.as_ref(), &self.shared.budget);
                }
                tracing::debug!(offset, tries, charges, ?wait, tried, %fault, "a try failed");
                let subscription = target.claimed.subscription;
                let (due, fault) = (Some(due), Some(fault));
                self.outbox.touch(Touch { subscription, offset, tries, charges, due, at: now, fault });
            }
            Effect::Dead { offset, tries, fault, tried, .. } => {
                let Some(target) = self.targets.get_mut(at) else { return };
                let loaded = target.remove(offset, &self.shared.budget).and_then(|live| live.loaded);
                let stored = loaded.map(|loaded| loaded.stored);
                self.bury(Letter::of_tries(at, offset, stored, fault, tries, tried));
            }
        }
    }

    fn delivered(&mut self, at: usize, offset: u64, now: Timestamp) {
        let Some(target) = self.targets.get_mut(at) else { return };
        let Some(live) = target.remove(offset, &self.shared.budget) else { return };
        if let Some(loaded) = &live.loaded {
            target.delivery_seconds.observe(now.since(loaded.envelope.received_at));
        }
        // What was moved to a channel is settled in the frame that put it there.
        if target.is_connector() {
            self.outbox.settle(target.claimed.subscription, Outcome::Delivered, offset);
        }
    }
}

impl Loss {
    fn fault(&self, offset: u64) -> Fault {
        match self {
            Self::Gone(text) => {
                let text = format!("the session ended without an answer: {text}");
                Fault::new(FaultClass::Failed, "sink.lost", text).answered_by(Answer::Nobody)
            }
            Self::Panicked { panic, batch } if *batch == [offset] => panicked(panic),
            Self::Panicked { panic, .. } => {
                let text = format!("the connector panicked ({panic}) while this message was with it: report this");
                Fault::new(FaultClass::Failed, "internal.panic", text).answered_by(Answer::Nobody)
            }
        }
    }
}
