//! The gateway at a glance.

use super::Route;
use serde::{Deserialize, Serialize};

/// The gateway at a glance.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Status {
    /// The program's version.
    pub version: String,
    /// When the process started.
    pub started_at: String,
    /// How long it has been running.
    pub uptime_seconds: f64,
    /// Whether it takes messages.
    pub ready: bool,
    /// Why it does not.
    pub reason: Option<String>,
    /// The store.
    pub store: StoreView,
    /// All channels together.
    pub channels: ChannelTotals,
    /// All routes in the order of the file.
    pub routes: Vec<Route>,
}

/// The store.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StoreView {
    /// Eight hexadecimal digits, drawn when it was made.
    pub id: String,
    /// Its bytes on disk.
    pub bytes: u64,
}

/// All channels together.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct ChannelTotals {
    /// How many there are.
    pub count: u64,
    /// Messages in them.
    pub messages: u64,
    /// Their bytes in the store.
    pub bytes: u64,
    /// How long the oldest message has been here, in seconds.
    pub oldest_seconds: Option<f64>,
}
