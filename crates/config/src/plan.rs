//! What runs: the whole configuration, checked, resolved and compiled.
//!
//! Invariant: a [`Plan`] comes from [`crate::load`] alone, and only if no error was found. Its parts are read-only and
//! cheap to share; `check`, `explain`, `try`, `run` and the admin API all read the same one.

mod channel;
mod gateway;
mod route;

pub use channel::{Channel, ChannelKind, ChannelUse, QueueLimits, Retain, WhenFull};
pub use gateway::{Admin, Encryption, Gateway, Secret, StoreKey, StoreSettings, Sync, Tls};
pub use route::{
    Channels, ConnectorSource, Destination, From, Idempotency, OnFailure, Retry, Route, Start, Target, TargetEvent,
};

use crossdock_connector::{ConnectionConfig, GatewayConfig, StoreTag};
use crossdock_model::{Digest, Text};
use std::{path::Path, sync::Arc};

/// A configuration that can run.
#[derive(Debug)]
pub struct Plan {
    pub(crate) file: Text,
    pub(crate) folder: Arc<Path>,
    pub(crate) gateway: Gateway,
    pub(crate) connections: Vec<Connection>,
    pub(crate) channels: Vec<Channel>,
    pub(crate) routes: Vec<Arc<Route>>,
    pub(crate) digest: Digest,
    pub(crate) masked: serde_json::Value,
    pub(crate) masked_text: String,
}

/// A named connection.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Connection {
    /// Its protocol.
    pub connector: &'static str,
    /// Its name and values.
    pub config: ConnectionConfig,
}

impl Plan {
    /// The file it was read from, as the user named it.
    #[must_use]
    pub const fn file(&self) -> &Text {
        &self.file
    }

    /// The folder of the file, from which relative paths start.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The section `gateway`.
    #[must_use]
    pub const fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// What the connectors are made from, for the store with this tag.
    #[must_use]
    pub fn connector_config(&self, store: StoreTag) -> GatewayConfig {
        self.gateway.connector_config(&self.folder, store)
    }

    /// The connections in the order of the file.
    #[must_use]
    pub fn connections(&self) -> &[Connection] {
        &self.connections
    }

    /// The connection of a name.
    #[must_use]
    pub fn connection(&self, name: &str) -> Option<&Connection> {
        self.connections.iter().find(|connection| &*connection.config.name == name)
    }

    /// All channels: declared ones in the order of the file, then dead-letter queues that are not declared, then the
    /// hidden queues of routes.
    #[must_use]
    pub fn channels(&self) -> &[Channel] {
        &self.channels
    }

    /// The channel of a name.
    #[must_use]
    pub fn channel(&self, name: &str) -> Option<&Channel> {
        self.channels.iter().find(|channel| &*channel.name == name)
    }

    /// The routes in the order of the file.
    #[must_use]
    pub fn routes(&self) -> &[Arc<Route>] {
        &self.routes
    }

    /// The route of a name.
    #[must_use]
    pub fn route(&self, id: &str) -> Option<&Arc<Route>> {
        self.routes.iter().find(|route| &*route.id == id)
    }

    /// The route that reads a queue, of which there is one at most.
    #[must_use]
    pub fn reader(&self, queue: &str) -> Option<&Arc<Route>> {
        self.routes.iter().find(|route| match route.reads() {
            Channels::Queue(name) => &**name == queue,
            Channels::Topic { .. } | Channels::None => false,
        })
    }

    /// Tells one text of the file from another.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// The text of the file, comments and all, with every `auth` field, passwords in URLs, tokens and defaults of
    /// secrets as `***`; `${…}` stands in it as written.
    #[must_use]
    pub fn masked_text(&self) -> &str {
        &self.masked_text
    }

    /// The configuration as a value, for people: values from the environment and from files, passwords in URLs and
    /// every `auth` field are `***`.
    #[must_use]
    pub const fn masked(&self) -> &serde_json::Value {
        &self.masked
    }
}
