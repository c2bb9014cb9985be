//! The target: publishes, and counts as delivered what the broker confirmed.

mod flight;
mod sender;

use crate::{
    broker::Broker,
    convert::outbound::{self, Manner},
    link::{self, Ended, Link, Opened, Wish},
    packet::{Limits, QoS, qos},
    topic::{self, Wrong},
};
use async_trait::async_trait;
use bytes::BytesMut;
use crossdock_connector::{Completions, Diagnostics, Formula, Outgoing, Preview, Sender, Sink, SinkConfig};
use crossdock_model::{Fault, FaultClass, Text};
use flight::Flight;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(30);
const IN_FLIGHT_MAX: u16 = 1000;
/// A target gets nothing, so whatever is published to it is a mistake of the broker's.
const PUBLISH_BYTES_MAX: usize = 1 << 20;

/// A target of a route.
#[derive(Debug)]
pub(crate) struct MqttSink {
    broker: Broker,
    client_id: String,
    manner: Manner,
    timeout: Duration,
    in_flight_max: u16,
}

impl MqttSink {
    /// A target by its settings.
    pub(crate) fn new(config: &SinkConfig, store: &str) -> Result<Self, Diagnostics> {
        let (settings, mut found) = (&config.settings, Diagnostics::new());
        let broker = found.take(config.connection().and_then(|of| Broker::new(of, &config.folder, store)));
        let topic = found.take(settings.formula("topic").ok_or_else(|| settings.missing("topic")));
        if let Some(fixed) = topic.filter(|topic| !topic.text.contains("{{"))
            && let Err(Wrong { text, hint }) = topic::check_name(&fixed.text)
        {
            found.push(settings.error("topic", "mqtt.topic", text).hint(hint));
        }
        let (Some(broker), Some(Formula { slot: topic, .. })) = (broker, topic) else { return Err(found) };
        if found.has_errors() {
            return Err(found);
        }
        let in_flight_max = settings.integer("max_in_flight").and_then(|most| u16::try_from(most).ok());
        Ok(Self {
            client_id: broker.target_client(&config.route, config.ordinal),
            manner: Manner {
                version: broker.version,
                topic: *topic,
                qos: qos(settings.integer("qos").unwrap_or(1)),
                retain: settings.flag("retain"),
                forward_origin: config.forward_origin,
                strict: config.strict,
            },
            broker,
            timeout: settings.duration("timeout").unwrap_or(TIMEOUT),
            in_flight_max: in_flight_max.unwrap_or(IN_FLIGHT_MAX),
        })
    }

    /// Where its client is, and what it is called.
    pub(crate) fn client(&self) -> (String, &str) {
        (self.broker.address(), &self.client_id)
    }

    /// What would be published.
    pub(crate) fn preview(&self, message: &Outgoing) -> Result<Preview, Fault> {
        let (publish, lost) = outbound::publish(message, &self.manner)?;
        let topic = String::from_utf8_lossy(&publish.topic);
        let retained = if publish.retain { ", retained" } else { "" };
        let act = format!("publish to {topic} (QoS {}{retained})", publish.qos as u8);
        let headers = publish.properties.as_deref().map(outbound::shown).unwrap_or_default();
        Ok(Preview { act: Text::from(act), headers, lost })
    }

    /// The session of a target is always a new one, and ends with its connection: what is not confirmed is handed back
    /// and published again under another packet id, and a broker that remembered the old one could take the new message
    /// for a repetition of the old.
    async fn connect(&self) -> Result<Opened, Ended> {
        let wish = Wish {
            client_id: &self.client_id,
            clean: true,
            lasting: false,
            receive_maximum: 1,
            publish_bytes_max: PUBLISH_BYTES_MAX,
            will: true,
        };
        link::open(&self.broker, wish).await
    }

    /// Whether the broker has what the target asks for; it would end the session over the first message otherwise.
    fn check_limits(&self, limits: &Limits) -> Result<(), Fault> {
        let unsupported = |text: String| Err(Fault::new(FaultClass::Unreachable, "mqtt.unsupported", text));
        if self.manner.qos as u8 > limits.qos_max {
            let (most, qos) = (limits.qos_max, self.manner.qos as u8);
            return unsupported(format!("the broker takes at most QoS {most}, and the target says `qos: {qos}`"));
        }
        if self.manner.retain && !limits.retain {
            return unsupported("the broker keeps no retained messages, and the target says `retain: true`".into());
        }
        Ok(())
    }
}

#[async_trait]
impl Sink for MqttSink {
    async fn open(&mut self, done: Completions) -> Result<Box<dyn Sender>, Fault> {
        let opened = self.connect().await.map_err(|ended| ended.fault(false))?;
        let limits = opened.limits.clone();
        if let Err(fault) = self.check_limits(&limits) {
            opened.close().await;
            return Err(fault);
        }
        let in_flight_max = match self.manner.qos {
            QoS::AtMostOnce => u16::MAX,
            QoS::AtLeastOnce | QoS::ExactlyOnce => self.in_flight_max.min(limits.receive_maximum).max(1),
        };
        let flight = Flight::new(in_flight_max, self.timeout, done.clone());
        let (link, driver) = Link::start(opened, flight, BytesMut::new());
        Ok(Box::new(sender::MqttSender::new(self.manner.clone(), limits.packet_bytes_max, link, driver, done)))
    }
}
