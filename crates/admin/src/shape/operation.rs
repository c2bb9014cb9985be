//! What touches many messages and runs in the background.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Which dead letters are meant; what is not given does not choose, and nothing given means all.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedriveFilter {
    /// Those of the route.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub route: Option<String>,
    /// Those whose cause has the code.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub code: Option<String>,
    /// Those of these ids.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ids: Option<Vec<String>>,
}

/// `POST /dead-letters/redrive`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedriveRequest {
    /// Which ones.
    #[serde(default)]
    pub filter: RedriveFilter,
    /// At most so many in a time (`30/s`), evenly.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rate: Option<String>,
    /// At most so many in all.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub max: Option<u64>,
    /// Count only.
    #[serde(default)]
    pub dry_run: bool,
}

/// `POST /dead-letters/delete`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeleteRequest {
    /// Which ones; `{}` for all, which has to be said: they are gone for good.
    pub filter: RedriveFilter,
    /// Count only.
    #[serde(default)]
    pub dry_run: bool,
}

/// `POST /dead-letters/{id}/edit`: what is other in the copy. At least one thing is.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EditRequest {
    /// Another payload, as text.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub payload: Option<String>,
    /// Another payload, in base64.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub payload_base64: Option<String>,
    /// Another media type; an empty text removes it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub content_type: Option<String>,
    /// User headers by name, in place of those of the name; null removes them, a list is several.
    #[serde(skip_serializing_if = "Map::is_empty", default)]
    pub headers: Map<String, Value>,
    /// At which target it failed, where the message died at several.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub target: Option<String>,
    /// Whether the original stays among the dead letters.
    #[serde(default)]
    pub keep: bool,
}

/// The answer to an edit.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Edited {
    /// The copy's id; none where it was let go at the door (a filter, or a `dedupe` that knows it).
    pub id: Option<String>,
    /// The dead letter that it is a copy of.
    pub edited_from: String,
    /// Whether it was let go at the door.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub filtered: bool,
}

/// The answer to a dry run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DryRun {
    /// How many would be touched.
    pub matched: u64,
}

/// The answer to what runs in the background.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Started {
    /// What to ask for under `/operations/{id}`.
    pub operation: String,
    /// How many it will touch.
    pub matched: u64,
}

/// An operation.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OperationView {
    /// Its id.
    pub id: String,
    /// `redrive`, `delete`.
    pub kind: String,
    /// How far it is.
    pub state: OperationState,
    /// How many messages it touches.
    pub total: u64,
    /// How many it is through with.
    pub done: u64,
    /// How many of these it could not touch.
    pub failed: u64,
    /// Why it could not touch the last of them, if that was since the gateway was started.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
}

/// How far an operation is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OperationState {
    /// It goes on, also after a restart.
    Running,
    /// It is through.
    Done,
    /// Somebody stopped it.
    Cancelled,
    /// It stopped by itself.
    Failed,
}

/// The answer to a published message.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Published {
    /// Its id.
    pub id: String,
}
