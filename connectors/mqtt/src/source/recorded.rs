//! The messages of QoS 2 that are stored and whose exchange is not over, by packet id.
//!
//! One that comes again is confirmed again and not given to the engine. It comes with its DUP flag (MQTT 5 §3.3.1.1) and is the
//! same; whatever else comes under its id is another message: the broker gave the first one up while we were away (it
//! expired), or was restored to an earlier state. Who takes another one for known loses it, so what is in doubt is not known.

use crate::lock;
use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{Arc, Mutex},
};

/// Outlives connections, as the session does, but not the process.
#[derive(Clone, Debug, Default)]
pub(super) struct Recorded(Arc<Mutex<HashMap<u16, Mark>>>);

/// By what a message is known again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Mark(u64);

impl Mark {
    /// Of a message with this topic and payload.
    pub(super) fn of(topic: &[u8], payload: &[u8]) -> Self {
        let mut hasher = DefaultHasher::new();
        (topic, payload).hash(&mut hasher);
        Self(hasher.finish())
    }
}

impl Recorded {
    /// A message is stored.
    pub(super) fn insert(&self, id: u16, mark: Mark) {
        lock(&self.0).insert(id, mark);
    }

    /// Whether it was stored: only what is a repetition can be.
    pub(super) fn has(&self, id: u16, mark: Mark, is_repetition: bool) -> bool {
        is_repetition && lock(&self.0).get(&id) == Some(&mark)
    }

    /// The exchange is over.
    pub(super) fn remove(&self, id: u16) {
        lock(&self.0).remove(&id);
    }

    /// The broker has forgotten the session.
    pub(super) fn clear(&self) {
        lock(&self.0).clear();
    }
}
