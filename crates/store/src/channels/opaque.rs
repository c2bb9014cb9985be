//! Bytes that mean something to their maker, and nothing to whoever keeps them.

use bytes::Bytes;
use std::time::Duration;

/// The proof of a claim: whoever shows it has what the claim was on, unless somebody claimed it later.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Fence(Bytes);

/// How long messages that were fetched are their fetcher's, unless it is extended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lease {
    bytes: Bytes,
    lasts: Duration,
}

/// Where looking through a channel goes on.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Cursor(Bytes);

impl Fence {
    /// A fence as its maker knows it.
    #[must_use]
    pub const fn new(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// What its maker put into it.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.0
    }
}

impl Lease {
    /// A lease as its maker knows it.
    #[must_use]
    pub const fn new(bytes: Bytes, lasts: Duration) -> Self {
        Self { bytes, lasts }
    }

    /// What its maker put into it.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// How long, from when it was given or extended.
    #[must_use]
    pub const fn lasts(&self) -> Duration {
        self.lasts
    }
}

impl Cursor {
    /// A cursor as its maker knows it.
    #[must_use]
    pub const fn new(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// What its maker put into it.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.0
    }
}
