//! What is started now, and when to look again.

use super::Scheduler;
use crate::{
    Link, Start,
    circuit::Kind,
    member::Pick,
    slot::{Flight, Place},
};
use crossdock_model::Moment;

impl Scheduler {
    /// Adds what is to be started now to `starts`.
    pub fn poll(&mut self, now: Moment, link: &mut Link, starts: &mut Vec<Start>) {
        self.follow(link);
        if self.paused {
            return;
        }
        while let Some((_, circuit)) = self.timers.first().copied().filter(|(at, _)| *at <= now) {
            self.activate(circuit);
        }
        if self.alone.is_some() || self.start_alone(now, link, starts) {
            return;
        }
        while self.flights.len() < self.in_flight_max() {
            let Some(circuit) = self.active.pop_front() else { break };
            let Some(member) = self.members.get_mut(circuit) else { continue };
            member.active = false;
            match self.start_one(now, link, circuit) {
                Some(start) => {
                    starts.push(start);
                    self.activate(circuit);
                }
                None => self.set_timer(circuit, link),
            }
        }
    }

    /// When to poll again though nothing else happens; none if only an answer, an admission, a release or a change of
    /// the link can start something.
    #[must_use]
    pub fn wake_at(&self, now: Moment, link: &Link) -> Option<Moment> {
        if self.paused || self.alone.is_some() {
            return None;
        }
        if self.link_version != Some(link.version()) {
            return Some(now);
        }
        let suspect = self.suspect_chance(link).filter(|at| *at > now || self.flights.is_empty());
        if self.wants_alone(now, link) {
            return suspect;
        }
        let full = self.flights.len() >= self.in_flight_max();
        let at_once = (!full && !self.active.is_empty()).then_some(now);
        let timer = self.timers.first().map(|(at, _)| *at);
        at_once.into_iter().chain(timer).chain(suspect).min()
    }

    /// Whether it sends a crash suspect, or would if nothing else were in flight in the process.
    #[must_use]
    pub fn wants_alone(&self, now: Moment, link: &Link) -> bool {
        self.alone.is_some() || self.suspect_chance(link).is_some_and(|at| at <= now)
    }

    /// Looks at the link; if it changed, so may have every circuit.
    pub(super) fn follow(&mut self, link: &Link) {
        if self.link_version == Some(link.version()) {
            return;
        }
        self.link_version = Some(link.version());
        self.link_epoch = link.epoch();
        let circuits: Vec<u64> = self.members.iter().map(|(circuit, _)| circuit).collect();
        for circuit in circuits {
            if let Some(member) = self.members.get_mut(circuit) {
                member.follow(link);
            }
            self.activate(circuit);
        }
    }

    /// When the first of the crash suspects may be sent, as far as its circuit is concerned.
    fn suspect_chance(&self, link: &Link) -> Option<Moment> {
        let slot = self.slots.get(self.suspected.first()?)?;
        self.members.get(slot.circuit)?.suspect_chance(link)
    }

    /// Sends a crash suspect if one may be sent; true if nothing else may start for its sake.
    fn start_alone(&mut self, now: Moment, link: &mut Link, starts: &mut Vec<Start>) -> bool {
        if !self.wants_alone(now, link) {
            return false;
        }
        if !self.flights.is_empty() {
            return true;
        }
        let Some(offset) = self.suspected.pop_first() else { return false };
        let pick = Pick { offset, kind: Kind::Fresh, probes_link: !link.is_reachable() };
        starts.extend(self.start(link, pick, true));
        self.alone = Some(offset);
        true
    }

    /// Starts one message of the circuit, if one may.
    fn start_one(&mut self, now: Moment, link: &mut Link, circuit: u64) -> Option<Start> {
        loop {
            let member = self.members.get_mut(circuit)?;
            let pick = member.pick(now, link)?;
            let slot = self.slots.get(&pick.offset)?;
            let (wait, lane) = (slot.wait(), slot.lane);
            match pick.kind {
                Kind::Fresh => member.queue.remove_fresh(pick.offset),
                Kind::Retry => member.queue.remove_waiting(pick.offset, wait),
            }
            self.recount(circuit);
            let Some(lane) = lane else { return self.start(link, pick, false) };
            if !self.lanes.is_busy(lane) {
                self.lanes.started(lane, pick.offset);
                return self.start(link, pick, false);
            }
            self.lanes.park(lane, pick.offset);
            self.set_place(pick.offset, Place::Parked);
        }
    }

    fn start(&mut self, link: &mut Link, pick: Pick, alone: bool) -> Option<Start> {
        let slot = self.slots.get_mut(&pick.offset)?;
        let member = self.members.get_mut(slot.circuit)?;
        let sent = member.circuit.start(pick.offset, pick.kind, pick.probes_link);
        member.retry_next = pick.kind == Kind::Fresh;
        slot.place = Place::InFlight;
        let earlier_ticket = std::mem::replace(&mut slot.ticket, sent.ticket);
        let flight = Flight {
            sent,
            earlier_ticket,
            circuit: slot.circuit,
            link_epoch: link.epoch(),
            link_probe: if pick.probes_link { link.begin_probe() } else { None },
            probed: false,
            alone,
            forgotten: false,
            condemned: None,
        };
        let start = Start {
            offset: pick.offset,
            attempt: slot.tries.saturating_add(1),
            new_connection: slot.after_failed,
            alone,
        };
        self.flights.insert(pick.offset, flight);
        Some(start)
    }

    fn set_timer(&mut self, circuit: u64, link: &Link) {
        let Some(member) = self.members.get_mut(circuit) else { return };
        if let Some(at) = member.next_chance(link) {
            member.wake = Some(at);
            self.timers.insert((at, circuit));
        }
    }
}
