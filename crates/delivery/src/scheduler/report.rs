//! What is shown: state, since when and why, counters, and the messages themselves.

use super::Scheduler;
use crate::{
    CircuitStatus, Counters, Entry, Hold, Link, State, Status, Trouble,
    circuit::{Circuit, Down, Kind, Phase, Why},
    link::Lost,
};
use crossdock_model::{Fault, Moment};

impl Scheduler {
    /// Messages that it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Sends under way.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.flights.len()
    }

    /// The messages in flight.
    pub fn flying(&self) -> impl Iterator<Item = u64> {
        self.flights.keys().copied()
    }

    /// Crash suspects that were not acquitted yet.
    #[must_use]
    pub fn crash_suspects(&self) -> usize {
        self.suspected.len() + usize::from(self.alone.is_some())
    }

    /// The crash suspect that is in flight.
    #[must_use]
    pub const fn alone(&self) -> Option<u64> {
        self.alone
    }

    /// The messages in flight that somebody else settled: only their answers are awaited.
    pub fn forgotten(&self) -> impl Iterator<Item = u64> {
        self.flights.iter().filter(|(_, flight)| flight.forgotten).map(|(offset, _)| *offset)
    }

    /// All messages it has in offset order, those in flight too, as they would be admitted to another scheduler: what a
    /// changed policy needs. Circuits and back-off start anew there.
    #[must_use]
    pub fn entries(&self, now: Moment) -> Vec<Entry> {
        let mut entries: Vec<Entry> = self.slots.iter().map(|(offset, slot)| slot.entry(now, *offset)).collect();
        entries.sort_unstable_by_key(|entry| entry.offset);
        entries
    }

    /// What is shown of the target: of its circuits, the one that left up first stands for all.
    #[must_use]
    pub fn status(&self, link: &Link) -> Status {
        let circuits = self.circuits(link);
        let held = circuits.iter().filter(|circuit| circuit.since.is_some());
        let shown = held.clone().min_by_key(|circuit| circuit.since).cloned();
        Status {
            circuits_held: held.count(),
            circuits: circuits.len(),
            circuit: shown.unwrap_or_else(|| match circuits.into_iter().next() {
                Some(first) => first,
                None => shown_as(0, &Circuit::new(1), link),
            }),
            paused: self.paused,
            in_flight: self.flights.len(),
            fresh: self.members.iter().map(|(_, member)| member.queue.fresh_len()).sum(),
            scheduled: self.members.iter().map(|(_, member)| member.queue.waiting_len()).sum(),
        }
    }

    /// Why the target is held; none if all of its circuits are up: of those that are not, the one that left up first tells, else
    /// the connection. Costs the same however many circuits there are.
    #[must_use]
    pub fn trouble(&self, link: &Link) -> Option<Trouble> {
        let (lost, down) = (link.trouble(), self.members.first_down().and_then(|member| member.circuit.down()));
        Some(Trouble { hold: hold_of(lost, down)?, since: since_of(lost, down)?, fault: fault_of(lost, down)?.clone() })
    }

    /// What is shown of each circuit, in the order of their hashes.
    #[must_use]
    pub fn circuits(&self, link: &Link) -> Vec<CircuitStatus> {
        let mut shown: Vec<CircuitStatus> =
            self.members.iter().map(|(circuit, member)| shown_as(circuit, &member.circuit, link)).collect();
        shown.sort_unstable_by_key(|circuit| circuit.circuit);
        shown
    }

    /// What happened so far.
    #[must_use]
    pub const fn counters(&self) -> Counters {
        self.counters
    }
}

fn shown_as(number: u64, circuit: &Circuit, link: &Link) -> CircuitStatus {
    let suspects = circuit.suspects().iter().map(|suspect| suspect.offset).collect();
    let lost = link.trouble();
    let down = circuit.down();
    let limit = match circuit.phase() {
        Phase::Up(up) => up.limit,
        Phase::Down(_) => 1,
    };
    let probing = lost.is_some_and(Lost::is_probing) || down.is_some_and(|down| down.probe.is_some());
    CircuitStatus {
        circuit: number,
        state: match (lost.is_some() || down.is_some(), probing) {
            (false, _) => State::Up,
            (true, false) => State::Held,
            (true, true) => State::Probing,
        },
        hold: hold_of(lost, down),
        since: since_of(lost, down),
        fault: fault_of(lost, down).cloned(),
        next_probe: next_probe(circuit, lost).filter(|_| !probing),
        suspects,
        limit,
    }
}

fn since_of(lost: Option<&Lost>, down: Option<&Down>) -> Option<Moment> {
    lost.map(|lost| lost.since).into_iter().chain(down.map(|down| down.since)).min()
}

fn fault_of<'a>(lost: Option<&'a Lost>, down: Option<&'a Down>) -> Option<&'a Fault> {
    lost.map(|lost| &lost.fault).or_else(|| down.map(|down| &down.fault))
}

/// An outage stays one when the connection is lost too; every other hold becomes that of the connection.
fn hold_of(lost: Option<&Lost>, down: Option<&Down>) -> Option<Hold> {
    match (lost, down.map(|down| down.why)) {
        (_, Some(Why::Outage)) => Some(Hold::Outage),
        (Some(_), None | Some(Why::Suspects | Why::Busy { .. })) => Some(Hold::Unreachable),
        (None, Some(Why::Suspects)) => Some(Hold::Suspects),
        (None, Some(Why::Busy { .. })) => Some(Hold::Busy),
        (None, None) => None,
    }
}

fn next_probe(circuit: &Circuit, lost: Option<&Lost>) -> Option<Moment> {
    match lost {
        Some(lost) => lost.next_probe().map(|at| at.max(circuit.patience())),
        None => circuit.probe_at(Kind::Retry),
    }
}
