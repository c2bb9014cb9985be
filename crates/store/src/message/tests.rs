//! Every envelope that can be made comes back from disk as it was.

use super::{envelope::expires_at_of, *};
use crossdock_model::{Answer, FaultClass, FaultParts, Headers, Origin, Properties, Value};
use proptest::{collection::vec, option, prelude::*};
use std::time::Duration;

fn text() -> impl Strategy<Value = Text> {
    prop_oneof![
        "[a-z/é✓ ]{0,12}".prop_map(Text::from),
        proptest::sample::select(vec!["", "application/json", "http", "routing_key"]).prop_map(Text::from_static),
    ]
}

fn bytes() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..40).prop_map(Bytes::from)
}

fn time() -> impl Strategy<Value = Timestamp> {
    any::<i64>().prop_map(Timestamp)
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Boolean),
        any::<i64>().prop_map(Value::Integer),
        any::<u64>().prop_map(Value::Unsigned),
        any::<f64>().prop_filter("is itself", |n| !n.is_nan()).prop_map(Value::Float),
        (any::<i64>(), any::<u8>()).prop_map(|(mantissa, scale)| Value::Decimal { mantissa, scale }),
        time().prop_map(Value::Timestamp),
        text().prop_map(Value::Text),
        bytes().prop_map(Value::Bytes),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![vec(inner.clone(), 0..5).prop_map(Value::List), vec((text(), inner), 0..5).prop_map(Value::Table),]
    })
}

fn properties() -> impl Strategy<Value = Properties> {
    let texts = || option::of(text());
    (
        (texts(), texts(), texts(), texts(), texts()),
        (option::of(bytes()), option::of(bytes())),
        (option::of(time()), option::of(time()), option::of(any::<u8>())),
    )
        .prop_map(|(texts, (correlation_id, key), (time, expires_at, priority))| {
            let (content_type, content_encoding, reply_to, traceparent, tracestate) = texts;
            Properties {
                content_type,
                content_encoding,
                correlation_id,
                reply_to,
                time,
                expires_at,
                priority,
                key,
                traceparent,
                tracestate,
            }
        })
}

fn origin() -> impl Strategy<Value = Origin> {
    (
        (text(), text(), text(), option::of(text()), option::of(text())),
        (option::of(any::<i32>()), option::of(any::<i64>()), any::<bool>()),
        (vec((text(), text()), 0..3), vec((text(), value()), 0..3)),
    )
        .prop_map(|((protocol, connection, address, path, remote), (partition, offset, same), (query, native))| {
            Origin {
                path: if same { Some(address.clone()) } else { path },
                protocol,
                connection,
                address,
                partition,
                offset,
                query,
                remote,
                native,
            }
        })
}

fn fault() -> impl Strategy<Value = Fault> {
    (
        proptest::sample::select(vec![
            FaultClass::Rejected,
            FaultClass::Failed,
            FaultClass::Busy,
            FaultClass::Unreachable,
        ]),
        (text(), text(), option::of(text())),
        option::of(any::<u32>()),
        proptest::sample::select(vec![Answer::Application, Answer::Intermediary, Answer::Nobody]),
    )
        .prop_map(|(class, (code, text, step), wait, answer)| {
            let retry_after = wait.map(|ms| Duration::from_millis(u64::from(ms)));
            Fault::from(FaultParts { class, code, text, step, retry_after, answer })
        })
}

fn tries() -> impl Strategy<Value = Vec<Try>> {
    let one = (any::<u32>(), time(), option::of(text()), option::of(fault()));
    vec(one.prop_map(|(number, at, target, fault)| Try { number, at, target, fault }), 0..4)
}

fn dead_note() -> impl Strategy<Value = DeadNote> {
    (fault(), text(), option::of(text()), time(), option::of(text()), any::<u32>(), tries()).prop_map(
        |(cause, route, target, dead_since, source, tries_total, tries)| DeadNote {
            cause,
            route,
            target,
            dead_since,
            source,
            tries_total,
            tries,
        },
    )
}

fn earlier() -> impl Strategy<Value = Vec<EarlierDeath>> {
    let one = (fault(), option::of(text()), time(), any::<u32>(), time());
    vec(
        one.prop_map(|(cause, target, dead_since, tries_total, redriven_at)| EarlierDeath {
            cause,
            target,
            dead_since,
            tries_total,
            redriven_at,
        }),
        0..4,
    )
}

fn notes() -> impl Strategy<Value = Notes> {
    let all = (any::<u32>(), option::of(any::<[u8; 16]>()), option::of(dead_note()), earlier());
    all.prop_map(|(redrives, from, dead, earlier)| Notes {
        redrives,
        edited_from: from.map(MessageId::from_bytes),
        dead,
        earlier,
    })
}

fn envelope() -> impl Strategy<Value = Envelope> {
    (any::<[u8; 16]>(), time(), option::of(bytes()), properties(), vec((text(), value()), 0..4), origin()).prop_map(
        |(id, received_at, payload, properties, pairs, origin)| {
            let mut headers = Headers::new();
            for (name, value) in pairs {
                headers.push(name, value);
            }
            Envelope { id: MessageId::from_bytes(id), received_at, payload, properties, headers, origin }
        },
    )
}

fn stored(message: &EncodedMessage) -> StoredMessage {
    message.stored(0, Timestamp(0))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn what_is_encoded_comes_back(envelope in envelope(), notes in notes()) {
        let message = EncodedMessage::with_notes(&envelope, &notes);
        prop_assert_eq!(id_of(&message.body).unwrap(), envelope.id);
        prop_assert_eq!(expires_at_of(&message.body).unwrap(), envelope.properties.expires_at);
        prop_assert_eq!(may_expire(&message.body), envelope.properties.expires_at.is_some());
        let (envelope_back, notes_back) = stored(&message).decode().unwrap();
        prop_assert_eq!(envelope_back, envelope);
        prop_assert_eq!(notes_back, notes);
    }

    #[test]
    fn damaged_bytes_are_an_error_or_another_message_but_no_panic(
        envelope in envelope(), notes in notes(), at in any::<prop::sample::Index>(), flip in 1..=255_u8, cut in any::<prop::sample::Index>()
    ) {
        let mut bytes = EncodedMessage::with_notes(&envelope, &notes).body.to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        bytes.truncate(cut.index(bytes.len()) + 1);
        let _ = envelope::decode(&Bytes::from(bytes));
    }
}

#[test]
fn a_plain_message_takes_23_bytes_beside_its_payload() {
    let plain = Envelope::new(MessageId::from_bytes([7; 16]), Timestamp(1_795_000_000_000), vec![b'x'; 512]);
    assert_eq!(EncodedMessage::new(&plain, None).len(), 512 + 23);
}

#[test]
fn payload_and_texts_are_slices_of_the_buffer() {
    let mut made = Envelope::new(MessageId::from_bytes([7; 16]), Timestamp(5), vec![b'x'; 512]);
    made.properties.reply_to = Some(Text::from_static("somewhere"));
    let message = EncodedMessage::new(&made, None);
    let inside = |part: &[u8]| message.body.as_ptr_range().contains(&part.as_ptr());
    let back = stored(&message).envelope().unwrap();
    assert!(inside(back.bytes()) && inside(back.properties.reply_to.unwrap().as_bytes()));
}

#[test]
fn what_is_detached_holds_nothing_but_itself() {
    let frame = Bytes::from(vec![7; 1 << 20]);
    let body = frame.slice(100..700);
    // The frame has left memory: its buffer is held by this message alone.
    drop(frame);
    let message =
        StoredMessage { offset: 0, appended_at: Timestamp(0), id: MessageId::from_bytes([0; 16]), body, own: false };
    let in_frame = message.body.as_ptr();
    let own = message.detached();
    assert!(own.body.as_ptr() != in_frame && own.body == vec![7; 600]);
    let at = own.body.as_ptr();
    assert_eq!(own.detached().body.as_ptr(), at, "it is not copied again");
}
