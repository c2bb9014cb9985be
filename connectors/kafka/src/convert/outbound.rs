//! From an envelope to a record.

use crossdock_connector::{
    Outgoing,
    mapping::{self, Part},
};
use crossdock_model::{HEADERS_MAX, Text, Value};
use rdkafka::message::{Header, OwnedHeaders};

/// Whether a record has a field of its own for a part of the envelope.
pub(crate) const fn has_field(part: Part) -> bool {
    match part {
        Part::Payload | Part::Key | Part::Time | Part::Headers => true,
        Part::ContentType
        | Part::ContentEncoding
        | Part::Id
        | Part::CorrelationId
        | Part::ReplyTo
        | Part::ExpiresAt
        | Part::Priority
        | Part::Traceparent
        | Part::Tracestate
        | Part::Origin => false,
    }
}

/// The record's time, in milliseconds; a time before 1970 is none that a record can have.
pub(crate) fn timestamp(message: &Outgoing) -> Option<i64> {
    // Zero is "now" to the library.
    message.envelope.properties.time.map(|time| time.millis()).filter(|millis| *millis > 0)
}

/// The record's headers, the fields before the user headers; what does not fit goes to `lost`.
pub(crate) fn headers(message: &Outgoing, forward_origin: bool, lost: &mut Vec<Text>) -> OwnedHeaders {
    let mut headers = Some(OwnedHeaders::new_with_capacity(message.envelope.headers.len() + 3));
    each(message, forward_origin, lost, |key, value| {
        headers = headers.take().map(|headers| headers.insert(Header { key, value }));
    });
    headers.unwrap_or_default()
}

/// The record's headers for people, and what does not fit.
pub(crate) fn shown(message: &Outgoing, forward_origin: bool) -> (Vec<(Text, Text)>, Vec<Text>) {
    let (mut headers, mut lost) = (Vec::new(), Vec::new());
    each(message, forward_origin, &mut lost, |name, value| {
        let value = value.map_or_else(String::new, |value| match std::str::from_utf8(value) {
            Ok(text) => text.to_owned(),
            Err(_) => format!("{} bytes", value.len()),
        });
        headers.push((Text::from(name), Text::from(value)));
    });
    (headers, lost)
}

fn each(message: &Outgoing, forward_origin: bool, lost: &mut Vec<Text>, mut add: impl FnMut(&str, Option<&[u8]>)) {
    for part in Part::ALL {
        // A time that the record cannot have goes along as a header.
        let field = has_field(part) && !(part == Part::Time && timestamp(message).is_none());
        let Some(name) = part.header().filter(|_| !field) else { continue };
        if part == Part::Id {
            // Every message has one: it is not copied for this.
            add(name, Some(message.idempotency_key.as_bytes()));
        } else if let Some(value) = mapping::header_value(part, message, forward_origin) {
            add(name, Some(&value));
        }
    }
    // A message of an earlier build may have more than one may have by now.
    lost.extend(message.envelope.headers.iter().skip(HEADERS_MAX).map(|_| Part::Headers.lost()));
    for header in message.envelope.headers.iter().take(HEADERS_MAX) {
        if !mapping::is_free(&header.name, has_field) {
            lost.push(Part::Headers.lost());
            continue;
        }
        if let Value::Null = header.value {
            add(&header.name, None);
        } else if let Value::Bytes(bytes) = &header.value {
            add(&header.name, Some(bytes));
        } else if let Some(text) = header.value.to_text() {
            add(&header.name, Some(text.as_bytes()));
        } else {
            lost.push(Part::Headers.lost());
        }
    }
}
