//! What a source makes of records, where it begins, what it says of its topics.

use crate::common::*;
use crossdock_connector::{Connector, Event, Settlement, SourceErrorKind};
use crossdock_model::{RefusalKind, Text, Value};
use crossdock_testkit::servers;
use rdkafka::{
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
    producer::BaseRecord,
};
use serde_json::json;
use std::time::Duration;
use tokio::time::timeout;

#[tokio::test(flavor = "multi_thread")]
async fn a_record_becomes_a_message_with_all_it_has() {
    let address = servers::kafka().address();
    let (topic, group) = (topic(address, 1), servers::unique("g"));
    let headers = owned_headers(&[
        ("h", Some(b"\x00\xff")),
        ("h", Some(b"2")),
        ("content-type", Some(b"application/json")),
        ("null", None),
        ("crossdock-key", Some(b"forged")),
    ]);
    let mut record: BaseRecord<'_, [u8], [u8]> =
        BaseRecord::to("").key(&b"k\xff"[..]).payload(&b"{}"[..]).timestamp(1_700_000_000_123);
    record.headers = Some(headers);
    produce_one(address, &topic, record);
    produce_one(address, &topic, BaseRecord::to("").key(&b"k"[..]));
    produce_one(address, &topic, BaseRecord::to("").payload(&b""[..]));
    let big = vec![b'x'; 900_000];
    produce_one(address, &topic, BaseRecord::to("").payload(&big[..]));
    let (_source, mut session) = read(address, "s1", &group, &json!({ "topics": [topic] })).await;
    let got = session.take(4).await;
    let first = &got[0].envelope;
    assert_eq!((first.bytes(), first.properties.key.as_deref()), (&b"{}"[..], Some(&b"k\xff"[..])));
    assert_eq!(first.properties.time.map(|time| time.millis()), Some(1_700_000_000_123));
    assert_eq!(first.properties.content_type.as_deref(), Some("application/json"));
    let headers: Vec<_> = first.headers.iter().map(|header| (&*header.name, header.value.clone())).collect();
    let bytes = |value: &'static [u8]| Value::Bytes(value.into());
    assert_eq!(headers, [("h", bytes(b"\x00\xff")), ("h", bytes(b"2")), ("null", Value::Null)]);
    assert_eq!((&*first.origin.address, first.origin.partition, first.origin.offset), (&*topic, Some(0), Some(0)));
    assert_eq!((got[1].envelope.payload.clone(), got[2].envelope.payload.as_deref()), (None, Some(&b""[..])));
    assert_eq!(got[3].envelope.bytes(), big);
    assert!(got.iter().all(|received| received.claim.is_some()));
    assert_eq!(got.iter().map(|received| received.token.seq).collect::<Vec<_>>(), [0, 1, 2, 3]);
    session.settle(got.iter().map(|received| received.token)).await;
    session.close().await;
    await_committed(address, &group, &topic, 1, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_can_be_no_message_is_told_and_passed() {
    let address = servers::kafka().address();
    let (topic, group) = (topic(address, 1), servers::unique("g"));
    let many: Vec<(&str, Option<&[u8]>)> = vec![("x", None); 2000];
    let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to("").payload(&b"bad"[..]);
    record.headers = Some(owned_headers(&many));
    produce_one(address, &topic, record);
    produce(address, &topic, Some(0), 1..2);
    let (_source, mut session) = read(address, "s1", &group, &json!({ "topics": [topic] })).await;
    let (mut good, mut told) = (Vec::new(), Vec::new());
    while good.is_empty() || told.is_empty() {
        good.extend(
            session
                .batch(|event| {
                    if let Event::Refused(refused) = event {
                        told = refused
                    }
                })
                .await,
        );
    }
    let (token, refusal) = told.remove(0);
    assert_eq!(refusal.kind, RefusalKind::TooLarge);
    session.settler.settle(vec![(token, Settlement::Refused(refusal))]).await.unwrap();
    session.settle([good[0].token]).await;
    session.close().await;
    await_committed(address, &group, &topic, 1, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_begins_where_it_is_told_and_goes_on_where_it_was() {
    let address = servers::kafka().address();
    let topic = topic(address, 2);
    produce(address, &topic, Some(0), 0..10);
    let between =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap() + Duration::from_millis(1);
    crossdock_testkit::pause(Duration::from_millis(10));
    let time = crossdock_model::Timestamp(i64::try_from(between.as_millis()).unwrap()).to_string();
    produce(address, &topic, Some(1), 10..20);
    for (start, first, count) in [("latest", 20, 10), (&*time, 10, 20), ("earliest", 0, 30)] {
        let group = servers::unique("g");
        let section = json!({ "topics": [topic], "start": start });
        let (_source, session) = read(address, "s1", &group, &section).await;
        if start == "latest" {
            produce(address, &topic, Some(0), 20..25);
        }
        // What it began with is committed although nothing was settled, so that a crash now passes over nothing.
        session.close().await;
        if start == "latest" {
            produce(address, &topic, Some(1), 25..30);
        }
        let (_source, mut session) = read(address, "s1", &group, &section).await;
        let mut got: Vec<_> = session.take(count).await.iter().map(number).collect();
        got.sort_unstable();
        assert_eq!(got, (first..first + got.len()).collect::<Vec<_>>(), "{start}");
        session.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_are_found_by_pattern_also_when_they_come_later() {
    let address = servers::kafka().address();
    let (base, group) = (servers::unique("p"), servers::unique("g"));
    servers::create_topic(address, &format!("{base}.one"), 1, &[]).unwrap();
    produce(address, &format!("{base}.one"), Some(0), 1..2);
    let (_source, mut session) = read(address, "s1", &group, &json!({ "pattern": format!("{base}\\..*") })).await;
    assert_eq!(&*session.take(1).await[0].envelope.origin.address, format!("{base}.one"));
    servers::create_topic(address, &format!("{base}.two"), 1, &[]).unwrap();
    produce(address, &format!("{base}.two"), Some(0), 2..3);
    let mut got = Vec::new();
    while !got.contains(&Text::from(format!("{base}.two"))) {
        let batch = session.batch(|event| assert!(matches!(event, Event::Revoking { .. }), "{event:?}")).await;
        got.extend(batch.into_iter().map(|received| received.envelope.origin.address.clone()));
    }
    session.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_topic_is_told_and_flows_when_it_comes() {
    let address = servers::kafka().address();
    let (topic, group) = (servers::unique("late"), servers::unique("g"));
    let config = source_of(&brokers(address), &group, &json!({ "topics": [topic] }));
    let mut source = kafka("s1").source(&config).unwrap();
    let Err(error) = open(&mut source).await else { panic!("it is not there") };
    assert_eq!(error.kind, SourceErrorKind::Missing);
    assert!(error.text.contains(&topic), "{error}");
    servers::create_topic(address, &topic, 1, &[]).unwrap();
    produce(address, &topic, Some(0), 5..6);
    let mut session = open(&mut source).await.unwrap();
    assert_eq!(number(&session.take(1).await[0]), 5);
    session.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_missing_among_several_does_not_keep_the_others_from_being_read() {
    let address = servers::kafka().address();
    let (first, late, group) = (topic(address, 1), servers::unique("late"), servers::unique("g"));
    produce(address, &first, Some(0), 0..1);
    let section = json!({ "topics": [late, first] });
    let (_source, mut session) = read(address, "s1", &group, &section).await;
    let mut seen = Seen::default();
    // librdkafka tells of the missing one while the other is read, and again when it was there and is deleted.
    seen.until(&mut session, |seen| seen.numbers == [0]).await;
    produce(address, &first, Some(0), 1..2);
    seen.until(&mut session, |seen| seen.numbers == [0, 1]).await;
    assert!(matches!(seen.told.as_slice(), [Event::Blocked(text)] if text.contains(&late)), "{seen:?}");
    servers::create_topic(address, &late, 1, &[]).unwrap();
    produce(address, &late, Some(0), 2..3);
    let is_free = |event: &Event| matches!(event, Event::Unblocked);
    seen.until(&mut session, |seen| seen.numbers.contains(&2) && seen.told.iter().any(is_free)).await;
    let admin: AdminClient<DefaultClientContext> = client(address).create().unwrap();
    admin.delete_topics(&[&late], &AdminOptions::new()).await.unwrap();
    seen.told.clear();
    seen.until(&mut session, |seen| seen.told.iter().any(|event| matches!(event, Event::Blocked(_)))).await;
    produce(address, &first, Some(0), 3..4);
    seen.until(&mut session, |seen| seen.numbers.contains(&3)).await;
    session.close().await;
}

/// What a session gave, which is settled at once: messages by their numbers, and events.
#[derive(Default, Debug)]
struct Seen {
    numbers: Vec<usize>,
    told: Vec<Event>,
}

impl Seen {
    async fn until(&mut self, session: &mut Session, is_enough: impl Fn(&Self) -> bool) {
        while !is_enough(self) {
            let batch = session.batch(|event| self.told.push(event)).await;
            session.settle(batch.iter().map(|received| received.token)).await;
            self.numbers.extend(batch.iter().map(number));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_given_back_is_offered_again_and_nothing_is_skipped() {
    let address = servers::kafka().address();
    let (topic, group) = (topic(address, 1), servers::unique("g"));
    produce(address, &topic, Some(0), 0..5);
    let (_source, mut session) = read(address, "s1", &group, &json!({ "topics": [topic] })).await;
    let got = session.take(5).await;
    session.settle([got[0].token, got[3].token]).await;
    session.settler.settle(vec![(got[2].token, Settlement::Again { after: None })]).await.unwrap();
    let again = session.take(4).await;
    assert_eq!(again.iter().map(number).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert_eq!(again[0].claim, got[1].claim, "it is known again by its place");
    session.settle([got[1].token]).await;
    session.settle(again.iter().map(|received| received.token)).await;
    session.close().await;
    await_committed(address, &group, &topic, 1, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_nobody_empties_holds_little_and_loses_nothing() {
    let address = servers::kafka().address();
    let (topic, group) = (topic(address, 4), servers::unique("g"));
    produce(address, &topic, None, 0..60_000);
    let (_source, mut session) = read(address, "s1", &group, &json!({ "topics": [topic] })).await;
    let mut got = session.take(1).await;
    // Longer than it is patient: partitions are paused, and the group is answered all the same.
    tokio::time::sleep(Duration::from_secs(3)).await;
    while got.len() < 60_000 {
        let batch = session.batch(|event| panic!("{event:?}")).await;
        session.settle(batch.iter().map(|received| received.token)).await;
        got.extend(batch);
    }
    session.settle(got.iter().map(|received| received.token)).await;
    let mut numbers: Vec<_> = got.iter().map(number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!((numbers.len(), got.len()), (60_000, 60_000));
    let rest = timeout(Duration::from_millis(300), session.receiver.next(CREDIT)).await;
    assert!(rest.is_err(), "{rest:?}");
    session.close().await;
    await_committed(address, &group, &topic, 4, 60_000);
}
