//! What the tests share: settings from JSON as if it were routes.yaml, and a broker that does what it is told.

use bytes::BytesMut;
use crossdock_connector::{
    Completions, ConnectionConfig, Connector, Credit, Event, Formulas, GatewayConfig, Outgoing, Received, Receiver,
    Rendered, RenderedValue, Results, Sender, Settings, Settlement, Settler, Sink, SinkConfig, Source, SourceConfig,
    Ticket, Token,
};
use crossdock_model::{Envelope, Fault, MessageId, Text, Timestamp};
use crossdock_mqtt::{DESCRIPTION, Mqtt};
use crossdock_testkit::suite::settings;
use rumqttc_v4::mqttbytes::v4;
use rumqttc_v5::mqttbytes::v5;
use serde_json::{Value, json};
use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

pub const SOON: Duration = Duration::from_secs(20);
pub const CREDIT: Credit = Credit { messages: 256, bytes: 1 << 24 };

pub fn connector(state: &Path) -> Mqtt {
    Mqtt::new(&GatewayConfig {
        http: Settings::default(),
        folder: PathBuf::from("."),
        store: Text::from_static("0123abcd"),
        admin_url: Text::from_static("http://127.0.0.1:8090"),
        state_folder: state.to_owned(),
    })
}

pub fn connection(section: &Value) -> ConnectionConfig {
    ConnectionConfig { name: Text::from_static("floor"), settings: settings(DESCRIPTION.connection.unwrap(), section) }
}

pub fn source_config(route: &str, connection_section: &Value, section: &Value) -> SourceConfig {
    let mut section = section.clone();
    section["connection"] = json!("floor");
    SourceConfig {
        route: Text::from(route),
        was: None,
        connection: Some(connection(connection_section)),
        settings: settings(DESCRIPTION.source.unwrap(), &section),
        formulas: Formulas::none(),
        folder: PathBuf::from("."),
    }
}

pub fn sink_config(route: &str, ordinal: usize, connection_section: &Value, section: &Value) -> SinkConfig {
    let mut section = section.clone();
    section["connection"] = json!("floor");
    SinkConfig {
        route: Text::from(route),
        target: Text::from(format!("floor:{ordinal}")),
        ordinal,
        connection: Some(connection(connection_section)),
        settings: settings(DESCRIPTION.target.unwrap(), &section),
        folder: PathBuf::from("."),
        forward_origin: false,
        strict: false,
    }
}

/// A broker's listener, which does nothing by itself.
pub struct Broker {
    listener: TcpListener,
    pub state: tempfile::TempDir,
}

impl Broker {
    pub async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { listener, state: tempfile::tempdir().unwrap() }
    }

    pub fn connection(&self, more: &Value) -> Value {
        let mut section =
            json!({ "url": format!("mqtt://{}", self.listener.local_addr().unwrap()), "client_id": "cd" });
        section.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        section
    }

    pub fn source(&self, connection: &Value, section: &Value) -> Box<dyn Source> {
        let config = source_config("r", &self.connection(connection), section);
        connector(self.state.path()).source(&config).unwrap()
    }

    pub fn sink(&self, connection: &Value, section: &Value) -> Box<dyn Sink> {
        let config = sink_config("r", 0, &self.connection(connection), section);
        connector(self.state.path()).sink(&config).unwrap()
    }

    pub async fn accept(&self) -> Wire {
        let (stream, _) = timeout(SOON, self.listener.accept()).await.expect("nobody connects").unwrap();
        Wire { stream, buffer: BytesMut::new() }
    }

    /// Takes a connection and the login of a client of 3.1.1.
    pub async fn welcome(&self, session_present: bool) -> (Wire, v4::Connect) {
        let mut wire = self.accept().await;
        let v4::Packet::Connect(connect) = wire.read().await else { panic!("no CONNECT") };
        wire.write(&[0x20, 2, u8::from(session_present), 0]).await;
        (wire, connect)
    }

    /// Takes a connection, a login and a SUBSCRIBE, and grants it.
    pub async fn subscribed(&self, session_present: bool) -> Wire {
        let (mut wire, _) = self.welcome(session_present).await;
        wire.grant().await;
        wire
    }
}

/// A connection, from the broker's side.
pub struct Wire {
    stream: TcpStream,
    buffer: BytesMut,
}

impl Wire {
    pub async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// The next packet of a client of 3.1.1; pings are answered on the way.
    pub async fn read(&mut self) -> v4::Packet {
        loop {
            let packet = timeout(SOON, self.try_read()).await.expect("the client says nothing");
            match packet.expect("the client closed the connection") {
                v4::Packet::PingReq => self.write(&[0xd0, 0]).await,
                packet => return packet,
            }
        }
    }

    /// The next packet, pings too; none at the end.
    pub async fn try_read(&mut self) -> Option<v4::Packet> {
        loop {
            match v4::Packet::read(&mut self.buffer, 1 << 28) {
                Ok(packet) => return Some(packet),
                Err(rumqttc_v4::mqttbytes::Error::InsufficientBytes(_)) => {}
                Err(error) => panic!("{error}"),
            }
            match self.stream.read_buf(&mut self.buffer).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// The next packet of a client of MQTT 5.
    pub async fn read_v5(&mut self) -> v5::Packet {
        let read = async {
            loop {
                match v5::Packet::read(&mut self.buffer, None) {
                    Ok(packet) => return packet,
                    Err(rumqttc_v5::mqttbytes::Error::InsufficientBytes(_)) => {}
                    Err(error) => panic!("{error}"),
                }
                let bytes = self.stream.read_buf(&mut self.buffer).await.unwrap();
                assert!(bytes > 0, "the client closed the connection");
            }
        };
        timeout(SOON, read).await.expect("the client says nothing")
    }

    pub async fn write_v5(&mut self, packet: &v5::Packet) {
        let mut bytes = BytesMut::new();
        packet.write(&mut bytes, None).unwrap();
        self.write(&bytes).await;
    }

    /// Nothing comes for a while.
    pub async fn assert_quiet(&mut self) {
        let quiet = timeout(Duration::from_millis(150), self.try_read()).await;
        assert!(quiet.is_err(), "{quiet:?}");
    }

    /// Reads a SUBSCRIBE and grants all of it; gives the filters.
    pub async fn grant(&mut self) -> Vec<String> {
        let v4::Packet::Subscribe(subscribe) = self.read().await else { panic!("no SUBSCRIBE") };
        let [high, low] = subscribe.pkid.to_be_bytes();
        let mut answer = vec![0x90, 2 + u8::try_from(subscribe.filters.len()).unwrap(), high, low];
        answer.extend(subscribe.filters.iter().map(|filter| filter.qos as u8));
        self.write(&answer).await;
        subscribe.filters.into_iter().map(|filter| filter.path).collect()
    }

    /// Publishes on `t/ID`.
    pub async fn publish(&mut self, qos: u8, id: u16, dup: bool, payload: &[u8]) {
        let qos = rumqttc_v4::mqttbytes::qos(qos).unwrap();
        let mut packet = v4::Publish::new(format!("t/{id}"), qos, payload);
        (packet.pkid, packet.dup) = (id, dup);
        let mut bytes = BytesMut::new();
        packet.write(&mut bytes).unwrap();
        self.write(&bytes).await;
    }

    /// The ids of the next acknowledgements of a kind (its first byte).
    pub async fn acknowledged(&mut self, kind: u8, count: usize) -> Vec<u16> {
        let mut ids = Vec::new();
        for _ in 0..count {
            let (found, id) = match self.read().await {
                v4::Packet::PubAck(ack) => (0x40, ack.pkid),
                v4::Packet::PubRec(ack) => (0x50, ack.pkid),
                v4::Packet::PubRel(ack) => (0x62, ack.pkid),
                v4::Packet::PubComp(ack) => (0x70, ack.pkid),
                other => panic!("no acknowledgement: {other:?}"),
            };
            assert_eq!(found, kind);
            ids.push(id);
        }
        ids
    }
}

/// The halves that the engine holds.
pub struct Session {
    pub receiver: Box<dyn Receiver>,
    pub settler: Box<dyn Settler>,
}

impl Session {
    pub async fn open(source: &mut Box<dyn Source>) -> Self {
        let (receiver, settler) = timeout(SOON, source.open()).await.expect("opening hangs").unwrap();
        Self { receiver, settler }
    }

    pub async fn next(&mut self) -> Event {
        timeout(SOON, self.receiver.next(CREDIT)).await.expect("nothing comes").unwrap()
    }

    /// So many messages.
    pub async fn receive(&mut self, count: usize) -> Vec<Received> {
        let mut all = Vec::new();
        while all.len() < count {
            match self.next().await {
                Event::Messages(messages) => all.extend(messages),
                event => panic!("an odd event: {event:?}"),
            }
        }
        assert_eq!(all.len(), count);
        all
    }

    pub async fn store(&mut self, tokens: &[Token]) {
        self.settler.settle(tokens.iter().map(|token| (*token, stored())).collect()).await.unwrap();
    }
}

pub fn stored() -> Settlement {
    Settlement::Stored { id: MessageId::from_bytes([1; 16]), duplicate: false }
}

/// What a sink posted.
#[derive(Clone, Default)]
pub struct Posted(Arc<Mutex<Results>>);

impl Posted {
    pub fn completions(&self) -> Completions {
        let posted = Arc::clone(&self.0);
        Completions::new(move |results| posted.lock().unwrap().extend(results))
    }

    pub async fn open(&self, sink: &mut Box<dyn Sink>) -> Result<Box<dyn Sender>, Fault> {
        timeout(SOON, sink.open(self.completions())).await.expect("opening hangs")
    }

    /// All results, once there are so many: `1: ok`, `2: failed mqtt.connection`.
    pub async fn results(&self, count: usize) -> Vec<String> {
        let wait = async {
            while self.0.lock().unwrap().len() < count {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        timeout(SOON, wait).await.unwrap_or_else(|_| panic!("{:?}", self.shown()));
        let shown = self.shown();
        assert_eq!(shown.len(), count, "{shown:?}");
        shown
    }

    pub fn shown(&self) -> Vec<String> {
        let results = self.0.lock().unwrap();
        let show = |(Ticket(ticket), result): &(Ticket, Result<_, Fault>)| match result {
            Ok(_) => format!("{ticket}: ok"),
            Err(fault) => format!("{ticket}: {} {}", fault.class, fault.code),
        };
        results.iter().map(show).collect()
    }
}

/// Messages with these tickets as payloads, to the topic `out`.
pub fn outgoing(tickets: std::ops::RangeInclusive<u64>) -> Vec<Outgoing> {
    tickets.map(|ticket| message(ticket, "out", ticket.to_string().into_bytes())).collect()
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
