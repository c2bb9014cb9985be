//! A 128-bit digest over parts of known borders, for ids and dedupe keys.

use sha2::{Digest as _, Sha256};
use siphasher::sip128::SipHasher24;

/// 128 bits that stand for a key. Equal parts in equal order give equal digests; the borders of parts count, so that
/// `("ab", "c")` and `("a", "bc")` differ.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Digest(pub [u8; 16]);

/// Gathers the parts of a [`Digest`].
#[derive(Clone)]
pub struct DigestBuilder(Sha256);

impl DigestBuilder {
    /// Starts a digest in a domain of its own, so that equal parts for another purpose give another digest.
    #[must_use]
    pub fn new(domain: &str) -> Self {
        Self(Sha256::new()).part(domain.as_bytes())
    }

    /// Adds a part with its length before it.
    #[must_use]
    pub fn part(mut self, bytes: &[u8]) -> Self {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
        self
    }

    /// The first 16 bytes of SHA-256 over the parts.
    #[must_use]
    pub fn finish(self) -> Digest {
        let full: [u8; 32] = self.0.finalize().into();
        let mut short = [0; 16];
        for (to, from) in short.iter_mut().zip(full) {
            *to = from;
        }
        Digest(short)
    }
}

/// The places of one log that its name stands for, such as a partition: each has a digest made of a number and a time. It takes one
/// short hash, where a [`DigestBuilder`] takes whole blocks of SHA-256, for which not every processor has instructions.
#[derive(Clone)]
pub struct Places(SipHasher24);

impl Places {
    /// The places of what this digest stands for.
    #[must_use]
    pub fn new(of: Digest) -> Self {
        Self(SipHasher24::new_with_key(&of.0))
    }

    /// SipHash-2-4 with 128 bits, of the numbers, under the key that the log's digest is.
    #[must_use]
    pub fn at(&self, place: i64, time: i64) -> Digest {
        let number = (u128::from(place.cast_unsigned()) << 64) | u128::from(time.cast_unsigned());
        Digest(self.0.hash(&number.to_le_bytes()).as_bytes())
    }
}
