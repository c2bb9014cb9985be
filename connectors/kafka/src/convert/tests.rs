//! There and back: what an envelope has comes back from the record that it becomes.

use super::{Arena, Lane, envelope, headers, timestamp};
use crossdock_connector::{Outgoing, Rendered, Ticket};
use crossdock_model::{Envelope, MessageId, Text, Timestamp, Value};
use proptest::prelude::*;
use rdkafka::message::{OwnedMessage, Timestamp as RecordTime};
use std::sync::Arc;

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..40)
}

/// What a header may hold, and what of it comes back.
fn value() -> impl Strategy<Value = (Value, Option<Vec<u8>>)> {
    prop_oneof![
        bytes().prop_map(|bytes| (Value::Bytes(bytes.clone().into()), Some(bytes))),
        ".{0,20}".prop_map(|text| (Value::Text(Text::from(text.clone())), Some(text.into_bytes()))),
        any::<i64>().prop_map(|n| (Value::Integer(n), Some(n.to_string().into_bytes()))),
        any::<bool>().prop_map(|b| (Value::Boolean(b), Some(b.to_string().into_bytes()))),
        Just((Value::Null, None)),
    ]
}

fn name() -> impl Strategy<Value = String> {
    // librdkafka's safe interface reads a name up to its first NUL.
    prop_oneof!["[a-zA-Z0-9-]{1,12}", "[^\0]{0,12}", Just("content-type".to_owned()), Just("Crossdock-Key".to_owned())]
}

fn outgoing(message: Envelope) -> Outgoing {
    Outgoing {
        ticket: Ticket(1),
        envelope: Arc::new(message),
        rendered: Rendered::default(),
        idempotency_key: Text::from_static("id-1"),
        attempt: 1,
    }
}

fn back(sent: &Outgoing) -> Envelope {
    let mut lost = Vec::new();
    let headers = headers(sent, false, &mut lost);
    let properties = &sent.envelope.properties;
    let time = timestamp(sent).map_or(RecordTime::NotAvailable, RecordTime::CreateTime);
    let payload = sent.envelope.payload.as_ref().map(|bytes| bytes.to_vec());
    let key = properties.key.as_ref().map(|key| key.to_vec());
    let record = OwnedMessage::new(payload, key, "t".into(), time, 0, 0, Some(headers));
    let lane = Lane::new(&Text::from_static("bus"), &Text::from_static("t"), 0, 0);
    envelope(&record, &lane, &mut Arena::default(), Timestamp(0)).unwrap().0
}

proptest! {
    #[test]
    fn what_is_sent_comes_back(
        payload in proptest::option::of(bytes()),
        key in proptest::option::of(bytes()),
        correlation_id in proptest::option::of(bytes()),
        content_type in proptest::option::of("[a-z]{1,8}/[a-z+]{1,8}"),
        time in proptest::option::of(1..4_000_000_000_000_i64),
        user in proptest::collection::vec((name(), value()), 0..8),
    ) {
        let mut message = Envelope::new(MessageId::from_bytes([1; 16]), Timestamp(0), Vec::new());
        message.payload = payload.map(Into::into);
        message.properties.key = key.map(Into::into);
        message.properties.correlation_id = correlation_id.map(Into::into);
        message.properties.content_type = content_type.map(Text::from);
        message.properties.time = time.map(Timestamp);
        for (name, (value, _)) in &user {
            message.headers.push(Text::from(name.clone()), value.clone());
        }
        let sent = outgoing(message);
        let got = back(&sent);
        prop_assert_eq!(&got.payload, &sent.envelope.payload);
        prop_assert_eq!(&got.properties, &sent.envelope.properties);
        let is_control = |name: &str| {
            let control = ["content-type", "content-encoding", "message-id", "correlation-id", "reply-to", "traceparent", "tracestate"];
            control.contains(&name) || name.to_ascii_lowercase().starts_with("crossdock-")
        };
        let expected: Vec<_> = user
            .into_iter()
            .filter(|(name, _)| !is_control(name))
            .map(|(name, (_, value))| (name, value.map_or(Value::Null, |value| Value::Bytes(value.into()))))
            .collect();
        let headers: Vec<_> = got.headers.iter().map(|it| (it.name.to_string(), it.value.clone())).collect();
        prop_assert_eq!(headers, expected);
    }
}

#[test]
fn a_time_before_1970_goes_along_as_a_header() {
    let mut message = Envelope::new(MessageId::from_bytes([1; 16]), Timestamp(0), Vec::new());
    message.properties.time = Some(Timestamp(-1));
    let sent = outgoing(message);
    assert_eq!(timestamp(&sent), None);
    let (shown, lost) = super::shown(&sent, false);
    let (name, value) = ("crossdock-time", "1969-12-31T23:59:59.999Z");
    assert!(shown.contains(&(Text::from(name), Text::from(value))) && lost.is_empty(), "{shown:?}");
}
