//! A 128-bit digest over parts of known borders, for ids and dedupe keys.

use sha2::{Digest as _, Sha256};

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
