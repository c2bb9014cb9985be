//! What HTTP does with each part of a message.

use crossdock_connector::{
    Carriage, Column, Events,
    carriage::{field, field_with, header},
    mapping::Part,
};

/// The column of HTTP.
pub(crate) static COLUMNS: &[Column] = &[Column {
    protocol: "HTTP",
    parts: &[
        (Part::Payload, field_with("body", "with GET and HEAD it is lost; none goes as an empty one, and is lost")),
        (Part::ContentType, field("Content-Type")),
        (Part::ContentEncoding, field("Content-Encoding")),
        (Part::Id, field_with("Idempotency-Key", "in: a key beside the id")),
        (Part::CorrelationId, field_with("X-Correlation-Id", "visible ASCII")),
        (Part::ReplyTo, field("crossdock-reply-to")),
        (Part::Time, field_with("Date", "whole seconds")),
        (Part::ExpiresAt, header()),
        (Part::Priority, header()),
        (Part::Key, Carriage::Header { note: "visible ASCII" }),
        (Part::Traceparent, field("traceparent")),
        (Part::Tracestate, field("tracestate")),
        (Part::Origin, header()),
        (Part::Headers, field_with("header fields", "visible ASCII; no case; what controls the request is left out")),
    ],
    events: Events::Headers { prefix: "ce-", percent_encoded: true },
}];
