//! What consumers ask, and are given.

use super::{Attempt, HistoryEntry, Origin};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What a consumer wants.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiveRequest {
    /// Most messages, from 1 to 1,000; 1 unless told otherwise.
    pub max: Option<usize>,
    /// How long to wait for the first one, `5s`; `0s` unless told otherwise.
    pub wait: Option<String>,
    /// How long they are its own, `30s`.
    pub lease: Option<String>,
}

/// What a consumer is done with.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AckRequest {
    /// The leases.
    pub leases: Vec<String>,
}

/// What a consumer gives back.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NackRequest {
    /// The leases.
    pub leases: Vec<String>,
    /// After which time they are given out again, `10s`; at once unless told otherwise.
    pub delay: Option<String>,
}

/// What a consumer is given.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Received {
    /// The messages, each with its lease; none if none came in time.
    pub messages: Vec<LeasedMessage>,
}

/// The answer to an acknowledgement.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Acknowledged {
    /// How many messages are settled.
    pub acknowledged: usize,
}

/// The answer to what was given back.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Returned {
    /// How many messages are in the queue again.
    pub returned: usize,
}

/// A message that is a consumer's own until the lease runs out. The fields of [`Message`](super::Message) and one more.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct LeasedMessage {
    /// What to acknowledge it with, or to give it back with.
    pub lease: String,
    /// Its id.
    pub id: String,
    /// Always null: no route reads the queue; of a dead letter the route that gave it up.
    pub route: Option<String>,
    /// The queue.
    pub channel: String,
    /// Where it stands: `in_flight`, or `dead` for a dead letter.
    pub state: String,
    /// When it was received.
    pub received_at: String,
    /// When it was stored in this queue.
    pub stored_at: String,
    /// Its media type.
    pub content_type: Option<String>,
    /// Its user headers; one that came several times has the list of its values.
    pub headers: Map<String, Value>,
    /// Where it came from.
    pub origin: Origin,
    /// The payload, if it is UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<String>,
    /// The payload otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload_base64: Option<String>,
    /// Tries to deliver it that a route made.
    pub attempts: Vec<Attempt>,
    /// How many there were.
    pub attempts_total: u64,
    /// What happened to it, in order.
    pub history: Vec<HistoryEntry>,
    /// As in [`super::Message::edited_from`].
    pub edited_from: Option<String>,
}
