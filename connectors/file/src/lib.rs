//! Files as a source and as a target.
//!
//! Invariants
//! - A file is deleted, moved or noted as read only when every message of it is stored, and only if it has not changed
//!   since it was read.
//! - A message's id comes from the file's identity and place, so that what is read again after a crash is known again;
//!   it also carries a claim, so that the store takes it once.
//! - Success is posted when the bytes are synced, and the folder's entry too where a file was made.
//! - A line is written whole or not at all; a value of a message never leads out of the configured folder.
//! - A file that cannot be read, deleted or moved holds up no other, and is read no second time because it is still there.
//! - File operations run on blocking threads; no lock is held across one that another task waits for.

mod append;
mod carriage;
mod confine;
mod create;
mod describe;
mod fault;
mod finish;
mod identity;
mod journal;
mod left;
mod lines;
mod media;
mod progress;
mod scan;
mod sink;
mod source;
mod walk;

pub use describe::DESCRIPTION;

use append::AppendFiles;
use async_trait::async_trait;
use crossdock_connector::{
    Column, ConnectionConfig, Connector, Description, Diagnostics, GatewayConfig, Outgoing, Preview, Sink, SinkConfig,
    Source, SourceConfig, StartError,
};
use crossdock_model::Fault;
use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

/// The `file` connector: one per gateway, so that two routes that append to one file share its handle.
#[derive(Debug)]
pub struct FileConnector {
    state_folder: PathBuf,
    files: Arc<AppendFiles>,
}

impl FileConnector {
    /// The connector of a gateway.
    #[must_use]
    pub fn new(config: &GatewayConfig) -> Self {
        Self { state_folder: config.state_folder.clone(), files: Arc::default() }
    }
}

#[async_trait]
impl Connector for FileConnector {
    fn description(&self) -> &'static Description {
        &DESCRIPTION
    }

    fn columns(&self) -> &'static [Column] {
        carriage::COLUMNS
    }

    fn source(&self, config: &SourceConfig) -> Result<Box<dyn Source>, Diagnostics> {
        Ok(Box::new(source::FileSource::new(config, &self.state_folder)?))
    }

    fn sink(&self, config: &SinkConfig) -> Result<Box<dyn Sink>, Diagnostics> {
        Ok(Box::new(sink::FileSink::new(config, Arc::clone(&self.files))?))
    }

    fn check(&self, sources: &[SourceConfig]) -> Diagnostics {
        source::check(sources)
    }

    async fn probe(&self, _: &ConnectionConfig) -> Result<(), Fault> {
        Ok(())
    }

    fn preview(&self, config: &SinkConfig, outgoing: &Outgoing) -> Result<Preview, Fault> {
        let sink = sink::FileSink::new(config, Arc::clone(&self.files));
        sink.map_err(|_| Fault::rejected("file.path", "the target's `path` names no file"))?.preview(outgoing)
    }

    async fn start(&self) -> Result<(), StartError> {
        Ok(())
    }

    async fn stop(&self, _: Instant) {}
}

/// Locks; what a thread that panicked left behind is taken as it stands, because every change under these locks is whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
