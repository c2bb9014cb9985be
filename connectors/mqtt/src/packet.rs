//! Packets, alike for both versions of the protocol. The codecs are rumqttc's; what stands here names what a session needs.

mod decode;
mod encode;
mod frame;
mod reason;

pub(crate) use decode::Decoder;
pub(crate) use encode::{
    Connect, Step, Unfit, Will, acknowledge, connect, disconnect, ping, publish, subscribe, unsubscribe,
};
pub(crate) use reason::{Refused, Why};
pub(crate) use rumqttc_v5::mqttbytes::{QoS, v5::PublishProperties};

use bytes::Bytes;

/// The version of the protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Version {
    V4,
    V5,
}

impl Version {
    /// What is told of a broker that closed the connection. One of MQTT 5 says why before.
    pub(crate) const fn closed(self) -> &'static str {
        match self {
            Self::V4 => {
                "the broker closed the connection; in 3.1.1 it does not say why: it stops, something is not allowed, or \
                 another client has this client's id"
            }
            Self::V5 => "the broker closed the connection",
        }
    }
}

/// A packet that a broker sends.
#[derive(Debug)]
pub(crate) enum Incoming {
    ConnAck(ConnAck),
    Publish(Publish),
    /// A publish beyond the limit; its payload is skipped.
    TooLarge {
        delivery: Delivery,
        topic: Bytes,
        packet_bytes: usize,
    },
    /// A publish that breaks the rules, so that nobody can make a message of it. What acknowledging it takes could be read.
    Malformed {
        delivery: Delivery,
        /// Whatever bytes stand there.
        topic: Bytes,
        /// A lowercase fragment.
        why: String,
    },
    PubAck(u16, Result<(), Refused>),
    PubRec(u16, Result<(), Refused>),
    PubRel(u16),
    PubComp(u16),
    /// For each filter what was granted.
    SubAck(u16, Vec<Result<QoS, Refused>>),
    UnsubAck,
    PingResp,
    /// MQTT 5: the broker says why it closes.
    Disconnect(Refused),
}

/// The answer to a CONNECT.
#[derive(Debug)]
pub(crate) struct ConnAck {
    pub(crate) session_present: bool,
    pub(crate) result: Result<Limits, Refused>,
}

/// What a broker takes; in 3.1.1 it does not say, so it is everything.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Limits {
    pub(crate) receive_maximum: u16,
    pub(crate) qos_max: u8,
    pub(crate) retain: bool,
    pub(crate) packet_bytes_max: usize,
    /// Seconds, where the broker wants another than we asked for.
    pub(crate) keep_alive: Option<u16>,
    /// Seconds for which it keeps the session, where that is another time than we asked for; `u32::MAX` is for ever.
    pub(crate) session_expiry: Option<u32>,
}

/// Most bytes behind a fixed header (§2.1.4), and the header.
pub(crate) const PACKET_BYTES_MAX: usize = 268_435_455 + 5;

impl Default for Limits {
    fn default() -> Self {
        Self {
            receive_maximum: u16::MAX,
            qos_max: 2,
            retain: true,
            packet_bytes_max: PACKET_BYTES_MAX,
            keep_alive: None,
            session_expiry: None,
        }
    }
}

/// A message, either way.
#[derive(Debug)]
pub(crate) struct Publish {
    pub(crate) dup: bool,
    pub(crate) retain: bool,
    pub(crate) qos: QoS,
    /// 0 for QoS 0.
    pub(crate) id: u16,
    /// UTF-8.
    pub(crate) topic: Bytes,
    pub(crate) payload: Bytes,
    /// None in 3.1.1.
    pub(crate) properties: Option<Box<PublishProperties>>,
}

impl Publish {
    pub(crate) const fn delivery(&self) -> Delivery {
        Delivery { dup: self.dup, qos: self.qos, id: self.id }
    }

    /// The bytes of its parts that may be large.
    pub(crate) fn bytes(&self) -> usize {
        let properties = self.properties.as_deref().map_or(0, |properties| {
            let PublishProperties { content_type, response_topic, correlation_data, user_properties, .. } = properties;
            let texts = [content_type, response_topic].into_iter().flatten().map(String::len).sum::<usize>();
            let user: usize = user_properties.iter().map(|(name, value)| name.len() + value.len()).sum();
            texts + correlation_data.as_ref().map_or(0, Bytes::len) + user
        });
        self.topic.len() + self.payload.len() + properties
    }
}

/// What of a publish belongs to the exchange with the broker and not to the message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Delivery {
    /// The broker says that it may have sent it before.
    pub(crate) dup: bool,
    pub(crate) qos: QoS,
    /// 0 for QoS 0.
    pub(crate) id: u16,
}

/// A quality of service as the settings have it; more than 2 is 2.
pub(crate) const fn qos(number: i64) -> QoS {
    match number {
        i64::MIN..=0 => QoS::AtMostOnce,
        1 => QoS::AtLeastOnce,
        2.. => QoS::ExactlyOnce,
    }
}
