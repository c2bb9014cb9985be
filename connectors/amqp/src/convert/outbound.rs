//! An envelope becomes a message: properties, headers, and what is lost.

use super::CONTROL_HEADERS;
use crate::wire::{BasicProperties, SHORT_BYTES_MAX, fits};
use bytes::Bytes;
use crossdock_connector::{
    Outgoing,
    mapping::{self, Part},
};
use crossdock_model::{Fault, Headers, Text, Timestamp, Value};
use std::collections::HashMap;

/// On the server's disk.
const PERSISTENT: u8 = 2;
/// In the server's memory.
const TRANSIENT: u8 = 1;
/// The longest time to live that RabbitMQ takes, ten years: over a longer one it closes the channel.
const EXPIRATION_MILLIS_MAX: u64 = 315_360_000_000;
/// RabbitMQ takes it for the publisher's own consumer of replies, which is none here, and closes the channel.
const FAST_REPLY: &[u8] = b"amq.rabbitmq.reply-to";
/// So many headers are compared with each other; more are looked up by their names.
const HEADERS_FEW: usize = 16;
/// The native properties that a message that came over AMQP takes along.
const NATIVE_TYPE: &str = "type";
const NATIVE_APP_ID: &str = "app_id";

/// How a target's messages leave.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rules {
    /// Whether the server writes them to its disk.
    pub persistent: bool,
    /// Whether where they came from goes along.
    pub forward_origin: bool,
    /// Whether what would be lost is a fault.
    pub strict: bool,
}

/// A message as it leaves.
#[derive(Clone, PartialEq, Debug)]
pub struct Outbound {
    /// The properties, user headers among them.
    pub properties: BasicProperties,
    /// What it loses, by the envelope's names; `headers` once for each header.
    pub lost: Vec<Text>,
}

impl Outbound {
    /// The properties of a message.
    ///
    /// # Errors
    /// It would lose something, and the target is strict.
    pub fn new(message: &Outgoing, rules: Rules, now: Timestamp) -> Result<Self, Fault> {
        let mut writer = Writer::default();
        writer.fields(message, rules, now);
        writer.native(message);
        writer.user_headers(&message.envelope.headers);
        if message.envelope.payload.is_none() {
            // A tombstone leaves as an empty payload, which is not the same.
            writer.lost.push(Part::Payload.lost());
        }
        if rules.strict {
            mapping::strictly("AMQP", &writer.lost)?;
        }
        Ok(Self { properties: writer.basic, lost: writer.lost })
    }
}

#[derive(Default)]
struct Writer {
    basic: BasicProperties,
    lost: Vec<Text>,
    /// The parts that went into a header since they did not fit their property.
    in_header: Vec<Part>,
}

impl Writer {
    fn fields(&mut self, message: &Outgoing, rules: Rules, now: Timestamp) {
        let properties = &message.envelope.properties;
        let of = |text: &Option<Text>| text.as_ref().map(|text| text.as_bytes().clone());
        self.basic.content_type = self.short(Part::ContentType, of(&properties.content_type));
        self.basic.content_encoding = self.short(Part::ContentEncoding, of(&properties.content_encoding));
        self.reply_to(of(&properties.reply_to));
        self.basic.correlation_id = self.short(Part::CorrelationId, properties.correlation_id.clone());
        self.basic.message_id = self.short(Part::Id, Some(message.idempotency_key.as_bytes().clone()));
        self.basic.delivery_mode = Some(if rules.persistent { PERSISTENT } else { TRANSIENT });
        self.basic.priority = properties.priority;
        self.expiration(message, now);
        if let Some(time) = properties.time {
            self.time(time, message);
        }
        for part in [Part::Key, Part::Traceparent, Part::Tracestate, Part::Origin] {
            if let Some(value) = mapping::header_value(part, message, rules.forward_origin) {
                self.header(part, value);
            }
        }
    }

    /// A value that is a short string and text goes to its property; another to the header of its part.
    fn short(&mut self, part: Part, value: Option<Bytes>) -> Option<Bytes> {
        let value = value?;
        if value.len() <= SHORT_BYTES_MAX && std::str::from_utf8(&value).is_ok() {
            return Some(value);
        }
        self.in_header.push(part);
        self.header(part, value);
        None
    }

    /// An address of a reply that the server would not take goes to its header.
    fn reply_to(&mut self, value: Option<Bytes>) {
        match value {
            Some(value) if value == FAST_REPLY => {
                self.in_header.push(Part::ReplyTo);
                self.header(Part::ReplyTo, value);
            }
            value => self.basic.reply_to = self.short(Part::ReplyTo, value),
        }
    }

    /// The time that is left; the header alone has when a message expires that has more than the server takes.
    fn expiration(&mut self, message: &Outgoing, now: Timestamp) {
        match mapping::remaining_millis(&message.envelope, now) {
            Some(left) if left > EXPIRATION_MILLIS_MAX => {
                if let Some(value) = mapping::header_value(Part::ExpiresAt, message, false) {
                    self.header(Part::ExpiresAt, value);
                }
            }
            left => self.basic.expiration = left.map(|left| Bytes::from(left.to_string())),
        }
    }

    /// The property has whole seconds; what is finer goes along in a header. A time before 1970 has the header alone.
    fn time(&mut self, time: Timestamp, message: &Outgoing) {
        let millis = u64::try_from(time.millis());
        self.basic.timestamp = millis.ok().map(|millis| millis / 1000);
        if millis.is_ok_and(|millis| millis % 1000 == 0) {
            return;
        }
        if let Some(value) = mapping::header_value(Part::Time, message, false) {
            self.header(Part::Time, value);
        }
    }

    fn header(&mut self, part: Part, value: Bytes) {
        let Some(name) = part.header() else { return };
        let value = Text::try_from(value.clone()).map_or(Value::Bytes(value), Value::Text);
        self.basic.headers.push((Text::from_static(name), value));
    }

    /// What only AMQP has stays with a message that came over it. The user it was published by is the server's to check,
    /// and is not us.
    fn native(&mut self, message: &Outgoing) {
        let origin = &message.envelope.origin;
        if &*origin.protocol != "amqp" {
            return;
        }
        for (name, value) in &origin.native {
            let Value::Text(text) = value else { continue };
            let property = match &**name {
                NATIVE_TYPE => &mut self.basic.kind,
                NATIVE_APP_ID => &mut self.basic.app_id,
                _ => continue,
            };
            *property = Some(text.as_bytes().clone());
        }
    }

    /// The user headers: of those with one name the last, since names are unique in a table.
    fn user_headers(&mut self, headers: &Headers) {
        let in_header = std::mem::take(&mut self.in_header);
        let has_field = |part| !matches!(part, Part::Traceparent | Part::Tracestate) && !in_header.contains(&part);
        let many: HashMap<&str, usize> = if headers.len() > HEADERS_FEW {
            headers.iter().enumerate().map(|(at, header)| (&*header.name, at)).collect()
        } else {
            HashMap::new()
        };
        for (at, header) in headers.iter().enumerate() {
            let is_last = match many.get(&*header.name) {
                Some(last) => *last == at,
                None => !headers.iter().skip(at + 1).any(|later| later.name == header.name),
            };
            let is_free = mapping::is_free(&header.name, has_field) && !CONTROL_HEADERS.contains(&&*header.name);
            if is_last && is_free && fits(&header.name, &header.value) {
                self.basic.headers.push((header.name.clone(), header.value.clone()));
            } else {
                self.lost.push(Part::Headers.lost());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::{Arrival, Inbound};
    use crossdock_connector::{Rendered, Ticket};
    use crossdock_model::{Envelope, MessageId, Origin};
    use proptest::{collection::vec, option, prelude::*};
    use std::sync::Arc;

    const RULES: Rules = Rules { persistent: true, forward_origin: false, strict: false };

    fn message(change: impl FnOnce(&mut Envelope)) -> Outgoing {
        let mut envelope = Envelope::new(MessageId::from_bytes([1; 16]), Timestamp(0), "{}");
        change(&mut envelope);
        let (rendered, idempotency_key) = (Rendered::default(), Text::from_static("id-1"));
        Outgoing { ticket: Ticket(1), envelope: Arc::new(envelope), rendered, idempotency_key, attempt: 1 }
    }

    fn sent(change: impl FnOnce(&mut Envelope)) -> Outbound {
        Outbound::new(&message(change), RULES, Timestamp(1_000)).unwrap()
    }

    fn headers(out: &Outbound) -> Vec<String> {
        out.properties.headers.iter().map(|(name, value)| format!("{name}={value}")).collect()
    }

    #[test]
    fn of_those_with_one_name_the_last_goes_along_however_many_there_are() {
        for names in [3, 300] {
            let out = sent(|envelope| {
                for n in 0..names * 2 {
                    envelope.headers.push(Text::from(format!("h{}", n % names)), Value::Integer(n));
                }
            });
            let expected: Vec<String> = (0..names).map(|n| format!("h{n}={}", n + names)).collect();
            assert_eq!(headers(&out), expected);
            assert_eq!(i64::try_from(out.lost.len()), Ok(names));
        }
    }

    #[test]
    fn fields_go_to_their_properties() {
        let out = sent(|envelope| {
            let properties = &mut envelope.properties;
            properties.content_type = Some("text/plain".into());
            properties.correlation_id = Some("c-1".into());
            properties.reply_to = Some("answers".into());
            properties.time = Some(Timestamp(1_700_000_000_000));
            properties.expires_at = Some(Timestamp(2_500));
            properties.priority = Some(200);
            properties.key = Some(Bytes::from_static(b"k\xff"));
            properties.traceparent = Some("00-a-b-01".into());
        });
        let got = &out.properties;
        assert_eq!(got.content_type.as_deref(), Some(&b"text/plain"[..]));
        assert_eq!(got.correlation_id.as_deref(), Some(&b"c-1"[..]));
        assert_eq!(got.reply_to.as_deref(), Some(&b"answers"[..]));
        assert_eq!(got.message_id.as_deref(), Some(&b"id-1"[..]));
        assert_eq!((got.timestamp, got.expiration.as_deref()), (Some(1_700_000_000), Some(&b"1500"[..])));
        assert_eq!((got.priority, got.delivery_mode), (Some(200), Some(2)));
        assert_eq!(headers(&out), ["crossdock-key=2 bytes", "traceparent=00-a-b-01"]);
        assert!(out.lost.is_empty());
    }

    #[test]
    fn what_does_not_fit_a_property_goes_to_a_header() {
        let long = "x".repeat(256);
        for (bytes, fits) in [(&b"c"[..], true), (b"c\xff", false), (long.as_bytes(), false)] {
            let out = sent(|envelope| {
                envelope.properties.correlation_id = Some(Bytes::copy_from_slice(bytes));
                // A user header of the name would be taken for the field.
                envelope.headers.push("correlation-id", "mine");
            });
            assert_eq!(out.properties.correlation_id.is_some(), fits);
            assert_eq!((out.properties.headers.len(), out.lost.len()), (1, usize::from(!fits)));
        }
    }

    #[test]
    fn times_keep_their_fraction_beside() {
        for (millis, timestamp, header) in [
            (1_500, Some(1), Some("crossdock-time=1970-01-01T00:00:01.500Z")),
            (2_000, Some(2), None),
            (-1, None, Some("crossdock-time=1969-12-31T23:59:59.999Z")),
        ] {
            let out = sent(|envelope| envelope.properties.time = Some(Timestamp(millis)));
            assert_eq!(out.properties.timestamp, timestamp, "{millis}");
            assert_eq!(headers(&out), header.into_iter().collect::<Vec<_>>(), "{millis}");
        }
    }

    #[test]
    fn what_has_expired_meanwhile_has_a_millisecond_left() {
        let out = sent(|envelope| envelope.properties.expires_at = Some(Timestamp(1)));
        assert_eq!(out.properties.expiration.as_deref(), Some(&b"1"[..]), "0 would mean another thing to RabbitMQ");
    }

    #[test]
    fn what_rabbitmq_closes_the_channel_over_goes_to_a_header() {
        let out = sent(|envelope| envelope.properties.expires_at = Some(Timestamp(1_000 + 315_360_000_000)));
        assert_eq!(out.properties.expiration.as_deref(), Some(&b"315360000000"[..]));
        let out = sent(|envelope| {
            envelope.properties.expires_at = Some(Timestamp(1_001 + 315_360_000_000));
            envelope.properties.reply_to = Some("amq.rabbitmq.reply-to".into());
        });
        assert_eq!((out.properties.expiration.as_deref(), out.properties.reply_to.as_deref()), (None, None));
        assert_eq!(headers(&out), ["reply-to=amq.rabbitmq.reply-to", "crossdock-expires-at=1979-12-30T00:00:01.001Z"]);
        assert!(out.lost.is_empty());
        let out = sent(|envelope| envelope.properties.reply_to = Some("amq.rabbitmq.reply-to.g1h.x".into()));
        assert!(out.properties.reply_to.is_some());
    }

    #[test]
    fn control_headers_never_leave_and_names_are_unique() {
        let out = sent(|envelope| {
            for (name, value) in [
                ("CC", "elsewhere"),
                ("BCC", "elsewhere"),
                ("x-death", "never"),
                ("crossdock-key", "forged"),
                ("Crossdock-Time", "forged"),
                ("traceparent", "forged"),
                ("unit", "kg"),
                ("unit", "lb"),
                ("line", "a\r\nb: c"),
            ] {
                envelope.headers.push(name, value);
            }
            envelope.headers.push("n".repeat(256), Value::Null);
        });
        assert_eq!(headers(&out), ["unit=lb", "line=a\r\nb: c"]);
        assert_eq!(out.lost.len(), 8);
        let strict = Rules { strict: true, ..RULES };
        let fault = Outbound::new(&message(|envelope| envelope.headers.push("CC", "q")), strict, Timestamp(0));
        assert_eq!(&*fault.unwrap_err().code, "mapping.lost");
    }

    #[test]
    fn a_tombstone_is_told_as_a_loss() {
        assert_eq!(sent(|envelope| envelope.payload = None).lost, ["payload"]);
        assert!(sent(|envelope| envelope.payload = Some(Bytes::new())).lost.is_empty());
    }

    #[test]
    fn native_properties_stay_within_amqp() {
        let from = |protocol: &'static str| {
            sent(|envelope| {
                let native = [("type", "order"), ("app_id", "shop"), ("user_id", "admin"), ("cluster_id", "c")];
                let native = native.map(|(name, value)| (Text::from_static(name), Value::from(value))).to_vec();
                envelope.origin = Origin { protocol: protocol.into(), native, ..Origin::default() };
            })
            .properties
        };
        let got = from("amqp");
        assert_eq!((got.kind.as_deref(), got.app_id.as_deref()), (Some(&b"order"[..]), Some(&b"shop"[..])));
        assert_eq!((got.user_id, got.cluster_id), (None, None));
        assert_eq!(from("http").kind, None);
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Boolean),
            any::<i64>().prop_map(Value::Integer),
            (-1e300..1e300).prop_map(Value::Float),
            (any::<i32>(), any::<u8>())
                .prop_map(|(mantissa, scale)| Value::Decimal { mantissa: i64::from(mantissa), scale }),
            (0..4_000_000_000_i64).prop_map(|seconds| Value::Timestamp(Timestamp(seconds * 1000))),
            ".{0,20}".prop_map(|text| Value::Text(text.into())),
            vec(any::<u8>(), 0..20).prop_map(|bytes| Value::Bytes(bytes.into())),
        ];
        leaf.prop_recursive(3, 20, 4, |inner| {
            prop_oneof![
                vec(inner.clone(), 0..4).prop_map(Value::List),
                vec((".{0,8}".prop_map(Text::from), inner), 0..4).prop_map(Value::Table),
            ]
        })
    }

    prop_compose! {
        fn envelope()(
            texts in vec(option::of("[ -~]{1,60}"), 3),
            correlation_id in option::of(vec(any::<u8>(), 0..300).prop_map(Bytes::from)),
            numbers in (option::of(0..4_000_000_000_i64), option::of(any::<u8>())),
            headers in proptest::collection::btree_map("u-[a-zA-Z0-9é .]{0,20}", value(), 0..5),
            payload in vec(any::<u8>(), 0..300),
        ) -> Envelope {
            let mut envelope = Envelope::new(MessageId::from_bytes([1; 16]), Timestamp(0), payload);
            let mut texts = texts.into_iter().map(|text| text.map(Text::from));
            envelope.properties.content_type = texts.next().flatten();
            envelope.properties.content_encoding = texts.next().flatten();
            envelope.properties.reply_to = texts.next().flatten();
            envelope.properties.correlation_id = correlation_id;
            envelope.properties.time = numbers.0.map(|seconds| Timestamp(seconds * 1000));
            envelope.properties.priority = numbers.1;
            for (name, value) in headers {
                envelope.headers.push(name, value);
            }
            envelope
        }
    }

    proptest! {
        /// Out and in again over AMQP's bytes: payload, fields and typed headers are the same.
        #[test]
        fn a_message_comes_back_as_it_went(sent in envelope()) {
            let outgoing = message(|envelope| *envelope = sent.clone());
            let out = Outbound::new(&outgoing, RULES, Timestamp(0)).unwrap();
            prop_assert!(out.lost.is_empty());
            let mut bytes = bytes::BytesMut::new();
            crate::wire::write_header(&mut bytes, 1, 0, &out.properties);
            let frame = crate::wire::take_frame(&mut bytes, usize::MAX).unwrap().unwrap();
            let basic = BasicProperties::read(frame.payload).unwrap().1.unwrap();
            let inbound = Inbound { connection: "c".into(), queue: "q".into(), remote: "r".into() };
            let arrival = Arrival { redelivered: false, exchange: Bytes::new(), routing_key: Bytes::new() };
            let payload = sent.payload.clone().unwrap();
            let got = inbound.envelope((arrival, basic, payload), Timestamp(0), || MessageId::from_bytes([0; 16]));
            prop_assert_eq!(got.properties, sent.properties);
            prop_assert_eq!(got.headers, sent.headers);
            prop_assert_eq!(got.payload, sent.payload);
        }
    }
}
