//! What is shown of a target: its state, since when and why, and counters.

use crossdock_model::{Fault, Moment};

/// The state of a target in `status` and the API.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum State {
    /// It takes messages, or was not tried yet.
    Up,
    /// Nothing is sent but probes, and none is in flight.
    Held,
    /// Nothing is sent but probes, and one is in flight.
    Probing,
}

impl State {
    /// The name in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Held => "held",
            Self::Probing => "probing",
        }
    }
}

/// Why nothing but probes is sent.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Hold {
    /// Several messages failed, none passed.
    Suspects,
    /// No connection can be made.
    Unreachable,
    /// The target asked for patience.
    Busy,
    /// So many failed that the target must be at fault.
    Outage,
}

/// What is shown of one circuit.
#[derive(Clone, PartialEq, Debug)]
pub struct CircuitStatus {
    /// Hash of the `circuit` value; 0 for that of the whole target.
    pub circuit: u64,
    /// Its state.
    pub state: State,
    /// Why it is not up; none if it is.
    pub hold: Option<Hold>,
    /// When it left up; none if it is up.
    pub since: Option<Moment>,
    /// The last fault; none if it is up.
    pub fault: Option<Fault>,
    /// When the next probe may start; none if it is up or a probe is in flight.
    pub next_probe: Option<Moment>,
    /// Offsets of the messages that failed last, in the order in which they did.
    pub suspects: Vec<u64>,
    /// How many sends may be under way at once.
    pub limit: usize,
}

/// What is shown of a target.
#[derive(Clone, PartialEq, Debug)]
pub struct Status {
    /// The circuit that left up first, else that of the whole target.
    pub circuit: CircuitStatus,
    /// Circuits known.
    pub circuits: usize,
    /// Circuits that are not up.
    pub circuits_held: usize,
    /// Whether the route is paused.
    pub paused: bool,
    /// Sends under way.
    pub in_flight: usize,
    /// Messages that were never tried and wait.
    pub fresh: usize,
    /// Messages that were tried and wait for their next try.
    pub scheduled: usize,
}

/// Why a target is held.
#[derive(Clone, PartialEq, Debug)]
pub struct Trouble {
    /// Why nothing but probes is sent.
    pub hold: Hold,
    /// When it left up.
    pub since: Moment,
    /// The last fault.
    pub fault: Fault,
}

/// What happened since the scheduler was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Sends that the target confirmed.
    pub delivered: u64,
    /// Sends whose answer was [`Rejected`](crossdock_model::FaultClass::Rejected).
    pub rejected: u64,
    /// Sends that ended in [`Failed`](crossdock_model::FaultClass::Failed).
    pub failed: u64,
    /// Sends that ended in [`Busy`](crossdock_model::FaultClass::Busy).
    pub busy: u64,
    /// Sends that ended in [`Unreachable`](crossdock_model::FaultClass::Unreachable).
    pub unreachable: u64,
    /// Attempts charged to messages.
    pub charges: u64,
}
