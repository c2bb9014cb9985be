//! Maps by offset, lane and circuit. Their keys are small numbers or hashes already, and five look-ups a message at full
//! speed make the standard hasher the dearest part; a seed keeps a sender from choosing what collides.

use crate::random::mix;
use std::{
    collections::HashMap,
    hash::{BuildHasher, Hasher},
};

/// A map whose key is one `u64`.
pub(crate) type NumberMap<V> = HashMap<u64, V, Seeded>;

/// Makes hashers of one seed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seeded(pub(crate) u64);

impl BuildHasher for Seeded {
    type Hasher = NumberHasher;

    fn build_hasher(&self) -> NumberHasher {
        NumberHasher(self.0)
    }
}

/// Hashes one number.
#[derive(Debug)]
pub(crate) struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = mix(self.0 ^ number);
    }

    /// Not used by `u64` keys; right all the same.
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }
}
