//! `routes.yaml` → [`Plan`], or every finding at once.
//!
//! The way: bytes → tree with positions → `${…}` substituted in string values → each section read by its table → names
//! resolved → expressions, templates and schemas compiled → [`Plan`]. Whoever loads supplies the environment: nothing
//! here reads a variable or a file but through [`Environment`].

mod checks;
mod context;
mod explain;
mod files;
mod load;
mod mask;
mod names;
mod plan;
mod read;
mod report;
mod schema;
mod scrubber;
mod substitute;
mod tables;
mod words;
mod yaml;

pub use plan::{
    Admin, Channel, ChannelKind, ChannelUse, Channels, Connection, ConnectorSource, Destination, Encryption, From,
    Gateway, Idempotency, OnFailure, Plan, QueueLimits, Retain, Retry, Route, Secret, Start, StoreKey, StoreSettings,
    Sync, Target, TargetEvent, Tls, WhenFull,
};
pub use report::Report;
pub use scrubber::Scrubber;

use crossdock_connector::{Connector, Description, GatewayConfig};
use std::{io, path::Path, sync::Arc};

/// A configuration file as read.
#[derive(Clone, Copy, Debug)]
pub struct ConfigFile<'a> {
    /// Its name as the user gave it, for messages.
    pub name: &'a str,
    /// Its folder, from which relative paths start.
    pub folder: &'a Path,
    /// What is in it.
    pub bytes: &'a [u8],
}

/// What is outside the configuration file and belongs to it.
pub trait Environment {
    /// The value of an environment variable.
    fn variable(&self, name: &str) -> Option<String>;

    /// The bytes of a file.
    ///
    /// # Errors
    /// Why it cannot be read.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// Whether everybody on this machine may read a file.
    fn is_readable_by_all(&self, _path: &Path) -> bool {
        false
    }
}

/// A protocol that routes may use.
#[derive(Clone, Copy)]
pub struct Protocol {
    /// Its name and tables.
    pub description: &'static Description,
    /// Makes its connector, without I/O.
    pub make: fn(&GatewayConfig) -> Arc<dyn Connector>,
}

/// What became of a configuration file.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The plan; none if there is an error.
    pub plan: Option<Arc<Plan>>,
    /// Every finding.
    pub report: Report,
}

/// Reads a configuration: a plan, or every error at once, and warnings in either case.
#[must_use]
pub fn load(file: &ConfigFile<'_>, environment: &dyn Environment, protocols: &[Protocol]) -> Loaded {
    load::load(file, environment, protocols)
}

/// What a route does, in words, at least four lines; none if there is no such route.
#[must_use]
pub fn explain(plan: &Plan, route: &str) -> Option<String> {
    explain::explain(plan, route)
}

/// The JSON Schema (draft 2020-12) of `routes.yaml`, from the tables that are parsed.
#[must_use]
pub fn schema(descriptions: &[&'static Description]) -> serde_json::Value {
    schema::schema(descriptions)
}
