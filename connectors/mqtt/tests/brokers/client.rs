//! A client of the tests' own: MQTT 5, packet by packet.

use bytes::BytesMut;
use rumqttc_v5::mqttbytes::{
    Error, QoS,
    v5::{
        Connect, ConnectAuth, ConnectProperties, Packet, PubAck, PubComp, PubRec, PubRel, Publish, RetainForwardRule,
        Subscribe, SubscribeFilter,
    },
};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

const SOON: Duration = Duration::from_secs(30);
/// So many may be unacknowledged; Mosquitto takes 20 at a time from a client.
const WINDOW: usize = 20;

pub struct Client {
    stream: TcpStream,
    buffer: BytesMut,
    last_id: u16,
}

impl Client {
    /// Logs in; a lasting session goes on where it was.
    pub async fn connect(address: &str, id: &str, lasting: bool, login: Option<(&str, &str)>) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let mut client = Self { stream, buffer: BytesMut::new(), last_id: 0 };
        let properties = ConnectProperties {
            session_expiry_interval: Some(if lasting { 3600 } else { 0 }),
            receive_maximum: None,
            max_packet_size: None,
            topic_alias_max: None,
            request_response_info: None,
            request_problem_info: None,
            user_properties: Vec::new(),
            authentication_method: None,
            authentication_data: None,
        };
        let auth = login.map_or(ConnectAuth::None, |(user, password)| ConnectAuth::UsernamePassword {
            username: user.into(),
            password: password.to_owned().into(),
        });
        let connect =
            Connect { keep_alive: 0, client_id: id.into(), clean_start: !lasting, properties: Some(properties) };
        client.write(&Packet::Connect(connect, None, auth)).await;
        let answer = client.read().await;
        assert!(matches!(answer, Packet::ConnAck(_)), "{answer:?}");
        client
    }

    async fn write(&mut self, packet: &Packet) {
        let mut bytes = BytesMut::new();
        packet.write(&mut bytes, None).unwrap();
        self.stream.write_all(&bytes).await.unwrap();
    }

    async fn read(&mut self) -> Packet {
        timeout(SOON, self.try_read()).await.expect("the broker says nothing")
    }

    async fn try_read(&mut self) -> Packet {
        loop {
            match Packet::read(&mut self.buffer, None) {
                Ok(packet) => return packet,
                Err(Error::InsufficientBytes(_)) => {}
                Err(error) => panic!("{error}"),
            }
            let bytes = self.stream.read_buf(&mut self.buffer).await.unwrap();
            assert!(bytes > 0, "the broker closed the connection");
        }
    }

    pub async fn subscribe(&mut self, filter: &str, qos: QoS) {
        let filter = SubscribeFilter {
            path: filter.into(),
            qos,
            nolocal: false,
            preserve_retain: false,
            retain_forward_rule: RetainForwardRule::OnEverySubscribe,
        };
        self.write(&Packet::Subscribe(Subscribe { pkid: 1, filters: vec![filter], properties: None })).await;
        loop {
            if let Packet::SubAck(_) = self.read().await {
                return;
            }
        }
    }

    fn next_id(&mut self) -> u16 {
        self.last_id = self.last_id % 60_000 + 1;
        self.last_id
    }

    /// Publishes all, and returns when all are confirmed.
    pub async fn publish(&mut self, messages: Vec<Publish>) {
        let (mut messages, mut waiting) = (messages.into_iter().peekable(), 0);
        while waiting > 0 || messages.peek().is_some() {
            while waiting < WINDOW
                && let Some(mut message) = messages.next()
            {
                if message.qos != QoS::AtMostOnce {
                    message.pkid = self.next_id();
                    waiting += 1;
                }
                self.write(&Packet::Publish(message)).await;
            }
            if waiting == 0 {
                continue;
            }
            match self.read().await {
                Packet::PubAck(_) | Packet::PubComp(_) => waiting -= 1,
                Packet::PubRec(ack) => self.write(&Packet::PubRel(PubRel::new(ack.pkid, None))).await,
                packet => panic!("{packet:?}"),
            }
        }
    }

    /// All that comes until nothing comes for so long, acknowledged.
    pub async fn take(&mut self, quiet: Duration) -> Vec<Publish> {
        let mut all = Vec::new();
        while let Ok(packet) = timeout(quiet, self.try_read()).await {
            match packet {
                Packet::Publish(publish) => {
                    match publish.qos {
                        QoS::AtMostOnce => {}
                        QoS::AtLeastOnce => self.write(&Packet::PubAck(PubAck::new(publish.pkid, None))).await,
                        QoS::ExactlyOnce => self.write(&Packet::PubRec(PubRec::new(publish.pkid, None))).await,
                    }
                    all.push(publish);
                }
                Packet::PubRel(ack) => self.write(&Packet::PubComp(PubComp::new(ack.pkid, None))).await,
                packet => panic!("{packet:?}"),
            }
        }
        all
    }
}

/// A message of QoS 1 or another.
pub fn publish(topic: &str, qos: QoS, payload: impl Into<Vec<u8>>) -> Publish {
    Publish::new(topic, qos, payload.into(), None)
}
