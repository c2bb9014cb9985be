//! What is shown of a source.

use crate::{SourceState, SourceView, time::Time};
use crossdock_model::{Text, Timestamp};
use std::sync::{Mutex, PoisonError};

/// A source's state, set by its task and read by whoever asks.
pub(crate) struct Board {
    name: Text,
    shown: Mutex<Shown>,
}

struct Shown {
    state: SourceState,
    since: Timestamp,
    reason: Option<Text>,
}

impl Board {
    /// A source that has no session yet: down, without a reason until its first try has ended, so that a reason is always
    /// one that somebody can do something about.
    pub fn new(name: Text, time: &Time) -> Self {
        let shown = Shown { state: SourceState::Down, since: time.now(), reason: None };
        Self { name, shown: Mutex::new(shown) }
    }

    /// Sets state and reason; `since` moves only when the state changes.
    pub fn set(&self, time: &Time, state: SourceState, reason: Option<Text>) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if shown.state != state {
            shown.since = time.now();
        }
        shown.state = state;
        shown.reason = reason;
    }

    /// What is shown.
    pub fn view(&self) -> SourceView {
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        SourceView { name: self.name.clone(), state: shown.state, since: shown.since, reason: shown.reason.clone() }
    }
}
