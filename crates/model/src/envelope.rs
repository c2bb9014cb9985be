//! The envelope: what came in, exactly, with the fields that the protocols share (mapping.md).

use crate::{Headers, MessageId, Text, Timestamp, Value};
use bytes::Bytes;

/// A message: its payload's bytes as received, the fields the protocols share, user headers, and where it came from.
///
/// Attempts, faults and history are not here: they are the store's and cannot be set from outside.
#[derive(Clone, PartialEq, Debug)]
pub struct Envelope {
    /// Stable from receipt to delivery.
    pub id: MessageId,
    /// When the gateway received it; what `delay` and `expire` count from.
    pub received_at: Timestamp,
    /// The payload; `None` is a Kafka tombstone, which is not the empty payload.
    pub payload: Option<Bytes>,
    /// The fields that have a place in the protocols.
    pub properties: Properties,
    /// The user headers.
    pub headers: Headers,
    /// Where it came from.
    pub origin: Origin,
}

/// The fields of mapping.md that a sender may set.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Properties {
    /// Media type of the payload.
    pub content_type: Option<Text>,
    /// Coding of the payload (`gzip`), which the gateway passes on.
    pub content_encoding: Option<Text>,
    /// What a reply belongs to; bytes because MQTT 5 and AMQP 1.0 have them.
    pub correlation_id: Option<Bytes>,
    /// Where a reply goes.
    pub reply_to: Option<Text>,
    /// When the sender made it.
    pub time: Option<Timestamp>,
    /// After this nobody wants it.
    pub expires_at: Option<Timestamp>,
    /// 0 to 255, higher first.
    pub priority: Option<u8>,
    /// What orders and partitions it.
    pub key: Option<Bytes>,
    /// W3C trace context of the sender.
    pub traceparent: Option<Text>,
    /// W3C trace state of the sender.
    pub tracestate: Option<Text>,
}

/// Where a message came from; read-only as `%origin`.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Origin {
    /// The source's protocol: `http`, `amqp`, `kafka`, `mqtt`, `file`, `generate`.
    pub protocol: Text,
    /// The connection's name in routes.yaml; empty where there is none.
    pub connection: Text,
    /// The protocol's address: queue, topic, path, file.
    pub address: Text,
    /// Kafka's partition.
    pub partition: Option<i32>,
    /// Kafka's offset; the line of a file.
    pub offset: Option<i64>,
    /// The request's path as received (HTTP).
    pub path: Option<Text>,
    /// The request's query, decoded, in order (HTTP).
    pub query: Vec<(Text, Text)>,
    /// The peer's address.
    pub remote: Option<Text>,
    /// Native properties without a field of their own, typed, in order (`type`, `app_id`, `redelivered`, `retain`).
    pub native: Vec<(Text, Value)>,
}

impl Origin {
    /// Whether nothing is known of it, as [`Origin::default`]. Comparing with that would take some hundred nanoseconds: two empty texts
    /// are compared at an address where nothing is, which AVX-512's masked loads bear, but slowly.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        let Self { protocol, connection, address, partition, offset, path, query, remote, native } = self;
        protocol.is_empty()
            && connection.is_empty()
            && address.is_empty()
            && partition.is_none()
            && offset.is_none()
            && path.is_none()
            && query.is_empty()
            && remote.is_none()
            && native.is_empty()
    }
}

impl Envelope {
    /// An envelope with nothing but a payload.
    #[must_use]
    pub fn new(id: MessageId, received_at: Timestamp, payload: impl Into<Bytes>) -> Self {
        Self {
            id,
            received_at,
            payload: Some(payload.into()),
            properties: Properties::default(),
            headers: Headers::new(),
            origin: Origin::default(),
        }
    }

    /// The payload's bytes; none for a tombstone.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.payload.as_deref().unwrap_or_default()
    }
}
