//! Tables of sections that are not one connector's alone.

use crate::{Field, Kind};

/// The section `gateway.http`: the listener that all `http` sources share.
pub const HTTP_LISTENER: &[Field] = &[
    Field::default("listen", Kind::Text, "127.0.0.1:8080", "address and port on which the `http` sources listen"),
    Field::optional("tls", Kind::Group(TLS_SERVER), "certificate and key; without them it speaks plain HTTP"),
    Field::default(
        "max_connections",
        Kind::Integer { min: 1, max: 1_000_000 },
        "4096",
        "most connections at once; further ones wait to be accepted",
    ),
    Field::default("head_timeout", Kind::Duration, "10s", "how long a request's headers may take; beyond it 408"),
    Field::default("body_timeout", Kind::Duration, "30s", "how long a request's body may stand still; beyond it 408"),
    Field::default("idle_timeout", Kind::Duration, "75s", "how long a connection may stand without a request"),
    Field::default(
        "max_waiting",
        Kind::Size,
        "256MiB",
        "most bytes of request bodies in memory, from all senders together; beyond it 503",
    ),
];

/// TLS of a listener.
pub const TLS_SERVER: &[Field] = &[
    Field::required("certificate", Kind::Path, "PEM file with the certificate chain, the listener's own first"),
    Field::required("key", Kind::Path, "PEM file with the private key"),
    Field::optional("client_ca", Kind::Path, "PEM file with the authorities of client certificates, then asked for"),
];

/// TLS of a connection to a peer.
pub const TLS_CLIENT: &[Field] = &[
    Field::optional(
        "ca",
        Kind::Path,
        "PEM file with the authorities to trust, or with the server's own self-signed certificate, instead of the system's",
    ),
    Field::optional("certificate", Kind::Path, "PEM file with the chain of a client certificate, its own first"),
    Field::optional("key", Kind::Path, "PEM file with the private key of the client certificate"),
];
