//! The connector: what all `kafka` sources and targets of a gateway share.

use crate::{DESCRIPTION, carriage, client, probe, sink, source};
use async_trait::async_trait;
use crossdock_connector::{
    Column, ConnectionConfig, Connector, Description, Diagnostics, GatewayConfig, Outgoing, Preview, Sink, SinkConfig,
    Source, SourceConfig, StartError, StoreTag,
};
use crossdock_model::Fault;
use std::{path::PathBuf, time::Instant};

/// Kafka, made once per gateway.
#[derive(Debug)]
pub struct Kafka {
    folder: PathBuf,
    store: StoreTag,
    producers: sink::Producers,
}

impl Kafka {
    /// The connector of a gateway; nothing is connected yet.
    #[must_use]
    pub fn new(gateway: &GatewayConfig) -> Self {
        let (folder, store) = (gateway.folder.clone(), gateway.store.clone());
        Self { folder, store, producers: sink::Producers::default() }
    }
}

#[async_trait]
impl Connector for Kafka {
    fn description(&self) -> &'static Description {
        &DESCRIPTION
    }

    fn columns(&self) -> &'static [Column] {
        carriage::COLUMNS
    }

    fn source(&self, config: &SourceConfig) -> Result<Box<dyn Source>, Diagnostics> {
        Ok(Box::new(source::KafkaSource::new(config, &self.store)?))
    }

    fn sink(&self, config: &SinkConfig) -> Result<Box<dyn Sink>, Diagnostics> {
        Ok(Box::new(sink::KafkaSink::new(config, &self.producers)?))
    }

    fn check(&self, sources: &[SourceConfig]) -> Diagnostics {
        source::check(sources)
    }

    fn advise(&self, connection: &ConnectionConfig) -> Diagnostics {
        let mut found = Diagnostics::new();
        client::advice(&connection.settings).into_iter().for_each(|warning| found.push(warning));
        found
    }

    async fn probe(&self, connection: &ConnectionConfig) -> Result<(), Fault> {
        probe::probe(connection, &self.folder).await
    }

    fn preview(&self, config: &SinkConfig, outgoing: &Outgoing) -> Result<Preview, Fault> {
        sink::preview(config, outgoing)
    }

    async fn start(&self) -> Result<(), StartError> {
        Ok(())
    }

    async fn stop(&self, _: Instant) {}
}
