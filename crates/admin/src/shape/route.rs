//! A route with its sources, targets and counts.

use serde::{Deserialize, Serialize};

/// A route.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Route {
    /// Its key in routes.yaml.
    pub id: String,
    /// Whether it delivers.
    pub state: RouteState,
    /// Why it delivers nothing although it runs (its dead-letter queue is full).
    pub reason: Option<String>,
    /// Its targets in the order of the file.
    pub targets: Vec<TargetView>,
    /// Its source; none for a route that reads a channel.
    pub sources: Vec<SourceView>,
    /// What became of its messages since the process started.
    pub counts: Counts,
}

/// Whether a route delivers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RouteState {
    /// It does.
    Running,
    /// Somebody paused it; it still takes messages in.
    Paused,
    /// The gateway stops.
    Stopped,
}

/// A target of a route.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TargetView {
    /// Its name, or its connection and address.
    pub name: String,
    /// Whether it takes messages.
    pub state: TargetState,
    /// Since when it is in this state; when it was first held, also while a probe is under way.
    pub since: String,
    /// Why it is held: the last fault.
    pub reason: Option<String>,
    /// When it is probed next.
    pub next_probe: Option<String>,
    /// How many messages failed there and are under suspicion.
    pub suspects: u64,
    /// Messages that wait for nothing but their turn.
    pub ready: u64,
    /// Messages that were handed to it and have no answer yet.
    pub in_flight: u64,
    /// Messages that wait for their next try.
    pub scheduled: u64,
}

/// Whether a target takes messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TargetState {
    /// It does.
    Up,
    /// It does not, and is left alone until the next probe.
    Held,
    /// It did not, and one message is on its way to see whether it does.
    Probing,
}

/// A source of a route.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SourceView {
    /// Its protocol and address.
    pub name: String,
    /// Whether it is connected.
    pub state: UpDown,
    /// Since when.
    pub since: String,
    /// Why it is down, or why it receives nothing although it is up.
    pub reason: Option<String>,
}

/// Whether something is connected.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UpDown {
    /// It is.
    Up,
    /// It is not.
    Down,
}

/// What became of messages: `received` is the sum of all the others when nothing is on its way between them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Reached the door.
    pub received: u64,
    /// Taken by their targets.
    pub delivered: u64,
    /// Let go by a filter, or known already.
    pub filtered: u64,
    /// Not taken, and the sender was told.
    pub refused: u64,
    /// In the dead letters.
    pub dead: u64,
    /// Too late for anybody.
    pub expired: u64,
    /// Still here.
    pub stored: u64,
}
