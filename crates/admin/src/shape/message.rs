//! Messages and dead letters.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A message in a channel.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Message {
    /// Its id, the same from receipt to delivery.
    pub id: String,
    /// The route that took it in or that it failed in; none where no route is known.
    pub route: Option<String>,
    /// The channel that holds it.
    pub channel: String,
    /// `queued`, `in_flight`, `scheduled`, `delivered`, `filtered`, `dead`, `expired` or `refused`.
    pub state: String,
    /// When the gateway received it.
    pub received_at: String,
    /// When it came into this channel.
    pub stored_at: String,
    /// Media type of the payload.
    pub content_type: Option<String>,
    /// User headers by name; a name that came several times has the list of its values.
    pub headers: Map<String, Value>,
    /// Where it came from.
    pub origin: Origin,
    /// The payload, where it is text in UTF-8.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub payload: Option<String>,
    /// The payload, where it is not.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub payload_base64: Option<String>,
    /// Its tries, the first five and the last twenty.
    pub attempts: Vec<Attempt>,
    /// How many tries there were.
    pub attempts_total: u64,
    /// What happened to it, in order.
    pub history: Vec<HistoryEntry>,
    /// The dead letter that it is an edited copy of.
    pub edited_from: Option<String>,
}

/// A message that could not be delivered, as it was received, and why. The fields of [`Message`] and four more.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct DeadLetter {
    /// As in [`Message::id`].
    pub id: String,
    /// The route it failed in.
    pub route: String,
    /// The dead-letter queue that holds it.
    pub channel: String,
    /// `dead`.
    pub state: String,
    /// As in [`Message::received_at`].
    pub received_at: String,
    /// As in [`Message::stored_at`].
    pub stored_at: String,
    /// As in [`Message::content_type`].
    pub content_type: Option<String>,
    /// As in [`Message::headers`].
    pub headers: Map<String, Value>,
    /// As in [`Message::origin`].
    pub origin: Origin,
    /// As in [`Message::payload`].
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub payload: Option<String>,
    /// As in [`Message::payload_base64`].
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub payload_base64: Option<String>,
    /// As in [`Message::attempts`].
    pub attempts: Vec<Attempt>,
    /// As in [`Message::attempts_total`].
    pub attempts_total: u64,
    /// As in [`Message::history`].
    pub history: Vec<HistoryEntry>,
    /// As in [`Message::edited_from`].
    pub edited_from: Option<String>,
    /// What it died of.
    pub cause: Fault,
    /// When.
    pub dead_since: String,
    /// The target it failed at; none where a step or the routing failed.
    pub target: Option<String>,
    /// The channel it was read from, and goes back to; none where it was refused at the door.
    pub source: Option<String>,
    /// How often it was sent back before.
    pub redrives: u64,
}

/// Where a message came from.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Origin {
    /// `http`, `amqp`, `kafka`, `mqtt`, `file`, `generate`.
    pub protocol: String,
    /// The connection in routes.yaml, where the source has one.
    pub connection: Option<String>,
    /// The protocol's address: path, queue, topic, file.
    pub address: String,
    /// Kafka's partition.
    pub partition: Option<i32>,
    /// Kafka's offset; the line of a file.
    pub offset: Option<i64>,
    /// The request's path (HTTP).
    pub path: Option<String>,
    /// The request's query (HTTP); a name that came several times has the list of its values.
    pub query: Map<String, Value>,
    /// The peer's address.
    pub remote: Option<String>,
}

/// A try to deliver.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Attempt {
    /// When it ended.
    pub at: String,
    /// The target; none where a step failed.
    pub target: Option<String>,
    /// How it ended: `delivered`, or the class of its fault.
    pub outcome: String,
    /// What went wrong.
    pub fault: Option<Fault>,
}

/// What went wrong.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Fault {
    /// Who is to blame: `rejected`, `failed`, `busy` or `unreachable`.
    pub class: String,
    /// Stable name: `http.404`, `validate.json_schema`.
    pub code: String,
    /// What happened, for people.
    pub text: String,
    /// The step where it happened.
    pub step: Option<String>,
}

/// Something that happened to a message.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// When.
    pub at: String,
    /// `received`, `stored`, `attempt`, `dead`, `redriven`.
    pub event: String,
    /// The target, where it is about one.
    pub target: Option<String>,
    /// What went wrong, where something did.
    pub fault: Option<Fault>,
}

/// Dead letters of one cause.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DeadGroup {
    /// The route they failed in.
    pub route: String,
    /// The target they failed at; none where a step or the routing failed.
    pub target: Option<String>,
    /// The cause's code.
    pub code: String,
    /// The cause's text without what differs by message.
    pub text: String,
    /// How many there are.
    pub count: u64,
    /// When the first of them died.
    pub first: String,
    /// When the last of them died.
    pub last: String,
}
