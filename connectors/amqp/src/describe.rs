//! The tables of the sections that speak of AMQP.

use crossdock_connector::{Description, Field, Kind, OnRefused, TLS_CLIENT};

/// What the connector says of itself.
pub static DESCRIPTION: Description = Description {
    name: "amqp",
    about: "consumes queues of RabbitMQ and other AMQP 0-9-1 servers, and publishes to their exchanges",
    connection: Some(CONNECTION),
    source: Some(SOURCE),
    target: Some(TARGET),
    address: &["exchange", "routing_key"],
    on_refused: OnRefused::DeadLetter,
};

const PASSWORD: &[Field] = &[
    Field::required("user", Kind::Secret, "the name"),
    Field::required("password", Kind::Secret, "the password; `${env:…}` or `${file:…}` keeps it out of this file"),
];

const CONNECTION: &[Field] = &[
    Field::required(
        "url",
        Kind::Url,
        "amqp://HOST:PORT/VHOST, or amqps:// for TLS; the virtual host is percent-encoded",
    ),
    Field::optional(
        "auth",
        Kind::OneOf(&[Kind::Choice(&["external"]), Kind::Group(PASSWORD)]),
        "user and password, if not in the URL; `external` lets the client certificate tell who it is",
    ),
    Field::optional("tls", Kind::Group(TLS_CLIENT), "whom to trust, and a certificate to show"),
    Field::default(
        "heartbeat",
        Kind::Duration,
        "10s",
        "silence after twice this is the end of the connection; 0s: never",
    ),
    Field::optional(
        "connection_name",
        Kind::Text,
        "how the server shows it; without it `crossdock` and the route's name",
    ),
    Field::default("connect_timeout", Kind::Duration, "5s", "for name, connection, TLS and login"),
    Field::default("timeout", Kind::Duration, "30s", "for an answer of the server: a declaration, a publisher confirm"),
];

const ARGUMENTS: Kind = Kind::Map(&Kind::Any);

const EXCHANGE: &[Field] = &[
    Field::default("type", Kind::Text, "direct", "direct, fanout, topic, headers, or one of a plugin's"),
    Field::default("durable", Kind::Boolean, "true", "whether it outlives a restart of the server"),
    Field::default("auto_delete", Kind::Boolean, "false", "whether it goes with its last binding"),
    Field::default("internal", Kind::Boolean, "false", "whether only other exchanges may send to it"),
    Field::optional("arguments", ARGUMENTS, "further arguments, such as `alternate-exchange`"),
];

const QUEUE: &[Field] = &[
    Field::default("durable", Kind::Boolean, "true", "whether it outlives a restart of the server"),
    Field::default(
        "exclusive",
        Kind::Boolean,
        "false",
        "whether it is this route's alone, and goes with its connection",
    ),
    Field::default("auto_delete", Kind::Boolean, "false", "whether it goes with its last consumer"),
    Field::optional("arguments", ARGUMENTS, "further arguments, such as `x-queue-type` and `x-dead-letter-exchange`"),
];

const BIND: &[Field] = &[
    Field::required("exchange", Kind::Text, "the exchange that sends to the queue"),
    Field::default("routing_key", Kind::Text, "", "which of its messages; `*` and `#` in a topic exchange"),
    Field::optional("arguments", ARGUMENTS, "what a headers exchange compares"),
    Field::optional("declare", Kind::Group(EXCHANGE), "makes the exchange; without it, it must be there"),
];

const SOURCE: &[Field] = &[
    Field::required("connection", Kind::Connection("amqp"), "the server"),
    Field::required("queue", Kind::Text, "the queue that is consumed"),
    Field::default(
        "prefetch",
        Kind::Integer { min: 1, max: 65_535 },
        "500",
        "most messages that the server sends without an acknowledgement",
    ),
    Field::optional("declare", Kind::Group(QUEUE), "makes the queue; without it, it must be there"),
    Field::optional("bind", Kind::List(&Kind::Group(BIND)), "bindings that are made at each start"),
    Field::optional("consumer_arguments", ARGUMENTS, "arguments of the consumer: `x-priority`, `x-stream-offset`"),
    Field::default("exclusive", Kind::Boolean, "false", "whether no other consumer may read the queue meanwhile"),
];

const DECLARE: &[Field] = &[
    Field::optional("exchange", Kind::Group(EXCHANGE), "makes the exchange that `exchange` names"),
    Field::optional(
        "queue",
        Kind::Group(QUEUE),
        "makes a queue with the name that `routing_key` is, and binds it if there is an exchange",
    ),
];

const TARGET: &[Field] = &[
    Field::required("connection", Kind::Connection("amqp"), "the server"),
    Field::default(
        "exchange",
        Kind::ADDRESS,
        "",
        "the exchange; the empty one sends to the queue that `routing_key` names",
    ),
    Field::required("routing_key", Kind::ADDRESS, "the routing key"),
    Field::default("mandatory", Kind::Boolean, "true", "whether a message that no queue takes is a dead letter"),
    Field::default("persistent", Kind::Boolean, "true", "whether messages are written to the server's disk"),
    Field::optional("declare", Kind::Group(DECLARE), "makes exchange and queue; without it they must be there"),
    Field::default(
        "max_in_flight",
        Kind::Integer { min: 1, max: 10_000 },
        "1000",
        "most messages that are published and not confirmed",
    ),
];
