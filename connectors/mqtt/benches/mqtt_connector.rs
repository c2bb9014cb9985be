//! What the connector costs a message, in and out, beside the bare client library in the same loop.
//!
//! `cargo bench -p crossdock-mqtt --bench mqtt_connector -- [ROUNDS]`. MQTT 3.1.1, QoS 1, payloads of 300 bytes, a
//! thousand in flight, against a broker in this process that only writes and reads packets. Both sides run on runtimes of
//! their own; CPU is that of the threads of the side under test (`/proc/self/task/*/schedstat`), so the broker's own cost
//! and other work do not count. The player of the engine settles what it gets at once: no store, no rules.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a bench prints its figures, and stops where it cannot go on"
)]

use bytes::{Bytes, BytesMut};
use crossdock_connector::{
    Completions, ConnectionConfig, Connector, Credit, Event, Formulas, GatewayConfig, Outgoing, Rendered,
    RenderedValue, Settings, Settlement, SinkConfig, SourceConfig, Ticket,
};
use crossdock_model::{Envelope, MessageId, Text, Timestamp};
use crossdock_mqtt::{DESCRIPTION, Mqtt};
use crossdock_testkit::{Meter, Whose, suite::settings};
use rumqttc_v4::{
    AckMode, AsyncClient, Incoming, MqttOptions, PublishOptions, QoS,
    mqttbytes::{self, v4},
};
use serde_json::json;
use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::{Builder, Runtime},
    sync::Notify,
};

/// The name of the threads of the side under test.
const TESTED: &str = "tested";
const MESSAGES: usize = 200_000;
const PAYLOAD_BYTES: usize = 300;
const IN_FLIGHT: u16 = 1000;

fn main() {
    let rounds = std::env::args().nth(1).and_then(|rounds| rounds.parse().ok()).unwrap_or(3);
    let (tested, other) = (runtime(TESTED), runtime("other"));
    let address = other.block_on(broker());
    for _ in 0..rounds {
        measure("in, bare rumqttc", &tested, bare_in(address));
        measure("in, the source", &tested, source(address));
        measure("out, bare rumqttc", &tested, bare_out(address));
        measure("out, the sink", &tested, sink(address));
    }
}

fn runtime(name: &'static str) -> Runtime {
    Builder::new_multi_thread().worker_threads(2).thread_name(name).enable_all().build().unwrap()
}

fn measure(name: &str, tested: &Runtime, work: impl Future<Output = ()> + Send + 'static) {
    let meter = Meter::start(Whose::Threads(TESTED));
    // On a thread of the runtime, whose time counts; this one's does not.
    tested.block_on(tested.spawn(work)).unwrap();
    println!("{name:20} {}", meter.read(MESSAGES));
}

/// A broker: to who subscribes it sends [`MESSAGES`] messages, and confirms what it is sent.
async fn broker() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            tokio::spawn(serve(stream));
        }
    });
    address
}

async fn serve(mut stream: TcpStream) {
    let (mut buffer, mut out) = (BytesMut::with_capacity(1 << 16), BytesMut::new());
    // What is still to be sent, and how many of what was sent are not confirmed.
    let (mut left, mut unconfirmed, mut id) = (0, 0, 0_u16);
    let payload = Bytes::from(vec![b'x'; PAYLOAD_BYTES]);
    loop {
        while let Ok(packet) = v4::Packet::read(&mut buffer, 1 << 20) {
            match packet {
                v4::Packet::Connect(_) => out.extend_from_slice(&[0x20, 2, 0, 0]),
                v4::Packet::Subscribe(subscribe) => {
                    let [high, low] = subscribe.pkid.to_be_bytes();
                    out.extend_from_slice(&[0x90, 3, high, low, 1]);
                    left = MESSAGES;
                }
                v4::Packet::PubAck(_) => unconfirmed -= 1,
                v4::Packet::Publish(publish) => {
                    let [high, low] = publish.pkid.to_be_bytes();
                    out.extend_from_slice(&[0x40, 2, high, low]);
                }
                v4::Packet::PingReq => out.extend_from_slice(&[0xd0, 0]),
                _ => {}
            }
        }
        while left > 0 && unconfirmed < IN_FLIGHT {
            (left, unconfirmed, id) = (left - 1, unconfirmed + 1, id % 60_000 + 1);
            let mut publish = v4::Publish::from_bytes("plant/3/temp", mqttbytes::QoS::AtLeastOnce, payload.clone());
            publish.pkid = id;
            publish.write(&mut out).unwrap();
        }
        if !out.is_empty() && stream.write_all_buf(&mut out).await.is_err() {
            return;
        }
        if buffer.capacity() - buffer.len() < 1 << 13 {
            buffer.reserve(1 << 16);
        }
        if !matches!(stream.read_buf(&mut buffer).await, Ok(1..)) {
            return;
        }
    }
}

fn options(address: SocketAddr, id: &str) -> MqttOptions {
    let mut options = MqttOptions::new(id, ("127.0.0.1", address.port()));
    options.set_keep_alive(30).set_ack_mode(AckMode::Manual).set_inflight(IN_FLIGHT).set_read_batch_size(128);
    options
}

/// The library's own loop: each message is acknowledged when it comes.
async fn bare_in(address: SocketAddr) {
    let (client, mut events) = AsyncClient::builder(options(address, "bare-in")).capacity(4096).build();
    client.subscribe("plant/#", QoS::AtLeastOnce).await.unwrap();
    let mut count = 0;
    while count < MESSAGES {
        if let rumqttc_v4::Event::Incoming(Incoming::Publish(publish)) = events.poll().await.unwrap() {
            client.try_ack(&publish).unwrap();
            count += 1;
        }
    }
}

/// The library's own loop, with another task that publishes.
async fn bare_out(address: SocketAddr) {
    let (client, mut events) = AsyncClient::builder(options(address, "bare-out")).capacity(4096).build();
    let payload = Bytes::from(vec![b'x'; PAYLOAD_BYTES]);
    let publishing = tokio::spawn(async move {
        for _ in 0..MESSAGES {
            let options = PublishOptions::new(QoS::AtLeastOnce);
            client.publish("plant/3/temp", payload.clone(), options).await.unwrap();
        }
        client
    });
    let mut count = 0;
    while count < MESSAGES {
        if let rumqttc_v4::Event::Incoming(Incoming::PubAck(_)) = events.poll().await.unwrap() {
            count += 1;
        }
    }
    drop(publishing.await.unwrap());
}

fn connector(state_folder: PathBuf) -> Mqtt {
    Mqtt::new(&GatewayConfig {
        http: Settings::default(),
        folder: PathBuf::new(),
        store: Text::new(),
        admin_url: Text::from_static("http://127.0.0.1:8090"),
        state_folder,
    })
}

fn connection(address: SocketAddr) -> Option<ConnectionConfig> {
    let section = json!({ "url": format!("mqtt://{address}"), "client_id": "bench" });
    let settings = settings(DESCRIPTION.connection.unwrap(), &section);
    Some(ConnectionConfig { name: Text::from_static("floor"), settings })
}

/// The source, with a player that settles all it gets.
async fn source(address: SocketAddr) {
    let folder = tempfile::tempdir().unwrap();
    let section = json!({ "connection": "floor", "topics": ["plant/#"], "receive_maximum": IN_FLIGHT });
    let config = SourceConfig {
        route: Text::from_static("in"),
        was: None,
        connection: connection(address),
        settings: settings(DESCRIPTION.source.unwrap(), &section),
        formulas: Formulas::none(),
        folder: PathBuf::new(),
    };
    let mut source = connector(folder.path().to_owned()).source(&config).unwrap();
    let (mut receiver, mut settler) = source.open().await.unwrap();
    let mut count = 0;
    while count < MESSAGES {
        let Event::Messages(messages) = receiver.next(Credit { messages: 1024, bytes: 1 << 20 }).await.unwrap() else {
            panic!("an odd event");
        };
        count += messages.len();
        let stored = |id| Settlement::Stored { id, duplicate: false };
        let settled = messages.into_iter().map(|message| (message.token, stored(message.envelope.id)));
        settler.settle(settled.collect()).await.unwrap();
    }
}

/// Messages through a target, handed over in batches of 64.
async fn sink(address: SocketAddr) {
    let section = json!({ "connection": "floor", "topic": "plant/3/temp", "max_in_flight": IN_FLIGHT });
    let config = SinkConfig {
        route: Text::from_static("out"),
        target: Text::from_static("floor"),
        ordinal: 0,
        connection: connection(address),
        settings: settings(DESCRIPTION.target.unwrap(), &section),
        folder: PathBuf::new(),
        forward_origin: false,
        strict: false,
    };
    let (done, all) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let completions = Completions::new({
        let (done, all) = (Arc::clone(&done), Arc::clone(&all));
        move |results| {
            assert!(results.iter().all(|(_, result)| result.is_ok()), "{results:?}");
            if done.fetch_add(results.len(), Ordering::Relaxed) + results.len() == MESSAGES {
                all.notify_one();
            }
        }
    });
    let payload = Bytes::from(vec![b'x'; PAYLOAD_BYTES]);
    let message = Outgoing {
        ticket: Ticket(0),
        envelope: Arc::new(Envelope::new(MessageId::from_bytes([7; 16]), Timestamp(0), payload)),
        rendered: Rendered::new(vec![RenderedValue::Text(Text::from_static("plant/3/temp"))]),
        idempotency_key: Text::from_static("019aa000-0000-7000-8000-000000000000"),
        attempt: 1,
    };
    let mut sender = connector(PathBuf::new()).sink(&config).unwrap().open(completions).await.unwrap();
    let tickets: Vec<u64> = (0..MESSAGES as u64).collect();
    for batch in tickets.chunks(64) {
        let batch = batch.iter().map(|ticket| Outgoing { ticket: Ticket(*ticket), ..message.clone() }).collect();
        sender.submit(batch).await.unwrap();
    }
    all.notified().await;
}
