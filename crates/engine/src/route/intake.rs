//! From what was read to what is scheduled: evaluated once, in order, then admitted by each target that is addressed.

use super::{
    Reader, RouteTask,
    grave::Letter,
    live::{Live, Loaded, Stage},
};
use crate::{Addressed, Evaluation, Evaluator, limits};
use crossdock_delivery::Entry;
use crossdock_model::{Fault, Moment, Timestamp};
use crossdock_store::{Outcome, StoredMessage};
use std::{sync::Arc, time::Instant};
use tokio::task::JoinHandle;

/// Messages that a worker task evaluates for a target, or at the gate.
pub(crate) struct Chunk {
    pub reader: Reader,
    pub count: usize,
    pub first: u64,
    /// Noted as being evaluated.
    pub offsets: Vec<u64>,
    pub handle: JoinHandle<Vec<Evaluated>>,
}

/// A message and what the rules made of it.
pub(crate) struct Evaluated {
    pub(super) stored: StoredMessage,
    deadline: Option<Timestamp>,
    pub(super) result: Found,
}

/// What was found of a message.
pub(crate) enum Found {
    /// The rules have spoken.
    Evaluation(Evaluation),
    /// Nobody wants it any more.
    Expired,
    /// Its bytes are no message.
    Damaged,
}

impl RouteTask {
    /// Evaluates messages of a target, or at the gate: a few at once, many on worker tasks.
    pub(super) fn evaluate(&mut self, reader: Reader, mut messages: Vec<StoredMessage>) {
        let at = reader.noted_at();
        let Some(target) = self.targets.get_mut(at) else { return };
        match (reader, &mut self.gate) {
            (Reader::Gate, Some(gate)) => messages.retain(|stored| !gate.was_early(stored.offset)),
            (Reader::Gate | Reader::Target(_), _) => {
                messages.retain(|stored| !target.noted.was_early(stored.offset));
            }
        }
        if !messages.is_empty() && !self.evaluator.is_cheap() {
            self.note(at, messages.iter().map(|stored| stored.offset));
        }
        let is_known = |stored: &StoredMessage| self.cache.has(stored.offset);
        let few = messages.len() < limits::PARALLEL_MESSAGES_MIN
            || self.evaluator.is_cheap()
            || (self.gate.is_some() && messages.iter().all(is_known));
        if few && self.chunks.is_empty() {
            let (began, count) = (Instant::now(), messages.len());
            let (now, moment) = (self.shared.time.now(), self.shared.time.moment());
            for stored in messages {
                match reader {
                    Reader::Gate => self.sift(evaluate(&self.evaluator, stored, now)),
                    Reader::Target(at) => {
                        let evaluated = self.evaluate_cached(stored, now);
                        self.admit(at, evaluated, moment);
                    }
                }
            }
            self.observe(began, count);
            self.evaluated_all(at);
            return;
        }
        let mut messages = messages.into_iter();
        loop {
            let chunk: Vec<_> = messages.by_ref().take(limits::CHUNK_MESSAGES).collect();
            let count = chunk.len();
            if count == 0 {
                return;
            }
            let first = chunk.first().map_or(0, |stored| stored.offset);
            let offsets = chunk.iter().map(|stored| stored.offset).collect();
            let (evaluator, now) = (self.evaluator.clone(), self.shared.time.now());
            let step_seconds = Arc::clone(&self.step_seconds);
            let handle = tokio::spawn(async move {
                let began = Instant::now();
                let evaluated = chunk.into_iter().map(|stored| evaluate(&evaluator, stored, now)).collect();
                step_seconds.observe_many(began.elapsed() / u32::try_from(count).unwrap_or(1), count as u64);
                evaluated
            });
            if let Reader::Target(at) = reader
                && let Some(target) = self.targets.get_mut(at)
            {
                target.evaluating += count;
            }
            self.chunks.push_back(Chunk { reader, count, first, offsets, handle });
        }
    }

    /// The first chunk is evaluated.
    pub(super) fn evaluated(&mut self, messages: Vec<Evaluated>) {
        let Some(chunk) = self.chunks.pop_front() else { return };
        match chunk.reader {
            Reader::Gate => messages.into_iter().for_each(|evaluated| self.sift(evaluated)),
            Reader::Target(at) => self.evaluated_for(at, chunk.count, messages),
        }
        self.evaluated_all(chunk.reader.noted_at());
        self.again = true;
    }

    fn evaluated_for(&mut self, at: usize, count: usize, messages: Vec<Evaluated>) {
        if let Some(target) = self.targets.get_mut(at) {
            target.evaluating -= count;
        }
        let (askers, now) = (self.targets.len() - 1, self.shared.time.moment());
        for evaluated in messages {
            if let (1.., Found::Evaluation(evaluation)) = (askers, &evaluated.result) {
                self.cache.keep(evaluated.stored.offset, evaluation, evaluated.stored.len(), askers);
            }
            self.admit(at, evaluated, now);
        }
    }

    /// The rules were applied: the note that they are is no longer so.
    fn evaluated_all(&mut self, at: usize) {
        if let Some(target) = self.targets.get_mut(at).filter(|_| !self.evaluator.is_cheap()) {
            target.noted.change();
        }
    }

    fn observe(&self, began: Instant, count: usize) {
        if count > 0 && !self.evaluator.is_cheap() {
            let mean = began.elapsed() / u32::try_from(count).unwrap_or(1);
            self.step_seconds.observe_many(mean, count as u64);
        }
    }

    fn evaluate_cached(&mut self, stored: StoredMessage, now: Timestamp) -> Evaluated {
        let askers = self.targets.len() - 1;
        if askers == 0 && self.gate.is_none() {
            return evaluate(&self.evaluator, stored, now);
        }
        if let Some(evaluation) = self.cache.ask(stored.offset) {
            let deadline = self.evaluator.stored_expires_at(&stored);
            let expired = deadline.is_some_and(|deadline| deadline <= now);
            let result = if expired { Found::Expired } else { Found::Evaluation(evaluation) };
            return Evaluated { stored, deadline, result };
        }
        let evaluated = evaluate(&self.evaluator, stored, now);
        if let Found::Evaluation(evaluation) = &evaluated.result {
            self.cache.keep(evaluated.stored.offset, evaluation, evaluated.stored.len(), askers);
        }
        evaluated
    }

    /// Gives a message to the target that read it, if it is for that one.
    fn admit(&mut self, at: usize, Evaluated { stored, deadline, result }: Evaluated, now: Moment) {
        let offset = stored.offset;
        // What was evaluated meanwhile may have been dropped.
        let dropped = self.targets.get(at).is_some_and(|target| offset < target.floor);
        if dropped || self.ended.has(offset) {
            return;
        }
        let routed = match result {
            Found::Evaluation(Evaluation::Routed(routed)) => routed,
            Found::Evaluation(Evaluation::Filtered { step }) => return self.filtered(offset, &step),
            Found::Evaluation(Evaluation::Fault(fault)) => return self.bury_for_all(stored, fault),
            Found::Expired => return self.settle(at, offset, Outcome::Expired),
            Found::Damaged => return self.settle_damaged(offset),
        };
        let loaded = match self.addressed(at, &stored, &routed) {
            Ok(Some(rendered)) => Loaded { stored, envelope: Arc::clone(routed.envelope_for(at)), rendered },
            Ok(None) => return,
            Err(fault) => return self.bury(Letter::of_target(at, stored, fault)),
        };
        let Some(target) = self.targets.get_mut(at) else { return };
        let entry = Entry { lane: routed.lane, circuit: routed.circuit, ..Entry::fresh(offset) };
        if target.scheduler.admit(now, entry) {
            let deadline = routed.deadline(deadline);
            let live = Live { stage: Stage::Waiting, loaded: Some(loaded), deadline, due: None };
            target.insert(offset, live, &self.shared.budget);
        }
    }

    /// What is needed to send a message that was evaluated again, and its deadline; none if it is not to be sent to the
    /// target, which is then as in [`Self::admit`]: the rules may have changed since it was tried.
    pub(super) fn readmit(&mut self, at: usize, evaluated: Evaluated) -> Option<(Loaded, Option<Timestamp>)> {
        let Evaluated { stored, deadline, result } = evaluated;
        if let Found::Evaluation(Evaluation::Routed(routed)) = &result
            && let Some(Addressed::To(rendered)) = routed.targets.get(at)
        {
            let (rendered, envelope) = (rendered.clone(), Arc::clone(routed.envelope_for(at)));
            let deadline = routed.deadline(deadline);
            if let Some(target) = self.targets.get_mut(at) {
                target.scheduler.identified(stored.offset, routed.lane, routed.circuit);
            }
            return Some((Loaded { stored, envelope, rendered }, deadline));
        }
        if let Some(target) = self.targets.get_mut(at) {
            target.scheduler.forget(stored.offset);
            target.remove(stored.offset, &self.shared.budget);
        }
        self.admit(at, Evaluated { stored, deadline, result }, self.shared.time.moment());
        None
    }

    /// What the message is to the target: what its formulas gave, or nothing. Whoever meets a message settles it for all
    /// targets that it is not for.
    fn addressed(
        &mut self,
        at: usize,
        stored: &StoredMessage,
        routed: &crate::Routed,
    ) -> Result<Option<crossdock_connector::Rendered>, Fault> {
        let mut here = Ok(None);
        for (target, addressed) in routed.targets.iter().enumerate() {
            match addressed {
                Addressed::Not => self.settle(target, stored.offset, Outcome::Filtered),
                Addressed::To(rendered) if target == at => here = Ok(Some(rendered.clone())),
                Addressed::Faulty(fault) if target == at => here = Err(fault.clone()),
                Addressed::To(_) | Addressed::Faulty(_) => {}
            }
        }
        here
    }

    /// A step lets a message go no further.
    pub(super) fn filtered(&mut self, offset: u64, step: &str) {
        tracing::debug!(route = %self.evaluator.route().id, offset, step, "a message is filtered");
        self.settle_for_all(offset, Outcome::Filtered);
    }

    /// A message is done for one target.
    pub(super) fn settle(&mut self, at: usize, offset: u64, outcome: Outcome) {
        let Some(target) = self.targets.get_mut(at) else { return };
        if outcome == Outcome::Expired {
            tracing::debug!(route = %self.evaluator.route().id, offset, "a message has expired");
        }
        target.scheduler.forget(offset);
        target.remove(offset, &self.shared.budget);
        self.outbox.settle(target.claimed.subscription, outcome, offset);
    }

    /// The bytes of a message are none.
    pub(super) fn settle_damaged(&mut self, offset: u64) {
        tracing::error!(route = %self.evaluator.route().id, offset, "a stored message cannot be decoded: dead");
        self.settle_for_all(offset, Outcome::Dead);
    }

    /// A message is done for all targets; those for which it was done before stay as they are.
    pub(super) fn settle_for_all(&mut self, offset: u64, outcome: Outcome) {
        if let Some(gate) = &self.gate {
            self.outbox.settle(gate.claimed.subscription, outcome, offset);
        }
        for target in 0..self.targets.len() {
            self.settle(target, offset, outcome);
        }
    }

    /// Forgets of the messages that are dead for all those that nobody can meet any more.
    pub(super) fn forget_ended(&mut self) {
        let is_cold = self.gate.as_ref().is_some_and(|gate| gate.reading.is_cold());
        if self.ended.is_empty() || is_cold || self.targets.iter().any(|target| target.reading.is_cold()) {
            return;
        }
        let parked = self.targets.iter().filter_map(|target| target.parked.front()).map(|stored| stored.offset);
        let oldest = parked.chain(self.chunks.iter().map(|chunk| chunk.first)).min();
        self.ended.forget_below(oldest.unwrap_or(u64::MAX));
    }

    /// A full queue drops its oldest messages, whoever has them: what was dropped is sent to nobody any more, and what comes of
    /// it where it is under way changes nothing.
    pub(super) fn forget_dropped(&mut self) {
        if !self.drops {
            return;
        }
        for target in &mut self.targets {
            let info = self.shared.channels.subscription(target.claimed.subscription);
            let Some(floor) = info.map(|info| info.floor).filter(|floor| *floor > target.floor) else { continue };
            target.floor = floor;
            let dropped: Vec<u64> = target.live.keys().copied().filter(|offset| *offset < floor).collect();
            for offset in dropped {
                target.scheduler.forget(offset);
                target.remove(offset, &self.shared.budget);
            }
            target.parked.retain(|stored| stored.offset >= floor);
        }
    }

    /// No target has the message any more; it is not settled yet.
    pub(super) fn forget_everywhere(&mut self, offset: u64) {
        for target in &mut self.targets {
            target.scheduler.forget(offset);
            target.remove(offset, &self.shared.budget);
        }
    }
}

impl Reader {
    /// The target with whose notes it is noted that the rules are applied for this reader: what they do to a message they
    /// do for every target.
    pub const fn noted_at(self) -> usize {
        match self {
            Self::Gate => 0,
            Self::Target(at) => at,
        }
    }
}

impl Evaluated {
    /// Whether it is to be sent to the target.
    pub(super) fn is_routed_to(&self, at: usize) -> bool {
        match &self.result {
            Found::Evaluation(Evaluation::Routed(routed)) => matches!(routed.targets.get(at), Some(Addressed::To(_))),
            Found::Evaluation(Evaluation::Filtered { .. } | Evaluation::Fault(_)) | Found::Expired | Found::Damaged => {
                false
            }
        }
    }
}

/// Evaluates a message that was read.
pub(crate) fn evaluate(evaluator: &Evaluator, stored: StoredMessage, now: Timestamp) -> Evaluated {
    let Ok((envelope, notes)) = stored.decode() else {
        return Evaluated { stored, deadline: None, result: Found::Damaged };
    };
    let deadline = evaluator.expires_at(&envelope, notes.since(envelope.received_at));
    let result = if deadline.is_some_and(|deadline| deadline <= now) {
        Found::Expired
    } else {
        Found::Evaluation(evaluator.evaluate(&Arc::new(envelope)))
    };
    Evaluated { stored, deadline, result }
}
