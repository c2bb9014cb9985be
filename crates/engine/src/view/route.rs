//! Routes, their sources, targets and accounts.

use crossdock_delivery::State;
use crossdock_model::{Text, Timestamp};

/// A route at work.
#[derive(Clone, PartialEq, Debug)]
pub struct RouteView {
    /// Its key in the file.
    pub id: Text,
    /// Whether it delivers.
    pub state: RouteState,
    /// Why it holds although it runs (a full dead-letter queue); none if it does not.
    pub reason: Option<Text>,
    /// Its connector source; empty for one that reads a channel.
    pub sources: Vec<SourceView>,
    /// Its targets in the order of the file.
    pub targets: Vec<TargetView>,
    /// Its account.
    pub counts: Counts,
}

/// Whether a route delivers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RouteState {
    /// It does.
    Running,
    /// It was told not to.
    Paused,
    /// The gateway stops, or the route has failed.
    Stopped,
}

impl RouteState {
    /// The name in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        }
    }
}

/// A route's connector source.
#[derive(Clone, PartialEq, Debug)]
pub struct SourceView {
    /// The protocol, with the connection where it has one: `http`, `amqp rabbit`.
    pub name: Text,
    /// Whether it receives.
    pub state: SourceState,
    /// Since when.
    pub since: Timestamp,
    /// Why it is down, or why a source that is up receives nothing now.
    pub reason: Option<Text>,
}

/// Whether a source receives.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SourceState {
    /// It has a session.
    Up,
    /// It has none.
    Down,
}

impl SourceState {
    /// The name in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// A route's target.
#[derive(Clone, PartialEq, Debug)]
pub struct TargetView {
    /// Its identity within the route.
    pub name: Text,
    /// Up, or held, or probing.
    pub state: State,
    /// Since when it is in that state, up counted from the start.
    pub since: Timestamp,
    /// Why it is not up: the last fault.
    pub reason: Option<Text>,
    /// When the next probe may start; none if it is up or one is in flight.
    pub next_probe: Option<Timestamp>,
    /// How many messages are suspected.
    pub suspects: usize,
    /// Messages that wait and were not tried.
    pub ready: u64,
    /// Messages on their way.
    pub in_flight: u64,
    /// Messages that wait for their next try.
    pub scheduled: u64,
    /// Whether it sends through a connector; else it appends to a channel.
    pub connector: bool,
}

/// The account of a route: `received` is the sum of the others when nothing is on its way between two of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// What reached `accept`, or came into the channel that the route reads; what was stored at the start included.
    pub received: u64,
    /// Confirmed by every target that was addressed, or by one while others filtered.
    pub delivered: u64,
    /// Not wanted: by a filter, or because it was there already.
    pub filtered: u64,
    /// Not taken by `accept`.
    pub refused: u64,
    /// Given up.
    pub dead: u64,
    /// Too old.
    pub expired: u64,
    /// Waits for some target.
    pub stored: u64,
}

impl Counts {
    /// Received and in none of the other places: 0 when nothing is lost.
    #[must_use]
    pub fn unaccounted(&self) -> i64 {
        let ends = [self.delivered, self.filtered, self.refused, self.dead, self.expired, self.stored];
        ends.iter().fold(signed(self.received), |left, end| left.saturating_sub(signed(*end)))
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
