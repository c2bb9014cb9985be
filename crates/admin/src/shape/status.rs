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
    /// All routes in the order of the file.
    pub routes: Vec<Route>,
    /// Channels and subscriptions that hold messages though routes.yaml does not name them.
    pub orphans: Vec<String>,
}

/// The store.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StoreView {
    /// Eight hexadecimal digits, drawn when it was made.
    pub id: String,
    /// Its bytes on disk.
    pub bytes: u64,
    /// Whether the volume is full: then nothing is taken in, and only deliveries and dead letters go on.
    pub full: bool,
}
