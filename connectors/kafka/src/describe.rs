//! The tables of the sections that speak of Kafka.

use crossdock_connector::{Description, Field, Kind, OnRefused, Returns, TLS_CLIENT};

/// What the connector says of itself.
pub static DESCRIPTION: Description = Description {
    name: "kafka",
    about: "reads topics as a member of a consumer group, and produces to topics",
    connection: Some(CONNECTION),
    source: Some(SOURCE),
    target: Some(TARGET),
    address: &["topic"],
    on_refused: OnRefused::DeadLetter,
};

const AUTH: &[Field] = &[
    Field::default("sasl", Kind::Choice(&["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]), "PLAIN", "the SASL mechanism"),
    Field::required("user", Kind::Secret, "the name"),
    Field::required("password", Kind::Secret, "the password; `${env:…}` or `${file:…}` keeps it out of this file"),
];

const CONNECTION: &[Field] = &[
    Field::required("brokers", Kind::List(&Kind::Text), "`HOST:PORT` of some of the cluster's brokers"),
    Field::optional("auth", Kind::Group(AUTH), "credentials"),
    Field::optional(
        "tls",
        Kind::Group(TLS_CLIENT),
        "encrypts, and says whom to trust; `{}` trusts the system's authorities",
    ),
    Field::default("client_id", Kind::Text, "crossdock", "names this gateway in the brokers' logs and quotas"),
    Field::optional("options", Kind::Map(&Kind::Text), "options of librdkafka, for sources and targets alike"),
];

const SOURCE: &[Field] = &[
    Field::required("connection", Kind::Connection("kafka"), "the cluster"),
    Field::optional("topics", Kind::List(&Kind::Text), "the topics to read"),
    Field::optional(
        "pattern",
        Kind::Text,
        "instead of `topics`: a regular expression for the names of topics, from their beginning",
    ),
    Field::optional("group", Kind::Text, "the consumer group; the route's name unless it is given"),
    Field::default(
        "start",
        Kind::Text,
        "earliest",
        "where a group without a committed offset begins: earliest, latest, or a time such as 2026-01-31T12:00:00Z",
    ),
    Field::optional("options", Kind::Map(&Kind::Text), "options of librdkafka's consumer"),
];

const TARGET: &[Field] = &[
    Field::required("connection", Kind::Connection("kafka"), "the cluster"),
    Field::required("topic", Kind::ADDRESS, "the topic"),
    Field::optional("key", Kind::Expression(Returns::Value), "the record's key; the message's own unless it is given"),
    Field::optional(
        "partition",
        Kind::Expression(Returns::Value),
        "the partition's number; the hash of the key picks it unless it is given",
    ),
    Field::default(
        "compression",
        Kind::Choice(&["none", "lz4", "zstd", "gzip", "snappy"]),
        "lz4",
        "how batches of records are compressed",
    ),
    Field::default("timeout", Kind::Duration, "30s", "how long the brokers have for a record before it is a fault"),
    Field::default("max_in_flight", Kind::Integer { min: 1, max: 100_000 }, "2560", "most records without an answer"),
    Field::optional("options", Kind::Map(&Kind::Text), "options of librdkafka's producer"),
];
