//! Noting what is in flight before it is, and keeping crash suspects apart: what they do to the process they shall do
//! alone.

use super::{RouteTask, target::Target};
use crate::{crash::Permit, shared::Shared};
use crossdock_config::OnFailure;
use crossdock_store::{Flight, FlightRegion, SubscriptionNumber};
use std::collections::HashSet;

/// The notes of a target.
#[derive(Default)]
pub(crate) struct Noted {
    /// None where no notes are kept.
    region: Option<FlightRegion>,
    /// Whether what is noted is no longer so, of a message that is not settled.
    stale: bool,
    /// Whether the note says that the message is alone.
    alone: bool,
    /// Whether a note was lost: told once.
    lost: bool,
    /// Suspects that were never tried: they are with the scheduler before their turn to be fetched comes.
    early: HashSet<u64>,
    /// Kept from note to note for its memory.
    flights: Vec<Flight>,
}

impl Noted {
    /// Notes of a subscription.
    pub fn new(shared: &Shared, subscription: SubscriptionNumber) -> Self {
        Self { region: shared.crash.region(subscription), ..Self::default() }
    }

    /// Notes that the rules are applied to messages that were tried before; the note stands until the next one.
    pub fn evaluating(&mut self, subscription: SubscriptionNumber, offsets: impl Iterator<Item = u64>) {
        self.flights.clear();
        self.flights.extend(offsets.map(|offset| Flight { subscription, offset, evaluating: true }));
        self.write(false);
        self.stale = true;
    }

    /// What is noted is no longer so.
    pub const fn change(&mut self) {
        self.stale = true;
    }

    /// A message is with the scheduler before it was fetched.
    pub fn is_early(&mut self, offset: u64) {
        self.early.insert(offset);
    }

    /// Whether a message that was fetched has been with the scheduler before.
    pub fn was_early(&mut self, offset: u64) -> bool {
        !self.early.is_empty() && self.early.remove(&offset)
    }

    fn write(&mut self, alone: bool) {
        (self.stale, self.alone) = (false, alone);
        let Some(region) = &mut self.region else { return };
        match region.write(alone, &self.flights) {
            Ok(()) => self.lost = false,
            Err(error) if !self.lost => {
                self.lost = true;
                tracing::warn!(%error, "what is on its way cannot be noted: if it kills the program, that is not found out");
            }
            Err(_) => {}
        }
    }
}

impl RouteTask {
    /// What the route may do now. Asks only while some route has crash suspects.
    pub(super) fn ask_permit(&mut self) {
        self.note_landed();
        let now = self.shared.time.moment();
        let may = !self.held && self.stopping.is_none();
        let (mut suspects, mut wants, mut busy) = (0, false, !self.chunks.is_empty());
        if let Some(gate) = &self.gate {
            suspects += gate.suspects();
            wants |= gate.suspects() > 0 && self.gate_works();
            busy |= gate.reading.is_cold();
        }
        for target in &self.targets {
            suspects += target.scheduler.crash_suspects();
            wants |= may && target.wants_alone(now);
            busy |= target.busy() > 0 || target.reading.is_cold();
        }
        self.permit = self.shared.crash.turns.ask(self.place, suspects, wants, busy);
    }

    /// Notes what a target has in flight, with what is about to be applied to rules or sent.
    pub(super) fn note(&mut self, at: usize, fetched: impl Iterator<Item = u64>) {
        let Some(target) = self.targets.get_mut(at) else { return };
        let Target { noted, scheduler, claimed, live, .. } = target;
        if noted.region.is_none() {
            return;
        }
        let (subscription, several) = (claimed.subscription, self.evaluator.route().router.targets().len() > 1);
        let alone = scheduler.alone();
        let unread = |offset: &u64| live.get(offset).is_some_and(|live| live.loaded.is_none());
        let flying = scheduler.flying().map(|offset| (offset, (several || alone.is_some()) && unread(&offset)));
        let chunks = self.chunks.iter().filter(|chunk| chunk.reader.noted_at() == at);
        let evaluating = fetched.chain(chunks.flat_map(|chunk| chunk.offsets.iter().copied()));
        noted.flights.clear();
        let all = flying.chain(evaluating.map(|offset| (offset, true)));
        noted.flights.extend(all.map(|(offset, evaluating)| Flight { subscription, offset, evaluating }));
        noted.write(alone.is_some());
    }

    /// Notes that the rules are applied to a message, and that nothing else is in flight; it stands until the next note.
    pub(super) fn note_alone(&mut self, offset: u64) {
        let Some(target) = self.targets.first_mut() else { return };
        target.noted.flights.clear();
        target.noted.flights.push(Flight { subscription: target.claimed.subscription, offset, evaluating: true });
        target.noted.write(true);
        target.noted.stale = true;
    }

    /// A suspect that was alone has landed: that is noted before anything else may be sent.
    fn note_landed(&mut self) {
        for at in 0..self.targets.len() {
            if self.targets.get(at).is_some_and(|target| target.noted.alone && target.scheduler.alone().is_none()) {
                self.note(at, std::iter::empty());
            }
        }
    }

    /// Whether a suspect is cleared once the rules have been applied to it alone, and is not to be sent before its turn. Where
    /// a route keeps the order of keys that is so of one to which only the rules were applied when the process ended: unlike
    /// one that was being sent it may have others of its key before it.
    pub(super) fn is_cleared(&mut self, at: usize, offset: u64) -> bool {
        let route = self.evaluator.route();
        let in_order = route.order_by.is_some() && matches!(route.on_failure, OnFailure::BlockKey);
        let evaluated = |flight: &Flight| flight.offset == offset && flight.evaluating;
        let Some(target) = self.targets.get_mut(at).filter(|_| in_order) else { return false };
        // The subscriptions of a route share their offsets; what other routes left does no harm. One that was tried stays:
        // it was the first of its key.
        target.scheduler.alone() == Some(offset)
            && self.shared.crash.suspects.iter().any(evaluated)
            && target.noted.was_early(offset)
    }

    /// Lets a suspect go that is cleared: it is fetched when its turn comes.
    pub(super) fn fetch_in_turn(&mut self, at: usize, offset: u64) {
        let Some(target) = self.targets.get_mut(at) else { return };
        target.unsent(offset);
        target.scheduler.forget(offset);
        target.remove(offset, &self.shared.budget);
        self.again = true;
    }

    /// Notes of messages that wait again, or were never sent, are taken back.
    pub(super) fn note_changes(&mut self) {
        for at in 0..self.targets.len() {
            if self.targets.get(at).is_some_and(|target| target.noted.stale) {
                self.note(at, std::iter::empty());
            }
        }
    }

    /// Whether the route may fetch and send as usual.
    pub(super) fn is_free(&self) -> bool {
        self.permit == Permit::Everything
    }
}
