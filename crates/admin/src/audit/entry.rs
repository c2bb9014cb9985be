//! Entries, and the lines they are made of: JSON, one when a deed begins and one when it has ended.

use super::Caller;
use crate::shape::AuditEntry;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// What was done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// A route was told not to deliver.
    Pause,
    /// A route was told to go on.
    Resume,
    /// Dead letters were sent back.
    Redrive,
    /// Dead letters were deleted.
    Delete,
    /// A dead letter was edited and sent back.
    Edit,
    /// A message was published by hand.
    Publish,
    /// An operation was stopped.
    Cancel,
    /// Another configuration runs.
    Config,
}

impl Action {
    /// The name in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Redrive => "redrive",
            Self::Delete => "delete",
            Self::Edit => "edit",
            Self::Publish => "publish",
            Self::Cancel => "cancel",
            Self::Config => "config",
        }
    }
}

/// How a deed ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It is done, or goes on in the background.
    Done,
    /// It was not done, and why.
    Failed(String),
}

/// A line of the file.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Line {
    /// Something is about to be done.
    Begun(Begun),
    /// It ended; of several the last holds.
    Ended(Ended),
    /// So many messages it counted.
    Counted(Counted),
}

#[derive(Serialize, Deserialize)]
pub(super) struct Counted {
    pub id: u64,
    pub messages: u64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Begun {
    pub id: u64,
    at: String,
    pub action: String,
    subject: String,
    who: String,
    remote: Option<String>,
    #[serde(default)]
    pub details: Map<String, Value>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Ended {
    id: u64,
    /// Why it was not done; none if it was.
    failure: Option<String>,
    #[serde(default)]
    details: Map<String, Value>,
}

/// Longest text that comes from outside, in characters.
const TEXT_MAX: usize = 1000;

impl Begun {
    pub fn new(
        id: u64,
        at: String,
        action: Action,
        subject: &str,
        caller: &Caller,
        details: Map<String, Value>,
    ) -> Self {
        let (who, remote) = (cut(&caller.who), caller.remote.clone());
        Self { id, at, action: action.name().to_owned(), subject: cut(subject), who, remote, details }
    }
}

impl Ended {
    pub fn new(id: u64, outcome: Outcome, details: Map<String, Value>) -> Self {
        let failure = match outcome {
            Outcome::Done => None,
            Outcome::Failed(text) => Some(cut(&text)),
        };
        Self { id, failure, details }
    }
}

/// The entries that lines tell of, by id.
pub(super) fn gather(lines: Vec<Line>) -> BTreeMap<u64, AuditEntry> {
    let mut entries = BTreeMap::new();
    for line in lines {
        match line {
            Line::Begun(Begun { id, at, action, subject, who, remote, details }) => {
                let outcome = "begun".to_owned();
                let entry =
                    AuditEntry { id: id.to_string(), at, action, subject, who, remote, outcome, text: None, details };
                entries.insert(id, entry);
            }
            // What began in a file that is gone by now is gone.
            Line::Ended(Ended { id, failure, details }) => {
                if let Some(entry) = entries.get_mut(&id) {
                    entry.outcome = if failure.is_none() { "done".into() } else { "failed".into() };
                    entry.text = failure;
                    entry.details.extend(details);
                }
            }
            Line::Counted(Counted { id, messages }) => {
                if let Some(entry) = entries.get_mut(&id) {
                    entry.details.insert("messages".into(), messages.into());
                }
            }
        }
    }
    entries
}

fn cut(text: &str) -> String {
    text.chars().take(TEXT_MAX).collect()
}
