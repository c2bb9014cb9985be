//! Who did what when: each deed of an operator that changes something, kept in the data folder.
//!
//! ```text
//!  begin ─► a line, synced ─► the deed ─► end ─► a line with how it went, synced ─► the answer
//! ```
//!
//! What holds
//! - The line is there before the deed is begun. A process that ends in between leaves an entry that is only `begun`:
//!   it may have been done.
//! - It is bounded: two files of [`file::FILE_BYTES_MAX`], the older of which goes when the newer is full.
//! - It stops nobody from mending a gateway. Where the volume is full the older file goes first; what even then cannot
//!   be written stands in the log, and the deed is done.
//! - No payload, token or value of a header is in it.
//!
//! Reading and looking change nothing and are not here, neither are consumers' receive, acknowledge and give back, which
//! are messages' traffic. A caller who publishes to one channel again and again makes one entry a minute, with a count.

mod entry;
mod file;
mod series;

pub use entry::{Action, Outcome};

use crate::shape;
use crossdock_config::Plan;
use crossdock_engine::Clock;
use entry::{Begun, Counted, Ended, Line};
use file::File;
use serde_json::{Map, Value};
use series::Series;
use sha2::{Digest as _, Sha256};
use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The audit's file in the data folder; the older one is `audit.1.jsonl`.
pub const AUDIT_FILE: &str = "audit.jsonl";

/// The audit cannot be kept.
#[derive(Debug, thiserror::Error)]
#[error("cannot keep the audit in `{}`: {source}; mend its rights", path.display())]
pub struct AuditError {
    path: PathBuf,
    source: io::Error,
}

/// Who asked for something.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Caller {
    /// What the client says of itself; all hold the same token, so nothing proves it.
    pub who: String,
    /// The address it came from; none for what the gateway does by itself.
    pub remote: Option<String>,
}

/// The record of what operators did; clones are handles to the same one.
#[derive(Clone)]
pub struct Audit(Arc<Inner>);

struct Inner {
    clock: Clock,
    state: Mutex<State>,
}

struct State {
    file: File,
    next_id: u64,
    series: Series,
    /// What the last entry about the configuration says of it.
    config: Option<Map<String, Value>>,
}

/// An entry that has begun, to be ended.
#[must_use]
#[derive(Debug)]
pub struct Ticket(u64);

impl Audit {
    /// Opens the audit of a data folder, which must be held by this process.
    ///
    /// # Errors
    /// It cannot be read or written.
    pub fn open(data_dir: &Path, clock: Clock) -> Result<Self, AuditError> {
        let path = data_dir.join(AUDIT_FILE);
        let fail = |source| AuditError { path: path.clone(), source };
        let file = File::open(&path).map_err(fail)?;
        let (mut last, mut config) = (0, None);
        for line in file.lines().map_err(fail)? {
            if let Line::Begun(begun) = line {
                last = last.max(begun.id);
                if begun.action == Action::Config.name() {
                    config = Some(begun.details);
                }
            }
        }
        let state = State { file, next_id: last + 1, series: Series::default(), config };
        Ok(Self(Arc::new(Inner { clock, state: Mutex::new(state) })))
    }

    /// Notes a deed before it is begun. Blocks.
    pub fn begin(&self, action: Action, subject: &str, caller: &Caller, details: Map<String, Value>) -> Ticket {
        let at = (self.0.clock)().to_string();
        self.0.lock().begin(at, action, subject, caller, details)
    }

    /// Notes how a deed ended, and what is known of it now. Blocks.
    pub fn end(&self, Ticket(id): Ticket, outcome: Outcome, details: Map<String, Value>) {
        self.0.lock().file.write(&Line::Ended(Ended::new(id, outcome, details)), true);
    }

    /// Notes that a message is published, unless the entry of the last minute counts it. Blocks.
    pub fn publishing(&self, channel: &str, caller: &Caller) -> Option<Ticket> {
        let now = (self.0.clock)();
        let mut state = self.0.lock();
        let over = state.series.over(now);
        state.write_counts(over);
        if state.series.counts(channel, caller) {
            return None;
        }
        let ticket = state.begin(now.to_string(), Action::Publish, channel, caller, Map::new());
        state.series.begin(channel, caller, ticket.0, now);
        Some(ticket)
    }

    /// Notes that a message was published. Blocks if there is a ticket.
    pub fn published(&self, ticket: Option<Ticket>, channel: &str, caller: &Caller, outcome: Outcome) {
        let mut state = self.0.lock();
        if matches!(outcome, Outcome::Done) {
            let count = state.series.count(channel, caller);
            state.write_counts(count);
        }
        drop(state);
        if let Some(ticket) = ticket {
            self.end(ticket, outcome, Map::new());
        }
    }

    /// Notes with which configuration the gateway runs, if it is another one than the last time. Blocks.
    pub fn started_with(&self, plan: &Plan) {
        let digest = Sha256::digest(plan.masked_text());
        let sha256: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let details = [("file", plan.file().to_string()), ("sha256", sha256)];
        let details: Map<_, _> = details.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        if self.0.lock().config.as_ref() == Some(&details) {
            return;
        }
        let caller = Caller { who: "gateway".into(), remote: None };
        let ticket = self.begin(Action::Config, "routes.yaml", &caller, details);
        self.end(ticket, Outcome::Done, Map::new());
    }

    /// Entries, the newest first, from before the one of the cursor. Blocks.
    ///
    /// # Errors
    /// The files cannot be read.
    pub fn list(&self, before: Option<u64>, limit: usize) -> io::Result<shape::Page<shape::AuditEntry>> {
        let (lines, counts) = {
            let state = self.0.lock();
            (state.file.lines()?, state.series.all())
        };
        let mut entries = entry::gather(lines);
        for (id, messages) in counts {
            if let Some(entry) = entries.get_mut(&id) {
                entry.details.insert("messages".into(), messages.into());
            }
        }
        let before = before.unwrap_or(u64::MAX);
        let mut items: Vec<_> = entries.range(..before).rev().take(limit + 1).collect();
        let more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).map(|(id, _)| id.to_string());
        Ok(shape::Page { items: items.into_iter().map(|(_, entry)| entry.clone()).collect(), next })
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn begin(
        &mut self,
        at: String,
        action: Action,
        subject: &str,
        caller: &Caller,
        details: Map<String, Value>,
    ) -> Ticket {
        let id = self.next_id;
        self.next_id += 1;
        if action == Action::Config {
            self.config = Some(details.clone());
        }
        self.file.write(&Line::Begun(Begun::new(id, at, action, subject, caller, details)), true);
        Ticket(id)
    }

    /// Notes how many messages entries counted. They are not synced: a count is not worth it.
    fn write_counts(&mut self, counts: impl IntoIterator<Item = (u64, u64)>) {
        for (id, messages) in counts {
            self.file.write(&Line::Counted(Counted { id, messages }), false);
        }
    }
}

impl Drop for State {
    fn drop(&mut self) {
        let counts = self.series.all();
        self.write_counts(counts);
    }
}

#[cfg(test)]
mod tests;
