//! The half of a connection that the engine holds.

use super::flight::{Flight, Message};
use crate::{
    convert::outbound::{self, Manner},
    link::{Driver, End, Ended, Link},
    packet::{self, QoS, Unfit},
};
use async_trait::async_trait;
use crossdock_connector::{Completions, Outgoing, Results, Sender, SinkError};
use crossdock_model::Fault;
use std::{collections::VecDeque, sync::Arc, time::Instant};
use tokio::time::timeout_at;

/// Bytes that wait to be written before no more are put beside them.
const OUT_BYTES_MAX: usize = 1 << 20;
/// Messages that are encoded before the lock is given back.
const RUN_MESSAGES: usize = 64;

/// Publishes. The connection ends with it.
pub(super) struct MqttSender {
    manner: Manner,
    packet_bytes_max: usize,
    link: Arc<Link<Flight>>,
    driver: Driver,
    done: Completions,
}

/// What a turn of putting messages into the buffer came to.
enum Put {
    All,
    /// There are more, and room for them.
    Some,
    Full,
    Ended(Ended),
}

impl MqttSender {
    pub(super) fn new(
        manner: Manner,
        packet_bytes_max: usize,
        link: Arc<Link<Flight>>,
        driver: Driver,
        done: Completions,
    ) -> Self {
        Self { manner, packet_bytes_max, link, driver, done }
    }

    fn put(&self, queue: &mut VecDeque<Outgoing>, results: &mut Results) -> Put {
        let mut state = self.link.lock();
        if let Some(ended) = &state.ended {
            return Put::Ended(ended.clone());
        }
        let (state, since) = (&mut *state, Instant::now());
        for _ in 0..RUN_MESSAGES {
            let Some(message) = queue.front() else { return Put::All };
            let (once, starts_at) = (self.manner.qos == QoS::AtMostOnce, state.out.position());
            let id = if once { Some(0) } else { state.role.free_id() };
            let Some(id) = id.filter(|_| state.out.bytes.len() < OUT_BYTES_MAX) else { return Put::Full };
            let ticket = message.ticket;
            match self.encode(message, id, &mut state.out.bytes) {
                Err(fault) => results.push((ticket, Err(fault))),
                Ok(lost) => {
                    let twice = self.manner.qos == QoS::ExactlyOnce;
                    let message = Message { ticket, lost, starts_at, twice, since };
                    if once {
                        state.role.publish_once(message, state.out.position());
                    } else {
                        state.role.publish(id, message);
                    }
                }
            }
            queue.pop_front();
        }
        if queue.is_empty() { Put::All } else { Put::Some }
    }

    fn encode(
        &self,
        message: &Outgoing,
        id: u16,
        out: &mut bytes::BytesMut,
    ) -> Result<Vec<crossdock_model::Text>, Fault> {
        let (mut publish, lost) = outbound::publish(message, &self.manner)?;
        publish.id = id;
        packet::publish(self.manner.version, publish, self.packet_bytes_max, out).map_err(|unfit| match unfit {
            Unfit::TooLarge { bytes, bytes_max } => {
                let text = format!("a packet of {bytes} bytes, and the broker takes at most {bytes_max}");
                Fault::rejected("mqtt.too_large", text)
            }
            Unfit::Malformed(error) => Fault::rejected("mqtt.malformed", format!("it can be no packet: {error}")),
        })?;
        Ok(lost)
    }
}

#[async_trait]
impl Sender for MqttSender {
    async fn submit(&mut self, batch: Vec<Outgoing>) -> Result<(), SinkError> {
        let mut queue = VecDeque::from(batch);
        loop {
            let mut results = Results::new();
            let put = self.put(&mut queue, &mut results);
            if let Put::Ended(ended) = &put {
                results.extend(queue.drain(..).map(|message| (message.ticket, Err(ended.fault(false)))));
            }
            if !results.is_empty() {
                self.done.post(results);
            }
            self.link.wake_driver();
            match put {
                Put::All => return Ok(()),
                Put::Some => {}
                Put::Full => self.link.news().await,
                Put::Ended(ended) => return Err(SinkError(ended.text)),
            }
        }
    }

    async fn close(mut self: Box<Self>, by: Instant) {
        let confirmed = async {
            loop {
                {
                    let state = self.link.lock();
                    if state.ended.is_some() || state.role.in_flight() == 0 {
                        return;
                    }
                }
                self.link.news().await;
            }
        };
        drop(timeout_at(by.into(), confirmed).await);
        self.link.close();
        if timeout_at(by.into(), self.driver.ended()).await.is_err() {
            // The broker does not even read: what it has not confirmed is handed back now.
            self.link.give_up(Ended::new(End::Silent, "the broker did not confirm the message before we had to stop"));
        }
    }
}
