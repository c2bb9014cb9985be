//! The connector: what all `amqp` sources and targets of a gateway share, which is their connections' settings. Each has
//! a connection of its own, so that a server that blocks publishing does not stop what is consumed.

use crate::{
    DESCRIPTION, carriage,
    link::{Endpoint, Link},
    sink::{AmqpSink, Target},
    source::{self, AmqpSource},
};
use async_trait::async_trait;
use crossdock_connector::{
    Column, ConnectionConfig, Connector, Description, Diagnostics, GatewayConfig, Outgoing, Preview, Sink, SinkConfig,
    Source, SourceConfig, StartError,
};
use crossdock_model::{Fault, Timestamp};
use std::{
    path::PathBuf,
    sync::Arc,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

/// AMQP, made once per gateway.
#[derive(Debug)]
pub struct Amqp {
    folder: PathBuf,
}

impl Amqp {
    /// The connector of a gateway; nothing is opened yet.
    #[must_use]
    pub fn new(gateway: &GatewayConfig) -> Self {
        Self { folder: gateway.folder.clone() }
    }

    fn endpoint(&self, connection: Result<&ConnectionConfig, Diagnostics>) -> Result<Arc<Endpoint>, Diagnostics> {
        Endpoint::new(connection?, &self.folder).map(Arc::new)
    }
}

fn wrong(found: &Diagnostics) -> Fault {
    let why = found.iter().next().map(|error| error.message.clone()).unwrap_or_default();
    Fault::rejected("amqp.config", why)
}

#[async_trait]
impl Connector for Amqp {
    fn description(&self) -> &'static Description {
        &DESCRIPTION
    }

    fn columns(&self) -> &'static [Column] {
        carriage::COLUMNS
    }

    fn source(&self, config: &SourceConfig) -> Result<Box<dyn Source>, Diagnostics> {
        Ok(Box::new(AmqpSource::new(config, self.endpoint(config.connection()))?))
    }

    fn sink(&self, config: &SinkConfig) -> Result<Box<dyn Sink>, Diagnostics> {
        Ok(Box::new(AmqpSink::new(config, self.endpoint(config.connection()))?))
    }

    fn check(&self, sources: &[SourceConfig]) -> Diagnostics {
        source::check(sources)
    }

    fn advise(&self, connection: &ConnectionConfig) -> Diagnostics {
        let mut found = Diagnostics::new();
        if let Ok(endpoint) = self.endpoint(Ok(connection)) {
            endpoint.advice(&connection.settings).into_iter().for_each(|warning| found.push(warning));
        }
        found
    }

    async fn probe(&self, connection: &ConnectionConfig) -> Result<(), Fault> {
        let endpoint = self.endpoint(Ok(connection)).map_err(|found| wrong(&found))?;
        let link = Link::open(&endpoint, "check").await.map_err(|trouble| trouble.before_sending())?;
        link.close(tokio::time::Instant::now() + endpoint.timeout).await;
        Ok(())
    }

    fn preview(&self, config: &SinkConfig, outgoing: &Outgoing) -> Result<Preview, Fault> {
        let target = Target::new(config).map_err(|found| wrong(&found))?;
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        target.preview(outgoing, Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)))
    }

    async fn start(&self) -> Result<(), StartError> {
        Ok(())
    }

    async fn stop(&self, _: Instant) {}
}
