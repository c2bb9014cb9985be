//! One (route, target): what is sent when, and what an answer means.
//!
//! ```text
//! admit ─► lane ─► queue of the circuit ─► poll: Start ─► the caller sends
//!            ▲            ▲                                   │
//!            │ next       │ back-off, Retry-After             ▼
//!            └────────────┴──────────────────── finished: Delivered, Dead, Touch
//! ```
//!
//! Invariants: a message is in exactly one place ([`Place`]); it is in flight at most once; a circuit that has something
//! to start now stands in `active`, one that will have stands in `timers`, so that nobody has to look at all of them.

mod finish;
mod report;
mod start;

use crate::{
    Counters, Effect, Entry, Link, Order, Policy,
    circuit::Suspect,
    hash::{NumberMap, Seeded},
    lanes::{self, Lanes},
    member::Member,
    members::Members,
    policy::VOICES_MAX,
    random::Random,
    slot::{Flight, Place, Slot},
};
use crossdock_model::{DenseMap, Fault, Moment};
use std::{
    collections::{BTreeSet, VecDeque, hash_map},
    time::Duration,
};

/// Circuits kept though they have no message; beyond, one that has none is forgotten.
const IDLE_CIRCUITS_MAX: usize = 1024;

/// Decides what is sent to one target of one route.
#[derive(Debug)]
pub struct Scheduler {
    policy: Policy,
    random: Random,
    slots: DenseMap<Slot>,
    flights: DenseMap<Flight>,
    lanes: Lanes,
    members: Members,
    /// Circuits that may have something to start, each in turn.
    active: VecDeque<u64>,
    /// When to look at the other ones again.
    timers: BTreeSet<(Moment, u64)>,
    /// To be sent alone, before all others.
    suspected: BTreeSet<u64>,
    /// The one that is sent alone.
    alone: Option<u64>,
    /// Dead, and not yet buried: by offset the lane that each holds.
    laid_out: NumberMap<u64>,
    paused: bool,
    /// The link as it was when all circuits were last looked at.
    link_version: Option<u64>,
    link_epoch: u64,
    counters: Counters,
    /// Kept from call to call for its memory.
    charged: Vec<Suspect>,
    /// Messages that wait apart in their circuit, or for another try, since somebody asked.
    newly_apart: Vec<u64>,
}

impl Scheduler {
    /// An empty one; `seed` feeds the jitter and the hashing.
    #[must_use]
    pub fn new(policy: Policy, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let seed = Seeded(random.next());
        Self {
            policy,
            random,
            slots: DenseMap::default(),
            flights: DenseMap::default(),
            lanes: Lanes::new(policy.order, seed.0),
            members: Members::new(seed),
            active: VecDeque::new(),
            timers: BTreeSet::new(),
            suspected: BTreeSet::new(),
            alone: None,
            laid_out: NumberMap::with_hasher(seed),
            paused: false,
            link_version: None,
            link_epoch: 0,
            counters: Counters::default(),
            charged: Vec::new(),
            newly_apart: Vec::new(),
        }
    }

    /// How many more messages it takes now. What waits for a back-off, behind a failed head or in a held circuit of its
    /// own is counted apart (`held_max`), so that it does not keep the others out; the caller may drop such a payload and
    /// read it again at the start. What is admitted beyond is not refused.
    ///
    /// When `held_max` is reached, one message that was never tried is taken at a time, up to a bound: if all that wait
    /// are poison, only another one can show that the target works, and so end them.
    #[must_use]
    pub fn room(&self) -> usize {
        let (apart, voices) = self.members.waiting();
        let held = self.lanes.blocked_len() + apart;
        let under_way = self.slots.len().saturating_sub(held);
        let window = self.policy.window.max(1).saturating_sub(under_way);
        let held_room = self.policy.held_max.saturating_sub(held);
        if held_room > 0 {
            return window.min(held_room);
        }
        let never_tried = |offset: &u64| self.slots.get(offset).is_some_and(|slot| slot.tries == 0);
        let silent = voices == 0 && held < self.policy.held_max.saturating_add(VOICES_MAX);
        window.min(usize::from(silent && !self.flights.keys().any(never_tried)))
    }

    /// The messages that [`Self::room`] counts apart, in no order: their turn does not come before something else happens.
    pub fn apart(&self) -> impl Iterator<Item = u64> {
        let held = |(circuit, member): &(u64, &Member)| Members::holds_apart(*circuit, member);
        let waiting = self.members.iter().flat_map(|(_, member)| member.queue.all_waiting());
        let fresh = self.members.iter().filter(held).flat_map(|(_, member)| member.queue.all_fresh());
        self.lanes.blocked().chain(waiting).chain(fresh)
    }

    /// The messages that came to be among [`Self::apart`] since the last call, some of them perhaps more than once; whether they
    /// still are is another question. To be called now and then: they are kept until it is.
    pub fn take_newly_apart(&mut self, into: &mut Vec<u64>) {
        self.lanes.take_newly(into);
        into.append(&mut self.newly_apart);
    }

    /// Whether a message is among [`Self::apart`].
    #[must_use]
    pub fn is_apart(&self, offset: u64) -> bool {
        let Some(slot) = self.slots.get(&offset) else { return false };
        match slot.place {
            Place::Parked => slot.lane.is_some_and(|lane| self.lanes.is_blocked(lane)),
            Place::Fresh => {
                slot.circuit != 0
                    && self.members.get(slot.circuit).is_some_and(|has| Members::holds_apart(slot.circuit, has))
            }
            Place::Waiting => true,
            Place::InFlight | Place::Suspected => false,
        }
    }

    /// Takes a message; false if it has one of that offset already. After a restart admit those that were tried before
    /// and those that are suspected first, then the rest in offset order, so that each lane goes on where it stood.
    pub fn admit(&mut self, now: Moment, entry: Entry) -> bool {
        let (limit_max, link_epoch) = (self.in_flight_max(), self.link_epoch);
        let Self { slots, members, .. } = self;
        let hash_map::Entry::Vacant(vacant) = slots.entry(entry.offset) else { return false };
        let member = members.get_or_insert_with(entry.circuit, || Member::new(limit_max, link_epoch));
        member.messages += 1;
        let mut slot = Slot::new(now, &entry, member.circuit.outages());
        if self.policy.order == Order::None {
            slot.lane = None;
        }
        // The usual one: it has its turn at once.
        let free = slot.lane.is_none() && slot.tries == 0 && !entry.crash_suspect;
        if free {
            slot.place = Place::Fresh;
            member.queue.put_fresh(entry.offset);
        }
        vacant.insert(slot);
        if free {
            self.recount(entry.circuit);
            self.note_apart(entry.offset, entry.circuit, None);
            self.activate(entry.circuit);
        } else if entry.crash_suspect {
            self.suspected.insert(entry.offset);
        } else {
            self.place(entry.offset);
        }
        true
    }

    /// Somebody else settled the message. If it is in flight, its answer is still awaited: it counts for the circuit, but
    /// has no effect on the message.
    pub fn forget(&mut self, offset: u64) {
        self.buried(offset);
        let Some(slot) = self.slots.get(&offset) else { return };
        if let Some(member) = self.members.get_mut(slot.circuit) {
            member.circuit.acquit(offset);
        }
        if let Some(flight) = self.flights.get_mut(&offset) {
            flight.forgotten = true;
            flight.condemned = None;
        } else {
            self.remove(offset);
        }
    }

    /// The end of a message that died is durable: with `block_key` its lane goes on only now. Were others of the key
    /// delivered before, a crash would give the dead one back behind them.
    pub fn buried(&mut self, offset: u64) {
        if let Some(lane) = self.laid_out.remove(&offset) {
            self.leave(lane, offset);
        }
    }

    /// The process ended while the message was sent alone: charges it a try. Call it after `admit`, before `poll`.
    pub fn crashed(&mut self, now: Moment, offset: u64, fault: Fault, effects: &mut Vec<Effect>) {
        let charges_max = self.policy.retry.charges_max();
        let Some(slot) = self.slots.get_mut(&offset).filter(|slot| slot.place == Place::Suspected) else { return };
        slot.count_failure(now, slot.outages);
        slot.charges = slot.charges.saturating_add(1);
        self.counters.charges += 1;
        let (tries, charges) = (slot.tries, slot.charges);
        if charges >= charges_max {
            self.lay_out(offset);
            effects.push(Effect::Dead { offset, tries, charges, fault, tried: true });
        } else {
            effects.push(Effect::Touch { offset, tries, charges, wait: Duration::ZERO, fault, tried: true });
        }
    }

    /// Lane and circuit of the crash suspect that is in flight, where they were not known when it was admitted: telling
    /// them takes the rules, which may be what kills the process, so they are applied to it only while it is alone.
    pub fn identified(&mut self, offset: u64, lane: Option<u64>, circuit: u64) {
        let (limit_max, link_epoch) = (self.in_flight_max(), self.link_epoch);
        let Some(slot) = self.slots.get_mut(&offset).filter(|_| self.alone == Some(offset)) else { return };
        slot.lane = lane.filter(|_| self.policy.order != Order::None);
        let before = std::mem::replace(&mut slot.circuit, circuit);
        if let Some(member) = self.members.get_mut(before) {
            member.messages = member.messages.saturating_sub(1);
        }
        self.members.get_or_insert_with(circuit, || Member::new(limit_max, link_epoch)).messages += 1;
    }

    /// Starts nothing until `release` (the route is paused, or another target sends a crash suspect).
    pub const fn hold(&mut self) {
        self.paused = true;
    }

    /// Goes on after `hold`.
    pub const fn release(&mut self) {
        self.paused = false;
    }

    /// Gives back the link's probe if it has it; to be called before it is dropped with sends in flight.
    pub fn close(&mut self, link: &mut Link) {
        for flight in self.flights.values() {
            link.drop_probe(flight.link_probe);
        }
    }

    fn in_flight_max(&self) -> usize {
        self.policy.max_in_flight.max(1)
    }

    /// Puts a message that is nowhere yet into its lane, or at once into its circuit's queue.
    fn place(&mut self, offset: u64) {
        let Some(slot) = self.slots.get(&offset) else { return };
        let Some(lane) = slot.lane else { return self.register(offset) };
        match self.lanes.join(lane, offset, slot.tries > 0) {
            lanes::Place::Turn => self.register(offset),
            lanes::Place::TurnOf(later) => {
                self.unregister(later);
                self.register(offset);
            }
            lanes::Place::Parked => self.set_place(offset, Place::Parked),
        }
    }

    /// Puts a message whose turn it is into its circuit's queue.
    fn register(&mut self, offset: u64) {
        let Some(slot) = self.slots.get_mut(&offset) else { return };
        let (circuit, lane) = (slot.circuit, slot.lane);
        let Some(member) = self.members.get_mut(circuit) else { return };
        if slot.tries == 0 {
            slot.place = Place::Fresh;
            member.queue.put_fresh(offset);
            self.note_apart(offset, circuit, lane);
        } else {
            slot.place = Place::Waiting;
            member.queue.put_waiting(offset, slot.wait());
            self.newly_apart.push(offset);
        }
        self.recount(circuit);
        self.activate(circuit);
    }

    /// A message that was never tried is in its circuit's queue: where that waits apart, so does what is parked behind it.
    fn note_apart(&mut self, offset: u64, circuit: u64, lane: Option<u64>) {
        if self.members.get(circuit).is_some_and(|member| Members::holds_apart(circuit, member)) {
            self.newly_apart.push(offset);
            lane.into_iter().for_each(|lane| self.lanes.block(lane));
        }
    }

    /// Counts what waits in a circuit, after a change. If it went down, all that waits in it waits apart.
    fn recount(&mut self, circuit: u64) {
        if !self.members.recount(circuit) {
            return;
        }
        let Self { members, lanes, slots, newly_apart, .. } = self;
        for offset in members.get(circuit).into_iter().flat_map(|member| member.queue.all_fresh()) {
            newly_apart.push(offset);
            slots.get(&offset).and_then(|slot| slot.lane).into_iter().for_each(|lane| lanes.block(lane));
        }
    }

    /// Takes a message out of its circuit's queue; it is parked from now on.
    fn unregister(&mut self, offset: u64) {
        let Some(slot) = self.slots.get_mut(&offset) else { return };
        let Some(member) = self.members.get_mut(slot.circuit) else { return };
        match slot.place {
            Place::Fresh => member.queue.remove_fresh(offset),
            Place::Waiting => member.queue.remove_waiting(offset, slot.wait()),
            Place::Parked | Place::InFlight | Place::Suspected => {}
        }
        slot.place = Place::Parked;
        let circuit = slot.circuit;
        self.recount(circuit);
    }

    /// Forgets a message, wherever it is, and gives what was known of it; the next of its lane has the turn.
    fn remove(&mut self, offset: u64) -> Option<Slot> {
        let slot = self.take_out(offset)?;
        if let Some(lane) = slot.lane {
            self.leave(lane, offset);
        }
        Some(slot)
    }

    /// Removes a message that is dead; see [`Self::buried`].
    fn lay_out(&mut self, offset: u64) {
        let Some(lane) = self.take_out(offset).and_then(|slot| slot.lane) else { return };
        if self.policy.order == Order::BlockKey && self.lanes.hold(lane, offset) {
            self.laid_out.insert(offset, lane);
        } else {
            self.leave(lane, offset);
        }
    }

    fn leave(&mut self, lane: u64, offset: u64) {
        let next = self.lanes.left(lane, offset);
        self.pass_turn(lane, next);
    }

    /// A message of a lane has the turn now, if any has. Nobody waits for the back-off of one that is skipped.
    fn pass_turn(&mut self, lane: u64, mut next: Option<u64>) {
        while let Some(offset) = next {
            self.register(offset);
            let tried = self.slots.get(&offset).is_some_and(|slot| slot.tries > 0);
            next = if tried { self.lanes.skip(lane, offset) } else { None };
        }
    }

    /// Takes a message out of everything but its lane, which is given with it if it stands in it.
    fn take_out(&mut self, offset: u64) -> Option<Slot> {
        let mut slot = self.slots.remove(&offset)?;
        slot.lane = slot.lane.filter(|_| slot.place != Place::Suspected);
        let Some(member) = self.members.get_mut(slot.circuit) else { return Some(slot) };
        match slot.place {
            Place::Fresh => member.queue.remove_fresh(offset),
            Place::Waiting => member.queue.remove_waiting(offset, slot.wait()),
            Place::Suspected => drop(self.suspected.remove(&offset)),
            Place::Parked | Place::InFlight => {}
        }
        member.messages = member.messages.saturating_sub(1);
        let is_idle = member.messages == 0;
        self.recount(slot.circuit);
        if is_idle && slot.circuit != 0 && self.members.len() > IDLE_CIRCUITS_MAX {
            let wake = self.members.remove(slot.circuit).and_then(|member| member.wake);
            wake.map(|at| self.timers.remove(&(at, slot.circuit)));
        }
        Some(slot)
    }

    fn set_place(&mut self, offset: u64, place: Place) {
        if let Some(slot) = self.slots.get_mut(&offset) {
            slot.place = place;
        }
    }

    /// The circuit may have something to start.
    fn activate(&mut self, circuit: u64) {
        let Some(member) = self.members.get_mut(circuit) else { return };
        if !member.active {
            member.active = true;
            self.active.push_back(circuit);
        }
        if let Some(at) = member.wake.take() {
            self.timers.remove(&(at, circuit));
        }
    }
}
