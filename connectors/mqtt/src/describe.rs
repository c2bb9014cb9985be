//! The tables of the sections that speak of MQTT.

use crossdock_connector::{Description, Field, Kind, OnRefused, TLS_CLIENT};

/// What the connector says of itself.
pub static DESCRIPTION: Description = Description {
    name: "mqtt",
    about: "subscribes to topics of an MQTT broker, and publishes to them",
    connection: Some(CONNECTION),
    source: Some(SOURCE),
    target: Some(TARGET),
    address: &["topic"],
    on_refused: OnRefused::DeadLetter,
};

const QOS: Kind = Kind::Integer { min: 0, max: 2 };

const AUTH: &[Field] = &[
    Field::required("user", Kind::Secret, "the user's name"),
    Field::optional("password", Kind::Secret, "the password; `${env:…}` or `${file:…}` keeps it out of this file"),
];

const WILL: &[Field] = &[
    Field::required("topic", Kind::Text, "where the broker publishes it"),
    Field::default("payload", Kind::Text, "", "what it publishes"),
    Field::default("qos", QOS, "0", "its quality of service"),
    Field::default("retain", Kind::Boolean, "false", "whether the broker keeps it for later subscribers"),
];

const CONNECTION: &[Field] = &[
    Field::required("url", Kind::Url, "the broker: mqtt://HOST:PORT [1883], or mqtts://HOST:PORT [8883] with TLS"),
    Field::default("version", Kind::Choice(&["3.1.1", "5"]), "3.1.1", "of the protocol"),
    Field::optional(
        "client_id",
        Kind::Text,
        "how the gateway's clients begin: CLIENT_ID-ROUTE, CLIENT_ID-ROUTE-out; without it `crossdock-` and the store's \
         own number",
    ),
    Field::default(
        "clean_start",
        Kind::Boolean,
        "false",
        "whether a source begins each session anew, losing what waits",
    ),
    Field::default("session_expiry", Kind::Duration, "1d", "how long the broker keeps a source's session (MQTT 5)"),
    Field::default(
        "keep_alive",
        Kind::Duration,
        "30s",
        "after how long a silent connection is taken for dead; 0s never",
    ),
    Field::default(
        "connect_timeout",
        Kind::Duration,
        "10s",
        "for name, connection, TLS and login, and again for the answer to a source's SUBSCRIBE",
    ),
    Field::optional("auth", Kind::Group(AUTH), "the user; may also stand in the URL"),
    Field::optional("tls", Kind::Group(TLS_CLIENT), "whom to trust, and a certificate to show"),
    Field::optional("will", Kind::Group(WILL), "what the broker publishes when a client is lost without a goodbye"),
];

const SOURCE: &[Field] = &[
    Field::required("connection", Kind::Connection("mqtt"), "the broker"),
    Field::required(
        "topics",
        Kind::List(&Kind::Text),
        "filters: `+` is any one level, `#` all that follow; `$share/GROUP/FILTER` shares them with other clients",
    ),
    Field::default("qos", QOS, "1", "0 may lose, 1 may repeat, 2 repeats only after a crash"),
    Field::default(
        "receive_maximum",
        Kind::Integer { min: 1, max: 65_535 },
        "1000",
        "most messages that are received and not acknowledged",
    ),
    Field::default("max_body", Kind::Size, "16MiB", "the largest payload; a larger one is refused and acknowledged"),
];

const TARGET: &[Field] = &[
    Field::required("connection", Kind::Connection("mqtt"), "the broker"),
    Field::required("topic", Kind::ADDRESS, "where it is published"),
    Field::default(
        "qos",
        QOS,
        "1",
        "0 is delivered when it is written to the socket, 1 and 2 when the broker confirms",
    ),
    Field::default("retain", Kind::Boolean, "false", "whether the broker keeps it for later subscribers"),
    Field::default("timeout", Kind::Duration, "30s", "how long the broker may take to confirm"),
    Field::default(
        "max_in_flight",
        Kind::Integer { min: 1, max: 65_535 },
        "1000",
        "most messages that are published and not confirmed; a broker of MQTT 5 may allow fewer",
    ),
];
