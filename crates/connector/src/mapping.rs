//! The envelope's fields across protocols: what each is called where a protocol has no field of its own, and the rules
//! that all protocols share.
//!
//! A field goes to the protocol's own field where there is one, else into a user header of the name given here, else it
//! is lost, which is counted or, for a `strict` target, a fault. On the way in a header of such a name is the field. What
//! begins with the reserved prefix is never taken from outside, and a user header of the envelope never sets it.

use crate::Outgoing;
use bytes::Bytes;
use crossdock_model::{Envelope, Fault, Origin, Properties, Text, Value, is_reserved};

/// A part of the envelope that a protocol carries or loses.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Part {
    /// The payload itself. That there is none (a tombstone) is another thing than that it is empty.
    Payload,
    /// Media type of the payload.
    ContentType,
    /// Coding of the payload.
    ContentEncoding,
    /// The message's id, or the idempotency key made of it.
    Id,
    /// What a reply belongs to.
    CorrelationId,
    /// Where a reply goes.
    ReplyTo,
    /// When the sender made it.
    Time,
    /// After this nobody wants it.
    ExpiresAt,
    /// 0 to 255, higher first.
    Priority,
    /// What orders and partitions it.
    Key,
    /// W3C trace context.
    Traceparent,
    /// W3C trace state.
    Tracestate,
    /// Where it came from, if the target asks for it (`forward_origin`).
    Origin,
    /// The user headers.
    Headers,
}

impl Part {
    /// All of them, in the order of the documentation's table.
    pub const ALL: [Self; 14] = [
        Self::Payload,
        Self::ContentType,
        Self::ContentEncoding,
        Self::Id,
        Self::CorrelationId,
        Self::ReplyTo,
        Self::Time,
        Self::ExpiresAt,
        Self::Priority,
        Self::Key,
        Self::Traceparent,
        Self::Tracestate,
        Self::Origin,
        Self::Headers,
    ];

    /// What the part is called in `%` (the payload is `.` there), in `crossdock_mapping_losses_total` and in the documentation.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Payload => "payload",
            Self::ContentType => "content_type",
            Self::ContentEncoding => "content_encoding",
            Self::Id => "id",
            Self::CorrelationId => "correlation_id",
            Self::ReplyTo => "reply_to",
            Self::Time => "time",
            Self::ExpiresAt => "expires_at",
            Self::Priority => "priority",
            Self::Key => "key",
            Self::Traceparent => "traceparent",
            Self::Tracestate => "tracestate",
            Self::Origin => "origin",
            Self::Headers => "headers",
        }
    }

    /// The user header that carries the part where a protocol has user headers and no field for it; the payload and the
    /// user headers themselves have none.
    #[must_use]
    pub const fn header(self) -> Option<&'static str> {
        match self {
            Self::ContentType => Some("content-type"),
            Self::ContentEncoding => Some("content-encoding"),
            Self::Id => Some("message-id"),
            Self::CorrelationId => Some("correlation-id"),
            Self::ReplyTo => Some("reply-to"),
            Self::Time => Some("crossdock-time"),
            Self::ExpiresAt => Some("crossdock-expires-at"),
            Self::Priority => Some("crossdock-priority"),
            Self::Key => Some("crossdock-key"),
            Self::Traceparent => Some("traceparent"),
            Self::Tracestate => Some("tracestate"),
            Self::Origin => Some("crossdock-origin"),
            Self::Payload | Self::Headers => None,
        }
    }

    /// The part as a loss, for [`crate::Receipt::lost`].
    #[must_use]
    pub const fn lost(self) -> Text {
        Text::from_static(self.name())
    }
}

/// The value of a part as a header would carry it: text as it is, a key and a correlation id as their bytes, times as RFC
/// 3339, numbers in decimal; none where the message has none. The payload is no header, and the user headers are not one value.
#[must_use]
pub fn header_value(part: Part, message: &Outgoing, forward_origin: bool) -> Option<Bytes> {
    let properties = &message.envelope.properties;
    let text = |text: &Option<Text>| text.as_ref().map(|text| text.as_bytes().clone());
    match part {
        Part::ContentType => text(&properties.content_type),
        Part::ContentEncoding => text(&properties.content_encoding),
        Part::Id => Some(message.idempotency_key.as_bytes().clone()),
        Part::CorrelationId => properties.correlation_id.clone(),
        Part::ReplyTo => text(&properties.reply_to),
        Part::Time => properties.time.map(|at| Bytes::from(at.to_string())),
        Part::ExpiresAt => properties.expires_at.map(|at| Bytes::from(at.to_string())),
        Part::Priority => properties.priority.map(|priority| Bytes::from(priority.to_string())),
        Part::Key => properties.key.clone(),
        Part::Traceparent => text(&properties.traceparent),
        Part::Tracestate => text(&properties.tracestate),
        Part::Origin => forward_origin.then(|| Bytes::from(origin(&message.envelope.origin))),
        Part::Payload | Part::Headers => None,
    }
}

/// What a header that came from outside is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Inbound {
    /// It was the field of that part, which now has its value; for [`Part::Id`] the source makes of it what it will.
    Field(Part),
    /// It has the reserved prefix, or is a field's that cannot hold the value: it is left out.
    Left,
    /// It is a user header.
    User,
}

/// Where the value of a header that is a field's goes.
enum Place {
    /// Into a field that holds text.
    Text(fn(&mut Properties) -> &mut Option<Text>),
    /// Into a field that holds bytes.
    Bytes(fn(&mut Properties) -> &mut Option<Bytes>),
    /// To the source, which makes of it what it will.
    Source,
}

/// The parts that a header from outside may set: those whose name is not reserved.
static FROM_HEADERS: [(Part, Place); 7] = [
    (Part::ContentType, Place::Text(|fields| &mut fields.content_type)),
    (Part::ContentEncoding, Place::Text(|fields| &mut fields.content_encoding)),
    (Part::Id, Place::Source),
    (Part::CorrelationId, Place::Bytes(|fields| &mut fields.correlation_id)),
    (Part::ReplyTo, Place::Text(|fields| &mut fields.reply_to)),
    (Part::Traceparent, Place::Text(|fields| &mut fields.traceparent)),
    (Part::Tracestate, Place::Text(|fields| &mut fields.tracestate)),
];

/// Takes a header of a protocol whose headers carry what it has no field for: one that is a field's sets the field, the
/// first of several. `has_field` tells which parts the protocol has a field of its own for; a header of such a part's
/// name is a user header like others.
pub fn take(properties: &mut Properties, name: &str, value: &Value, has_field: impl Fn(Part) -> bool) -> Inbound {
    if is_reserved(name) {
        return Inbound::Left;
    }
    let found = FROM_HEADERS.iter().find(|(part, _)| part.header() == Some(name) && !has_field(*part));
    let Some((part, place)) = found else { return Inbound::User };
    let is_taken = match place {
        Place::Text(field) => fill(field(properties), value.to_text()),
        Place::Bytes(field) => fill(field(properties), bytes(value)),
        Place::Source => true,
    };
    if is_taken { Inbound::Field(*part) } else { Inbound::Left }
}

/// Sets a field that is not set yet; whether there was something to set it to.
fn fill<T>(field: &mut Option<T>, value: Option<T>) -> bool {
    let Some(value) = value else { return false };
    field.get_or_insert(value);
    true
}

fn bytes(value: &Value) -> Option<Bytes> {
    if let Value::Bytes(bytes) = value { Some(bytes.clone()) } else { value.to_text().map(Text::into_bytes) }
}

/// Whether a user header of the envelope may go out under its name: it is not reserved, and not the name under which a
/// part goes out that the protocol has no field for.
#[must_use]
pub fn is_free(name: &str, has_field: impl Fn(Part) -> bool) -> bool {
    !is_reserved(name) && !FROM_HEADERS.iter().any(|(part, _)| part.header() == Some(name) && !has_field(*part))
}

/// Where a message came from, in one text: `kafka:orders/2/1147`, `mqtt:plant/3/temp`, `http:/orders`.
#[must_use]
pub fn origin(origin: &Origin) -> String {
    let place = match (origin.partition, origin.offset) {
        (Some(partition), Some(offset)) => format!("/{partition}/{offset}"),
        (Some(_), None) | (None, _) => String::new(),
    };
    format!("{}:{}{place}", origin.protocol, origin.address)
}

/// Whether a media type is that of a structured CloudEvent, whose payload says itself what it is: nothing is lost where the
/// protocol has no place for the type.
#[must_use]
pub fn is_event(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/cloudevents+json")
}

/// The fault of a `strict` target for what a message would lose.
///
/// # Errors
/// Something would be lost: `Rejected`, code `mapping.lost`, with the names.
pub fn strictly(protocol: &str, lost: &[Text]) -> Result<(), Fault> {
    if lost.is_empty() {
        return Ok(());
    }
    let mut names: Vec<_> = lost.iter().map(|name| &**name).collect();
    names.dedup();
    let text = format!("{protocol} cannot carry {}, and the target is `strict`", names.join(", "));
    Err(Fault::rejected("mapping.lost", text))
}

/// The time that is left of a message that expires, in milliseconds. It is 1 where nothing is left, as of one that has expired
/// on its way out: 0 says something else in some protocols (in MQTT that it never expires).
#[must_use]
pub fn remaining_millis(envelope: &Envelope, now: crossdock_model::Timestamp) -> Option<u64> {
    let at = envelope.properties.expires_at?;
    Some(u64::try_from(at.millis().saturating_sub(now.millis())).unwrap_or(0).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossdock_model::{MessageId, Timestamp};

    #[test]
    fn a_header_of_a_fields_name_is_the_field() {
        let list = || Value::List(vec![]);
        for (name, value, expected) in [
            ("content-type", Value::from("text/plain"), Inbound::Field(Part::ContentType)),
            ("content-type", list(), Inbound::Left),
            ("correlation-id", Value::Bytes(Bytes::from_static(b"\xff")), Inbound::Field(Part::CorrelationId)),
            ("correlation-id", Value::Integer(7), Inbound::Field(Part::CorrelationId)),
            ("correlation-id", list(), Inbound::Left),
            ("message-id", list(), Inbound::Field(Part::Id)),
            ("reply-to", Value::from("answers"), Inbound::User),
            ("crossdock-key", Value::from("forged"), Inbound::Left),
            ("priority", Value::from("9"), Inbound::User),
        ] {
            let mut fields = Properties::default();
            assert_eq!(take(&mut fields, name, &value, |part| part == Part::ReplyTo), expected, "{name} {value:?}");
            let is_set = fields != Properties::default();
            let sets = matches!(expected, Inbound::Field(part) if part != Part::Id);
            assert_eq!(is_set, sets, "{name} {value:?}: {fields:?}");
        }
        let mut fields = Properties::default();
        for id in ["first", "second"] {
            take(&mut fields, "correlation-id", &Value::from(id), |_| false);
        }
        assert_eq!(fields.correlation_id.as_deref(), Some(&b"first"[..]));
    }

    #[test]
    fn what_has_expired_has_a_millisecond_left() {
        let mut envelope = Envelope::new(MessageId::from_bytes([1; 16]), Timestamp(0), "x");
        assert_eq!(remaining_millis(&envelope, Timestamp(0)), None);
        envelope.properties.expires_at = Some(Timestamp(5));
        for (now, left) in [(-1, 6), (4, 1), (5, 1), (9, 1)] {
            assert_eq!(remaining_millis(&envelope, Timestamp(now)), Some(left), "at {now}");
        }
    }
}
