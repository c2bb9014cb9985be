//! The messages that a target has: those that its scheduler knows.

use crossdock_connector::Rendered;
use crossdock_model::{Envelope, Timestamp};
use crossdock_store::StoredMessage;
use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
    sync::Arc,
};

/// Messages by offset.
pub(crate) type LiveMap = HashMap<u64, Live, BuildHasherDefault<OffsetHasher>>;

/// A message of a target that is not settled.
pub(crate) struct Live {
    /// Where it stands.
    pub stage: Stage,
    /// Payload and what the rules made of it; let go while it waits for another try.
    pub loaded: Option<Loaded>,
    /// When nobody wants it any more; none also where that is not known yet (after a restart).
    pub deadline: Option<Timestamp>,
    /// When it may be tried again by the store's note of its last try, if there is one.
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

/// Offsets are dense numbers: multiplying spreads them well enough, and costs a hundredth of what a hash against
/// hostile keys would. Nobody outside chooses them.
#[derive(Default)]
pub(crate) struct OffsetHasher(u64);

impl Hasher for OffsetHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, offset: u64) {
        self.0 = (self.0.rotate_left(5) ^ offset).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}
