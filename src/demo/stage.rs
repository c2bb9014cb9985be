//! The gateway of the demo: the sample's own routes, with the addresses of the demo and a temporary data folder.

use crate::{
    cli::{Exit, Failure},
    registry,
    start::{Running, start},
};
use anyhow::Context as _;
use crossdock_config::{ConfigFile, Environment};
use crossdock_engine::Gateway;
use std::{
    collections::HashMap,
    fs, io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    time::Instant,
};
use tempfile::TempDir;

const ROUTES: &str = include_str!("../../routes.yaml");
const ORDER_SCHEMA: &str = include_str!("../../schemas/order.schema.json");

/// A running gateway and its temporary folder, which goes when it is struck or dropped.
pub struct Stage {
    /// Where orders are taken.
    pub door: SocketAddr,
    running: Running,
    folder: TempDir,
}

/// The variables that the sample's addresses come from; nothing of the process's own environment.
struct Addresses(HashMap<&'static str, String>);

impl Environment for Addresses {
    fn variable(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned()
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }
}

impl Stage {
    /// Writes the sample into a temporary folder and runs it with partners at these addresses.
    ///
    /// # Errors
    /// The folder cannot be written, or the gateway does not start.
    pub async fn set(erp: SocketAddr, carrier: SocketAddr) -> Result<Self, Failure> {
        let folder = write_sample().context("cannot make the demo's folder")?;
        let (door, admin) = free_addresses().context("no free port on 127.0.0.1")?;
        let addresses = Addresses(HashMap::from([
            ("CROSSDOCK_HTTP", door.to_string()),
            ("CROSSDOCK_ADMIN", admin.to_string()),
            ("ERP_URL", format!("http://{erp}/api")),
            ("CARRIER_URL", format!("http://{carrier}")),
        ]));
        let file = ConfigFile { name: "routes.yaml", folder: folder.path(), bytes: ROUTES.as_bytes() };
        let loaded = crossdock_config::load(&file, &addresses, registry::PROTOCOLS);
        let plan = loaded.plan.ok_or_else(|| {
            Failure::new(Exit::Usage, format!("the sample is wrong:\n{}", loaded.report.render(false)))
        })?;
        let running = start(plan).await?;
        Ok(Self { door, running, folder })
    }

    /// The gateway.
    pub const fn gateway(&self) -> &Gateway {
        &self.running.gateway
    }

    /// Where the admin API answers.
    pub const fn admin(&self) -> SocketAddr {
        self.running.admin
    }

    /// The temporary folder.
    pub fn folder(&self) -> std::path::Display<'_> {
        self.folder.path().display()
    }

    /// The sample in the temporary folder.
    pub fn routes_file(&self) -> PathBuf {
        self.folder.path().join("routes.yaml")
    }

    /// The file with the admin API's token.
    pub fn token_file(&self) -> PathBuf {
        self.folder.path().join("data").join(crossdock_admin::TOKEN_FILE)
    }

    /// Stops the gateway and removes the folder.
    ///
    /// # Errors
    /// The store could not be closed.
    pub async fn strike(self, by: Instant) -> anyhow::Result<()> {
        self.running.stop(by).await?;
        self.folder.close().context("cannot remove the demo's folder")
    }
}

fn write_sample() -> io::Result<TempDir> {
    let folder = tempfile::Builder::new().prefix("crossdock-demo-").tempdir()?;
    fs::write(folder.path().join("routes.yaml"), ROUTES)?;
    fs::create_dir(folder.path().join("schemas"))?;
    fs::write(folder.path().join("schemas").join("order.schema.json"), ORDER_SCHEMA)?;
    Ok(folder)
}

/// Two addresses that nobody had a moment ago.
fn free_addresses() -> io::Result<(SocketAddr, SocketAddr)> {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let (first, second) = (TcpListener::bind(any)?, TcpListener::bind(any)?);
    Ok((first.local_addr()?, second.local_addr()?))
}
