//! Messages, dead letters and what they hold.

use crate::shape;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use crossdock_engine::{Attempt, DeadGroup, DeadLetter, Delivery, HistoryEvent, MessageView};
use crossdock_model::{Fault, Headers, Origin, Text, Value};
use serde_json::{Map, Value as Json};

/// A message.
pub fn message(view: &MessageView) -> shape::Message {
    let (payload, payload_base64) = text_or_base64(view.envelope.payload.as_ref());
    shape::Message {
        id: view.envelope.id.to_string(),
        route: text(view.route.as_ref()),
        channel: view.channel.to_string(),
        state: view.state.name().into(),
        received_at: view.envelope.received_at.to_string(),
        stored_at: view.appended_at.to_string(),
        content_type: text(view.envelope.properties.content_type.as_ref()),
        headers: headers(&view.envelope.headers),
        origin: origin(&view.envelope.origin),
        payload,
        payload_base64,
        attempts: view.attempts.iter().map(attempt).collect(),
        attempts_total: u64::from(view.attempts_total),
        history: view.history.iter().map(event).collect(),
        edited_from: view.edited_from.map(|id| id.to_string()),
    }
}

/// A dead letter.
pub fn dead_letter(view: &DeadLetter) -> shape::DeadLetter {
    let message = message(&view.message);
    shape::DeadLetter {
        id: message.id,
        route: message.route.unwrap_or_default(),
        channel: message.channel,
        state: message.state,
        received_at: message.received_at,
        stored_at: message.stored_at,
        content_type: message.content_type,
        headers: message.headers,
        origin: message.origin,
        payload: message.payload,
        payload_base64: message.payload_base64,
        attempts: message.attempts,
        attempts_total: message.attempts_total,
        history: message.history,
        edited_from: message.edited_from,
        cause: fault(&view.cause),
        dead_since: view.dead_since.to_string(),
        target: text(view.target.as_ref()),
        source: text(view.source.as_ref()),
        redrives: u64::from(view.redrives),
    }
}

/// A message that a consumer is given.
pub fn delivery(view: &Delivery) -> shape::LeasedMessage {
    let message = message(&view.message);
    shape::LeasedMessage {
        lease: view.lease.to_string(),
        id: message.id,
        route: message.route,
        channel: message.channel,
        state: message.state,
        received_at: message.received_at,
        stored_at: message.stored_at,
        content_type: message.content_type,
        headers: message.headers,
        origin: message.origin,
        payload: message.payload,
        payload_base64: message.payload_base64,
        attempts: message.attempts,
        attempts_total: message.attempts_total,
        history: message.history,
        edited_from: message.edited_from,
    }
}

/// Dead letters of one cause.
pub fn dead_group(view: &DeadGroup) -> shape::DeadGroup {
    shape::DeadGroup {
        route: view.route.to_string(),
        target: text(view.target.as_ref()),
        code: view.code.to_string(),
        text: view.text.to_string(),
        count: view.count,
        first: view.first.to_string(),
        last: view.last.to_string(),
    }
}

/// A payload as text where it is text in UTF-8, else in base64; neither for a tombstone.
pub(super) fn text_or_base64(payload: Option<&Bytes>) -> (Option<String>, Option<String>) {
    let Some(bytes) = payload else { return (None, None) };
    match std::str::from_utf8(bytes) {
        Ok(text) => (Some(text.to_owned()), None),
        Err(_) => (None, Some(BASE64_STANDARD.encode(bytes))),
    }
}

fn attempt(view: &Attempt) -> shape::Attempt {
    shape::Attempt {
        at: view.at.to_string(),
        target: text(view.target.as_ref()),
        outcome: view.outcome().into(),
        fault: view.fault.as_ref().map(fault),
    }
}

fn event(view: &HistoryEvent) -> shape::HistoryEntry {
    shape::HistoryEntry {
        at: view.at.to_string(),
        event: view.event.into(),
        target: text(view.target.as_ref()),
        fault: view.fault.as_ref().map(fault),
    }
}

pub(super) fn fault(fault: &Fault) -> shape::Fault {
    shape::Fault {
        class: fault.class.name().into(),
        code: fault.code.to_string(),
        text: fault.text.to_string(),
        step: text(fault.step.as_ref()),
    }
}

fn origin(origin: &Origin) -> shape::Origin {
    let mut query = Map::new();
    for (name, value) in &origin.query {
        gather(&mut query, name, Json::from(value.to_string()));
    }
    shape::Origin {
        protocol: origin.protocol.to_string(),
        connection: (!origin.connection.is_empty()).then(|| origin.connection.to_string()),
        address: origin.address.to_string(),
        partition: origin.partition,
        offset: origin.offset,
        path: text(origin.path.as_ref()),
        query,
        remote: text(origin.remote.as_ref()),
    }
}

fn headers(headers: &Headers) -> Map<String, Json> {
    let mut shown = Map::new();
    for header in headers {
        gather(&mut shown, &header.name, json(&header.value));
    }
    shown
}

/// A name that comes again makes a list of its values.
fn gather(map: &mut Map<String, Json>, name: &str, value: Json) {
    match map.get_mut(name) {
        None => {
            map.insert(name.to_owned(), value);
        }
        Some(Json::Array(values)) => values.push(value),
        Some(one) => *one = Json::Array(vec![one.take(), value]),
    }
}

/// A typed value. What JSON has no form for becomes text: times as RFC 3339, decimals with their point, fractions that
/// are no number; bytes are text if they are UTF-8, else in base64.
fn json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Boolean(b) => Json::from(*b),
        Value::Integer(n) => Json::from(*n),
        Value::Unsigned(n) => Json::from(*n),
        Value::Float(n) => serde_json::Number::from_f64(*n).map_or_else(|| Json::from(n.to_string()), Json::Number),
        Value::Decimal { .. } | Value::Timestamp(_) | Value::Text(_) => Json::from(value.to_string()),
        Value::Bytes(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => Json::from(text),
            Err(_) => Json::from(BASE64_STANDARD.encode(bytes)),
        },
        Value::List(items) => items.iter().map(json).collect(),
        Value::Table(entries) => entries.iter().map(|(name, value)| (name.to_string(), json(value))).collect(),
    }
}

fn text(text: Option<&Text>) -> Option<String> {
    text.map(ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(values: &[(&'static str, Value)], shown: &Json) {
        let mut given = Headers::new();
        for (name, value) in values {
            given.push(*name, value.clone());
        }
        assert_eq!(Json::Object(headers(&given)), *shown);
    }

    #[test]
    fn headers_keep_types_and_repetitions() {
        check(
            &[("a", Value::from("1")), ("a", Value::Integer(2)), ("b", Value::Null)],
            &serde_json::json!({"a": ["1", 2], "b": null}),
        );
        check(
            &[("a", Value::Float(f64::NAN)), ("b", Value::Decimal { mantissa: 105, scale: 1 })],
            &serde_json::json!({"a": "NaN", "b": "10.5"}),
        );
        check(
            &[("a", Value::Bytes(vec![0xff].into())), ("b", Value::Bytes("x".into()))],
            &serde_json::json!({"a": "/w==", "b": "x"}),
        );
        check(
            &[(
                "t",
                Value::Table(vec![("x".into(), Value::List(vec![Value::Unsigned(u64::MAX), Value::Boolean(true)]))]),
            )],
            &serde_json::json!({"t": {"x": [u64::MAX, true]}}),
        );
    }
}
