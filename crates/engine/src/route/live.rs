//! The messages that a target has: those that its scheduler knows.

use crossdock_connector::Rendered;
use crossdock_model::{DenseMap, Envelope, Timestamp};
use crossdock_store::StoredMessage;
use std::sync::Arc;

/// Messages by offset.
pub(crate) type LiveMap = DenseMap<Live>;

/// A message of a target that is not settled.
pub(crate) struct Live {
    /// Where it stands.
    pub stage: Stage,
    /// Payload and what the rules made of it; let go while it waits for another try, and may be let go while others hold it up.
    pub loaded: Option<Loaded>,
    /// When nobody wants it any more; none also where that is not known yet (after a restart).
    pub deadline: Option<Timestamp>,
    /// When it may be tried again by the store's note of its last try; none if it was not tried.
    pub due: Option<Timestamp>,
}

/// Where a message of a target stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stage {
    /// It waits for its turn or its next try.
    Waiting,
    /// It is to be sent, and its payload is being read.
    Recalling {
        /// Which try it will be.
        attempt: u32,
    },
    /// It is on its way.
    Sending {
        /// The sink's session; 0 for a channel.
        session: u64,
        /// Which try it is.
        attempt: u32,
    },
}

/// What is needed to send a message, or to bury it.
#[derive(Clone)]
pub(crate) struct Loaded {
    /// The message as stored.
    pub stored: StoredMessage,
    /// The message as it leaves.
    pub envelope: Arc<Envelope>,
    /// What the target's formulas gave.
    pub rendered: Rendered,
}

impl Loaded {
    /// What it counts for in the target's window.
    pub fn bytes(&self) -> usize {
        self.stored.len()
    }
}
