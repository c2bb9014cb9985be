//! The tables of the sections that speak of HTTP.

use crossdock_connector::{Description, Field, Kind, OnRefused, TLS_CLIENT};

/// What the connector says of itself.
pub static DESCRIPTION: Description = Description {
    name: "http",
    about: "receives requests on the gateway's listener, and sends requests to services",
    connection: Some(CONNECTION),
    source: Some(SOURCE),
    target: Some(TARGET),
    address: &["path"],
    on_refused: OnRefused::Tell,
};

const METHODS_IN: &[&str] = &["POST", "PUT", "PATCH", "DELETE", "GET"];
const METHODS_OUT: &[&str] = &["POST", "PUT", "PATCH", "DELETE", "GET", "HEAD"];

const BASIC: &[Field] = &[
    Field::required("user", Kind::Secret, "the name"),
    Field::required("password", Kind::Secret, "the password; `${env:…}` or `${file:…}` keeps it out of this file"),
];

const AUTH: &[Field] = &[
    Field::optional("bearer", Kind::Secret, "a token, sent as `Authorization: Bearer`"),
    Field::optional("basic", Kind::Group(BASIC), "a name and a password (RFC 7617)"),
];

const CONNECTION: &[Field] = &[
    Field::required("base_url", Kind::Url, "what the targets' paths are appended to, such as https://erp.example/api"),
    Field::default("timeout", Kind::Duration, "10s", "from the start of a request to the end of its answer"),
    Field::default("connect_timeout", Kind::Duration, "5s", "for name, connection and TLS; at most half of `timeout`"),
    Field::optional("auth", Kind::Variant(AUTH), "credentials that are sent with every request"),
    Field::optional("headers", Kind::Map(&Kind::Text), "headers that are sent with every request"),
    Field::optional("tls", Kind::Group(TLS_CLIENT), "whom to trust, and a certificate to show"),
    Field::default(
        "block_private",
        Kind::Boolean,
        "false",
        "whether addresses of this machine and of private networks are refused, whatever a name resolves to",
    ),
];

const SOURCE: &[Field] = &[
    Field::required("path", Kind::Text, "the path it answers to, such as /orders, letter by letter"),
    Field::default("method", Kind::Choice(METHODS_IN), "POST", "the method it answers to"),
    Field::default("max_body", Kind::Size, "1MiB", "most bytes of a request's body; beyond it 413"),
    Field::optional("auth", Kind::Variant(AUTH), "credentials that a sender must show; without them 401"),
];

const TARGET: &[Field] = &[
    Field::required("connection", Kind::Connection("http"), "the service"),
    Field::default("path", Kind::URL_PATH, "", "appended to `base_url`; a value becomes one segment"),
    Field::default("method", Kind::Choice(METHODS_OUT), "POST", "the method; GET and HEAD have no body"),
    Field::optional("headers", Kind::Map(&Kind::TEMPLATE), "headers of the request, stronger than the message's"),
    Field::optional("timeout", Kind::Duration, "instead of the connection's"),
    Field::default("max_in_flight", Kind::Integer { min: 1, max: 10_000 }, "64", "most requests at once"),
    Field::optional(
        "status",
        Kind::Map(&Kind::Choice(&["delivered", "rejected", "failed", "busy"])),
        "what an answer means where it is not the usual, by status: `{ 409: rejected, 404: failed }`",
    ),
];
