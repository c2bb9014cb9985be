//! What a target makes of messages, and what it says of each.

use crate::common::*;
use crossdock_connector::{Connector, RenderedValue};
use crossdock_model::{FaultClass, Text, Timestamp, Value};
use crossdock_testkit::servers;
use rdkafka::{Message, message::Headers};
use serde_json::json;
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread")]
async fn a_message_becomes_a_record_with_all_it_has() {
    let address = servers::kafka().address();
    let topic = topic(address, 1);
    let (kafka, posted) = (kafka("s"), Posted::default());
    let mut config = sink_of(&brokers(address), &json!({ "topic": topic }));
    config.forward_origin = true;
    let mut sender = sender(&kafka, &config, &posted).await.unwrap();
    let mut message = envelope("{\"a\":1}");
    message.properties.key = Some("k".into());
    message.properties.content_type = Some(Text::from_static("application/json"));
    message.properties.correlation_id = Some(b"\xffc"[..].into());
    message.properties.time = Some(Timestamp(1_700_000_000_123));
    message.properties.priority = Some(7);
    message.origin.protocol = Text::from_static("mqtt");
    message.origin.address = Text::from_static("plant/3");
    message.headers.push(Text::from_static("n"), Value::Integer(7));
    message.headers.push(Text::from_static("h"), Value::Bytes(b"\x00"[..].into()));
    message.headers.push(Text::from_static("h"), Value::Null);
    message.headers.push(Text::from_static("crossdock-key"), Value::from("forged"));
    message.headers.push(Text::from_static("content-type"), Value::from("forged"));
    message.headers.push(Text::from_static("list"), Value::List(Vec::new()));
    let mut tombstone = envelope("");
    tombstone.payload = None;
    let slots = [text(&topic)];
    sender
        .submit(vec![outgoing(1, message, &slots), outgoing(2, tombstone, &slots), outgoing(3, envelope(""), &slots)])
        .await
        .unwrap();
    let results = posted.count(3).await;
    assert!(results.iter().all(|(_, result)| result.is_ok()), "{results:?}");
    let lost: Vec<_> =
        posted.0.lock().unwrap().iter().find(|(ticket, _)| ticket.0 == 1).unwrap().1.clone().unwrap().lost;
    assert_eq!(lost, ["headers", "headers", "headers"]);
    let got = consume(address, &topic, 3);
    let headers: Vec<_> =
        got[0].headers().unwrap().iter().map(|it| (it.key.to_owned(), it.value.map(<[u8]>::to_vec))).collect();
    let some = |value: &[u8]| Some(value.to_vec());
    let expected = [
        ("content-type", some(b"application/json")),
        ("message-id", some(b"id-1")),
        ("correlation-id", some(b"\xffc")),
        ("crossdock-priority", some(b"7")),
        ("crossdock-origin", some(b"mqtt:plant/3")),
        ("n", some(b"7")),
        ("h", some(b"\x00")),
        ("h", None),
    ];
    assert_eq!(headers, expected.map(|(name, value)| (name.to_owned(), value)));
    assert_eq!((got[0].key(), got[0].payload()), (Some(&b"k"[..]), Some(&b"{\"a\":1}"[..])));
    assert_eq!(got[0].timestamp().to_millis(), Some(1_700_000_000_123));
    assert_eq!((got[1].payload(), got[2].payload()), (None, Some(&b""[..])));
    sender.close(Instant::now() + LONG).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn key_and_partition_are_as_configured() {
    let address = servers::kafka().address();
    let topic = topic(address, 4);
    let (kafka, posted) = (kafka("s"), Posted::default());
    let config = sink_of(&brokers(address), &json!({ "topic": topic, "key": ".k", "partition": ".p" }));
    let mut sender = sender(&kafka, &config, &posted).await.unwrap();
    let mut keyed = envelope("x");
    keyed.properties.key = Some("own".into());
    let slots = |key, partition| [text(&topic), key, partition];
    let batch = vec![
        outgoing(1, keyed.clone(), &slots(text("other"), text("3"))),
        outgoing(2, keyed.clone(), &slots(RenderedValue::Null, text("2"))),
        outgoing(3, keyed.clone(), &slots(RenderedValue::Bytes(b"\xff"[..].into()), text("1"))),
        outgoing(4, keyed.clone(), &slots(text("other"), text("three"))),
        outgoing(5, keyed, &slots(text("other"), text("99"))),
    ];
    sender.submit(batch).await.unwrap();
    let results = posted.count(5).await;
    let classes: Vec<_> = results.iter().map(|(_, result)| result.as_ref().err().map(|fault| fault.class)).collect();
    assert_eq!(classes, [None, None, None, Some(FaultClass::Rejected), Some(FaultClass::Rejected)], "{results:?}");
    let mut got: Vec<_> =
        consume(address, &topic, 3).iter().map(|it| (it.partition(), it.key().map(<[u8]>::to_vec))).collect();
    got.sort();
    assert_eq!(got, [(1, Some(b"\xff".to_vec())), (2, None), (3, Some(b"other".to_vec()))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_messages_have_one_result_each_and_keep_their_order() {
    let address = servers::kafka().address();
    let topic = topic(address, 1);
    let (kafka, posted) = (kafka("s"), Posted::default());
    // A queue so small that it is full all the time.
    let section = json!({ "topic": topic, "options": { "queue.buffering.max.messages": "100" } });
    let mut sender = sender(&kafka, &sink_of(&brokers(address), &section), &posted).await.unwrap();
    for part in 0..20_u64 {
        let message = |ticket: u64| outgoing(ticket, envelope(&ticket.to_string()), &[text(&topic)]);
        sender.submit((part * 500..(part + 1) * 500).map(message).collect()).await.unwrap();
    }
    let results = posted.count(10_000).await;
    assert!(results.iter().all(|(_, result)| result.is_ok()));
    assert_eq!(results.iter().map(|(ticket, _)| *ticket).collect::<Vec<_>>(), (0..10_000).collect::<Vec<_>>());
    let got: Vec<_> = consume(address, &topic, 10_000).iter().map(payload).collect();
    assert_eq!(got, (0..10_000).map(|n| n.to_string()).collect::<Vec<_>>());
    sender.close(Instant::now() + LONG).await;
    assert_eq!(posted.0.lock().unwrap().len(), 10_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_topic_does_not_take_is_the_messages_fault_and_nobody_elses() {
    let address = servers::kafka().address();
    let topic = topic_with(address, 1, &[("max.message.bytes", "20000")]);
    let (kafka, posted) = (kafka("s"), Posted::default());
    let section = json!({ "topic": topic, "compression": "none" });
    let mut sender = sender(&kafka, &sink_of(&brokers(address), &section), &posted).await.unwrap();
    let message = |ticket, bytes: usize| outgoing(ticket, envelope(&"x".repeat(bytes)), &[text(&topic)]);
    // Larger than any batch: refused at once. Small ones beside it pass.
    sender.submit(vec![message(1, 100), message(2, 2_000_000), message(3, 100)]).await.unwrap();
    let results = posted.count(3).await;
    let class = |at: usize| results[at].1.as_ref().err().map(|fault| (fault.class, fault.code.to_string()));
    let too_large = || (FaultClass::Rejected, "kafka.message_size_too_large".to_owned());
    assert_eq!((class(0), class(1), class(2)), (None, Some(too_large()), None));
    // In one batch with others it cannot be told whose fault it is; alone it can.
    posted.0.lock().unwrap().clear();
    sender.submit((10..20).map(|ticket| message(ticket, 5000)).collect()).await.unwrap();
    let results = posted.count(10).await;
    let faults: Vec<_> = results.iter().filter_map(|(_, result)| result.as_ref().err()).collect();
    assert!(faults.iter().all(|fault| fault.class == FaultClass::Failed), "{faults:?}");
    posted.0.lock().unwrap().clear();
    sender.submit(vec![message(30, 30_000)]).await.unwrap();
    assert_eq!(posted.count(1).await[0].1.as_ref().unwrap_err().class, FaultClass::Rejected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_not_there_is_told_by_who_picked_it() {
    // The shared server makes topics as they are named; this name is none.
    let address = servers::kafka().address();
    let (kafka, posted) = (kafka("s"), Posted::default());
    let there = topic(address, 1);
    let config = sink_of(&brokers(address), &json!({ "topic": "t-{{ .to }}" }));
    let mut sender = sender(&kafka, &config, &posted).await.unwrap();
    let batch = vec![
        outgoing(1, envelope("x"), &[text("no topic / at all")]),
        outgoing(2, envelope("x"), &[text(&there)]),
        outgoing(3, envelope("x"), &[text("")]),
        outgoing(4, envelope("x"), &[text("a\0b")]),
    ];
    sender.submit(batch).await.unwrap();
    let classes: Vec<_> = posted.count(4).await.into_iter().map(|(_, it)| it.err().map(|fault| fault.class)).collect();
    let rejected = Some(FaultClass::Rejected);
    assert_eq!(classes, [rejected, None, rejected, rejected]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_that_is_dropped_has_told_of_everything() {
    let address = servers::kafka().address();
    let topic = topic(address, 1);
    let (kafka, posted) = (kafka("s"), Posted::default());
    let mut sender = sender(&kafka, &sink_of(&brokers(address), &json!({ "topic": topic })), &posted).await.unwrap();
    sender.submit((0..100).map(|ticket| outgoing(ticket, envelope("x"), &[text(&topic)])).collect()).await.unwrap();
    drop(sender);
    let results = posted.count(100).await;
    assert_eq!(results.iter().map(|(ticket, _)| *ticket).collect::<Vec<_>>(), (0..100).collect::<Vec<_>>());
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(posted.0.lock().unwrap().len(), 100, "late answers are for nobody");
}

#[test]
fn a_preview_says_what_would_be_sent() {
    let config = sink_of(&brokers("127.0.0.1:1"), &json!({ "topic": "orders" }));
    let mut message = envelope("x");
    message.properties.key = Some("k".into());
    let preview = kafka("s").preview(&config, &outgoing(1, message, &[text("orders")])).unwrap();
    assert_eq!(&*preview.act, "produce to orders, key k");
    assert_eq!(preview.headers, [(Text::from_static("message-id"), Text::from_static("id-1"))]);
}

/// It would be waited with for ever, and whatever comes behind it.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_larger_than_the_whole_queue_is_refused_and_holds_up_nobody() {
    let address = servers::kafka().address();
    let topic = topic(address, 1);
    let (kafka, posted) = (kafka("s"), Posted::default());
    let connection = json!({ "brokers": [address], "options": { "queue.buffering.max.kbytes": "1" } });
    let mut sender = sender(&kafka, &sink_of(&connection, &json!({ "topic": topic })), &posted).await.unwrap();
    let slots = [text(&topic)];
    let batch = vec![
        outgoing(1, envelope("small"), &slots),
        outgoing(2, envelope(&"x".repeat(3000)), &slots),
        outgoing(3, envelope("small as well"), &slots),
    ];
    tokio::time::timeout(LONG, sender.submit(batch)).await.expect("it waits for ever").unwrap();
    let results = posted.count(3).await;
    let shown: Vec<_> = results.iter().map(|(ticket, it)| (*ticket, it.as_ref().err().map(|it| it.class))).collect();
    assert_eq!(shown, [(1, None), (2, Some(FaultClass::Rejected)), (3, None)]);
    sender.close(Instant::now() + LONG).await;
}
