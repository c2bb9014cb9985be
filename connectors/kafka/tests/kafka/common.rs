//! What the tests share: settings from JSON as if it were routes.yaml, players of the engine, a client of Kafka's own.

use crossdock_connector::{
    Completions, ConnectionConfig, Connector, Credit, Event, Formulas, GatewayConfig, Outgoing, Received, Receiver,
    Rendered, RenderedValue, Results, Sender, Settings, Settlement, Settler, SinkConfig, Source, SourceConfig,
    SourceError, Ticket, Token,
};
use crossdock_kafka::{DESCRIPTION, Kafka};
use crossdock_model::{Envelope, Fault, MessageId, Text, Timestamp};
use crossdock_testkit::{servers, suite::settings};
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    message::{Header, OwnedHeaders, OwnedMessage},
    producer::{BaseProducer, BaseRecord, Producer},
};
use serde_json::{Value, json};
use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::time::timeout;

pub const LONG: Duration = Duration::from_secs(60);
pub const CREDIT: Credit = Credit { messages: 1000, bytes: 1 << 20 };

/// A gateway whose store has this name.
pub fn kafka(store: &str) -> Kafka {
    Kafka::new(&GatewayConfig {
        http: Settings::default(),
        folder: PathBuf::from("."),
        store: Text::from(store),
        admin_url: Text::new(),
        state_folder: PathBuf::from("."),
    })
}

pub fn connection(section: &Value) -> ConnectionConfig {
    ConnectionConfig { name: Text::from_static("bus"), settings: settings(DESCRIPTION.connection.unwrap(), section) }
}

pub fn brokers(address: &str) -> Value {
    json!({ "brokers": address.split(',').collect::<Vec<_>>() })
}

pub fn source_of(connected: &Value, route: &str, section: &Value) -> SourceConfig {
    let mut section = section.clone();
    section["connection"] = json!("bus");
    SourceConfig {
        route: Text::from(route),
        was: None,
        connection: Some(connection(connected)),
        settings: settings(DESCRIPTION.source.unwrap(), &section),
        formulas: Formulas::none(),
        folder: PathBuf::from("/"),
    }
}

pub fn sink_of(connected: &Value, section: &Value) -> SinkConfig {
    let mut section = section.clone();
    section["connection"] = json!("bus");
    SinkConfig {
        route: Text::from_static("r"),
        target: Text::from_static("bus"),
        ordinal: 0,
        connection: Some(connection(connected)),
        settings: settings(DESCRIPTION.target.unwrap(), &section),
        folder: PathBuf::from("/"),
        forward_origin: false,
        strict: false,
    }
}

/// A source at work, as the engine has it.
pub struct Session {
    pub receiver: Box<dyn Receiver>,
    pub settler: Box<dyn Settler>,
}

pub async fn open(source: &mut Box<dyn Source>) -> Result<Session, SourceError> {
    let (receiver, settler) = timeout(LONG, source.open()).await.expect("a session or an error")?;
    Ok(Session { receiver, settler })
}

/// A source of one topic and its first session.
pub async fn read(address: &str, store: &str, group: &str, section: &Value) -> (Box<dyn Source>, Session) {
    let mut source = kafka(store).source(&source_of(&brokers(address), group, section)).unwrap();
    let session = open(&mut source).await.unwrap();
    (source, session)
}

impl Session {
    /// The next messages; whatever else is told meanwhile goes to `other`.
    pub async fn batch(&mut self, other: impl FnOnce(Event)) -> Vec<Received> {
        match timeout(LONG, self.receiver.next(CREDIT)).await.expect("an event").unwrap() {
            Event::Messages(messages) => messages,
            event
            @ (Event::Refused(_) | Event::Revoking { .. } | Event::Blocked(_) | Event::Unblocked | Event::End) => {
                other(event);
                Vec::new()
            }
        }
    }

    /// Takes messages until there are so many, without settling them.
    pub async fn take(&mut self, count: usize) -> Vec<Received> {
        let mut all = Vec::new();
        while all.len() < count {
            all.extend(self.batch(|event| panic!("{event:?}")).await);
        }
        all
    }

    pub async fn settle(&mut self, tokens: impl IntoIterator<Item = Token>) {
        let stored = || Settlement::Stored { id: MessageId::from_bytes([0; 16]), duplicate: false };
        self.settler.settle(tokens.into_iter().map(|token| (token, stored())).collect()).await.unwrap();
    }

    pub async fn close(self) {
        drop(self.receiver);
        self.settler.close(Instant::now() + Duration::from_secs(10)).await;
    }
}

/// What a route's task would be told.
#[derive(Clone, Default)]
pub struct Posted(pub Arc<Mutex<Results>>);

impl Posted {
    pub fn completions(&self) -> Completions {
        let to = Arc::clone(&self.0);
        Completions::new(move |results| to.lock().unwrap().extend(results))
    }

    pub async fn count(&self, count: usize) -> Vec<(u64, Result<(), Fault>)> {
        let until = Instant::now() + LONG;
        loop {
            {
                let posted = self.0.lock().unwrap();
                if posted.len() >= count {
                    let mut all: Vec<_> = posted.iter().map(|(ticket, it)| (ticket.0, it.clone().map(drop))).collect();
                    all.sort_by_key(|(ticket, _)| *ticket);
                    return all;
                }
                assert!(Instant::now() < until, "{} of {count} results", posted.len());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

pub async fn sender(kafka: &Kafka, config: &SinkConfig, posted: &Posted) -> Result<Box<dyn Sender>, Fault> {
    kafka.sink(config).unwrap().open(posted.completions()).await
}

/// A message for a topic that stands in slot 0; more slots behind it.
pub fn outgoing(ticket: u64, envelope: Envelope, slots: &[RenderedValue]) -> Outgoing {
    Outgoing {
        ticket: Ticket(ticket),
        envelope: Arc::new(envelope),
        rendered: Rendered::new(slots.to_vec()),
        idempotency_key: Text::from(format!("id-{ticket}")),
        attempt: 1,
    }
}

pub fn text(text: &str) -> RenderedValue {
    RenderedValue::Text(Text::from(text))
}

pub fn envelope(payload: &str) -> Envelope {
    Envelope::new(MessageId::from_bytes([7; 16]), Timestamp(0), payload.to_owned())
}

/// A topic of the shared server, of which nobody else has the name.
pub fn topic(address: &str, partitions: i32) -> String {
    topic_with(address, partitions, &[])
}

pub fn topic_with(address: &str, partitions: i32, configuration: &[(&str, &str)]) -> String {
    let name = servers::unique("t");
    servers::create_topic(address, &name, partitions, configuration).unwrap();
    name
}

pub fn client(address: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", address);
    config
}

/// Writes `count` payloads `from`, `from`+1, … with their number as key, to one partition or by key.
pub fn produce(address: &str, topic: &str, partition: Option<i32>, numbers: std::ops::Range<usize>) {
    let producer: BaseProducer = client(address).set("linger.ms", "5").create().unwrap();
    for number in numbers {
        let payload = number.to_string();
        let mut record = BaseRecord::to(topic).key(&payload).payload(&payload);
        record.partition = partition;
        while let Err((_, back)) = producer.send(record) {
            producer.poll(Duration::from_millis(10));
            record = back;
        }
    }
    producer.flush(LONG).unwrap();
}

pub fn produce_one(address: &str, topic: &str, record: BaseRecord<'_, [u8], [u8]>) {
    let producer: BaseProducer = client(address).create().unwrap();
    producer.send(BaseRecord { topic, ..record }).map_err(|(error, _)| error).unwrap();
    producer.flush(LONG).unwrap();
}

pub fn owned_headers(pairs: &[(&str, Option<&[u8]>)]) -> OwnedHeaders {
    pairs.iter().fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: *value }))
}

/// All messages of a topic from its beginning, until there are so many.
pub fn consume(address: &str, topic: &str, count: usize) -> Vec<OwnedMessage> {
    let consumer: BaseConsumer = client(address).set("group.id", servers::unique("check")).create().unwrap();
    let metadata = consumer.fetch_metadata(Some(topic), LONG).unwrap();
    let mut list = TopicPartitionList::new();
    for partition in metadata.topics()[0].partitions() {
        list.add_partition_offset(topic, partition.id(), Offset::Beginning).unwrap();
    }
    consumer.assign(&list).unwrap();
    let (mut all, until) = (Vec::new(), Instant::now() + LONG);
    while all.len() < count && Instant::now() < until {
        if let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) {
            all.push(message.detach());
        }
    }
    all
}

/// The sum of what a group has committed; partitions without anything count nothing.
pub fn committed(address: &str, group: &str, topic: &str, partitions: i32) -> i64 {
    let consumer: BaseConsumer = client(address).set("group.id", group).create().unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_range(topic, 0, partitions - 1);
    let offsets = consumer.committed_offsets(list, LONG).unwrap();
    let each = offsets.elements().iter().map(|one| one.offset().to_raw().unwrap_or(0).max(0)).collect::<Vec<_>>();
    each.iter().sum()
}

/// Waits until a group has committed so much.
pub fn await_committed(address: &str, group: &str, topic: &str, partitions: i32, wanted: i64) {
    crossdock_testkit::wait_for(Duration::from_secs(20), &format!("{wanted} committed"), || {
        (committed(address, group, topic, partitions) == wanted).then_some(())
    });
}

pub fn number(received: &Received) -> usize {
    std::str::from_utf8(received.envelope.bytes()).unwrap().parse().unwrap()
}

/// The payload of a message as text.
pub fn payload(message: &impl Message) -> String {
    String::from_utf8_lossy(message.payload().unwrap_or_default()).into_owned()
}
