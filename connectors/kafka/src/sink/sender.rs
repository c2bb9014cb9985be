//! The half that sends.

use super::{context, producer::Producer, record::Target, session::Session};
use crate::{convert, fault};
use async_trait::async_trait;
use crossdock_connector::{Completions, Outgoing, Results, Sender, SinkError, Ticket, mapping};
use crossdock_model::{Answer, Fault, FaultClass};
use rdkafka::{error::KafkaError, producer::BaseRecord, types::RDKafkaErrorCode};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// How long a full queue is left to empty itself before it is tried again unasked: another target's records may fill it.
const FULL_PAUSE: Duration = Duration::from_millis(20);
/// So often in a row a record finds a full queue with nothing in it before it is too large for one: that once or twice another
/// target's records came and went meanwhile is possible, again and again is not.
const FULL_OF_NOTHING_MAX: u32 = 5;
/// With more records under way than this, further ones are kept back: librdkafka makes no second request to a partition while
/// one is under way, and once a record has waited for longer than `linger.ms` its thread does not sleep until it may (2.12:
/// `rd_kafka_toppar_producer_serve` wakes itself at once). What is kept back goes out together, in fewer and larger requests.
const UNDER_WAY_FEW: usize = 512;
/// Longer than this nothing is kept back: a partition whose broker is away keeps its records, and others must not wait with them.
const KEPT_BACK_MAX: Duration = Duration::from_millis(50);

/// A target's sender.
pub(super) struct KafkaSender {
    target: Arc<Target>,
    producer: Arc<Producer>,
    session: Arc<Session>,
    place: u16,
}

/// The messages of a batch that are not taken yet; if submitting is given up, each is told that it was not sent.
struct Waiting {
    session: Arc<Session>,
    messages: std::vec::IntoIter<Outgoing>,
}

/// What became of giving a record to librdkafka.
enum Given {
    Taken,
    /// Its queue is full.
    Full,
    /// It is wrong, or does not fit.
    Refused(Fault),
    /// librdkafka gave the producer up.
    Broken(Fault),
}

impl KafkaSender {
    /// A session of a target with a producer.
    pub fn new(target: Arc<Target>, producer: Arc<Producer>, done: Completions) -> Result<Self, Fault> {
        let session = Arc::new(Session::new(done, target.picks_topic()));
        let place = producer.context().enter(&session);
        let place =
            place.ok_or_else(|| fault::unreachable(None, "the producer has more targets than it can tell apart"))?;
        Ok(Self { target, producer, session, place })
    }

    fn give(&self, message: &Outgoing) -> Given {
        let place = match self.target.place(message) {
            Ok(place) => place,
            Err(fault) => return Given::Refused(fault),
        };
        let mut lost = Vec::new();
        let headers = convert::headers(message, self.target.forward_origin, &mut lost);
        if self.target.strict
            && let Err(fault) = mapping::strictly("kafka", &lost)
        {
            return Given::Refused(fault);
        }
        let Some(name) = context::name(self.place, message.ticket.0) else {
            return Given::Refused(Fault::rejected("internal.ticket", "a ticket is out of range: report this"));
        };
        let record: BaseRecord<'_, [u8], [u8], usize> = BaseRecord {
            topic: place.topic,
            partition: place.partition,
            payload: message.envelope.payload.as_deref(),
            key: place.key.as_deref(),
            timestamp: convert::timestamp(message),
            headers: Some(headers),
            delivery_opaque: name,
        };
        self.session.lose(message.ticket, lost);
        self.producer.expect_one();
        let error = match self.producer.inner().send(record) {
            Ok(()) => return Given::Taken,
            Err((error, _)) => error,
        };
        self.producer.forget_one();
        self.not_taken(&error, message, place.topic)
    }

    fn not_taken(&self, error: &KafkaError, message: &Outgoing, topic: &str) -> Given {
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::QueueFull) => Given::Full,
            Some(code @ (RDKafkaErrorCode::Fatal | RDKafkaErrorCode::Fenced | RDKafkaErrorCode::State)) => {
                let why = self.producer.inner();
                let why = rdkafka::producer::Producer::client(why).fatal_error();
                let text = why.map_or_else(|| code.to_string(), |(code, text)| format!("{code}: {text}"));
                Given::Broken(fault::unreachable(Some(code), &format!("the producer has ended: {text}")))
            }
            Some(code) => {
                // Refused before it was sent: it is this message's own doing.
                let sent = fault::Sent { picks_topic: self.session.picks_topic, alone: true };
                tracing::debug!(%error, ticket = message.ticket.0, "librdkafka did not take a record");
                Given::Refused(fault::of_delivery(code, topic, sent))
            }
            None => Given::Refused(Fault::rejected("kafka.record", error.to_string())),
        }
    }

    /// Where no broker was there when it was last heard of, nothing is handed over: what is not sent is surely not sent.
    async fn is_there(&self) -> Result<(), Fault> {
        if !self.producer.context().troubles.is_down() {
            return Ok(());
        }
        let (producer, topic) = (Arc::clone(&self.producer), self.target.fixed_topic());
        let asked = tokio::task::spawn_blocking(move || producer.ask(topic.as_deref())).await;
        asked.unwrap_or_else(|error| Err(fault::unreachable(None, &format!("asking the brokers ended early: {error}"))))
    }
}

#[async_trait]
impl Sender for KafkaSender {
    async fn submit(&mut self, batch: Vec<Outgoing>) -> Result<(), SinkError> {
        let mut waiting = Waiting { session: Arc::clone(&self.session), messages: batch.into_iter() };
        if let Err(fault) = self.is_there().await {
            waiting.refuse(&fault);
            return Ok(());
        }
        self.session.few(UNDER_WAY_FEW, Instant::now() + KEPT_BACK_MAX).await;
        self.session.begin(waiting.messages.as_slice().iter().map(|message| message.ticket));
        let (mut refused, mut full_of_nothing) = (Results::new(), 0);
        while let Some(message) = waiting.messages.as_slice().first() {
            match self.give(message) {
                Given::Taken => {}
                Given::Refused(fault) => refused.push((message.ticket, Err(fault))),
                Given::Full if full_of_nothing >= FULL_OF_NOTHING_MAX => {
                    refused.push((message.ticket, Err(never_fits(message))));
                }
                Given::Full => {
                    full_of_nothing = if self.producer.is_empty() { full_of_nothing + 1 } else { 0 };
                    // The record keeps its place: nothing overtakes it.
                    self.session.post(std::mem::take(&mut refused));
                    let _ = tokio::time::timeout(FULL_PAUSE, self.session.answered()).await;
                    continue;
                }
                Given::Broken(fault) => {
                    self.producer.give_up();
                    self.session.post(std::mem::take(&mut refused));
                    waiting.refuse(&fault);
                    self.session.give_up(&interrupted("the producer ended before the brokers had answered"));
                    return Err(SinkError(fault.text.to_string()));
                }
            }
            full_of_nothing = 0;
            waiting.messages.next();
        }
        self.session.post(refused);
        Ok(())
    }

    async fn close(self: Box<Self>, by: Instant) {
        self.session.drained(by).await;
        // The rest gets its result when this is dropped.
    }
}

impl Drop for KafkaSender {
    fn drop(&mut self) {
        self.session.give_up(&interrupted("the gateway ended before the brokers had answered"));
        self.producer.context().leave(self.place);
    }
}

/// A record that librdkafka's queue has no room for even when it is empty.
fn never_fits(message: &Outgoing) -> Fault {
    let bytes = message.envelope.bytes().len();
    let text = format!(
        "the payload of {bytes} bytes is more than the producer's queue holds at all: raise `queue.buffering.max.kbytes` in \
         `options`, or send less"
    );
    Fault::rejected("kafka.queue_too_small", text)
}

fn interrupted(text: &str) -> Fault {
    Fault::new(FaultClass::Failed, "kafka.interrupted", text).answered_by(Answer::Nobody)
}

impl Waiting {
    fn refuse(&mut self, fault: &Fault) {
        let tickets = self.messages.by_ref().map(|message| message.ticket);
        let results: Vec<(Ticket, _)> = tickets.map(|ticket| (ticket, Err(fault.clone()))).collect();
        self.session.post(results);
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.refuse(&fault::unreachable(None, "the gateway ended before it was sent"));
    }
}
