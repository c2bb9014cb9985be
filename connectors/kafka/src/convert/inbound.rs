//! From a record to an envelope.

use super::{Arena, has_field};
use crossdock_connector::{
    Place,
    mapping::{self, Inbound, Part},
};
use crossdock_model::{
    Digest, DigestBuilder, Envelope, Fault, HEADER_NAME_BYTES_MAX, HEADERS_MAX, Header, Headers, MessageId, Origin,
    Places, Properties, Refusal, RefusalKind, Text, Timestamp, Value,
};
use rdkafka::{Message, message::Headers as _, message::Timestamp as RecordTime};
use std::panic::{AssertUnwindSafe, catch_unwind};

const PROTOCOL: Text = Text::from_static("kafka");

/// A partition in one assignment, with what its messages have in common.
#[derive(Clone)]
pub(crate) struct Lane {
    /// The topic.
    pub topic: Text,
    /// The partition.
    pub partition: i32,
    /// The scope of its tokens.
    pub scope: u32,
    connection: Text,
    places: Places,
    last: Option<Place>,
}

impl Lane {
    /// A partition of a topic as a connection reads it.
    pub fn new(connection: &Text, topic: &Text, partition: i32, scope: u32) -> Self {
        let log = DigestBuilder::new("kafka")
            .part(connection.as_bytes())
            .part(topic.as_bytes())
            .part(&partition.to_le_bytes());
        let places = Places::new(log.finish());
        Self { topic: topic.clone(), partition, scope, connection: connection.clone(), places, last: None }
    }

    /// Whether a message is of this lane.
    pub fn is_of(&self, message: &impl Message) -> bool {
        self.partition == message.partition() && *self.topic == *message.topic()
    }

    /// The same lane, which goes on where it stood.
    pub fn following(self, before: Option<&Self>) -> Self {
        Self { last: before.and_then(|before| before.last), ..self }
    }

    /// The place of the next record that is received. A topic that is deleted and made anew goes back under its reader.
    pub fn place(&mut self, offset: i64) -> Place {
        let turn = self.last.map_or(0, |last| last.turn.wrapping_add(u16::from(offset <= last.at)));
        *self.last.insert(Place { turn, at: offset })
    }

    /// What a record is known by: a topic that was made anew begins at 0 again, so that its time belongs to it.
    pub fn identity(&self, offset: i64, time: Option<i64>) -> Digest {
        self.places.at(offset, time.unwrap_or(-1))
    }
}

/// The envelope of a record; its id is made from [`Lane::identity`], which is given along.
///
/// # Errors
/// It has more headers than a message may have, or a longer name.
pub(crate) fn envelope<M: Message>(
    message: &M,
    lane: &Lane,
    arena: &mut Arena,
    received_at: Timestamp,
) -> Result<(Envelope, Digest), Box<Refusal>> {
    let time = message.timestamp().to_millis();
    let identity = lane.identity(message.offset(), time);
    let mut properties = Properties {
        time: time.map(Timestamp),
        key: message.key().map(|key| arena.copy(key)),
        ..Properties::default()
    };
    let mut native = Vec::new();
    if let RecordTime::LogAppendTime(_) = message.timestamp() {
        native.push((Text::from_static("timestamp_type"), Value::from("log_append")));
    }
    let headers = user_headers(message, arena, &mut properties, &mut native)?;
    let origin = Origin {
        protocol: PROTOCOL,
        connection: lane.connection.clone(),
        address: lane.topic.clone(),
        partition: Some(lane.partition),
        offset: Some(message.offset()),
        native,
        ..Origin::default()
    };
    let payload = message.payload().map(|payload| arena.copy(payload));
    let id = MessageId::from_digest(identity);
    Ok((Envelope { id, received_at, payload, properties, headers, origin }, identity))
}

fn user_headers<M: Message>(
    message: &M,
    arena: &mut Arena,
    properties: &mut Properties,
    native: &mut Vec<(Text, Value)>,
) -> Result<Headers, Box<Refusal>> {
    let Some(received) = message.headers() else { return Ok(Headers::new()) };
    let count = received.count();
    if count > HEADERS_MAX {
        return Err(too_much(format!("{count} headers are more than a message may have ({HEADERS_MAX})")));
    }
    let (mut headers, mut unreadable) = (Vec::with_capacity(count), 0_i64);
    for at in 0..count {
        // The library panics over a name that is no UTF-8, which it gives no other way to read.
        let Ok(Some(header)) = catch_unwind(AssertUnwindSafe(|| received.try_get(at))) else {
            unreadable += 1;
            continue;
        };
        if header.key.len() > HEADER_NAME_BYTES_MAX {
            let text = format!(
                "a header's name of {} bytes is longer than one may be ({HEADER_NAME_BYTES_MAX})",
                header.key.len()
            );
            return Err(too_much(text));
        }
        let value = header.value.map_or(Value::Null, |value| Value::Bytes(arena.copy(value)));
        match mapping::take(properties, header.key, &value, has_field) {
            // The id that somebody gave it; ours is made from its place.
            Inbound::Field(Part::Id) => native.push((Text::from_static("message_id"), value)),
            Inbound::Field(_) | Inbound::Left => {}
            Inbound::User => {
                let name = Text::try_from(arena.copy(header.key.as_bytes())).unwrap_or_default();
                headers.push(Header { name, value });
            }
        }
    }
    if unreadable > 0 {
        let (topic, partition, offset) = (message.topic(), message.partition(), message.offset());
        tracing::warn!(
            topic,
            partition,
            offset,
            unreadable,
            "names of headers are no UTF-8: these headers are left out"
        );
        native.push((Text::from_static("unreadable_headers"), Value::Integer(unreadable)));
    }
    Ok(headers.into_iter().collect())
}

fn too_much(text: String) -> Box<Refusal> {
    Box::new(Refusal {
        kind: RefusalKind::TooLarge,
        fault: Fault::rejected("kafka.headers", text),
        violations: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdkafka::message::{OwnedHeaders, OwnedMessage};

    type Pairs<'a> = &'a [(&'a str, Option<&'a [u8]>)];

    fn record(key: Option<&[u8]>, payload: Option<&[u8]>, headers: Pairs<'_>, time: RecordTime) -> OwnedMessage {
        let owned = headers.iter().fold(OwnedHeaders::new(), |owned, (key, value)| {
            owned.insert(rdkafka::message::Header { key, value: *value })
        });
        let (key, payload) = (key.map(<[u8]>::to_vec), payload.map(<[u8]>::to_vec));
        OwnedMessage::new(payload, key, "orders".into(), time, 2, 1147, Some(owned))
    }

    fn lane() -> Lane {
        Lane::new(&Text::from_static("bus"), &Text::from_static("orders"), 2, 7)
    }

    fn convert(record: &OwnedMessage) -> Envelope {
        envelope(record, &lane(), &mut Arena::default(), Timestamp(5)).unwrap().0
    }

    #[test]
    fn everything_of_a_record_is_kept() {
        let headers: Pairs<'_> = &[
            ("h", Some(b"\x00\xff")),
            ("content-type", Some(b"application/json")),
            ("h", Some(b"2")),
            ("correlation-id", Some(b"\xffc")),
            ("nothing", None),
            ("empty", Some(b"")),
            ("message-id", Some(b"m-1")),
            ("traceparent", Some(b"00-a-b-01")),
            ("crossdock-key", Some(b"forged")),
            ("Content-Type", Some(b"text/plain")),
        ];
        let got = convert(&record(Some(b"k"), Some(b"{}"), headers, RecordTime::CreateTime(1_700_000_000_123)));
        assert_eq!((got.bytes(), got.properties.key.as_deref()), (&b"{}"[..], Some(&b"k"[..])));
        assert_eq!(got.properties.content_type.as_deref(), Some("application/json"));
        assert_eq!(got.properties.correlation_id.as_deref(), Some(&b"\xffc"[..]));
        assert_eq!(got.properties.time, Some(Timestamp(1_700_000_000_123)));
        assert_eq!(got.properties.traceparent.as_deref(), Some("00-a-b-01"));
        let bytes = |value: &'static [u8]| Value::Bytes(value.into());
        let user: Vec<_> = got.headers.iter().map(|header| (&*header.name, header.value.clone())).collect();
        let expected = [
            ("h", bytes(b"\x00\xff")),
            ("h", bytes(b"2")),
            ("nothing", Value::Null),
            ("empty", bytes(b"")),
            ("Content-Type", bytes(b"text/plain")),
        ];
        assert_eq!(user, expected);
        let origin = &got.origin;
        assert_eq!((&*origin.protocol, &*origin.connection, &*origin.address), ("kafka", "bus", "orders"));
        assert_eq!((origin.partition, origin.offset), (Some(2), Some(1147)));
        assert_eq!(origin.native, [(Text::from_static("message_id"), bytes(b"m-1"))]);
        assert_eq!(got.received_at, Timestamp(5));
    }

    #[test]
    fn a_tombstone_is_not_an_empty_payload() {
        let plain = |key, payload| convert(&record(key, payload, &[], RecordTime::NotAvailable));
        let (tombstone, empty) = (plain(Some(b"k"), None), plain(None, Some(b"")));
        assert_eq!((tombstone.payload, tombstone.properties.time), (None, None));
        assert_eq!((empty.payload.as_deref(), empty.properties.key), (Some(&b""[..]), None));
    }

    #[test]
    fn ids_belong_to_place_and_time() {
        let lane = lane();
        let other = Lane::new(&Text::from_static("bus"), &Text::from_static("orders"), 3, 7);
        let ids = [
            lane.identity(1, Some(10)),
            lane.identity(2, Some(10)),
            lane.identity(1, Some(11)),
            lane.identity(1, None),
            other.identity(1, Some(10)),
        ];
        for (at, id) in ids.iter().enumerate() {
            assert_eq!(ids.iter().position(|other| other == id), Some(at));
        }
        let epoch = Lane::new(&Text::from_static("bus"), &Text::from_static("orders"), 2, 8);
        assert_eq!(epoch.identity(1, Some(10)), ids[0], "another assignment is the same place");
    }

    #[test]
    fn a_log_that_goes_back_is_in_another_turn() {
        let mut lane = lane();
        let turns: Vec<_> = [5, 6, 9, 9, 10, 0, 1].into_iter().map(|offset| lane.place(offset).turn).collect();
        assert_eq!(turns, [0, 0, 0, 1, 1, 2, 2]);
    }

    #[test]
    fn hostile_headers_lose_no_message() {
        // The name `\xff` cannot be made with a safe function; in a record it comes from other clients.
        let many: Vec<(&str, Option<&[u8]>)> = vec![("x", None); HEADERS_MAX + 1];
        let refusal = |headers: Pairs<'_>| {
            let record = record(None, Some(b"x"), headers, RecordTime::NotAvailable);
            envelope(&record, &lane(), &mut Arena::default(), Timestamp(0)).map(|(got, _)| got.headers.len())
        };
        assert_eq!(refusal(&many).unwrap_err().kind, RefusalKind::TooLarge);
        assert_eq!(refusal(&many[1..]).unwrap(), HEADERS_MAX);
        let long = "n".repeat(HEADER_NAME_BYTES_MAX + 1);
        assert!(refusal(&[(&long, None)]).is_err());
        assert_eq!(refusal(&[("a\r\nb", Some(b"\r\n")), ("", Some(b"v"))]).unwrap(), 2);
    }
}
