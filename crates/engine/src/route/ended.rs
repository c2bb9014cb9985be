//! Messages that one target has found to be dead for all, until no other can meet them any more.
//!
//! Each target reads the channel by itself. Between the moment when one of them finds a message at fault and the commit
//! that settles it for all, and after that in what was read before, another target meets the same message: it must not
//! bury it again.

use std::collections::BTreeMap;

/// Offsets of messages that are dead for all, and whether they are settled.
#[derive(Default)]
pub(crate) struct Ended(BTreeMap<u64, bool>);

impl Ended {
    /// Notes a message; false if it was noted before.
    pub fn note(&mut self, offset: u64) -> bool {
        self.0.insert(offset, false).is_none()
    }

    /// Whether the message was noted.
    pub fn has(&self, offset: u64) -> bool {
        !self.0.is_empty() && self.0.contains_key(&offset)
    }

    /// It is settled: what is read from now on does not hold it.
    pub fn settled(&mut self, offset: u64) {
        if let Some(settled) = self.0.get_mut(&offset) {
            *settled = true;
        }
    }

    /// Forgets what is settled and was not read before by anybody: everything below the oldest message that was read and
    /// is not dealt with.
    pub fn forget_below(&mut self, oldest: u64) {
        if !self.0.is_empty() {
            self.0.retain(|offset, settled| !*settled || *offset >= oldest);
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
