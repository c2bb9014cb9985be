//! The message's identity: stable from receipt to delivery, and the idempotency key of every protocol that has one.

use crate::Digest;
use std::{fmt, str::FromStr};
use uuid::Uuid;

/// 128 bits, shown as a UUID (RFC 9562): version 7 where the gateway drew it, version 8 where it is a hash of what the
/// sender named (store.md §7). It is a label: a message's place in the store is `(channel, offset)`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId([u8; 16]);

impl MessageId {
    /// How long an id is as text.
    pub const TEXT_BYTES: usize = uuid::fmt::Hyphenated::LENGTH;

    /// The id of a message whose sender named it: the digest with the bits of a UUID version 8 set.
    #[must_use]
    pub fn from_digest(digest: Digest) -> Self {
        Self(uuid::Builder::from_custom_bytes(digest.0).into_uuid().into_bytes())
    }

    /// A UUID version 7 of the given time and ten random bytes, both supplied by the caller.
    #[must_use]
    pub fn from_time_and_random(unix_millis: u64, random: &[u8; 10]) -> Self {
        Self(uuid::Builder::from_unix_timestamp_millis(unix_millis, random).into_uuid().into_bytes())
    }

    /// The id whose bytes were stored before.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The id as text, in a buffer of the caller's: what [`fmt::Display`] writes, without its machinery.
    #[must_use]
    pub fn encode<'a>(&self, buffer: &'a mut [u8; Self::TEXT_BYTES]) -> &'a str {
        Uuid::from_bytes(self.0).hyphenated().encode_lower(buffer)
    }

    /// The 16 bytes to store.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Uuid::from_bytes(self.0).hyphenated().fmt(f)
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is no message id.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no message id: 32 hexadecimal digits in five groups are expected")]
pub struct InvalidMessageId(String);

impl FromStr for MessageId {
    type Err = InvalidMessageId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::parse_str(text).map(|uuid| Self(uuid.into_bytes())).map_err(|_| InvalidMessageId(text.to_owned()))
    }
}
