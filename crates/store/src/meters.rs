//! Counters that anybody may read while the writer writes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// The counters.
#[derive(Default)]
pub struct Meters {
    pub frames: AtomicU64,
    pub bytes_written: AtomicU64,
    pub syncs: AtomicU64,
    pub sync_nanos: AtomicU64,
    pub full: AtomicBool,
    pub on_sync: Option<Arc<dyn Fn(Duration) + Send + Sync>>,
}

impl Meters {
    pub fn wrote(&self, bytes: u64) {
        self.bytes_written.fetch_add(bytes, Relaxed);
    }

    pub fn wrote_frame(&self, bytes: u64) {
        self.frames.fetch_add(1, Relaxed);
        self.wrote(bytes);
    }

    pub fn synced(&self, took: Duration) {
        self.syncs.fetch_add(1, Relaxed);
        self.sync_nanos.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Relaxed);
        if let Some(tell) = &self.on_sync {
            tell(took);
        }
    }
}
