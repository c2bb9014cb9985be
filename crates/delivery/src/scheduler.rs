//! One (route, target): what is sent when, and what an answer means.

use crate::{CircuitStatus, Counters, Effect, Entry, Link, Policy, Start, Status};
use crossdock_model::{Fault, Moment};

/// Decides what is sent to one target of one route.
#[derive(Debug)]
pub struct Scheduler {}

impl Scheduler {
    /// An empty one; `seed` feeds the jitter.
    #[must_use]
    pub fn new(_policy: Policy, _seed: u64) -> Self {
        todo!()
    }

    /// How many more messages it takes now. It may take fewer later, never loses those it has, and does not refuse
    /// what is admitted beyond.
    #[must_use]
    pub fn room(&self) -> usize {
        todo!()
    }

    /// Takes a message; false if it has one of that offset already. Those that were tried before come first, then the
    /// rest in offset order, so that a lane starts where it stood.
    pub fn admit(&mut self, _now: Moment, _entry: Entry) -> bool {
        todo!()
    }

    /// Adds what is to be started now to `starts`.
    pub fn poll(&mut self, _now: Moment, _link: &mut Link, _starts: &mut Vec<Start>) {
        todo!()
    }

    /// The answer to a send. Adds what is to be committed to `effects`. One that nobody waits for is ignored.
    pub fn finished(
        &mut self,
        _now: Moment,
        _link: &mut Link,
        _offset: u64,
        _result: Result<(), Fault>,
        _effects: &mut Vec<Effect>,
    ) {
        todo!()
    }

    /// A send that was to be started was not (nothing left the process): the message is as before the start.
    pub fn unsent(&mut self, _now: Moment, _link: &mut Link, _offset: u64) {
        todo!()
    }

    /// Somebody else settled the message. If it is in flight, its answer still counts for the circuit but has no
    /// effect on the message.
    pub fn forget(&mut self, _offset: u64) {
        todo!()
    }

    /// The process ended while the message was sent alone: charges it. Call it after `admit`, before `poll`.
    pub fn crashed(&mut self, _now: Moment, _offset: u64, _fault: Fault, _effects: &mut Vec<Effect>) {
        todo!()
    }

    /// Starts nothing until `release` (the route is paused, or another target sends a crash suspect).
    pub fn hold(&mut self) {
        todo!()
    }

    /// Goes on after `hold`.
    pub fn release(&mut self) {
        todo!()
    }

    /// Gives back the link's probe if it has it; to be called before it is dropped with sends in flight.
    pub fn close(&mut self, _now: Moment, _link: &mut Link) {
        todo!()
    }

    /// When to poll again though nothing else happens; none if only an answer, an admission or a change of the link can
    /// start something.
    #[must_use]
    pub fn wake_at(&self, _now: Moment, _link: &Link) -> Option<Moment> {
        todo!()
    }

    /// Whether it waits to send, or sends, a crash suspect: nothing else may be in flight in the process.
    #[must_use]
    pub fn wants_alone(&self, _now: Moment, _link: &Link) -> bool {
        todo!()
    }

    /// Messages that it has.
    #[must_use]
    pub fn len(&self) -> usize {
        todo!()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        todo!()
    }

    /// Sends under way.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        todo!()
    }

    /// All messages it has, those in flight too, as they would be admitted to another scheduler.
    #[must_use]
    pub fn entries(&self, _now: Moment) -> Vec<Entry> {
        todo!()
    }

    /// What is shown of the target.
    #[must_use]
    pub fn status(&self, _now: Moment, _link: &Link) -> Status {
        todo!()
    }

    /// What is shown of each circuit, in the order of their hashes.
    #[must_use]
    pub fn circuits(&self, _now: Moment, _link: &Link) -> Vec<CircuitStatus> {
        todo!()
    }

    /// What happened so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        todo!()
    }
}
