//! From the envelope to what expressions see.

use super::Field;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use crossdock_model::{self as model, Envelope, Headers, Text};
use vrl::value::{KeyString, ObjectMap, Value as Inner};

/// The value of a field; none where the message does not have it.
pub fn read(field: Field, envelope: &Envelope) -> Option<Inner> {
    let properties = &envelope.properties;
    match field {
        Field::Id => Some(Inner::String(Text::from(envelope.id.to_string()))),
        Field::Key => properties.key.clone().map(text_or_bytes),
        Field::CorrelationId => properties.correlation_id.clone().map(text_or_bytes),
        Field::ContentType => properties.content_type.clone().map(Inner::String),
        Field::ReplyTo => properties.reply_to.clone().map(Inner::String),
        Field::Time => properties.time.and_then(timestamp),
        Field::ExpiresAt => properties.expires_at.and_then(timestamp),
        Field::Priority => properties.priority.map(|priority| Inner::Integer(priority.into())),
        Field::Headers => Some(Inner::Object(read_headers(&envelope.headers))),
        Field::Origin => Some(read_origin(&envelope.origin)),
    }
}

/// The headers by name; of repeated names the last one counts, as in [`Headers::get`].
pub fn read_headers(headers: &Headers) -> ObjectMap {
    headers.iter().map(|header| (KeyString::from(&*header.name), header_value(&header.value))).collect()
}

fn read_origin(origin: &model::Origin) -> Inner {
    let text = |text: &Text| Inner::String(text.clone());
    let query = origin.query.iter().map(|(name, value)| (KeyString::from(&**name), text(value))).collect();
    let mut members = ObjectMap::from([
        ("protocol".into(), text(&origin.protocol)),
        ("connection".into(), text(&origin.connection)),
        ("address".into(), text(&origin.address)),
        ("query".into(), Inner::Object(query)),
    ]);
    let optional = [
        ("partition", origin.partition.map(|number| Inner::Integer(number.into()))),
        ("offset", origin.offset.map(Inner::Integer)),
        ("path", origin.path.as_ref().map(text)),
        ("remote", origin.remote.as_ref().map(text)),
    ];
    members.extend(optional.into_iter().filter_map(|(name, value)| Some((KeyString::from(name), value?))));
    Inner::Object(members)
}

fn timestamp(at: model::Timestamp) -> Option<Inner> {
    DateTime::<Utc>::from_timestamp_millis(at.millis()).map(Inner::Timestamp)
}

fn text_or_bytes(bytes: Bytes) -> Inner {
    Inner::from_utf8_or_bytes(bytes)
}

/// A header's value as expressions see it. What has no exact form there keeps its digits as text, but for whole
/// numbers above `i64::MAX`, which become a float as they do in a payload.
fn header_value(value: &model::Value) -> Inner {
    match value {
        model::Value::Null => Inner::Null,
        model::Value::Boolean(boolean) => Inner::Boolean(*boolean),
        model::Value::Integer(number) => Inner::Integer(*number),
        model::Value::Unsigned(number) => {
            i64::try_from(*number).map_or_else(|_| Inner::from_f64_or_zero(*number as f64), Inner::Integer)
        }
        model::Value::Float(number) if number.is_nan() => Inner::Null,
        model::Value::Float(number) => Inner::from_f64_or_zero(*number),
        model::Value::Decimal { .. } => Inner::String(Text::from(value.to_string())),
        model::Value::Timestamp(at) => timestamp(*at).unwrap_or(Inner::Null),
        model::Value::Text(text) => Inner::String(text.clone()),
        model::Value::Bytes(bytes) => text_or_bytes(bytes.clone()),
        model::Value::List(items) => Inner::Array(items.iter().map(header_value).collect()),
        model::Value::Table(items) => {
            Inner::Object(items.iter().map(|(name, value)| (KeyString::from(&**name), header_value(value))).collect())
        }
    }
}
