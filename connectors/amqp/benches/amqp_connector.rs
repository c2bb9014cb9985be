//! What the connector costs a message, in and out, beside the bare loop of a client library (lapin), against a RabbitMQ
//! that is started for it: `cargo bench -p crossdock-amqp --bench amqp_connector -- [ROUNDS [MESSAGES]]`.
//!
//! Payloads of 512 bytes, persistent, mandatory, confirmed; 1,000 in flight out, a prefetch of 500 in. The player of the
//! engine settles what it gets at once: no store, no rules. CPU is this process's own; the
//! server's is not counted, but takes its share of the cores.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a bench prints its figures, and stops where it cannot go on"
)]

use crossdock_amqp::{Amqp, DESCRIPTION};
use crossdock_connector::{
    Completions, ConnectionConfig, Connector, Credit, Event, Formulas, GatewayConfig, HTTP_LISTENER, Outgoing,
    Rendered, RenderedValue, Settlement, SinkConfig, SourceConfig, Ticket,
};
use crossdock_model::{Envelope, MessageId, Text, Timestamp};
use crossdock_testkit::{
    Meter, Whose,
    servers::{self, unique},
    suite::settings,
};
use futures_core::Stream as _;
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties,
    options::{
        BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
        ConfirmSelectOptions, QueueDeclareOptions,
    },
    types::FieldTable,
};
use serde_json::json;
use std::{
    collections::VecDeque,
    future::poll_fn,
    path::PathBuf,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};
use tokio::sync::Notify;

const IN_FLIGHT: usize = 1000;
const PREFETCH: u16 = 500;
const PAYLOAD: [u8; 512] = [b'x'; 512];

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let number = |at, usual| std::env::args().nth(at).and_then(|text| text.parse().ok()).unwrap_or(usual);
    let (rounds, count) = (number(1, 3), number(2, 100_000));
    let server = servers::Rabbit::start();
    let url = server.url();
    for _ in 0..rounds {
        let queue = unique("bench");
        let channel = channel(url, &queue).await;
        measure("out, bare lapin, confirms awaited in windows", count, bare_out(&channel, &queue, count)).await;
        measure("in, bare lapin, acks of 100", count, bare_in(&channel, &queue, count)).await;
        measure("out, the sink", count, sink(url, &queue, count)).await;
        measure("in, the source, acks of a batch", count, source(url, &queue, count)).await;
    }
}

async fn measure(name: &str, count: usize, work: impl Future<Output = ()>) {
    let meter = Meter::start(Whose::Process);
    work.await;
    println!("{name:<48} {}", meter.read(count));
}

async fn channel(url: &str, queue: &str) -> Channel {
    let connection = Box::leak(Box::new(Connection::connect(url, ConnectionProperties::default()).await.unwrap()));
    let channel = connection.create_channel().await.unwrap();
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(queue.into(), durable, FieldTable::default()).await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    channel
}

async fn bare_out(channel: &Channel, queue: &str, count: usize) {
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let mut confirms = VecDeque::new();
    for n in 0..count {
        if confirms.len() == IN_FLIGHT {
            for confirm in confirms.drain(..) {
                let confirm: lapin::PublisherConfirm = confirm;
                assert!(confirm.await.unwrap().is_ack());
            }
        }
        let properties = BasicProperties::default().with_delivery_mode(2).with_message_id(n.to_string().into());
        let published = channel.basic_publish("".into(), queue.into(), options, &PAYLOAD, properties);
        confirms.push_back(published.await.unwrap());
    }
    for confirm in confirms {
        assert!(confirm.await.unwrap().is_ack());
    }
}

async fn bare_in(channel: &Channel, queue: &str, count: usize) {
    channel.basic_qos(PREFETCH, BasicQosOptions::default()).await.unwrap();
    let consuming =
        channel.basic_consume(queue.into(), "bench".into(), BasicConsumeOptions::default(), FieldTable::default());
    let mut consumer = consuming.await.unwrap();
    for seen in 1..=count {
        let delivery = poll_fn(|context| Pin::new(&mut consumer).poll_next(context)).await.unwrap().unwrap();
        if seen % 100 == 0 || seen == count {
            delivery.acker.ack(BasicAckOptions { multiple: true }).await.unwrap();
        }
    }
    channel.basic_cancel("bench".into(), BasicCancelOptions::default()).await.unwrap();
}

fn connector() -> Amqp {
    Amqp::new(&GatewayConfig {
        http: settings(HTTP_LISTENER, &json!({})),
        folder: PathBuf::from("/"),
        store: Text::from_static("0123abcd"),
        admin_url: Text::from_static("http://127.0.0.1:8090"),
        state_folder: PathBuf::from("/nowhere"),
    })
}

fn connection(url: &str) -> ConnectionConfig {
    let table = DESCRIPTION.connection.unwrap_or_default();
    ConnectionConfig { name: Text::from_static("rabbit"), settings: settings(table, &json!({ "url": url })) }
}

async fn sink(url: &str, queue: &str, count: usize) {
    let section = json!({ "connection": "rabbit", "routing_key": queue });
    let config = SinkConfig {
        route: Text::from_static("bench"),
        target: Text::from_static("bench"),
        ordinal: 0,
        connection: Some(connection(url)),
        settings: settings(DESCRIPTION.target.unwrap_or_default(), &section),
        folder: PathBuf::from("/"),
        forward_origin: false,
        strict: false,
    };
    let (confirmed, change) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let (taken, changed) = (Arc::clone(&confirmed), Arc::clone(&change));
    let done = Completions::new(move |results| {
        assert!(results.iter().all(|(_, result)| result.is_ok()));
        taken.fetch_add(results.len(), Ordering::Relaxed);
        changed.notify_one();
    });
    let mut sender = connector().sink(&config).unwrap_or_else(|found| panic!("{found:?}")).open(done).await.unwrap();
    let rendered = Rendered::new(vec![RenderedValue::Text(Text::new()), RenderedValue::Text(Text::from(queue))]);
    let mut sent = 0;
    while sent < count {
        let room = IN_FLIGHT - (sent - confirmed.load(Ordering::Relaxed));
        if room == 0 {
            change.notified().await;
            continue;
        }
        let batch = (sent..count.min(sent + room)).map(|n| outgoing(n, &rendered)).collect::<Vec<_>>();
        sent += batch.len();
        sender.submit(batch).await.unwrap();
    }
    while confirmed.load(Ordering::Relaxed) < count {
        change.notified().await;
    }
    sender.close(Instant::now()).await;
}

fn outgoing(n: usize, rendered: &Rendered) -> Outgoing {
    let id = MessageId::from_bytes((n as u128).to_be_bytes());
    let mut envelope = Envelope::new(id, Timestamp(0), bytes::Bytes::from_static(&PAYLOAD));
    envelope.properties.content_type = Some(Text::from_static("application/json"));
    Outgoing {
        ticket: Ticket(n as u64),
        envelope: Arc::new(envelope),
        rendered: rendered.clone(),
        idempotency_key: Text::from(id.to_string()),
        attempt: 1,
    }
}

async fn source(url: &str, queue: &str, count: usize) {
    let section = json!({ "connection": "rabbit", "queue": queue, "prefetch": PREFETCH });
    let config = SourceConfig {
        route: Text::from_static("bench"),
        was: None,
        connection: Some(connection(url)),
        settings: settings(DESCRIPTION.source.unwrap_or_default(), &section),
        formulas: Formulas::none(),
        folder: PathBuf::from("/"),
    };
    let mut source = connector().source(&config).unwrap_or_else(|found| panic!("{found:?}"));
    let (mut receiver, mut settler) = source.open().await.unwrap();
    let mut seen = 0;
    while seen < count {
        let event = receiver.next(Credit { messages: 1000, bytes: 16 << 20 }).await.unwrap();
        let Event::Messages(messages) = event else { continue };
        seen += messages.len();
        let stored = |id| Settlement::Stored { id, duplicate: false };
        let settled = messages.iter().map(|message| (message.token, stored(message.envelope.id))).collect();
        settler.settle(settled).await.unwrap();
    }
    drop(receiver);
    settler.close(Instant::now() + std::time::Duration::from_secs(5)).await;
}
