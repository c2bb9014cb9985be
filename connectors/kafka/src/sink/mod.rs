//! The sink: records for a topic, through a producer that the targets of a connection share.

mod company;
mod context;
mod producer;
mod producers;
mod record;
mod sender;
mod session;

pub(crate) use producers::Producers;

use crate::{
    client::Connection,
    convert,
    options::{self, Side},
};
use async_trait::async_trait;
use crossdock_connector::{Completions, Diagnostics, Outgoing, Preview, Sender, Sink, SinkConfig};
use crossdock_model::{Fault, Text};
use producers::Recipe;
use rdkafka::ClientConfig;
use record::Target;
use std::sync::Arc;

/// A route's target.
pub(crate) struct KafkaSink {
    target: Arc<Target>,
    recipe: Recipe,
    producers: Producers,
}

impl KafkaSink {
    /// A target by its settings; nothing is connected.
    pub(crate) fn new(config: &SinkConfig, producers: &Producers) -> Result<Self, Diagnostics> {
        let (settings, mut found) = (&config.settings, Diagnostics::new());
        let connection = found.take(config.connection().and_then(|it| Connection::new(it, &config.folder)));
        let options = found.take(options::read(settings, Side::Producer)).unwrap_or_default();
        let target = found.take(Target::new(config));
        let (Some(connection), Some(target)) = (connection, target) else { return Err(found) };
        if found.has_errors() {
            return Err(found);
        }
        let timeout = settings.duration("timeout").map_or(30_000, |timeout| timeout.as_millis().max(1));
        let own = [
            // One answer for each record, by all replicas in sync; a request that is repeated writes nothing twice.
            ("acks", "all"),
            ("enable.idempotence", "true"),
            ("message.timeout.ms", &*timeout.to_string()),
            ("linger.ms", "5"),
            ("compression.codec", settings.text("compression").map_or("lz4", |codec| &**codec)),
            // What is too large the brokers say, whose limits may be any; a message of the store is never as large as this.
            ("message.max.bytes", "134217728"),
            // A topic that is not there is told of soon.
            ("topic.metadata.propagation.max.ms", "5000"),
            // The same partition for a key as Kafka's own clients choose.
            ("partitioner", "murmur2_random"),
            ("queue.buffering.max.kbytes", "65536"),
        ];
        let client: ClientConfig = connection.config(Side::Producer, &own, &options);
        if connection.has_options(Side::Producer, &options) {
            options::check_together(&client, Side::Producer, settings)?;
        }
        let recipe = Recipe::new(client, connection.brokers.clone());
        Ok(Self { target: Arc::new(target), recipe, producers: producers.clone() })
    }
}

#[async_trait]
impl Sink for KafkaSink {
    async fn open(&mut self, done: Completions) -> Result<Box<dyn Sender>, Fault> {
        let (recipe, producers, topic) = (self.recipe.clone(), self.producers.clone(), self.target.fixed_topic());
        // Making a client and asking the brokers both wait.
        let made = tokio::task::spawn_blocking(move || {
            let producer = producers.of(&recipe)?;
            producer.ask(topic.as_deref())?;
            Ok(producer)
        });
        let producer = made.await.unwrap_or_else(|error| {
            Err(crate::fault::unreachable(None, &format!("connecting ended early: {error}")))
        })?;
        Ok(Box::new(sender::KafkaSender::new(Arc::clone(&self.target), producer, done)?))
    }
}

/// What would be produced, without a connection.
pub(crate) fn preview(config: &SinkConfig, outgoing: &Outgoing) -> Result<Preview, Fault> {
    let first = |found: Diagnostics| found.iter().next().map(|error| error.message.clone()).unwrap_or_default();
    let target = Target::new(config).map_err(|found| Fault::rejected("kafka.config", first(found)))?;
    let place = target.place(outgoing)?;
    let mut act = format!("produce to {}", place.topic);
    if let Some(partition) = place.partition {
        act.push_str(&format!(", partition {partition}"));
    }
    match &place.key {
        Some(key) => match std::str::from_utf8(key) {
            Ok(key) => act.push_str(&format!(", key {key}")),
            Err(_) => act.push_str(&format!(", a key of {} bytes", key.len())),
        },
        None => act.push_str(", without a key"),
    }
    if outgoing.envelope.payload.is_none() {
        act.push_str(", a tombstone");
    }
    let (headers, lost) = convert::shown(outgoing, config.forward_origin);
    if config.strict {
        crossdock_connector::mapping::strictly("kafka", &lost)?;
    }
    Ok(Preview { act: Text::from(act), headers, lost })
}
