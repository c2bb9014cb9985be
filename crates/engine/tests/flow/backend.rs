//! The embedded log behind the channels, on a disk in memory.

use crossdock_config::Plan;
use crossdock_engine::Options;
use crossdock_store::{Channels, Disk, MemoryDisk, Store};
use std::sync::Arc;

/// Whether a decision is taken whole, so that a route may have a gate.
pub const GATES: bool = true;

/// What outlives a gateway.
pub struct Backend {
    pub disk: Arc<dyn Disk>,
}

impl Default for Backend {
    fn default() -> Self {
        Self { disk: Arc::new(MemoryDisk::new()) }
    }
}

impl Backend {
    /// The channels, as they were left.
    pub fn open(&self, plan: &Plan, options: &Options) -> Arc<dyn Channels> {
        let mut store = crossdock_store::Options::new(Arc::clone(&options.clock));
        store.segment_bytes = plan.gateway().store.segment_bytes;
        (store.on_sync, store.on_failure) = (Some(options.on_sync()), Some(options.on_failure()));
        Arc::new(Store::open(Arc::clone(&self.disk), store).unwrap())
    }
}
