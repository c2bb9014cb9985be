//! What an answer means for the message, its circuit and the others.

use super::Scheduler;
use crate::{
    Effect, Link, Order, RETRY_AFTER_MAX,
    circuit::{Passed, Suspect},
    slot::{Flight, Place, Slot},
};
use crossdock_model::{Answer, Fault, FaultClass, Moment};
use std::time::Duration;

impl Scheduler {
    /// The answers to many sends, in the order in which they came.
    pub fn finished_batch(
        &mut self,
        now: Moment,
        link: &mut Link,
        results: impl IntoIterator<Item = (u64, Result<(), Fault>)>,
        effects: &mut Vec<Effect>,
    ) {
        for (offset, result) in results {
            self.finished(now, link, offset, result, effects);
        }
    }

    /// The answer to a send. Adds what is to be committed to `effects`. One that nobody waits for is ignored.
    pub fn finished(
        &mut self,
        now: Moment,
        link: &mut Link,
        offset: u64,
        result: Result<(), Fault>,
        effects: &mut Vec<Effect>,
    ) {
        let Some(flight) = self.land(offset) else { return };
        self.follow(link);
        let circuit = flight.circuit;
        match result {
            Ok(()) => self.delivered(now, link, offset, &flight, effects),
            Err(fault) => match fault.class {
                FaultClass::Rejected => self.rejected(now, link, (offset, &flight), fault, effects),
                FaultClass::Failed => self.failed(now, link, (offset, &flight), fault, effects),
                FaultClass::Busy => self.busy(now, link, (offset, flight), fault, effects),
                FaultClass::Unreachable => self.unreachable(now, link, (offset, flight), &fault, effects),
            },
        }
        self.recount(circuit);
        self.activate(circuit);
    }

    /// A send that was to be started was not (nothing left the process): the message is as before the start.
    pub fn unsent(&mut self, link: &mut Link, offset: u64) {
        let Some(flight) = self.land(offset) else { return };
        link.drop_probe(flight.link_probe);
        self.put_back(offset, &flight);
        self.activate(flight.circuit);
    }

    /// Takes a message out of the air.
    fn land(&mut self, offset: u64) -> Option<Flight> {
        let mut flight = self.flights.remove(&offset)?;
        if flight.alone {
            // It was sent outside its lane, so it has to join it first if it stays.
            self.alone = None;
            self.set_place(offset, Place::Suspected);
        }
        if let Some(member) = self.members.get_mut(flight.circuit) {
            flight.probed = flight.link_probe.is_some() || member.circuit.is_probe(offset);
            member.circuit.ended(offset, flight.sent);
        }
        Some(flight)
    }

    fn delivered(&mut self, now: Moment, link: &mut Link, offset: u64, flight: &Flight, effects: &mut Vec<Effect>) {
        self.counters.delivered += 1;
        let mut charged = std::mem::take(&mut self.charged);
        self.passed(now, link, (offset, flight), Passed::Success, &mut charged);
        let tries = self.remove(offset).map_or(1, |slot| slot.tries.saturating_add(1));
        if !flight.forgotten {
            effects.push(Effect::Delivered { offset, tries });
        }
        for suspect in charged.drain(..) {
            self.charge(now, suspect, effects);
        }
        self.charged = charged;
    }

    fn rejected(
        &mut self,
        now: Moment,
        link: &mut Link,
        (offset, flight): (u64, &Flight),
        fault: Fault,
        effects: &mut Vec<Effect>,
    ) {
        self.counters.rejected += 1;
        if fault.answer == Answer::Nobody {
            // The sink itself refused it: that tells nothing of the target.
            link.drop_probe(flight.link_probe);
        } else {
            self.passed(now, link, (offset, flight), Passed::Rejected, &mut Vec::new());
        }
        if let Some(slot) = self.slots.get_mut(&offset) {
            slot.tries = slot.tries.saturating_add(1);
        }
        self.die(offset, flight, fault, true, effects);
    }

    fn failed(
        &mut self,
        now: Moment,
        link: &mut Link,
        (offset, flight): (u64, &Flight),
        fault: Fault,
        effects: &mut Vec<Effect>,
    ) {
        self.counters.failed += 1;
        self.missed(now, link, flight, &fault);
        let Some(member) = self.members.get_mut(flight.circuit) else { return };
        member.circuit.failed(now, offset, flight.sent, &fault);
        let Some(slot) = self.slots.get_mut(&offset) else { return };
        slot.count_failure(now, member.circuit.outages());
        slot.after_failed = true;
        let charges_max = self.policy.retry.charges_max();
        let mut dead = slot.charges >= charges_max;
        if !dead && self.is_alone(now, offset, &fault) {
            self.counters.charges += 1;
            dead = self.charge_alone(offset, flight) >= charges_max;
        }
        if dead || flight.forgotten {
            return self.die(offset, flight, fault, true, effects);
        }
        let Some(slot) = self.slots.get_mut(&offset) else { return };
        let back_off = self.policy.retry.back_off(slot.delays, &mut self.random);
        let asked = fault.retry_after.map(|wait| wait.min(RETRY_AFTER_MAX)).filter(|wait| *wait > back_off);
        slot.asked = asked.is_some();
        self.delay(now, (offset, flight), asked.unwrap_or(back_off), fault, effects);
    }

    fn busy(
        &mut self,
        now: Moment,
        link: &mut Link,
        (offset, mut flight): (u64, Flight),
        fault: Fault,
        effects: &mut Vec<Effect>,
    ) {
        self.counters.busy += 1;
        self.missed(now, link, &flight, &fault);
        let Some(member) = self.members.get_mut(flight.circuit) else { return };
        let Some(slot) = self.slots.get_mut(&offset) else { return };
        let condemned = flight.condemned.take();
        if condemned.is_none() {
            slot.count_failure(now, member.circuit.outages());
        }
        let wait = match fault.retry_after {
            // At once, as it asks (a date that has passed on our clock says the same); but who asks so again and again
            // would be asked without end.
            Some(Duration::ZERO) if slot.delays > 1 => self.policy.retry.back_off(slot.delays - 1, &mut self.random),
            Some(asked) => asked.min(RETRY_AFTER_MAX),
            None => self.policy.retry.back_off(slot.delays.max(1), &mut self.random),
        };
        slot.asked = true;
        slot.after_failed = false;
        member.circuit.busy(now, offset, now.after(wait), &fault);
        match condemned {
            Some(cause) => self.die(offset, &flight, cause, false, effects),
            None if flight.forgotten => self.die(offset, &flight, fault, true, effects),
            None => self.delay(now, (offset, &flight), wait, fault, effects),
        }
    }

    fn unreachable(
        &mut self,
        now: Moment,
        link: &mut Link,
        (offset, mut flight): (u64, Flight),
        fault: &Fault,
        effects: &mut Vec<Effect>,
    ) {
        self.counters.unreachable += 1;
        link.unreachable(now, flight.link_epoch, flight.link_probe, fault);
        if let Some(member) = self.members.get_mut(flight.circuit).filter(|_| flight.probed) {
            member.circuit.missed(now, false);
        }
        match flight.condemned.take() {
            Some(cause) => self.die(offset, &flight, cause, false, effects),
            None => self.put_back(offset, &flight),
        }
    }

    /// The target answered, so it works: moves its circuit, and ends what the link's trouble and an outage did.
    fn passed(
        &mut self,
        now: Moment,
        link: &mut Link,
        (offset, flight): (u64, &Flight),
        passed: Passed,
        charged: &mut Vec<Suspect>,
    ) {
        let Some(member) = self.members.get_mut(flight.circuit) else { return };
        if member.circuit.passed(now, offset, flight.sent, passed, charged) {
            for released in member.queue.release(now) {
                if let Some(slot) = self.slots.get_mut(&released) {
                    slot.due = now;
                }
            }
        }
        if link.answered() {
            self.follow(link);
        }
    }

    /// A send ended in a fault that is the target's, which may have been a probe and may show that the link works.
    fn missed(&mut self, now: Moment, link: &mut Link, flight: &Flight, fault: &Fault) {
        let answered = fault.answer != Answer::Nobody;
        if let Some(member) = self.members.get_mut(flight.circuit).filter(|_| flight.probed) {
            member.circuit.missed(now, answered);
        }
        // A connection that was open before may end in a reset or a time-out long after the target has gone; that of the probe
        // was made. What was put off on this side (`Busy` by nobody) never left.
        let reached = answered || (flight.link_probe.is_some() && fault.class == FaultClass::Failed);
        if !reached {
            link.drop_probe(flight.link_probe);
        }
        let Some(since) = link.lost_since().filter(|_| reached) else { return };
        link.answered();
        self.follow(link);
        if let Some(member) = self.members.get_mut(flight.circuit) {
            member.circuit.stay_held(now, since, fault);
        }
    }

    /// Another message's success speaks against a suspect: charges it.
    fn charge(&mut self, now: Moment, suspect: Suspect, effects: &mut Vec<Effect>) {
        let charges_max = self.policy.retry.charges_max();
        let Suspect { offset, fault, .. } = suspect;
        let Some(slot) = self.slots.get_mut(&offset) else { return };
        slot.charges = slot.charges.saturating_add(1);
        self.counters.charges += 1;
        let Slot { place, tries, charges, due, .. } = *slot;
        let last = charges >= charges_max;
        let wait = match self.flights.get_mut(&offset) {
            Some(flight) => {
                flight.condemned = last.then(|| fault.clone());
                Duration::ZERO
            }
            None => due.since(now),
        };
        if last && place != Place::InFlight {
            self.lay_out(offset);
            effects.push(Effect::Dead { offset, tries, charges, fault, tried: false });
        } else {
            effects.push(Effect::Touch { offset, tries, charges, wait, fault, tried: false });
        }
    }

    /// Charges a message for its own failure, since nobody else can speak for it; gives its charges.
    fn charge_alone(&mut self, offset: u64, flight: &Flight) -> u32 {
        if let Some(member) = self.members.get_mut(flight.circuit) {
            member.circuit.acquit(offset);
        }
        let Some(slot) = self.slots.get_mut(&offset) else { return 0 };
        slot.charges = slot.charges.saturating_add(1);
        slot.charges
    }

    /// Whether the failed head of a lane keeps messages waiting and has failed for `alone_limit`, while no other lane
    /// has one that could tell whose fault it is: one that was never tried.
    fn is_alone(&self, now: Moment, offset: u64, fault: &Fault) -> bool {
        let Some(slot) = self.slots.get(&offset) else { return false };
        let Some(lane) = slot.lane.filter(|_| self.policy.order == Order::BlockKey) else { return false };
        let Some(member) = self.members.get(slot.circuit) else { return false };
        let of_other = |(other, flight): (&u64, &Flight)| {
            flight.circuit == slot.circuit && self.slots.get(other).is_some_and(|other| other.tries == 0)
        };
        fault.answer == Answer::Application
            && slot.failing_for(now) >= self.policy.retry.alone_limit
            && self.lanes.parked_len(lane) > 0
            && member.queue.fresh_len() == 0
            && !self.flights.iter().any(of_other)
    }

    /// A message that failed waits for its next try.
    fn delay(
        &mut self,
        now: Moment,
        (offset, flight): (u64, &Flight),
        wait: Duration,
        fault: Fault,
        effects: &mut Vec<Effect>,
    ) {
        let Some(slot) = self.slots.get_mut(&offset) else { return };
        slot.due = now.after(wait);
        let Slot { tries, charges, lane, .. } = *slot;
        effects.push(Effect::Touch { offset, tries, charges, wait, fault, tried: true });
        if flight.alone {
            return self.place(offset);
        }
        let Some(lane) = lane else { return self.register(offset) };
        let next = self.lanes.failed(lane, offset);
        self.register(offset);
        self.pass_turn(lane, next);
    }

    /// A message that was not sent is where it was before the start.
    fn put_back(&mut self, offset: u64, flight: &Flight) {
        if flight.forgotten {
            self.remove(offset);
            return;
        }
        if flight.alone {
            self.suspected.insert(offset);
            return;
        }
        let Some(slot) = self.slots.get_mut(&offset) else { return };
        // It had no turn in the order of probes: behind a message that ends each session it would never have one.
        slot.ticket = flight.earlier_ticket;
        let Slot { lane, tries, .. } = *slot;
        let Some(lane) = lane else { return self.register(offset) };
        let next = self.lanes.returned(lane, offset, tries > 0);
        self.register(offset);
        self.pass_turn(lane, next);
    }

    fn die(&mut self, offset: u64, flight: &Flight, fault: Fault, tried: bool, effects: &mut Vec<Effect>) {
        if let Some(member) = self.members.get_mut(flight.circuit) {
            member.circuit.acquit(offset);
        }
        let Some(slot) = self.slots.get(&offset) else { return };
        let Slot { tries, charges, .. } = *slot;
        if flight.forgotten {
            self.remove(offset);
        } else {
            self.lay_out(offset);
            effects.push(Effect::Dead { offset, tries, charges, fault, tried });
        }
    }
}
