//! A delivery becomes an envelope. Nothing in a message makes it fail: what is no text where a text is expected stays
//! among the native properties, as bytes.

use crate::wire::BasicProperties;
use bytes::Bytes;
use crossdock_connector::mapping::{self, Inbound as Taken, Part};
use crossdock_model::{
    Digest, DigestBuilder, Envelope, Headers, MessageId, Origin, Properties, Text, Timestamp, Value,
};

/// What all messages of a source share.
#[derive(Clone, Debug)]
pub struct Inbound {
    /// The connection's name.
    pub connection: Text,
    /// The queue, as configured.
    pub queue: Text,
    /// The server's address, to be shown.
    pub remote: Text,
}

/// How a message came.
pub struct Arrival {
    /// Whether it, or so the server says, was delivered before.
    pub redelivered: bool,
    /// The exchange it was published to.
    pub exchange: Bytes,
    /// With which routing key.
    pub routing_key: Bytes,
}

impl Inbound {
    /// The envelope of a message; `fresh` makes an id where the sender gave none.
    pub fn envelope(
        &self,
        (arrival, basic, payload): (Arrival, BasicProperties, Bytes),
        now: Timestamp,
        fresh: impl FnOnce() -> MessageId,
    ) -> Envelope {
        let id = match basic.message_id.as_ref().filter(|id| !id.is_empty()) {
            Some(id) => MessageId::from_digest(self.digest(id)),
            None => fresh(),
        };
        let mut native = Vec::with_capacity(8);
        native.push((Text::from_static("exchange"), text_or_bytes(arrival.exchange)));
        native.push((Text::from_static("routing_key"), text_or_bytes(arrival.routing_key)));
        native.push((Text::from_static("redelivered"), Value::Boolean(arrival.redelivered)));
        let (properties, headers) = fields(basic, now, &mut native);
        let origin = Origin {
            protocol: Text::from_static("amqp"),
            connection: self.connection.clone(),
            address: self.queue.clone(),
            remote: Some(self.remote.clone()),
            native,
            ..Origin::default()
        };
        Envelope { id, received_at: now, payload: Some(payload), properties, headers, origin }
    }

    /// What stands for a sender's name for a message: with the connection and the queue it belongs to.
    fn digest(&self, message_id: &[u8]) -> Digest {
        let builder = DigestBuilder::new("crossdock.amqp.message");
        builder.part(self.connection.as_bytes()).part(self.queue.as_bytes()).part(message_id).finish()
    }
}

fn text_or_bytes(bytes: Bytes) -> Value {
    Text::try_from(bytes.clone()).map_or(Value::Bytes(bytes), Value::Text)
}

fn fields(basic: BasicProperties, now: Timestamp, native: &mut Vec<(Text, Value)>) -> (Properties, Headers) {
    let mut keep = |name: &'static str, value: Value| native.push((Text::from_static(name), value));
    let mut text = |name: &'static str, value: Option<Bytes>| {
        let value = text_or_bytes(value?);
        if let Value::Text(text) = value {
            return Some(text);
        }
        keep(name, value);
        None
    };
    let mut properties = Properties {
        content_type: text("content_type", basic.content_type),
        content_encoding: text("content_encoding", basic.content_encoding),
        correlation_id: basic.correlation_id,
        reply_to: text("reply_to", basic.reply_to),
        priority: basic.priority,
        ..Properties::default()
    };
    match basic.timestamp.map(crate::wire::time) {
        Some(Value::Timestamp(at)) => properties.time = Some(at),
        Some(other) => keep("timestamp", other),
        None => {}
    }
    if let Some(expiration) = basic.expiration {
        let millis = std::str::from_utf8(&expiration).ok().and_then(|text| text.parse::<i64>().ok());
        match millis.filter(|millis| *millis >= 0) {
            Some(millis) => properties.expires_at = Some(Timestamp(now.millis().saturating_add(millis))),
            None => keep("expiration", text_or_bytes(expiration)),
        }
    }
    for (name, value) in [
        ("message_id", basic.message_id),
        ("type", basic.kind),
        ("user_id", basic.user_id),
        ("app_id", basic.app_id),
        ("cluster_id", basic.cluster_id),
    ] {
        if let Some(value) = value {
            keep(name, text_or_bytes(value));
        }
    }
    if let Some(mode) = basic.delivery_mode {
        keep("delivery_mode", Value::Integer(i64::from(mode)));
    }
    let headers = user_headers(basic.headers, &mut properties);
    (properties, headers)
}

/// The user headers; one that is named as a field that did not fit its property (see the table of the module) is that
/// field, if the property is not there.
fn user_headers(table: Vec<(Text, Value)>, properties: &mut Properties) -> Headers {
    let present = [
        (Part::ContentType, properties.content_type.is_some()),
        (Part::ContentEncoding, properties.content_encoding.is_some()),
        (Part::CorrelationId, properties.correlation_id.is_some()),
        (Part::ReplyTo, properties.reply_to.is_some()),
        (Part::Id, true),
    ];
    let has_field = |part| present.iter().any(|(of, present)| *of == part && *present);
    let mut headers = Headers::new();
    for (name, value) in table {
        match mapping::take(properties, &name, &value, has_field) {
            Taken::User => headers.push(name, value),
            Taken::Field(_) | Taken::Left => {}
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inbound() -> Inbound {
        Inbound { connection: "rabbit".into(), queue: "orders".into(), remote: "127.0.0.1:5672".into() }
    }

    fn arrival() -> Arrival {
        Arrival { redelivered: true, exchange: Bytes::new(), routing_key: Bytes::from_static(b"a.b") }
    }

    fn envelope(basic: BasicProperties) -> Envelope {
        let payload = Bytes::from_static(b"\x00\xff");
        inbound().envelope((arrival(), basic, payload), Timestamp(1_000), || MessageId::from_bytes([7; 16]))
    }

    #[test]
    fn properties_go_to_fields_and_the_rest_to_the_origin() {
        let got = envelope(BasicProperties {
            content_type: Some("application/json".into()),
            content_encoding: Some("gzip".into()),
            correlation_id: Some(Bytes::from_static(b"c\xff")),
            reply_to: Some("answers".into()),
            expiration: Some("500".into()),
            timestamp: Some(1_700_000_000),
            priority: Some(9),
            delivery_mode: Some(2),
            kind: Some("order".into()),
            app_id: Some("shop".into()),
            headers: vec![
                ("n".into(), Value::Integer(7)),
                ("traceparent".into(), "00-a-b-01".into()),
                ("crossdock-key".into(), "forged".into()),
                ("correlation-id".into(), "another".into()),
                ("n".into(), Value::Integer(8)),
            ],
            ..BasicProperties::default()
        });
        assert_eq!(got.bytes(), b"\x00\xff");
        let properties = &got.properties;
        assert_eq!(properties.content_type.as_deref(), Some("application/json"));
        assert_eq!(properties.content_encoding.as_deref(), Some("gzip"));
        assert_eq!(properties.correlation_id.as_deref(), Some(&b"c\xff"[..]));
        assert_eq!(properties.reply_to.as_deref(), Some("answers"));
        assert_eq!(properties.traceparent.as_deref(), Some("00-a-b-01"));
        assert_eq!(properties.expires_at, Some(Timestamp(1_500)));
        assert_eq!(properties.time, Some(Timestamp(1_700_000_000_000)));
        assert_eq!((properties.priority, &properties.key), (Some(9), &None));
        let headers: Vec<_> = got.headers.iter().map(|header| format!("{}={}", header.name, header.value)).collect();
        assert_eq!(headers, ["n=7", "correlation-id=another", "n=8"]);
        let native: Vec<_> = got.origin.native.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(
            native,
            ["exchange=", "routing_key=a.b", "redelivered=true", "type=order", "app_id=shop", "delivery_mode=2"]
        );
        assert_eq!((&*got.origin.protocol, &*got.origin.address), ("amqp", "orders"));
    }

    #[test]
    fn what_is_no_text_or_no_time_is_kept_beside() {
        let got = envelope(BasicProperties {
            content_type: Some(Bytes::from_static(b"text/\xfc")),
            expiration: Some("soon".into()),
            timestamp: Some(u64::MAX),
            message_id: Some(Bytes::from_static(b"\xff")),
            ..BasicProperties::default()
        });
        assert_eq!((got.properties.content_type, got.properties.expires_at, got.properties.time), (None, None, None));
        let kept: Vec<_> = got.origin.native.iter().map(|(name, _)| &**name).skip(3).collect();
        assert_eq!(kept, ["content_type", "timestamp", "expiration", "message_id"]);
    }

    #[test]
    fn the_senders_name_for_a_message_makes_its_id() {
        let named =
            |id: &'static str| envelope(BasicProperties { message_id: Some(id.into()), ..Default::default() }).id;
        assert_eq!(named("m-1"), named("m-1"));
        assert_ne!(named("m-1"), named("m-2"));
        assert_eq!(named(""), MessageId::from_bytes([7; 16]), "an empty name is none");
        let other = Inbound { queue: "other".into(), ..inbound() };
        let basic = BasicProperties { message_id: Some("m-1".into()), ..Default::default() };
        let id = other.envelope((arrival(), basic, Bytes::new()), Timestamp(0), || MessageId::from_bytes([0; 16])).id;
        assert_ne!(id, named("m-1"), "ids belong to their queue");
    }

    #[test]
    fn a_field_that_did_not_fit_its_property_comes_back_from_its_header() {
        let got = envelope(BasicProperties {
            headers: vec![("correlation-id".into(), Value::Bytes(Bytes::from_static(b"\xff")))],
            ..BasicProperties::default()
        });
        assert_eq!(got.properties.correlation_id.as_deref(), Some(&b"\xff"[..]));
        assert!(got.headers.is_empty());
    }
}
