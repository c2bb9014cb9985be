//! A protocol: made once per gateway, it owns what its sources and sinks share.

use crate::{
    Column, ConnectionConfig, Description, Diagnostics, Outgoing, Preview, Sink, SinkConfig, Source, SourceConfig,
};
use async_trait::async_trait;
use crossdock_model::Fault;
use std::time::Instant;

/// Why what all sources of a connector share cannot be made ready (a port in use): the gateway does not start.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct StartError {
    /// What is wrong, with the address.
    pub message: String,
    /// How to mend it.
    pub hint: String,
}

/// A protocol.
#[async_trait]
pub trait Connector: Send + Sync {
    /// Its name and tables.
    fn description(&self) -> &'static Description;

    /// A source from its settings, without I/O.
    ///
    /// # Errors
    /// Everything about the settings that the tables cannot say.
    fn source(&self, config: &SourceConfig) -> Result<Box<dyn Source>, Diagnostics>;

    /// A sink from its settings, without I/O.
    ///
    /// # Errors
    /// Everything about the settings that the tables cannot say.
    fn sink(&self, config: &SinkConfig) -> Result<Box<dyn Sink>, Diagnostics>;

    /// Conflicts between sources: two routes with one path, one client id. Each is said at the later source.
    fn check(&self, sources: &[SourceConfig]) -> Diagnostics;

    /// What is to be known of a connection that is right otherwise, as warnings ([`crate::clear_text`]); without I/O.
    fn advise(&self, _connection: &ConnectionConfig) -> Diagnostics {
        Diagnostics::new()
    }

    /// Whether the peer of a connection is there and takes the credentials (`check --connect`).
    ///
    /// # Errors
    /// Why it is not.
    async fn probe(&self, connection: &ConnectionConfig) -> Result<(), Fault>;

    /// What the protocol does with each part of a message, by version where versions differ; none for one that only makes
    /// messages.
    fn columns(&self) -> &'static [Column] {
        &[]
    }

    /// The column of a sink of these settings.
    fn column(&self, _config: &SinkConfig) -> Option<&'static Column> {
        self.columns().first()
    }

    /// What a sink of these settings would send for a message, without I/O; a protocol with more to say than
    /// [`Preview::of`] says it here.
    ///
    /// # Errors
    /// The fault that sending it would end with for a reason that is known without the peer.
    fn preview(&self, config: &SinkConfig, outgoing: &Outgoing) -> Result<Preview, Fault> {
        Ok(Preview::of(self.description(), config, outgoing))
    }

    /// Makes ready what the sources share (binds the listener), before anything of the gateway runs.
    ///
    /// # Errors
    /// What makes it impossible.
    async fn start(&self) -> Result<(), StartError>;

    /// Takes nothing new from its first poll on (HTTP answers 503), and lets what was received be settled until `by`. The
    /// sources are there until that first poll.
    async fn stop(&self, by: Instant);

    /// Closes what the sources share, once all else has ended: whoever comes until then still hears why nothing is taken. It is
    /// given a moment: the store is closed behind it.
    async fn close(&self) {}
}
