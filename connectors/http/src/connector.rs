//! The connector: what all `http` sources and targets of a gateway share.

use crate::{DESCRIPTION, carriage, sink, source};
use async_trait::async_trait;
use crossdock_connector::{
    Column, ConnectionConfig, Connector, Description, Diagnostics, GatewayConfig, Outgoing, Preview, Sink, SinkConfig,
    Source, SourceConfig, StartError,
};
use crossdock_model::Fault;
use std::{net::SocketAddr, sync::Arc, time::Instant};

/// HTTP, made once per gateway.
#[derive(Debug)]
pub struct Http {
    doors: Arc<source::Doors>,
    clients: sink::Clients,
}

impl Http {
    /// The connector of a gateway; nothing is opened yet.
    #[must_use]
    pub fn new(gateway: &GatewayConfig) -> Self {
        Self { doors: Arc::new(source::Doors::new(gateway)), clients: sink::Clients::new(gateway) }
    }

    /// Where the sources listen, with the port that was given; none before [`Connector::start`].
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.doors.address()
    }
}

#[async_trait]
impl Connector for Http {
    fn description(&self) -> &'static Description {
        &DESCRIPTION
    }

    fn columns(&self) -> &'static [Column] {
        carriage::COLUMNS
    }

    fn source(&self, config: &SourceConfig) -> Result<Box<dyn Source>, Diagnostics> {
        Ok(Box::new(source::HttpSource::new(config, &self.doors)?))
    }

    fn sink(&self, config: &SinkConfig) -> Result<Box<dyn Sink>, Diagnostics> {
        Ok(Box::new(sink::HttpSink::new(config, &self.clients)?))
    }

    fn check(&self, sources: &[SourceConfig]) -> Diagnostics {
        source::check(&self.doors, sources)
    }

    fn advise(&self, connection: &ConnectionConfig) -> Diagnostics {
        sink::advise(connection, &self.clients)
    }

    async fn probe(&self, connection: &ConnectionConfig) -> Result<(), Fault> {
        sink::probe(connection, &self.clients).await
    }

    fn preview(&self, config: &SinkConfig, outgoing: &Outgoing) -> Result<Preview, Fault> {
        let wrong = |found: Diagnostics| {
            let why = found.iter().next().map(|error| error.message.clone()).unwrap_or_default();
            Fault::rejected("http.config", why)
        };
        sink::HttpSink::new(config, &self.clients).map_err(wrong)?.preview(outgoing)
    }

    async fn start(&self) -> Result<(), StartError> {
        source::Doors::start(&self.doors).await
    }

    async fn stop(&self, by: Instant) {
        self.doors.stop(by).await;
    }

    async fn close(&self) {
        self.doors.close().await;
    }
}
