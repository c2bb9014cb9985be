//! Deduplication: what the caller is to ask the store for.

use crossdock_model::{Digest, DigestBuilder};
use std::time::Duration;

/// A key that may be there once within a window. The store resolves it when the message is appended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Claim {
    /// Which of the list's steps asks, from 0; part of the scope, so that two steps do not meet.
    pub step: usize,
    /// The key.
    pub key: Digest,
    /// How long it is remembered.
    pub window: Duration,
    /// How many keys are remembered at most.
    pub keys_max: u64,
}

/// The digest of a key's bytes.
pub(crate) fn digest(key: &[u8]) -> Digest {
    DigestBuilder::new("dedupe").part(key).finish()
}
