//! What AMQP 0-9-1 does with each part of a message.

use crossdock_connector::{
    Column, Events,
    carriage::{field, field_with, header},
    mapping::Part,
};

/// What becomes of a tombstone.
const NONE: &str = "none goes as an empty one, and is lost";
/// What becomes of text that is longer than a short string.
const LONG: &str = "at most 255 bytes, else a header";

/// The column of AMQP.
pub(crate) static COLUMNS: &[Column] = &[Column {
    protocol: "AMQP 0-9-1",
    parts: &[
        (Part::Payload, field_with("body", NONE)),
        (Part::ContentType, field_with("content_type", LONG)),
        (Part::ContentEncoding, field_with("content_encoding", LONG)),
        (Part::Id, field_with("message_id", LONG)),
        (Part::CorrelationId, field_with("correlation_id", "text of at most 255 bytes, else a header")),
        (Part::ReplyTo, field_with("reply_to", "at most 255 bytes, and not `amq.rabbitmq.reply-to`, else a header")),
        (Part::Time, field_with("timestamp", "whole seconds; a finer time goes along as a header")),
        (Part::ExpiresAt, field_with("expiration", "milliseconds that are left; beyond ten years a header")),
        (Part::Priority, field("priority")),
        (Part::Key, header()),
        (Part::Traceparent, header()),
        (Part::Tracestate, header()),
        (Part::Origin, header()),
        (Part::Headers, field_with("headers", "typed, with lists and tables; of one name the last")),
    ],
    events: Events::Headers { prefix: "ce-", percent_encoded: false },
}];
