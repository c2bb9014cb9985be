//! What Kafka does with each part of a message.

use crossdock_connector::{
    Column, Events,
    carriage::{field, field_with, header},
    mapping::Part,
};

/// The column of Kafka.
pub(crate) static COLUMNS: &[Column] = &[Column {
    protocol: "Kafka",
    parts: &[
        (Part::Payload, field_with("value", "none is a tombstone")),
        (Part::ContentType, header()),
        (Part::ContentEncoding, header()),
        (Part::Id, header()),
        (Part::CorrelationId, header()),
        (Part::ReplyTo, header()),
        (Part::Time, field_with("record timestamp", "milliseconds; before 1970 as a header")),
        (Part::ExpiresAt, header()),
        (Part::Priority, header()),
        (Part::Key, field("key")),
        (Part::Traceparent, header()),
        (Part::Tracestate, header()),
        (Part::Origin, header()),
        (Part::Headers, field_with("record headers", "in order, with duplicates; lists and tables are lost")),
    ],
    events: Events::Headers { prefix: "ce_", percent_encoded: false },
}];
