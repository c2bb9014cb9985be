//! A publish becomes an envelope. Payload and topic are slices of what was read, not copies.

use super::has_property;
use crate::packet::{Publish, PublishProperties, QoS};
use bytes::Bytes;
use crossdock_connector::mapping::{self, Inbound};
use crossdock_model::{
    ENVELOPE_BYTES_MAX, Envelope, Fault, HEADER_NAME_BYTES_MAX, HEADERS_MAX, Headers, MessageId, Origin, Properties,
    Refusal, RefusalKind, Text, Timestamp, Value,
};
use std::time::Duration;

const PROTOCOL: Text = Text::from_static("mqtt");

/// The envelope of a publish.
///
/// # Errors
/// It can be no message: its properties are more or larger than a message may have.
pub(crate) fn envelope(publish: Publish, connection: &Text, received_at: Timestamp) -> Result<Envelope, Box<Refusal>> {
    let Publish { dup, retain, qos, id: _, topic, payload, properties } = publish;
    let mut native = vec![(Text::from_static("qos"), Value::Integer(qos as i64))];
    for (name, flag) in [("retain", retain), ("dup", dup)] {
        if flag {
            native.push((Text::from_static(name), Value::Boolean(true)));
        }
    }
    let mut fields = Properties::default();
    let mut headers = Headers::new();
    if let Some(properties) = properties {
        check_size(&properties)?;
        take_properties(*properties, received_at, &mut fields, &mut headers, &mut native);
    }
    Ok(Envelope {
        id: fresh_id(received_at),
        received_at,
        payload: Some(payload),
        properties: fields,
        headers,
        origin: Origin {
            protocol: PROTOCOL,
            connection: connection.clone(),
            address: text(topic)?,
            native,
            ..Origin::default()
        },
    })
}

/// A topic; the codec has looked at it.
fn text(topic: Bytes) -> Result<Text, Box<Refusal>> {
    Text::try_from(topic).map_err(|_| refusal(RefusalKind::Undecodable, "mqtt.topic", "the topic is no UTF-8"))
}

fn take_properties(
    properties: PublishProperties,
    received_at: Timestamp,
    fields: &mut Properties,
    headers: &mut Headers,
    native: &mut Vec<(Text, Value)>,
) {
    fields.content_type = properties.content_type.map(Text::from);
    fields.correlation_id = properties.correlation_data;
    fields.reply_to = properties.response_topic.map(Text::from);
    fields.expires_at =
        properties.message_expiry_interval.map(|seconds| received_at.after(Duration::from_secs(u64::from(seconds))));
    if let Some(format) = properties.payload_format_indicator {
        native.push((Text::from_static("payload_format"), Value::Integer(i64::from(format))));
    }
    for id in properties.subscription_identifiers {
        native.push((Text::from_static("subscription_id"), Value::Integer(i64::try_from(id).unwrap_or(i64::MAX))));
    }
    for (name, value) in properties.user_properties {
        let value = Value::Text(Text::from(value));
        match mapping::take(fields, &name, &value, has_property) {
            // The sender's own id; ours stays the one that was drawn, for nothing tells whether theirs is unique.
            Inbound::Field(mapping::Part::Id) => native.push((Text::from_static("message-id"), value)),
            Inbound::Field(_) | Inbound::Left => {}
            Inbound::User => headers.push(name, value),
        }
    }
}

fn check_size(properties: &PublishProperties) -> Result<(), Box<Refusal>> {
    let user = &properties.user_properties;
    let user_bytes: usize = user.iter().map(|(name, value)| name.len() + value.len()).sum();
    let (name, why) = if user.len() > HEADERS_MAX {
        (
            "headers.too_many",
            format!("a message has at most {HEADERS_MAX} user properties, this one has {}", user.len()),
        )
    } else if user_bytes > ENVELOPE_BYTES_MAX {
        ("headers.too_large", format!("user properties have at most {ENVELOPE_BYTES_MAX} bytes, here {user_bytes}"))
    } else if user.iter().any(|(name, _)| name.len() > HEADER_NAME_BYTES_MAX) {
        ("headers.name", format!("the name of a user property is longer than {HEADER_NAME_BYTES_MAX} bytes"))
    } else {
        return Ok(());
    };
    Err(refusal(RefusalKind::TooLarge, name, &why))
}

/// What is said of a payload that is larger than the source takes.
pub(crate) fn too_large(packet_bytes: usize, body_bytes_max: u64) -> Box<Refusal> {
    let text = format!("a packet of {packet_bytes} bytes: the source takes payloads of at most {body_bytes_max}");
    refusal(RefusalKind::TooLarge, "mqtt.too_large", &text)
}

/// The refusal of a publish that breaks the protocol's rules; `why` is a lowercase fragment.
pub(crate) fn malformed(why: &str) -> Box<Refusal> {
    refusal(RefusalKind::Undecodable, "mqtt.malformed", &format!("it is no message of MQTT: {why}"))
}

fn refusal(kind: RefusalKind, code: &'static str, text: &str) -> Box<Refusal> {
    Box::new(Refusal { kind, fault: Fault::rejected(Text::from_static(code), text), violations: Vec::new() })
}

/// A label, not a secret, so the random source is a fast one.
fn fresh_id(at: Timestamp) -> MessageId {
    let mut random = [0; 10];
    fastrand::fill(&mut random);
    MessageId::from_time_and_random(u64::try_from(at.millis()).unwrap_or(0), &random)
}

/// How many bytes of packet a payload of so many bytes may take: topic and properties come beside it.
pub(crate) fn publish_bytes_max(body_bytes_max: u64, qos: QoS) -> usize {
    // Topic and fixed header; properties only where a message has some, and then the payload may be that much larger.
    let beside = 65_535 + 16 + u64::from(qos as u8);
    usize::try_from(body_bytes_max.saturating_add(beside)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn publish(properties: Option<PublishProperties>) -> Publish {
        Publish {
            dup: true,
            retain: true,
            qos: QoS::ExactlyOnce,
            id: 7,
            topic: Bytes::from_static("plant/ü/temp".as_bytes()),
            payload: Bytes::from_static(b"\x00\xff"),
            properties: properties.map(Box::new),
        }
    }

    fn read(publish: Publish) -> Result<Envelope, Box<Refusal>> {
        envelope(publish, &Text::from_static("floor"), Timestamp(1_700_000_000_000))
    }

    #[test]
    fn a_publish_of_3_1_1_has_topic_flags_and_payload() {
        let envelope = read(publish(None)).unwrap();
        assert_eq!(envelope.bytes(), b"\x00\xff");
        assert_eq!((&*envelope.origin.protocol, &*envelope.origin.connection), ("mqtt", "floor"));
        assert_eq!(&*envelope.origin.address, "plant/ü/temp");
        let native: Vec<_> = envelope.origin.native.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(native, ["qos=2", "retain=true", "dup=true"]);
        assert_eq!(envelope.properties, Properties::default());
        assert!(envelope.headers.is_empty());
        assert!(envelope.id.to_string().starts_with("018bcfe5-6800-7"), "{}", envelope.id);
    }

    #[test]
    fn properties_of_mqtt_5_have_their_places() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let envelope = read(publish(Some(PublishProperties {
            payload_format_indicator: Some(1),
            message_expiry_interval: Some(60),
            topic_alias: None,
            response_topic: Some("answers/1".into()),
            correlation_data: Some(Bytes::from_static(b"\xff\x00")),
            user_properties: vec![
                pair("a", "1"),
                pair("A", "2"),
                pair("a", "3"),
                pair("traceparent", "00-x"),
                pair("content-encoding", "gzip"),
                pair("message-id", "m-1"),
                pair("content-type", "text/csv"),
                pair("Crossdock-Key", "forged"),
                pair("", ""),
            ],
            subscription_identifiers: vec![3, 9],
            content_type: Some("application/json".into()),
        })))
        .unwrap();
        let fields = &envelope.properties;
        assert_eq!(fields.content_type.as_deref(), Some("application/json"));
        assert_eq!(fields.content_encoding.as_deref(), Some("gzip"));
        assert_eq!(fields.correlation_id.as_deref(), Some(&b"\xff\x00"[..]));
        assert_eq!(fields.reply_to.as_deref(), Some("answers/1"));
        assert_eq!(fields.expires_at, Some(Timestamp(1_700_000_060_000)));
        assert_eq!(fields.traceparent.as_deref(), Some("00-x"));
        let shown: Vec<_> = envelope.headers.iter().map(|h| format!("{}={}", h.name, h.value)).collect();
        assert_eq!(shown, ["a=1", "A=2", "a=3", "content-type=text/csv", "="]);
        let native: Vec<_> = envelope.origin.native.iter().skip(3).map(|(n, v)| format!("{n}={v}")).collect();
        assert_eq!(native, ["payload_format=1", "subscription_id=3", "subscription_id=9", "message-id=m-1"]);
    }

    #[test]
    fn what_no_message_may_have_is_refused() {
        let many = vec![(String::from("a"), String::new()); HEADERS_MAX + 1];
        let large = vec![(String::from("a"), "x".repeat(60_000)); 5];
        let long = vec![("x".repeat(HEADER_NAME_BYTES_MAX + 1), String::new())];
        for (user_properties, code) in
            [(many, "headers.too_many"), (large, "headers.too_large"), (long, "headers.name")]
        {
            let properties = PublishProperties { user_properties, ..PublishProperties::default() };
            assert_eq!(&*read(publish(Some(properties))).unwrap_err().fault.code, code);
        }
    }

    proptest! {
        #[test]
        fn any_payload_and_topic_come_through(payload: Vec<u8>, topic in "[^\u{0}+#]{1,40}") {
            let publish = Publish { payload: payload.clone().into(), topic: topic.clone().into(), ..publish(None) };
            let envelope = read(publish).unwrap();
            prop_assert_eq!(envelope.bytes(), &payload[..]);
            prop_assert_eq!(&*envelope.origin.address, topic.as_str());
        }
    }
}
