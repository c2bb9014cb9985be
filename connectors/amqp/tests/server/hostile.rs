//! Messages that other clients do not survive: whoever may publish to a queue must not be able to stop who reads it.

use super::client::Client;
use super::rig::{Consumer, at, stored};
use crossdock_connector::Event;
use crossdock_model::Value;
use crossdock_testkit::servers::{self, unique};
use lapin::{
    BasicProperties,
    types::{AMQPValue, DecimalValue, FieldArray, FieldTable},
};
use serde_json::json;
use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

/// A client that writes what no client writes.
struct Raw(TcpStream);

impl Raw {
    fn connect(address: &str) -> Self {
        let mut raw = Self(TcpStream::connect(address).unwrap());
        raw.0.write_all(b"AMQP\x00\x00\x09\x01").unwrap();
        raw.answer(10, 10);
        let login = b"\x00\x00\x00\x00\x05PLAIN\x00\x00\x00\x0c\x00guest\x00guest\x05en_US";
        raw.method(0, 10, 11, login);
        raw.answer(10, 30);
        raw.method(0, 10, 31, b"\x07\xff\x00\x02\x00\x00\x00\x00");
        raw.method(0, 10, 40, b"\x01/\x00\x00");
        raw.answer(10, 41);
        raw.method(1, 20, 10, b"\x00");
        raw.answer(20, 11);
        raw
    }

    fn frame(&mut self, kind: u8, channel: u16, payload: &[u8]) {
        let size = u32::try_from(payload.len()).unwrap().to_be_bytes();
        self.0.write_all(&[&[kind], &channel.to_be_bytes()[..], &size, payload, b"\xce"].concat()).unwrap();
    }

    fn method(&mut self, channel: u16, class: u16, method: u16, arguments: &[u8]) {
        self.frame(1, channel, &[&class.to_be_bytes(), &method.to_be_bytes(), arguments].concat());
    }

    /// Waits for a method.
    fn answer(&mut self, class: u16, method: u16) {
        let mut head = [0; 7];
        self.0.read_exact(&mut head).unwrap();
        let mut rest = vec![0; u32::from_be_bytes([head[3], head[4], head[5], head[6]]) as usize + 1];
        self.0.read_exact(&mut rest).unwrap();
        assert_eq!(rest[..4], [class.to_be_bytes(), method.to_be_bytes()].concat());
    }

    /// Publishes to a queue with these flags and properties.
    fn publish(&mut self, queue: &str, flags: u16, properties: &[u8], payload: &[u8]) {
        let name = [&[u8::try_from(queue.len()).unwrap()], queue.as_bytes()].concat();
        self.method(1, 60, 40, &[&b"\x00\x00\x00"[..], &name, b"\x00"].concat());
        let size = (payload.len() as u64).to_be_bytes();
        self.frame(2, 1, &[&b"\x00\x3c\x00\x00"[..], &size, &flags.to_be_bytes(), properties].concat());
        self.frame(3, 1, payload);
    }

    fn close(mut self) {
        self.method(1, 20, 40, b"\x00\xc8\x00\x00\x00\x00\x00");
        self.answer(20, 41);
    }
}

fn nested(levels: usize) -> Vec<u8> {
    let mut table = Vec::new();
    for _ in 0..levels {
        let length = u32::try_from(table.len()).unwrap().to_be_bytes();
        table = [&b"\x00F"[..], &length, &table].concat();
    }
    [&u32::try_from(table.len()).unwrap().to_be_bytes()[..], &table].concat()
}

/// A table with so many entries without a value.
fn wide(entries: u32) -> Vec<u8> {
    let table: Vec<u8> =
        (0..entries).flat_map(|at| [&b"\x08"[..], format!("{at:08}").as_bytes(), b"V"].concat()).collect();
    [&u32::try_from(table.len()).unwrap().to_be_bytes()[..], &table].concat()
}

/// A text that is no UTF-8 is a value like another; a table of 15,000 levels, or one with more headers than a message may have,
/// is rejected by itself; what comes behind is read.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_cannot_be_read_stops_nobody() {
    let (server, queue) = (servers::rabbit(), unique("q"));
    let client = Client::connect(server.url()).await;
    client.declare(&queue).await;
    let mut raw = Raw::connect(server.address());
    raw.publish(&queue, 0x0400, b"\x06M\xfcller", b"latin");
    raw.publish(&queue, 0x8000, b"\x01\xff", b"a type that is no text");
    raw.publish(&queue, 0x2000, &nested(15_000), b"deep");
    raw.publish(&queue, 0x2000, &wide(1025), b"wide");
    raw.publish(&queue, 0x2000, &wide(1024), b"less wide");
    raw.publish(&queue, 0x2000, &nested(100), b"behind");
    raw.close();
    let mut consumer = Consumer::opened(&at(server.url()), &json!({ "queue": queue })).await;
    let (mut messages, mut refused) = (Vec::new(), Vec::new());
    while messages.len() + refused.len() < 6 {
        match consumer.next().await.unwrap() {
            Event::Messages(more) => messages.extend(more),
            Event::Refused(more) => refused.extend(more),
            other => panic!("{other:?}"),
        }
    }
    let payloads: Vec<_> = messages.iter().map(|message| message.envelope.bytes()).collect();
    assert_eq!(payloads, [&b"latin"[..], b"a type that is no text", b"less wide", b"behind"]);
    let latin = &messages[0].envelope.properties;
    assert_eq!(latin.correlation_id.as_deref(), Some(&b"M\xfcller"[..]));
    assert_eq!(messages[1].envelope.properties.content_type, None);
    let codes: Vec<_> = refused.iter().map(|(_, refusal)| &*refusal.fault.code).collect();
    assert_eq!(codes, ["amqp.properties", "headers.too_many"]);
    consumer.settle(&messages, stored).await;
    let told = refused.into_iter().map(|(token, refusal)| (token, crossdock_connector::Settlement::Refused(refusal)));
    consumer.halves.as_mut().unwrap().1.settle(told.collect()).await.unwrap();
    consumer.close().await;
    assert_eq!(client.depth(&queue).await, 0, "all six are settled");
}

/// Every type of a table, as another client writes it.
#[tokio::test(flavor = "multi_thread")]
async fn headers_come_with_their_types() {
    let (url, queue) = (servers::rabbit().url(), unique("q"));
    let client = Client::connect(url).await;
    client.declare(&queue).await;
    let mut inner = FieldTable::default();
    inner.insert("deep".into(), AMQPValue::FieldArray(FieldArray::from(vec![AMQPValue::LongInt(-1), AMQPValue::Void])));
    let mut table = FieldTable::default();
    for (name, value) in [
        ("a", AMQPValue::Boolean(true)),
        ("b", AMQPValue::ShortShortInt(-8)),
        ("c", AMQPValue::ShortShortUInt(200)),
        ("d", AMQPValue::ShortUInt(65_535)),
        ("e", AMQPValue::LongUInt(u32::MAX)),
        ("f", AMQPValue::LongLongInt(i64::MIN)),
        ("g", AMQPValue::Float(0.5)),
        ("h", AMQPValue::Double(0.1)),
        ("i", AMQPValue::DecimalValue(DecimalValue { scale: 2, value: 12_345 })),
        ("j", AMQPValue::LongString("text".into())),
        ("k", AMQPValue::ByteArray(vec![0, 255].into())),
        ("l", AMQPValue::Timestamp(1_700_000_000)),
        ("m", AMQPValue::FieldTable(inner)),
        ("n", AMQPValue::Void),
    ] {
        table.insert(name.into(), value);
    }
    client.put(&queue, [(b"x".to_vec(), BasicProperties::default().with_headers(table))]).await;
    let mut consumer = Consumer::opened(&at(url), &json!({ "queue": queue })).await;
    let received = consumer.receive(1).await;
    let shown: Vec<_> = received[0].envelope.headers.iter().map(|header| format!("{:?}", header.value)).collect();
    let expected = [
        Value::Boolean(true),
        Value::Integer(-8),
        Value::Integer(200),
        Value::Integer(65_535),
        Value::Integer(i64::from(u32::MAX)),
        Value::Integer(i64::MIN),
        Value::Float(0.5),
        Value::Float(0.1),
        Value::Decimal { mantissa: 12_345, scale: 2 },
        Value::from("text"),
        Value::Bytes(vec![0, 255].into()),
        Value::Timestamp(crossdock_model::Timestamp(1_700_000_000_000)),
        Value::Table(vec![("deep".into(), Value::List(vec![Value::Integer(-1), Value::Null]))]),
        Value::Null,
    ];
    assert_eq!(shown, expected.map(|value| format!("{value:?}")));
    consumer.settle(&received, stored).await;
    consumer.close().await;
}
