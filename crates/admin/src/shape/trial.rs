//! What a route would do with a message.

use super::Fault;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// `POST /routes/{id}/try`: a stored message by its id, or a message that is given; nothing at all is a message without
/// anything.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TryRequest {
    /// The id of a message that stands somewhere; then nothing else is given.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub message: Option<String>,
    /// The payload as text.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub payload: Option<String>,
    /// The payload in base64.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub payload_base64: Option<String>,
    /// Media type of the payload.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub content_type: Option<String>,
    /// User headers by name; a list is several headers of the name.
    #[serde(skip_serializing_if = "Map::is_empty", default)]
    pub headers: Map<String, Value>,
}

/// What a route would do with a message. Nothing was sent or stored.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Trial {
    /// The route.
    pub route: String,
    /// The message's id.
    pub id: String,
    /// Where its way began: `accept`, as if it came in now, or `steps`, behind the store.
    pub start: String,
    /// The media type it came with.
    pub content_type: Option<String>,
    /// How long its payload is.
    pub payload_bytes: u64,
    /// The steps that ran, those of `accept` first.
    pub steps: Vec<TrialStep>,
    /// `sent`, `filtered`, `refused`, `dead` or `expired`. It is `sent` where at least one of its targets has no fault.
    pub outcome: String,
    /// The step that filtered it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub step: Option<String>,
    /// What is wrong with it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub fault: Option<Fault>,
    /// Since when nobody wants it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expired_at: Option<String>,
    /// What each target that it is for would be sent.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub targets: Vec<TrialTarget>,
    /// The payload as it leaves, where it is text in UTF-8.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub payload: Option<String>,
    /// The payload as it leaves, where it is not.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub payload_base64: Option<String>,
}

/// A step and what it did.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TrialStep {
    /// `steps[1] transform`.
    pub step: String,
    /// `passed`, `filtered` or `failed`.
    pub outcome: String,
    /// What it changed.
    pub changes: Vec<TrialChange>,
    /// Why it failed.
    pub fault: Option<Fault>,
}

/// One thing that a step changed; values are JSON in text.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TrialChange {
    /// `.customer.name`, `%headers.region`, or `bytes`.
    pub at: String,
    /// What was there.
    pub before: Option<String>,
    /// What is there now.
    pub after: Option<String>,
}

/// What a target would be sent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TrialTarget {
    /// The target's name.
    pub target: String,
    /// `PUT https://…`; none where it would be a dead letter for this target.
    pub act: Option<String>,
    /// What goes with the payload, in order.
    pub headers: Vec<(String, String)>,
    /// What the protocol cannot carry.
    pub lost: Vec<String>,
    /// Why it would be a dead letter for this target.
    pub fault: Option<Fault>,
}

impl Trial {
    /// Whether it would be sent everywhere it is for, or is not wanted anyhow.
    #[must_use]
    pub fn went_well(&self) -> bool {
        match self.outcome.as_str() {
            "sent" => self.targets.iter().all(|target| target.fault.is_none()),
            outcome => matches!(outcome, "filtered" | "expired"),
        }
    }
}
