//! The gate of a route with `dedupe` among its steps: a place of its own in the channel, which every message passes once
//! before any target reads it.
//!
//! ```text
//!  store ─fetch─► evaluate ─► keys new? ── the store's writer, in one frame ──► yes: keys noted, the gate is past it
//!                   │                                                       └► no: filtered for all, the gate is past it
//!                   └ filtered, faulty, expired: settled or buried for all
//!  targets ─fetch (what the gate is past)─► evaluate ─► …
//! ```
//!
//! What was decided stands: it is in the log before a target meets the message, so that tries, restarts and replays of the
//! route do not ask again. What leaves is made from the original each time, since steps give the same whenever they are
//! applied; so nothing is stored twice, and a dead letter has the original.
//!
//! It goes on while the route is paused: it delivers nothing, and windows count from receipt.

use super::{
    Reader, RouteTask,
    grave::Letter,
    intake::{Evaluated, Found, evaluate},
    reading::Reading,
};
use crate::{Evaluation, claims::Claimed, crash::Permit, limits};
use crossdock_model::{Fault, Text};
use crossdock_rules::Claim;
use crossdock_store::{Outcome, Sieve, SieveKey, Sifted, StoredMessage, Txn};
use std::collections::{HashSet, VecDeque};
use tokio::time::Instant;

/// Where the gate of a route stands.
pub(crate) struct Gate {
    /// Its place in the channel.
    pub claimed: Claimed,
    /// Where its reading stands.
    pub reading: Reading,
    /// All below was fetched, unless it had been settled before.
    pub fetched_below: u64,
    /// Messages that are evaluated and not submitted.
    sifted: Vec<Sifted>,
    /// When decisions that found no room are submitted again.
    pub retry_at: Option<Instant>,
    /// Flushes that hold decisions, and are not answered.
    under_way: VecDeque<u64>,
    /// Messages that may kill the process: each is looked at alone, and before all others.
    suspects: VecDeque<StoredMessage>,
    /// Those of them that are still to be fetched, to be passed over then.
    early: HashSet<u64>,
}

impl Gate {
    /// A gate from which nothing was fetched.
    pub fn new(claimed: Claimed) -> Self {
        Self {
            claimed,
            reading: Reading::new(),
            fetched_below: 0,
            sifted: Vec::new(),
            retry_at: None,
            under_way: VecDeque::new(),
            suspects: VecDeque::new(),
            early: HashSet::new(),
        }
    }

    /// How many messages are to be looked at alone.
    pub fn suspects(&self) -> usize {
        self.suspects.len()
    }

    /// Adds a message that is to be looked at alone.
    pub fn suspect(&mut self, stored: StoredMessage) {
        self.early.insert(stored.offset);
        self.suspects.push_back(stored);
    }

    /// Whether a message that was fetched has been looked at before.
    pub fn was_early(&mut self, offset: u64) -> bool {
        !self.early.is_empty() && self.early.remove(&offset)
    }

    fn key(&self, claim: &Claim) -> SieveKey {
        // The number stays when the route is called otherwise.
        let scope = Text::from(format!("dedupe:{}:{}", self.claimed.subscription.0, claim.step));
        SieveKey { scope, hash: claim.key, window: claim.window, keys_max: claim.keys_max }
    }
}

impl RouteTask {
    /// How many messages and bytes the gate may look at now.
    pub(super) fn gate_room(&self) -> Option<(usize, usize)> {
        let gate = self.gate.as_ref()?;
        let is_busy = gate.under_way.len() >= limits::GATE_COMMITS_MAX
            || gate.retry_at.is_some()
            || self.chunks.iter().any(|chunk| chunk.reader == Reader::Gate);
        let may = self.gate_works() && !is_busy && gate.suspects.is_empty() && self.is_free() && !self.grave.is_full();
        may.then_some((limits::FETCH_MESSAGES_MAX, limits::FETCH_BYTES_MAX))
    }

    /// Whether the gate looks at messages: it does so while the route is paused, too.
    pub(super) fn gate_works(&self) -> bool {
        self.stopping.is_none() && !self.grave.is_stuck()
    }

    /// Looks at what may kill the process, one after the other, with nothing else in flight.
    pub(super) fn look_at_suspects(&mut self) {
        if self.permit == Permit::Nothing || !self.gate_works() {
            return;
        }
        let now = self.shared.time.now();
        while let Some(stored) = self.gate.as_mut().and_then(|gate| gate.suspects.pop_front()) {
            self.note_alone(stored.offset);
            let evaluated = evaluate(&self.evaluator, stored, now);
            self.sift(evaluated);
            self.again = true;
        }
    }

    /// A message was evaluated for the first time: it is decided, or asks the store whether its keys are new.
    pub(super) fn sift(&mut self, Evaluated { stored, result, .. }: Evaluated) {
        let (offset, bytes, targets) = (stored.offset, stored.len(), self.targets.len());
        match result {
            Found::Evaluation(Evaluation::Routed(routed)) => {
                let Some(gate) = &mut self.gate else { return };
                let keys = routed.claims.iter().map(|claim| gate.key(claim)).collect();
                let (id, received_at) = (routed.envelope.id, routed.envelope.received_at);
                let redriven = stored.notes().is_ok_and(|notes| notes.redrives > 0);
                gate.sifted.push(Sifted { offset, id, received_at, redriven, keys });
                self.cache.keep(offset, &Evaluation::Routed(routed), bytes, targets);
            }
            Found::Evaluation(Evaluation::Filtered { step }) => self.filtered(offset, &step),
            Found::Evaluation(Evaluation::Fault(fault)) => self.bury_for_all(stored, fault),
            Found::Expired => self.settle_for_all(offset, Outcome::Expired),
            Found::Damaged => self.settle_damaged(offset),
        }
    }

    /// A message is at fault itself: whoever meets it first buries it.
    pub(super) fn bury_for_all(&mut self, stored: StoredMessage, fault: Fault) {
        let sole = self.targets.len() == 1 && self.gate.is_none();
        if sole || self.ended.note(stored.offset) {
            self.forget_everywhere(stored.offset);
            self.bury(Letter::of_message(stored, fault));
        }
    }

    /// What the turn has to ask the store, in one decision that fits a frame. None if there is nothing.
    pub(super) fn sieve(&mut self) -> Option<Txn> {
        let gate = self.gate.as_mut().filter(|gate| !gate.sifted.is_empty())?;
        if gate.retry_at.is_some_and(|at| at > Instant::now()) {
            return None;
        }
        gate.retry_at = None;
        let segment_bytes = self.shared.plan.gateway().store.segment_bytes;
        let mut fill = limits::Fill::new(segment_bytes);
        // A message that is settled for each target by itself, and its keys.
        let records = |message: &Sifted| message.keys.len() + 1 + self.targets.len();
        let count = gate.sifted.iter().take_while(|message| fill.takes(0, records(message))).count();
        let messages = gate.sifted.drain(..count).collect();
        let others = self.targets.iter().map(|target| target.claimed.subscription).collect();
        // Who waits for it is a delivery: it does not wait for company.
        Some(Txn {
            sieve: Some(Box::new(Sieve { subscription: gate.claimed.subscription, others, messages })),
            ..Txn::default()
        })
    }

    /// Decisions were submitted with this flush.
    pub(super) fn sieved(&mut self, sequence: u64) {
        if let Some(gate) = &mut self.gate {
            gate.under_way.push_back(sequence);
        }
    }

    /// The volume had no room for decisions: they are asked for again, before others.
    pub(super) fn sieve_refused(&mut self, messages: Vec<Sifted>) {
        if let Some(gate) = &mut self.gate {
            gate.sifted.splice(0..0, messages);
            gate.retry_at = Some(Instant::now() + limits::FULL_PAUSE);
        }
    }

    /// Flushes up to this one are answered.
    pub(super) fn sieve_answered(&mut self, sequence: u64) {
        if let Some(gate) = &mut self.gate {
            let before = gate.under_way.len();
            gate.under_way.retain(|submitted| *submitted > sequence);
            self.again |= gate.under_way.len() < before;
        }
    }
}
