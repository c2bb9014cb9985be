//! What MQTT does with each part of a message, in each of its versions.

use crossdock_connector::{
    Carriage, Column, Events,
    carriage::{field, field_with, header, lost},
    mapping::Part,
};

/// What becomes of a tombstone.
const NONE: &str = "none goes as an empty one, and is lost";

/// The column of MQTT 3.1.1, which has a topic and a payload.
pub(crate) static V4: Column = Column {
    protocol: "MQTT 3.1.1",
    parts: &[
        (Part::Payload, field_with("payload", NONE)),
        (Part::ContentType, Carriage::Lost { note: "not counted for a structured CloudEvent" }),
        (Part::ContentEncoding, lost()),
        (Part::Id, Carriage::Lost { note: "not counted: it is the gateway's own" }),
        (Part::CorrelationId, lost()),
        (Part::ReplyTo, lost()),
        (Part::Time, lost()),
        (Part::ExpiresAt, lost()),
        (Part::Priority, lost()),
        (Part::Key, lost()),
        (Part::Traceparent, lost()),
        (Part::Tracestate, lost()),
        (Part::Origin, lost()),
        (Part::Headers, lost()),
    ],
    events: Events::Structured,
};

/// The column of MQTT 5.
pub(crate) static V5: Column = Column {
    protocol: "MQTT 5",
    parts: &[
        (Part::Payload, field_with("payload", NONE)),
        (Part::ContentType, field("Content Type")),
        (Part::ContentEncoding, header()),
        (Part::Id, header()),
        (Part::CorrelationId, field("Correlation Data")),
        (Part::ReplyTo, field("Response Topic")),
        (Part::Time, header()),
        (Part::ExpiresAt, field_with("Message Expiry Interval", "whole seconds that are left, rounded up")),
        (Part::Priority, header()),
        (Part::Key, Carriage::Header { note: "text; bytes that are none are lost" }),
        (Part::Traceparent, header()),
        (Part::Tracestate, header()),
        (Part::Origin, header()),
        (Part::Headers, field_with("user properties", "as text, in order, with duplicates")),
    ],
    events: Events::Headers { prefix: "", percent_encoded: false },
};

/// Both columns.
pub(crate) static COLUMNS: &[Column] = &[V4, V5];
