//! What a connector is made from.

use crate::Formulas;
use crossdock_model::Text;
use crossdock_settings::{Placed, Settings};
use std::path::PathBuf;

/// Eight hexadecimal digits drawn when the store was made; names a gateway towards brokers (`group.instance.id`).
pub type StoreTag = Text;

/// What all connectors of a gateway are told.
#[derive(Clone, Debug)]
pub struct GatewayConfig {
    /// The gateway's `http` section: the shared listener (`listen`, `tls`, …).
    pub http: Settings,
    /// The folder of routes.yaml, from which relative paths start.
    pub folder: PathBuf,
    /// Names this gateway's store; empty where none is open (`check`).
    pub store: StoreTag,
    /// Where the admin API answers, for `Location`; `http://127.0.0.1:8090`.
    pub admin_url: Text,
    /// Where a connector may remember what its peer cannot (which files were read), in files that begin with its name:
    /// `<data_dir>/connectors`. It need not be there: whoever writes makes it, and never before a source is opened.
    pub state_folder: PathBuf,
}

/// A named connection.
#[derive(Clone, Debug)]
pub struct ConnectionConfig {
    /// Its key under `connections`.
    pub name: Text,
    /// Its values by the table of [`crate::Description::connection`].
    pub settings: Settings,
}

/// A route's source.
#[derive(Clone, Debug)]
pub struct SourceConfig {
    /// The route.
    pub route: Text,
    /// What it was called before: what is kept under that name is its own.
    pub was: Option<Text>,
    /// Its connection, where it has one.
    pub connection: Option<ConnectionConfig>,
    /// Its values by the table of [`crate::Description::source`].
    pub settings: Settings,
    /// What evaluates the expressions of `settings`, compiled; [`Formulas::none`] where the table has none.
    pub formulas: Formulas,
    /// The folder of routes.yaml, from which relative paths start.
    pub folder: PathBuf,
}

/// A route's target.
#[derive(Clone, Debug)]
pub struct SinkConfig {
    /// The route.
    pub route: Text,
    /// The target's name: given, else its connection and address.
    pub target: Text,
    /// Which of the route's targets of this connector on one connection it is, from 0.
    pub ordinal: usize,
    /// Its connection, where it has one.
    pub connection: Option<ConnectionConfig>,
    /// Its values by the table of [`crate::Description::target`].
    pub settings: Settings,
    /// The folder of routes.yaml, from which relative paths start.
    pub folder: PathBuf,
    /// Whether `crossdock-origin` goes with each message.
    pub forward_origin: bool,
    /// Whether what cannot be carried is a fault rather than counted.
    pub strict: bool,
}

impl SourceConfig {
    /// The connection, or where to say that it is missing.
    ///
    /// # Errors
    /// The section has no connection; `config` has said so before.
    pub fn connection(&self) -> Result<&ConnectionConfig, crate::Diagnostics> {
        self.connection.as_ref().ok_or_else(|| self.settings.missing("connection"))
    }

    /// A path of the section, from the folder of routes.yaml.
    #[must_use]
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.settings.path(name).map(|path| self.folder.join(path))
    }

    /// The name of a key's value, with its place.
    #[must_use]
    pub fn placed(&self, name: &str) -> Option<&Placed<crossdock_settings::Setting>> {
        self.settings.get(name)
    }
}

impl SinkConfig {
    /// The connection, or where to say that it is missing.
    ///
    /// # Errors
    /// The section has no connection; `config` has said so before.
    pub fn connection(&self) -> Result<&ConnectionConfig, crate::Diagnostics> {
        self.connection.as_ref().ok_or_else(|| self.settings.missing("connection"))
    }

    /// A path of the section, from the folder of routes.yaml.
    #[must_use]
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.settings.path(name).map(|path| self.folder.join(path))
    }
}
