//! What only MQTT has: retained messages, shared subscriptions, wills, large payloads, TLS.

use crate::client::{Client, publish};
use crossdock_connector::{
    Completions, ConnectionConfig, Connector, Credit, Event, Formulas, GatewayConfig, Outgoing, Received, Rendered,
    RenderedValue, Settings, Settlement, Sink, SinkConfig, Source, SourceConfig, Ticket,
};
use crossdock_model::{Envelope, Fault, MessageId, Text, Timestamp, Value as Native};
use crossdock_mqtt::{DESCRIPTION, Mqtt};
use crossdock_testkit::{
    servers::{self, Mosquitto, MosquittoOptions},
    suite::settings,
};
use rumqttc_v5::mqttbytes::QoS;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::time::timeout;

pub const CREDIT: Credit = Credit { messages: 100, bytes: 32 << 20 };
const SOON: Duration = Duration::from_secs(60);

pub fn stored() -> Settlement {
    Settlement::Stored { id: MessageId::from_bytes([1; 16]), duplicate: false }
}

pub fn qos(number: u8) -> QoS {
    rumqttc_v5::mqttbytes::qos(number).unwrap()
}

/// A gateway with one connection.
pub struct Site {
    mqtt: Mqtt,
    connection: Value,
    _state: tempfile::TempDir,
}

impl Site {
    pub fn new(address: &str, version: &str) -> Self {
        let client_id = servers::unique("cd");
        Self::with(json!({ "url": format!("mqtt://{address}"), "version": version, "client_id": client_id }))
    }

    pub fn with(connection: Value) -> Self {
        let state = tempfile::tempdir().unwrap();
        let mqtt = Mqtt::new(&GatewayConfig {
            http: Settings::default(),
            folder: PathBuf::from("."),
            store: Text::from_static("0123abcd"),
            admin_url: Text::from_static("http://127.0.0.1:8090"),
            state_folder: state.path().to_owned(),
        });
        Self { mqtt, connection, _state: state }
    }

    pub fn connection(&self) -> ConnectionConfig {
        let settings = settings(DESCRIPTION.connection.unwrap(), &self.connection);
        ConnectionConfig { name: Text::from_static("floor"), settings }
    }

    pub fn source(&self, route: &str, section: &Value) -> Box<dyn Source> {
        let mut section = section.clone();
        section["connection"] = json!("floor");
        let config = SourceConfig {
            route: Text::from(route),
            was: None,
            connection: Some(self.connection()),
            settings: settings(DESCRIPTION.source.unwrap(), &section),
            formulas: Formulas::none(),
            folder: PathBuf::from("."),
        };
        self.mqtt.source(&config).unwrap()
    }

    pub fn sink(&self, section: &Value) -> Box<dyn Sink> {
        let mut section = section.clone();
        section["connection"] = json!("floor");
        let config = SinkConfig {
            route: Text::from_static("r"),
            target: Text::from_static("t"),
            ordinal: 0,
            connection: Some(self.connection()),
            settings: settings(DESCRIPTION.target.unwrap(), &section),
            folder: PathBuf::from("."),
            forward_origin: false,
            strict: false,
        };
        self.mqtt.sink(&config).unwrap()
    }

    /// Publishes numbered messages until each was confirmed, some at a time; gives how often one was handed back.
    pub async fn deliver(&self, topic: &str, count: usize, pause: Duration) -> usize {
        let results = Arc::new(Mutex::new(BTreeMap::<u64, Result<(), Fault>>::new()));
        let mut sink = self.sink(&json!({ "topic": topic }));
        let (mut left, mut handed_back, start) = ((0..count as u64).collect::<Vec<_>>(), 0, Instant::now());
        while !left.is_empty() {
            assert!(start.elapsed() < SOON, "{} were never confirmed", left.len());
            let taken = Arc::clone(&results);
            let done = Completions::new(move |batch| {
                taken
                    .lock()
                    .unwrap()
                    .extend(batch.into_iter().map(|(Ticket(ticket), result)| (ticket, result.map(drop))));
            });
            let Ok(mut sender) = sink.open(done).await else {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            for some in left.chunks(100) {
                let batch = some.iter().map(|number| message(*number, topic, format!("{number:06}").into_bytes()));
                if sender.submit(batch.collect()).await.is_err() {
                    break;
                }
                tokio::time::sleep(pause).await;
            }
            sender.close(Instant::now() + Duration::from_secs(5)).await;
            let mut results = results.lock().unwrap();
            handed_back += results.values().filter(|result| result.is_err()).count();
            left.retain(|number| !matches!(results.get(number), Some(Ok(()))));
            results.retain(|_, result| result.is_ok());
        }
        handed_back
    }
}

pub fn message(ticket: u64, topic: &str, payload: Vec<u8>) -> Outgoing {
    Outgoing {
        ticket: Ticket(ticket),
        envelope: Arc::new(Envelope::new(MessageId::from_bytes([2; 16]), Timestamp(0), payload)),
        rendered: Rendered::new(vec![RenderedValue::Text(Text::from(topic))]),
        idempotency_key: Text::from_static("k"),
        attempt: 1,
    }
}

/// All that comes until nothing does, stored.
async fn receive(source: &mut Box<dyn Source>, at_least: usize) -> Vec<Received> {
    let (mut receiver, mut settler) = source.open().await.unwrap();
    let mut all = Vec::new();
    loop {
        let wait = if all.len() < at_least { SOON } else { Duration::from_millis(500) };
        match timeout(wait, receiver.next(CREDIT)).await {
            Ok(Ok(Event::Messages(messages))) => {
                let settled = messages.iter().map(|message| (message.token, stored())).collect();
                settler.settle(settled).await.unwrap();
                all.extend(messages);
            }
            Ok(other) => panic!("{other:?}"),
            Err(_) => {
                assert!(all.len() >= at_least, "{} of {at_least} came", all.len());
                settler.close(Instant::now() + SOON).await;
                return all;
            }
        }
    }
}

fn is_retained(message: &Received) -> bool {
    message.envelope.origin.native.iter().any(|(name, value)| &**name == "retain" && *value == Native::Boolean(true))
}

#[tokio::test]
async fn retained_messages_come_with_their_flag_and_go_out_with_it() {
    let address = servers::mosquitto().address();
    for version in ["3.1.1", "5"] {
        let (site, topic) = (Site::new(address, version), servers::unique("retained"));
        let mut sink = site.sink(&json!({ "topic": topic, "retain": true }));
        let mut sender = sink.open(Completions::new(drop)).await.unwrap();
        sender.submit(vec![message(1, &topic, b"kept".to_vec())]).await.unwrap();
        sender.close(Instant::now() + SOON).await;
        let mut source = site.source("r", &json!({ "topics": [topic] }));
        let received = receive(&mut source, 1).await;
        assert_eq!((received.len(), received[0].envelope.bytes()), (1, &b"kept"[..]));
        assert!(is_retained(&received[0]));
        if version == "5" {
            assert!(receive(&mut source, 0).await.is_empty(), "MQTT 5 repeats none when the session goes on");
        }
        // Nothing is kept under the topic any more.
        let mut sender = sink.open(Completions::new(drop)).await.unwrap();
        sender.submit(vec![message(2, &topic, Vec::new())]).await.unwrap();
        sender.close(Instant::now() + SOON).await;
    }
}

#[tokio::test]
async fn a_shared_subscription_gives_each_message_once() {
    let address = servers::mosquitto().address();
    let topic = servers::unique("shared");
    let section = json!({ "topics": [format!("$share/group/{topic}/+")] });
    let sites: Vec<_> = ["3.1.1", "5"].into_iter().map(|version| Site::new(address, version)).collect();
    let mut sources: Vec<_> = sites.iter().map(|site| site.source("r", &section)).collect();
    for source in &mut sources {
        drop(source.open().await.unwrap());
    }
    let mut client = Client::connect(address, "", false, None).await;
    let all = (0..100).map(|number| publish(&format!("{topic}/{number}"), QoS::AtLeastOnce, number.to_string()));
    client.publish(all.collect()).await;
    let mut seen = Vec::new();
    for source in &mut sources {
        seen.extend(receive(source, 0).await.iter().map(|message| message.envelope.origin.address.to_string()));
    }
    seen.sort_unstable();
    let mut expected: Vec<_> = (0..100).map(|number| format!("{topic}/{number}")).collect();
    expected.sort_unstable();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn ten_mebibytes_go_through_both_ways() {
    let address = servers::mosquitto().address();
    let payload: Vec<u8> = (0..10_u32 << 20).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    for version in ["3.1.1", "5"] {
        let (site, topic) = (Site::new(address, version), servers::unique("large"));
        let mut source = site.source("r", &json!({ "topics": [topic] }));
        drop(source.open().await.unwrap());
        let failed = Arc::new(Mutex::new(Vec::new()));
        let mut sink = site.sink(&json!({ "topic": topic }));
        let kept = Arc::clone(&failed);
        let done = Completions::new(move |results| kept.lock().unwrap().extend(results));
        let mut sender = sink.open(done).await.unwrap();
        sender.submit(vec![message(1, &topic, payload.clone()), message(2, &topic, b"small".to_vec())]).await.unwrap();
        sender.close(Instant::now() + SOON).await;
        assert!(failed.lock().unwrap().iter().all(|(_, result)| result.is_ok()));
        let received = receive(&mut source, 2).await;
        assert!(received[0].envelope.bytes() == payload, "the bytes differ");
        assert_eq!(received[1].envelope.bytes(), b"small");
    }
}

#[tokio::test]
async fn a_will_is_published_for_the_lost_and_not_for_the_closed() {
    let address = servers::mosquitto().address();
    let topic = servers::unique("will");
    let mut watcher = Client::connect(address, "", false, None).await;
    watcher.subscribe(&topic, QoS::AtLeastOnce).await;
    let will = json!({ "topic": topic, "payload": "lost", "qos": 1 });
    let client_id = servers::unique("cd");
    let site = Site::with(json!({ "url": format!("mqtt://{address}"), "client_id": client_id, "will": will }));
    let mut source = site.source("r", &json!({ "topics": ["never/used"] }));
    let (receiver, settler) = source.open().await.unwrap();
    drop(receiver);
    settler.close(Instant::now() + SOON).await;
    assert!(watcher.take(Duration::from_millis(500)).await.is_empty());
    drop(source.open().await.unwrap());
    let published = watcher.take(Duration::from_millis(500)).await;
    assert_eq!(published.iter().map(|publish| &*publish.payload).collect::<Vec<_>>(), [b"lost"]);
}

#[tokio::test]
async fn tls_trusts_whom_it_is_told_to() {
    let options = MosquittoOptions { tls: true, ..MosquittoOptions::default() };
    let server = tokio::task::spawn_blocking(move || Mosquitto::with(&options)).await.unwrap();
    let (address, certificates) = server.tls();
    let section = |tls: Value| {
        let url = format!("mqtts://{address}");
        let section = json!({ "url": url, "client_id": servers::unique("cd"), "tls": tls });
        Site::with(section)
    };
    for tls in [
        json!({ "ca": certificates.ca }),
        json!({ "ca": certificates.ca, "certificate": certificates.client, "key": certificates.client_key }),
    ] {
        let site = section(tls);
        site.mqtt.probe(&site.connection()).await.unwrap();
        let mut source = site.source("r", &json!({ "topics": ["secret"] }));
        drop(source.open().await.unwrap());
        assert_eq!(site.deliver("secret", 50, Duration::ZERO).await, 0);
        assert_eq!(receive(&mut source, 50).await.len(), 50);
    }
    let site = section(json!({ "ca": certificates.client }));
    let fault = site.mqtt.probe(&site.connection()).await.unwrap_err();
    assert!(fault.text.contains("TLS"), "{fault}");
    // Plain MQTT on the port of TLS, and the other way round.
    let plain = Site::new(address, "5");
    assert!(plain.mqtt.probe(&plain.connection()).await.is_err());
}

/// Mosquitto gives rights by topic; what is not readable or writable is told where the protocol tells it.
#[tokio::test]
async fn missing_rights_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("acl");
    std::fs::write(&list, "topic readwrite open/#\ntopic read mine/#\n").unwrap();
    let options = MosquittoOptions { settings: format!("acl_file {}", list.display()), ..MosquittoOptions::default() };
    let server = tokio::task::spawn_blocking(move || Mosquitto::with(&options)).await.unwrap();
    let site = Site::new(server.address(), "5");
    let results = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&results);
    let done = Completions::new(move |batch| kept.lock().unwrap().extend(batch));
    let mut sink = site.sink(&json!({ "topic": "x" }));
    let mut sender = sink.open(done).await.unwrap();
    sender.submit(vec![message(1, "open/a", vec![1]), message(2, "closed/a", vec![1])]).await.unwrap();
    sender.close(Instant::now() + SOON).await;
    let mut shown: Vec<_> = results
        .lock()
        .unwrap()
        .iter()
        .map(|(Ticket(ticket), result)| (*ticket, result.as_ref().err().map(|fault| fault.code.to_string())))
        .collect();
    shown.sort();
    assert_eq!(shown, [(1, None), (2, Some("mqtt.not_authorized".into()))]);
}
