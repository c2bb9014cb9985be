//! The tables of the sections that are the gateway's own. What a connector and a step may hold stands with them.

use crate::read::choice::Variant;
use crossdock_connector::{HTTP_LISTENER, TLS_SERVER};
use crossdock_rules::{ACCEPT_STEPS, CLOUDEVENT, STEPS};
use crossdock_settings::{Field, Kind, Returns};

/// The version of the language that is read here.
pub(crate) const VERSION: &str = "1";

/// The file.
pub(crate) const ROOT: &[Field] = &[
    Field::optional("version", Kind::Any, "version of the language: 1"),
    Field::optional("gateway", Kind::Any, "the gateway itself: where it listens and where it stores"),
    Field::optional("connections", Kind::Any, "other systems, named once and used by many routes"),
    Field::optional("channels", Kind::Any, "durable queues and topics inside the gateway"),
    Field::optional("routes", Kind::Any, "from where messages come, what happens to them and where they go"),
];

/// `gateway`.
pub(crate) const GATEWAY: &[Field] = &[
    Field::default("data_dir", Kind::Path, "./data", "folder of the store and of the admin token"),
    Field::optional("http", Kind::Group(HTTP_LISTENER), "the listener that all `http` sources share"),
    Field::optional("admin", Kind::Group(ADMIN), "admin API, metrics and console"),
    Field::optional("store", Kind::Group(STORE), "how messages are stored"),
    Field::optional("history", Kind::Short(HISTORY), "how long what became of a message can be looked up"),
];

/// `gateway.admin`.
pub(crate) const ADMIN: &[Field] = &[
    Field::default("listen", Kind::Text, "127.0.0.1:8090", "address and port"),
    Field::optional(
        "hosts",
        Kind::List(&Kind::Text),
        "names by which it may be asked for, beside its address and localhost",
    ),
    Field::optional("tls", Kind::Group(TLS_SERVER), "certificate and key; without them it speaks plain HTTP"),
    Field::optional("token", Kind::Secret, "the token to ask for; without one it makes one: `<data_dir>/admin.token`"),
    Field::default("insecure", Kind::Boolean, "false", "whether it may listen beyond this machine without `tls`"),
];

/// `gateway.store`.
pub(crate) const STORE: &[Field] = &[
    Field::default("sync", Kind::Text, "always", "when what is stored is synced: `always`, `every 50ms` or `never`"),
    Field::default("segment", Kind::Size, "32MiB", "size of a file of the log; a message is at most half of it"),
    Field::optional("encryption", Kind::Group(ENCRYPTION), "encryption at rest"),
];

/// `gateway.store.encryption`.
const ENCRYPTION: &[Field] = &[
    Field::optional(
        "key_file",
        Kind::Path,
        "file with the key, 64 hexadecimal digits; without it what is new is written plain",
    ),
    Field::optional("previous_key_files", Kind::List(&Kind::Path), "files with older keys, to read what they wrote"),
];

/// `gateway.history`.
const HISTORY: &[Field] = &[Field::required("age", Kind::Duration, "how long")];

/// A channel.
pub(crate) const CHANNEL: &[Field] = &[
    Field::optional("queue", Kind::Group(QUEUE), "one reader; a message leaves when it is acknowledged"),
    Field::optional("topic", Kind::Group(TOPIC), "any number of subscriptions, each at its own place"),
];

const QUEUE: &[Field] = &[
    Field::optional("max_bytes", Kind::Size, "most bytes it holds"),
    Field::optional("max_messages", Kind::Integer { min: 1, max: i64::MAX }, "most messages it holds"),
    Field::default(
        "when_full",
        Kind::Choice(&["refuse", "drop_oldest"]),
        "refuse",
        "whether a message that has no room is refused or the oldest goes",
    ),
    Field::optional("dead_letter", Kind::Variant(DEAD_LETTER), "where `drop_oldest` puts what it drops"),
    Field::optional(
        "expire",
        Kind::Duration,
        "how long a message stays in a queue that no route reads, a dead letter too [for ever]",
    ),
];

const TOPIC: &[Field] =
    &[Field::optional("retain", Kind::Short(RETAIN), "how long what all subscriptions have seen is kept")];

const RETAIN: &[Field] = &[
    Field::optional("age", Kind::Duration, "longest time"),
    Field::optional("bytes", Kind::Size, "most bytes"),
    Field::optional("messages", Kind::Integer { min: 0, max: i64::MAX }, "most messages"),
];

/// `dead_letter`.
const DEAD_LETTER: &[Field] = &[Field::optional("queue", Kind::Channel, "a queue; it need not be declared")];

/// A route. `from` and `to` are read by tables that depend on what they name.
pub(crate) const ROUTE: &[Field] = &[
    Field::required("from", Kind::Any, "one source: a connector, or a channel"),
    Field::optional("accept", Kind::List(&ACCEPT_STEPS), "steps at the door: the sender hears what is wrong"),
    Field::optional("order_by", Kind::Expression(Returns::Value), "messages of one key are delivered in order"),
    Field::default(
        "on_failure",
        Kind::Choice(&["block_key", "skip"]),
        "block_key",
        "whether the messages of a key wait behind one that is tried again",
    ),
    Field::optional("circuit", Kind::Expression(Returns::Value), "what divides a target's circuit, such as a tenant"),
    Field::optional("steps", Kind::List(&STEPS), "steps behind the store: what fails can be mended and replayed"),
    Field::required("to", Kind::Any, "one target or a list"),
    Field::optional("retry", Kind::Group(RETRY), "how often and when a message is tried again"),
    Field::optional("dead_letter", Kind::Variant(DEAD_LETTER), "queue of the dead letters [ROUTE.dead]"),
    Field::optional("was", Kind::Text, "the route's name before; it takes over what is stored under it"),
];

/// `retry`.
pub(crate) const RETRY: &[Field] = &[
    Field::default(
        "attempts",
        Kind::Integer { min: 1, max: 1_000_000 },
        "8",
        "charged attempts after which it is dead",
    ),
    Field::default("initial", Kind::Duration, "1s", "wait after the first failure"),
    Field::default("factor", Kind::Number { min: 1.0, max: 1000.0 }, "2", "what the wait grows by each time"),
    Field::default("max", Kind::Duration, "5m", "longest wait"),
    Field::default("jitter", Kind::Number { min: 0.0, max: 1.0 }, "0.2", "part of the wait that is random"),
    Field::default("alone_limit", Kind::Duration, "24h", "when a message that nothing can pass is charged at last"),
];

/// What every source takes beside its own keys.
pub(crate) const SOURCE_COMMON: &[Field] = &[Field::optional(
    "on_refused",
    Kind::Choice(&["dead_letter", "reject", "drop"]),
    "what becomes of a message that `accept` refuses, where the sender cannot be told",
)];

/// `encode` of a target.
const ENCODE: &[Field] = &[Field::optional(
    "cloudevent",
    Kind::Group(CLOUDEVENT),
    "as a CloudEvent: in headers where the protocol has them, else as one JSON object",
)];

/// What every target takes beside its own keys.
pub(crate) const TARGET_COMMON: &[Field] = &[
    Field::optional("name", Kind::Text, "its identity [connection and address]"),
    Field::optional("when", Kind::Expression(Returns::Condition), "it gets the messages for which this holds"),
    Field::default("otherwise", Kind::Boolean, "false", "it gets the messages for which no `when` holds"),
    Field::default("strict", Kind::Boolean, "false", "whether what the protocol cannot carry is a fault"),
    Field::default("forward_origin", Kind::Boolean, "false", "whether `crossdock-origin` goes with each message"),
    Field::default("allow_dynamic", Kind::Boolean, "false", "whether content may choose any destination"),
    Field::default(
        "idempotency",
        Kind::Choice(&["id", "per_redrive"]),
        "id",
        "the idempotency key: the message's id, or with the number of the redrive",
    ),
    Field::optional("encode", Kind::Variant(ENCODE), "how the message is wrapped"),
];

/// `from: { queue: … }`.
const QUEUE_SOURCE: &[Field] = &[Field::required("name", Kind::Channel, "the queue")];

/// `from: { topic: … }`.
const TOPIC_SOURCE: &[Field] = &[
    Field::required("name", Kind::Channel, "the topic"),
    Field::default("start", Kind::Text, "latest", "where a new subscription starts: `earliest`, `latest` or a time"),
    Field::optional("subscription", Kind::Text, "its name [the route's]"),
];

/// `to: { queue: … }` and `to: { topic: … }`.
const CHANNEL_TARGET: &[Field] = &[Field::required("name", Kind::Channel, "the channel")];

/// The channels that `from` may name.
pub(crate) const fn source_channels() -> [Variant; 2] {
    [
        Variant { name: "queue", fields: QUEUE_SOURCE, protocol: None },
        Variant { name: "topic", fields: TOPIC_SOURCE, protocol: None },
    ]
}

/// The channels that `to` may name.
pub(crate) const fn target_channels() -> [Variant; 2] {
    [
        Variant { name: "queue", fields: CHANNEL_TARGET, protocol: None },
        Variant { name: "topic", fields: CHANNEL_TARGET, protocol: None },
    ]
}
