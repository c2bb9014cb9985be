//! What leaves of an envelope, and what comes back.

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
