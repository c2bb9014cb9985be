//! An envelope becomes a publish; what MQTT has no place for is told.

use super::{has_property, now};
use crate::packet::{Publish, PublishProperties, QoS, Version};
use crate::topic::{self, is_taken};
use crossdock_connector::{
    Outgoing, Slot,
    mapping::{self, Part},
};
use crossdock_model::{Fault, Properties, Text, Timestamp, Value};

/// Longest text or binary property: its length goes over the wire in 16 bits.
const PROPERTY_BYTES_MAX: usize = 65_535;

/// How a target publishes.
#[derive(Clone, Debug)]
pub(crate) struct Manner {
    pub(crate) version: Version,
    pub(crate) topic: Slot,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    pub(crate) forward_origin: bool,
    pub(crate) strict: bool,
}

/// The publish of a message, its packet id not set, and what it loses.
///
/// # Errors
/// The topic is none, or something would be lost and the target is `strict`: `Rejected`.
pub(crate) fn publish(message: &Outgoing, manner: &Manner) -> Result<(Publish, Vec<Text>), Fault> {
    let topic = topic(message, manner.topic)?;
    let (properties, lost) = match manner.version {
        Version::V4 => (None, lost_in_v4(message, manner.forward_origin)),
        Version::V5 => {
            let (properties, lost) = properties(message, manner.forward_origin, now());
            (Some(Box::new(properties)), lost)
        }
    };
    if manner.strict {
        mapping::strictly(if manner.version == Version::V4 { "MQTT 3.1.1" } else { "MQTT 5" }, &lost)?;
    }
    let payload = message.envelope.payload.clone().unwrap_or_default();
    let topic = topic.as_bytes().clone();
    Ok((Publish { dup: false, retain: manner.retain, qos: manner.qos, id: 0, topic, payload, properties }, lost))
}

fn topic(message: &Outgoing, slot: Slot) -> Result<Text, Fault> {
    use crossdock_connector::RenderedValue;
    let topic = match message.rendered.get(slot) {
        Some(RenderedValue::Text(topic)) => topic.clone(),
        Some(RenderedValue::Null | RenderedValue::Bytes(_)) | None => Text::new(),
    };
    topic::check_name(&topic).map_err(|wrong| Fault::rejected("mqtt.topic", format!("no topic: {}", wrong.text)))?;
    Ok(topic)
}

/// 3.1.1 has a topic and a payload, which is not the same when it is empty as when there is none. The id is the gateway's own, so its absence is no loss of the sender's.
fn lost_in_v4(message: &Outgoing, forward_origin: bool) -> Vec<Text> {
    let properties = &message.envelope.properties;
    let is_lost = |part: &Part| match part {
        Part::Id => false,
        Part::Payload => message.envelope.payload.is_none(),
        Part::ContentType => properties.content_type.as_deref().is_some_and(|name| !mapping::is_event(name)),
        Part::ContentEncoding => properties.content_encoding.is_some(),
        Part::CorrelationId => properties.correlation_id.is_some(),
        Part::ReplyTo => properties.reply_to.is_some(),
        Part::Time => properties.time.is_some(),
        Part::ExpiresAt => properties.expires_at.is_some(),
        Part::Priority => properties.priority.is_some(),
        Part::Key => properties.key.is_some(),
        Part::Traceparent => properties.traceparent.is_some(),
        Part::Tracestate => properties.tracestate.is_some(),
        Part::Origin => forward_origin,
        Part::Headers => !message.envelope.headers.is_empty(),
    };
    Part::ALL.into_iter().filter(is_lost).map(Part::lost).collect()
}

fn properties(message: &Outgoing, forward_origin: bool, now: Timestamp) -> (PublishProperties, Vec<Text>) {
    let envelope = &*message.envelope;
    let mut writer = Writer { properties: PublishProperties::default(), lost: Vec::new() };
    if envelope.payload.is_none() {
        // It leaves as an empty one.
        writer.lose(Part::Payload);
    }
    writer.fields(&envelope.properties, envelope.bytes());
    writer.properties.message_expiry_interval =
        mapping::remaining_millis(envelope, now).map(|millis| u32::try_from(millis.div_ceil(1000)).unwrap_or(u32::MAX));
    for part in Part::ALL.into_iter().filter(|part| !has_property(*part)) {
        let Some((name, value)) = part.header().zip(mapping::header_value(part, message, forward_origin)) else {
            continue;
        };
        match std::str::from_utf8(&value) {
            Ok(value) => writer.user(part, name, value),
            Err(_) => writer.lose(part),
        }
    }
    for header in &envelope.headers {
        match header.value.to_text() {
            Some(value) if mapping::is_free(&header.name, has_property) => {
                writer.user(Part::Headers, &header.name, &value);
            }
            Some(_) | None => writer.lose(Part::Headers),
        }
    }
    (writer.properties, writer.lost)
}

struct Writer {
    properties: PublishProperties,
    lost: Vec<Text>,
}

impl Writer {
    fn fields(&mut self, fields: &Properties, payload: &[u8]) {
        if let Some(content_type) = &fields.content_type {
            if is_text(content_type) {
                self.properties.payload_format_indicator = is_textual(content_type, payload).then_some(1);
                self.properties.content_type = Some(content_type.to_string());
            } else {
                self.lose(Part::ContentType);
            }
        }
        if let Some(id) = &fields.correlation_id {
            if id.len() <= PROPERTY_BYTES_MAX {
                self.properties.correlation_data = Some(id.clone());
            } else {
                self.lose(Part::CorrelationId);
            }
        }
        if let Some(reply_to) = &fields.reply_to {
            if topic::check_name(reply_to).is_ok() {
                self.properties.response_topic = Some(reply_to.to_string());
            } else {
                self.user(Part::ReplyTo, "crossdock-reply-to", reply_to);
            }
        }
    }

    fn user(&mut self, part: Part, name: &str, value: &str) {
        if is_text(name) && is_text(value) {
            self.properties.user_properties.push((name.to_owned(), value.to_owned()));
        } else {
            self.lose(part);
        }
    }

    fn lose(&mut self, part: Part) {
        self.lost.push(part.lost());
    }
}

/// A text that MQTT takes (§1.5.4).
fn is_text(text: &str) -> bool {
    text.len() <= PROPERTY_BYTES_MAX && text.chars().all(is_taken)
}

/// Whether the payload may be marked as text: its type says so, and it is (§3.3.2.3.2; a broker may check).
fn is_textual(content_type: &str, payload: &[u8]) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let says_so = essence.starts_with("text/")
        || essence.ends_with("+json")
        || essence.ends_with("+xml")
        || matches!(essence.as_str(), "application/json" | "application/xml" | "application/x-ndjson");
    says_so && std::str::from_utf8(payload).is_ok()
}

/// A publish's properties as a person reads them.
pub(crate) fn shown(properties: &PublishProperties) -> Vec<(Text, Text)> {
    let mut shown = Vec::new();
    let mut push = |name: &str, value: String| shown.push((Text::from(name), Text::from(value)));
    if let Some(content_type) = &properties.content_type {
        push("Content Type", content_type.clone());
    }
    if let Some(format) = properties.payload_format_indicator {
        push("Payload Format Indicator", format.to_string());
    }
    if let Some(data) = &properties.correlation_data {
        push("Correlation Data", Value::Bytes(data.clone()).to_string());
    }
    if let Some(topic) = &properties.response_topic {
        push("Response Topic", topic.clone());
    }
    if let Some(seconds) = properties.message_expiry_interval {
        push("Message Expiry Interval", format!("{seconds}s"));
    }
    for (name, value) in &properties.user_properties {
        push(name, value.clone());
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use crossdock_connector::{Rendered, RenderedValue, Ticket};
    use crossdock_model::{Envelope, MessageId};
    use std::sync::Arc;

    fn outgoing(envelope: Envelope, topic: &str) -> Outgoing {
        Outgoing {
            ticket: Ticket(1),
            envelope: Arc::new(envelope),
            rendered: Rendered::new(vec![RenderedValue::Text(Text::from(topic))]),
            idempotency_key: Text::from_static("key-1"),
            attempt: 1,
        }
    }

    fn manner(version: Version) -> Manner {
        let (qos, topic) = (QoS::AtLeastOnce, Slot(0));
        Manner { version, topic, qos, retain: true, forward_origin: true, strict: false }
    }

    fn full() -> Envelope {
        let mut envelope = Envelope::new(MessageId::from_bytes([1; 16]), Timestamp(0), "{}");
        envelope.properties = Properties {
            content_type: Some(Text::from_static("application/json; charset=utf-8")),
            content_encoding: Some(Text::from_static("gzip")),
            correlation_id: Some(Bytes::from_static(b"\xff\x00")),
            reply_to: Some(Text::from_static("answers/1")),
            time: Some(Timestamp(1)),
            expires_at: Some(Timestamp(now().millis() + 90_500)),
            priority: Some(9),
            key: Some(Bytes::from_static(b"k")),
            traceparent: Some(Text::from_static("00-a")),
            tracestate: Some(Text::from_static("v=1")),
        };
        envelope.origin.protocol = Text::from_static("kafka");
        envelope.origin.address = Text::from_static("orders");
        for (name, value) in [("a", Value::from("1")), ("A", Value::Integer(7)), ("a", Value::Bytes("3".into()))] {
            envelope.headers.push(name, value);
        }
        envelope
    }

    #[test]
    fn mqtt_5_carries_everything() {
        let (publish, lost) = publish(&outgoing(full(), "cmd/7"), &manner(Version::V5)).unwrap();
        assert_eq!((&*publish.topic, &*publish.payload, publish.retain), (&b"cmd/7"[..], &b"{}"[..], true));
        assert_eq!(lost, Vec::<Text>::new());
        let properties = *publish.properties.unwrap();
        assert_eq!(properties.content_type.as_deref(), Some("application/json; charset=utf-8"));
        assert_eq!(properties.payload_format_indicator, Some(1));
        assert_eq!(properties.correlation_data.as_deref(), Some(&b"\xff\x00"[..]));
        assert_eq!(properties.response_topic.as_deref(), Some("answers/1"));
        assert!((90..=91).contains(&properties.message_expiry_interval.unwrap()));
        let user: Vec<_> = properties.user_properties.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(
            user,
            [
                "content-encoding=gzip",
                "message-id=key-1",
                "crossdock-time=1970-01-01T00:00:00.001Z",
                "crossdock-priority=9",
                "crossdock-key=k",
                "traceparent=00-a",
                "tracestate=v=1",
                "crossdock-origin=kafka:orders",
                "a=1",
                "A=7",
                "a=3",
            ]
        );
    }

    #[test]
    fn a_tombstone_is_told_as_a_loss() {
        for version in [Version::V4, Version::V5] {
            let told = |payload: Option<Bytes>, strict| {
                let mut envelope = Envelope::new(MessageId::from_bytes([1; 16]), Timestamp(0), "");
                envelope.payload = payload;
                let manner = Manner { forward_origin: false, strict, ..manner(version) };
                publish(&outgoing(envelope, "a"), &manner).map(|(publish, lost)| (publish.payload, lost))
            };
            assert_eq!(told(None, false).unwrap(), (Bytes::new(), vec![Part::Payload.lost()]), "{version:?}");
            assert_eq!(&*told(None, true).unwrap_err().code, "mapping.lost", "{version:?}");
            assert_eq!(told(Some(Bytes::new()), true).unwrap(), (Bytes::new(), vec![]), "{version:?}");
        }
    }

    #[test]
    fn mqtt_3_1_1_loses_all_but_the_payload() {
        let message = outgoing(full(), "cmd/7");
        let (publish, lost) = publish(&message, &manner(Version::V4)).unwrap();
        assert!(publish.properties.is_none());
        let all: Vec<_> =
            Part::ALL.into_iter().filter(|part| !matches!(part, Part::Id | Part::Payload)).map(Part::lost).collect();
        assert_eq!(lost, all);
        let strict = Manner { strict: true, ..manner(Version::V4) };
        assert_eq!(&*super::publish(&message, &strict).unwrap_err().code, "mapping.lost");
        let mut bare = Envelope::new(MessageId::from_bytes([1; 16]), Timestamp(0), "x");
        // A structured event says itself what it is.
        bare.properties.content_type = Some("application/cloudevents+json; charset=utf-8".into());
        let strict = Manner { forward_origin: false, ..strict };
        assert_eq!(super::publish(&outgoing(bare, "a"), &strict).unwrap().1, Vec::<Text>::new());
    }

    #[test]
    fn what_mqtt_5_does_not_take_is_lost() {
        let mut envelope = Envelope::new(MessageId::from_bytes([1; 16]), Timestamp(0), &b"\xff"[..]);
        envelope.properties.content_type = Some(Text::from_static("text/\0"));
        envelope.properties.correlation_id = Some(Bytes::from(vec![0; 65_536]));
        envelope.properties.reply_to = Some(Text::from_static("https://h/#a"));
        envelope.properties.key = Some(Bytes::from_static(b"\xff"));
        let long = "x".repeat(65_536);
        for (name, value) in [
            ("list", Value::List(vec![])),
            ("bytes", Value::Bytes(Bytes::from_static(b"\xff"))),
            ("nul", Value::from("a\0")),
            ("long", Value::Text(Text::from(long))),
            ("crossdock-key", Value::from("forged")),
            ("message-id", Value::from("forged")),
            ("line", Value::from("a\r\nb")),
            ("tab", Value::from("a\tb")),
            ("no-character", Value::from("a\u{ffff}")),
            ("ok", Value::from("a b é ✓")),
        ] {
            envelope.headers.push(name, value);
        }
        let manner = Manner { forward_origin: false, ..manner(Version::V5) };
        let (publish, lost) = publish(&outgoing(envelope, "a"), &manner).unwrap();
        let user = publish.properties.unwrap().user_properties;
        let user: Vec<_> = user.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(user, ["crossdock-reply-to=https://h/#a", "message-id=key-1", "ok=a b é ✓"]);
        let mut names = vec!["content_type", "correlation_id", "key"];
        names.extend(["headers"; 9]);
        assert_eq!(lost, names);
    }

    #[test]
    fn topics_that_are_none_are_rejected() {
        for topic in ["", "a/+/b", "#", "a\0", "a\nb", "a\u{7f}", "a\u{fdd0}"] {
            let fault = publish(&outgoing(full(), topic), &manner(Version::V5)).unwrap_err();
            assert_eq!((&*fault.code, fault.class), ("mqtt.topic", crossdock_model::FaultClass::Rejected), "{topic:?}");
        }
        let many = "x".repeat(65_536);
        assert!(publish(&outgoing(full(), &many), &manner(Version::V4)).is_err());
    }

    #[test]
    fn only_what_is_text_is_marked_as_text() {
        for (content_type, payload, expected) in [
            ("application/json", &b"{}"[..], true),
            ("Application/Vnd.x+JSON", b"{}", true),
            ("text/plain;charset=latin1", b"\xe4", false),
            ("application/octet-stream", b"{}", false),
        ] {
            assert_eq!(is_textual(content_type, payload), expected, "{content_type}");
        }
    }
}
