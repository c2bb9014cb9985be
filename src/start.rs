//! Starting and stopping a gateway: the store first, because whoever holds it is the only one; then the listeners; then
//! the routes. What fails is told with how to mend it.

use crate::{
    cli::{Exit, Failure},
    registry,
};
use anyhow::Context as _;
use crossdock_admin::{Admin, Audit, Token};
use crossdock_config::{Gateway as GatewaySettings, Plan, StoreKey, Sync};
use crossdock_engine::{Clock, Gateway, StartError};
use crossdock_listener::Server;
use crossdock_model::{Text, Timestamp};
use crossdock_store::{Keyring, MasterKey, OpenError, RealDisk, Store, SyncPolicy};
use std::{
    hash::{BuildHasher, RandomState},
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// The store's folder in the data folder.
const STORE_FOLDER: &str = "store";

/// A gateway at work with its admin listener.
pub struct Running {
    /// The gateway.
    pub gateway: Gateway,
    /// Where the admin listener answers.
    pub admin: SocketAddr,
    server: Server,
}

/// Starts a gateway from its plan. To be called on a tokio runtime.
///
/// # Errors
/// The data folder is held or unusable, an address is taken, or the store contradicts the plan: bad configuration.
pub async fn start(plan: Arc<Plan>) -> Result<Running, Failure> {
    let settings = plan.gateway();
    let mut options = crossdock_engine::Options::new(clock(), RandomState::new().hash_one(0_u8));
    options.boot = boot();
    let store = open_store(settings, &options)?;
    match listen(&plan, store.clone(), options).await {
        Ok(running) => Ok(running),
        Err(failure) => {
            // Nothing was taken in; closed, it need not be recovered at the next start.
            if let Err(error) = store.close() {
                tracing::warn!(%error, "the store could not be closed");
            }
            Err(failure)
        }
    }
}

async fn listen(plan: &Arc<Plan>, store: Store, options: crossdock_engine::Options) -> Result<Running, Failure> {
    let settings = plan.gateway();
    let clock = Arc::clone(&options.clock);
    let token = token(settings)?;
    let admin = Admin::bind(&settings.admin).map_err(Failure::usage)?;
    let audit = Audit::open(&settings.data_dir, Arc::clone(&clock)).map_err(Failure::usage)?;
    let connectors = registry::connectors(plan, Text::from(store.store_id()));
    let gateway = Gateway::start(Arc::clone(plan), connectors, Arc::new(store), options).await.map_err(refused)?;
    let address = admin.address();
    audit.started_with(plan);
    let server = admin.serve(gateway.clone(), token, clock, audit);
    Ok(Running { gateway, admin: address, server })
}

impl Running {
    /// Takes nothing new, lets what is under way end until `by`, and closes the store.
    ///
    /// # Errors
    /// The store could not be closed.
    pub async fn stop(self, by: Instant) -> anyhow::Result<()> {
        let closed = self.gateway.shutdown(by).await;
        self.server.stop(by.max(Instant::now() + Duration::from_millis(100))).await;
        closed.context("the store could not be closed")
    }
}

/// The folder of the store of these settings.
pub fn store_folder(settings: &GatewaySettings) -> PathBuf {
    settings.data_dir.join(STORE_FOLDER)
}

/// The keys of the store of these settings.
///
/// # Errors
/// A file does not hold a key, which the check of the configuration finds before.
pub fn keyring(settings: &GatewaySettings) -> Result<Keyring, Failure> {
    let Some(encryption) = &settings.store.encryption else { return Ok(Keyring::default()) };
    let read = |key: &StoreKey| {
        MasterKey::from_hex(key.digits.reveal())
            .map_err(|error| Failure::usage(format!("key file `{}`: {error}", key.file.display())))
    };
    let previous = encryption.previous.iter().map(read).collect::<Result<_, _>>()?;
    Ok(Keyring::new(encryption.key.as_ref().map(read).transpose()?, previous))
}

/// What an unusable data folder ends with.
pub fn unusable(folder: &Path, error: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Usage, format!("data folder `{}`: {error}", folder.display()))
}

fn open_store(settings: &GatewaySettings, options: &crossdock_engine::Options) -> Result<Store, Failure> {
    let folder = store_folder(settings);
    let disk = RealDisk::new(&folder).map_err(|error| unusable(&settings.data_dir, error))?;
    let mut store = crossdock_store::Options::new(Arc::clone(&options.clock));
    store.sync = match settings.store.sync {
        Sync::Always => SyncPolicy::Always,
        Sync::Every(pause) => SyncPolicy::Every(pause),
        Sync::Never => SyncPolicy::Never,
    };
    store.segment_bytes = settings.store.segment_bytes;
    store.keys = keyring(settings)?;
    store.on_sync = Some(options.on_sync());
    store.on_failure = Some(options.on_failure());
    Store::open(Arc::new(disk), store).map_err(|error: OpenError| unusable(&settings.data_dir, error))
}

fn token(settings: &GatewaySettings) -> Result<Token, Failure> {
    match &settings.admin.token {
        Some(token) => Ok(Token::new(token.reveal())),
        None => crossdock_admin::read_or_make(&settings.data_dir).map_err(Failure::usage),
    }
}

fn refused(error: StartError) -> Failure {
    match error {
        StartError::Connector(error) => Failure::usage(format!("{}; {}", error.message, error.hint)),
        StartError::Declare(_) | StartError::Settings { .. } | StartError::Atomicity { .. } => Failure::usage(error),
        StartError::Claim(error) => Failure::other(error.to_string()),
        StartError::Internal(text) => Failure::other(text),
    }
}

/// Which start of the machine this is, as Linux tells; none where nothing does.
fn boot() -> Option<[u8; 16]> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    Some(u128::from_str_radix(&digits, 16).ok()?.to_be_bytes())
}

/// The calendar of this machine.
fn clock() -> Clock {
    Arc::new(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    })
}
