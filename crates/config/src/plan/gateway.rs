//! The gateway's own settings.

use crossdock_connector::{GatewayConfig, StoreTag};
use crossdock_model::Text;
use crossdock_settings::Settings;
use std::{fmt, net::SocketAddr, path::Path, path::PathBuf, time::Duration};

/// The section `gateway`, with defaults in place and paths from the file's folder.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Gateway {
    /// Where the store and the admin token are.
    pub data_dir: PathBuf,
    /// The shared listener of all `http` sources, for the connector.
    pub http: Settings,
    /// The admin API.
    pub admin: Admin,
    /// The store.
    pub store: StoreSettings,
    /// How long the history of settled messages is kept; none where it is not.
    pub history: Option<Duration>,
}

/// The section `gateway.admin`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Admin {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Names beside its own address and `localhost` that a `Host` may have.
    pub hosts: Vec<Text>,
    /// Certificate and key, as paths.
    pub tls: Option<Tls>,
    /// The token that is asked for; without one the gateway makes one.
    pub token: Option<Secret>,
    /// Whether it may listen beyond loopback without TLS.
    pub insecure: bool,
}

/// Certificate chain and key of a listener, PEM files.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Tls {
    /// The chain, leaf first.
    pub certificate: PathBuf,
    /// The key.
    pub key: PathBuf,
    /// Authorities of client certificates; where given, one is asked for.
    pub client_ca: Option<PathBuf>,
}

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub(crate) Text);

/// The section `gateway.store`.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct StoreSettings {
    /// When what is written is synced.
    pub sync: Sync,
    /// Size of a segment, bytes; a message is at most half of it.
    pub segment_bytes: u64,
    /// Encryption at rest; none where it is off.
    pub encryption: Option<Encryption>,
}

/// When what is written is synced (promises.md P1 holds for `Always`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sync {
    /// Before anything is acknowledged.
    Always,
    /// Every so often.
    Every(Duration),
    /// When the operating system likes.
    Never,
}

/// Keys of the store.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Encryption {
    /// The key to write with; none where what is new is plain again.
    pub key: Option<StoreKey>,
    /// Older keys to read with.
    pub previous: Vec<StoreKey>,
}

/// A key of the store.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct StoreKey {
    /// The file that it stands in.
    pub file: PathBuf,
    /// Its 64 hexadecimal digits.
    pub digits: Secret,
}

impl Gateway {
    pub(crate) fn connector_config(&self, folder: &Path, store: StoreTag) -> GatewayConfig {
        GatewayConfig {
            http: self.http.clone(),
            folder: folder.to_path_buf(),
            store,
            admin_url: self.admin.url().into(),
            state_folder: self.data_dir.join("connectors"),
        }
    }
}

impl Admin {
    /// Where it answers, as a URL without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://{}", if self.tls.is_some() { "https" } else { "http" }, self.listen)
    }
}

impl StoreSettings {
    /// The largest message the store takes, bytes.
    #[must_use]
    pub const fn message_bytes_max(&self) -> u64 {
        self.segment_bytes / 2
    }
}

impl Secret {
    /// The text itself, for whoever compares or sends it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
