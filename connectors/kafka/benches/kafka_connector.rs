//! The connector beside the bare client library on the same work: everything of one topic into another.
//!
//! `cargo bench -p crossdock-kafka --bench kafka_connector -- [BROKER FROM TO COUNT [bare|connector]]`
//!
//! Without arguments a Kafka is started, and filled with 300,000 records of 522 bytes. Else `FROM` holds at least COUNT
//! messages. *bare*: a consumer of librdkafka polled in a loop, each message given to an idempotent producer and answered for. *connector*: the source and the target of this crate joined by a loop that
//! settles what was delivered, without store or rules. Printed are messages a second and CPU time a message of the process.

use bytes::Bytes;
use crossdock_connector::{
    Completions, ConnectionConfig, Connector, Credit, Event, Formulas, GatewayConfig, Outgoing, Rendered,
    RenderedValue, Results, Settings, Settlement, SinkConfig, SourceConfig, Ticket, Token,
};
use crossdock_kafka::{DESCRIPTION, Kafka};
use crossdock_model::{MessageId, Text};
use crossdock_testkit::{Meter, Whose, servers, suite::settings};
use rdkafka::{
    ClientConfig, ClientContext, Message,
    consumer::{BaseConsumer, Consumer},
    message::DeliveryResult,
    producer::{BaseProducer, BaseRecord, ProducerContext},
};
use serde_json::json;
use std::{
    collections::HashMap,
    env,
    io::Write as _,
    path::PathBuf,
    process::ExitCode,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};
use tokio::sync::mpsc;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    // Cargo adds `--bench` to what it is given.
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.as_slice() {
        [] => {
            let server = servers::Kafka::start();
            server.create_topic("from", 4);
            server.create_topic("to", 4);
            fill(server.address(), "from", COUNT);
            compare(server.address(), "from", "to", COUNT, &[]);
        }
        [broker, from, to, count, rest @ ..] => match count.parse() {
            Ok(count) => compare(broker, from, to, count, rest),
            Err(_) => return say("COUNT is no number"),
        },
        _ => return say("usage: kafka_connector [BROKER FROM TO COUNT [bare|connector]]"),
    }
    ExitCode::SUCCESS
}

/// Records that a server of one's own is filled with.
const COUNT: u64 = 300_000;

fn fill(broker: &str, topic: &str, count: u64) {
    let mut config = ClientConfig::new();
    let config = config.set("bootstrap.servers", broker).set("linger.ms", "20");
    let producer: BaseProducer = config.create().unwrap_or_else(|error| unreachable!("{error}"));
    let payload = "x".repeat(522);
    for number in 0..count {
        let key = number.to_string();
        let mut record = BaseRecord::to(topic).key(&key).payload(&payload);
        while let Err((_, back)) = producer.send(record) {
            producer.poll(Duration::from_millis(10));
            record = back;
        }
    }
    let flushed = rdkafka::producer::Producer::flush(&producer, Duration::from_secs(60));
    flushed.unwrap_or_else(|error| unreachable!("{error}"));
}

fn compare(broker: &str, from: &str, to: &str, count: u64, wanted: &[String]) {
    for (name, run) in [("bare", bare as fn(&str, &str, &str, u64)), ("connector", connector)] {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            let meter = Meter::start(Whose::Process);
            run(broker, from, to, count);
            say(&format!("{name:10} {}", meter.read(usize::try_from(count).unwrap_or(usize::MAX))));
        }
    }
}

fn say(text: &str) -> ExitCode {
    // Nobody is left to tell if this fails.
    let _ = writeln!(std::io::stdout(), "{text}");
    ExitCode::FAILURE
}

fn group() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    format!("bench-{}", now.as_nanos())
}

#[derive(Default)]
struct Delivered(AtomicU64);

impl ClientContext for Delivered {}

impl ProducerContext for Delivered {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, _: usize) {
        assert!(result.is_ok(), "a delivery failed");
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn bare(broker: &str, from: &str, to: &str, count: u64) {
    let client = |pairs: &[(&str, &str)]| {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", broker);
        for (name, value) in pairs {
            config.set(*name, *value);
        }
        config
    };
    let group = group();
    let consumer: BaseConsumer =
        client(&[("group.id", &group), ("auto.offset.reset", "earliest"), ("enable.auto.commit", "false")])
            .create()
            .unwrap_or_else(|error| unreachable!("{error}"));
    let producer: BaseProducer<Delivered> =
        client(&[("enable.idempotence", "true"), ("acks", "all"), ("linger.ms", "5"), ("compression.codec", "lz4")])
            .create_with_context(Delivered::default())
            .unwrap_or_else(|error| unreachable!("{error}"));
    consumer.subscribe(&[from]).unwrap_or_else(|error| unreachable!("{error}"));
    let mut sent = 0;
    while sent < count {
        let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) else { continue };
        let mut record: BaseRecord<'_, [u8], [u8], usize> = BaseRecord::with_opaque_to(to, 7);
        (record.key, record.payload) = (message.key(), message.payload());
        while let Err((_, back)) = producer.send(record) {
            producer.poll(Duration::from_millis(1));
            record = back;
        }
        sent += 1;
        if sent % 500 == 0 {
            producer.poll(Duration::ZERO);
        }
    }
    while rdkafka::producer::Producer::context(&producer).0.load(Ordering::Relaxed) < count {
        producer.poll(Duration::from_millis(10));
    }
}

fn connector(broker: &str, from: &str, to: &str, count: u64) {
    let runtime = tokio::runtime::Runtime::new().unwrap_or_else(|error| unreachable!("{error}"));
    runtime.block_on(bridge(broker, from, to, count));
}

async fn bridge(broker: &str, from: &str, to: &str, count: u64) {
    let kafka = Kafka::new(&GatewayConfig {
        http: Settings::default(),
        folder: PathBuf::new(),
        store: Text::from_static("bench"),
        admin_url: Text::new(),
        state_folder: PathBuf::new(),
    });
    let (mut receiver, mut settler) = kafka
        .source(&source(broker, from))
        .unwrap_or_else(|found| unreachable!("{found:?}"))
        .open()
        .await
        .unwrap_or_else(|error| unreachable!("{error}"));
    let (post, mut posted) = mpsc::unbounded_channel::<Results>();
    let done = Completions::new(move |results| drop(post.send(results)));
    let sink = kafka.sink(&sink(broker, to));
    let mut sender = sink
        .unwrap_or_else(|found| unreachable!("{found:?}"))
        .open(done)
        .await
        .unwrap_or_else(|fault| unreachable!("{fault}"));
    let rendered = Rendered::new(vec![RenderedValue::Text(Text::from(to))]);
    let mut tokens: HashMap<u64, Token> = HashMap::new();
    let (mut ticket, mut delivered) = (0, 0);
    while delivered < count {
        let room = 2048 - (ticket - delivered).min(2048);
        let credit = Credit { messages: usize::try_from(room).unwrap_or(1), bytes: 1 << 20 };
        tokio::select! {
            Some(results) = posted.recv() => {
                delivered += results.len() as u64;
                let stored = results.into_iter().filter_map(|(ticket, result)| {
                    assert!(result.is_ok(), "{result:?}");
                    let id = MessageId::from_bytes([0; 16]);
                    Some((tokens.remove(&ticket.0)?, Settlement::Stored { id, duplicate: false }))
                }).collect();
                settler.settle(stored).await.unwrap_or_else(|error| unreachable!("{error}"));
            }
            event = receiver.next(credit), if room > 0 && ticket < count => {
                let Ok(Event::Messages(messages)) = event else { unreachable!("{event:?}") };
                let batch: Vec<_> = messages.into_iter().map(|received| {
                    ticket += 1;
                    tokens.insert(ticket, received.token);
                    let id = received.envelope.id.to_string();
                    Outgoing {
                        ticket: Ticket(ticket),
                        envelope: received.envelope,
                        rendered: rendered.clone(),
                        idempotency_key: Text::try_from(Bytes::from(id)).unwrap_or_default(),
                        attempt: 1,
                    }
                }).collect();
                sender.submit(batch).await.unwrap_or_else(|error| unreachable!("{error}"));
            }
        }
    }
    let by = Instant::now() + Duration::from_secs(5);
    sender.close(by).await;
    drop(receiver);
    settler.close(by).await;
}

fn connection(broker: &str) -> Option<ConnectionConfig> {
    let settings = settings(DESCRIPTION.connection.unwrap_or_default(), &json!({ "brokers": [broker] }));
    Some(ConnectionConfig { name: Text::from_static("bus"), settings })
}

fn source(broker: &str, topic: &str) -> SourceConfig {
    let section = json!({ "connection": "bus", "topics": [topic] });
    SourceConfig {
        route: Text::from(group()),
        was: None,
        connection: connection(broker),
        settings: settings(DESCRIPTION.source.unwrap_or_default(), &section),
        formulas: Formulas::none(),
        folder: PathBuf::new(),
    }
}

fn sink(broker: &str, topic: &str) -> SinkConfig {
    let section = json!({ "connection": "bus", "topic": topic });
    SinkConfig {
        route: Text::from_static("bench"),
        target: Text::from_static("bus"),
        ordinal: 0,
        connection: connection(broker),
        settings: settings(DESCRIPTION.target.unwrap_or_default(), &section),
        folder: PathBuf::new(),
        forward_origin: false,
        strict: false,
    }
}
