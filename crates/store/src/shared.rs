//! What the handles, the readers and the writer share.

use crate::{
    Disk, Options,
    channels::Claims,
    cipher::Unsealer,
    format::Seal,
    meters::Meters,
    read::{Indexes, Spans},
    state::State,
    writer::Queue,
};
use crossdock_model::Text;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// One open store.
pub struct Shared {
    pub disk: Arc<dyn Disk>,
    pub options: Options,
    pub store_id: String,
    pub queue: Queue,
    pub meters: Arc<Meters>,
    pub indexes: Indexes,
    pub spans: Spans,
    pub claims: Claims,
    state: Mutex<State>,
    failure: OnceLock<Text>,
}

impl Shared {
    pub fn new(disk: Arc<dyn Disk>, options: Options, store: u32, state: State) -> Self {
        let meters = Meters { on_sync: options.on_sync.clone(), ..Meters::default() };
        Self {
            disk,
            options,
            store_id: format!("{store:08x}"),
            queue: Queue::default(),
            meters: Arc::new(meters),
            indexes: Indexes::default(),
            spans: Spans::default(),
            claims: Claims::default(),
            state: Mutex::new(state),
            failure: OnceLock::new(),
        }
    }

    /// The state, for a moment: whoever holds it does nothing that blocks. A thread that panicked with it held has done so
    /// between two whole changes or has ended the writer.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What reads the records of a segment.
    pub fn unsealer(&self, segment: u64, seal: Seal) -> Unsealer {
        self.options.keys.unsealer(segment, seal)
    }

    pub fn failure(&self) -> Option<&Text> {
        self.failure.get()
    }

    /// Stops the store for good; only the first reason counts.
    pub fn fail(&self, why: &Text) {
        if self.failure.set(why.clone()).is_ok() {
            tracing::error!(%why, "the store stopped");
            if let Some(tell) = &self.options.on_failure {
                tell(why);
            }
        }
        self.queue.close();
    }
}
