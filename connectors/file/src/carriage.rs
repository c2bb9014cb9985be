//! What a file does with each part of a message: it has a name, a time and bytes.

use crossdock_connector::{
    Carriage, Column, Events,
    carriage::{field_with, lost},
    mapping::Part,
};

/// The column of files.
pub(crate) static COLUMNS: &[Column] = &[Column {
    protocol: "file",
    parts: &[
        (Part::Payload, field_with("content", "none goes as an empty one, and is lost")),
        (
            Part::ContentType,
            field_with(
                "extension",
                "in; out where the extension tells it, else lost, but not counted for a structured CloudEvent",
            ),
        ),
        (Part::ContentEncoding, lost()),
        (Part::Id, Carriage::Lost { note: "not counted: the file's name is the target's to choose" }),
        (Part::CorrelationId, lost()),
        (Part::ReplyTo, lost()),
        (Part::Time, field_with("time of change", "in; out lost")),
        (Part::ExpiresAt, lost()),
        (Part::Priority, lost()),
        (Part::Key, lost()),
        (Part::Traceparent, lost()),
        (Part::Tracestate, lost()),
        (Part::Origin, lost()),
        (Part::Headers, lost()),
    ],
    events: Events::Structured,
}];
