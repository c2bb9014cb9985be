//! Encryption at rest: the keys, and what is made of them (docs/adr/0014-encryption-at-rest.md).
//!
//! ```text
//! key file: 32 bytes ─ HKDF-SHA-256 ─┬─ "id" ──────────────────────────► its number, which files name
//!                                    ├─ "segment" number incarnation ──► the key of a segment's records   (`segment`)
//!                                    └─ "file" what salt ──────────────► the key of one checkpoint        (`file`)
//! ```
//! Everything is AES-256-GCM. No derived key is used for two files, and within one no nonce twice.

mod file;
mod segment;

pub use file::{FileError, FileKind, key_of};
pub use segment::{Opened, SegmentCipher, TAG_BYTES, Unsealer};

use crate::format::Seal;
use aws_lc_rs::{
    aead::{AES_256_GCM, LessSafeKey, UnboundKey},
    error::Unspecified,
    hkdf::{HKDF_SHA256, KeyType, Prk, Salt},
};
use std::{fmt, num::NonZeroU32};

/// Bytes of a key.
const KEY_BYTES: usize = 32;

/// Part of the format: keeps keys apart from those that another use would derive.
const SALT: &[u8] = b"crossdock store 1";

/// The number by which files name the key that they are encrypted under: a hash of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct KeyId(NonZeroU32);

impl KeyId {
    /// The id of a number on disk, where 0 is none.
    pub(crate) const fn of(number: u32) -> Option<Self> {
        match NonZeroU32::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// The number on disk of a key that may be none.
    pub(crate) fn number(key: Option<Self>) -> u32 {
        key.map_or(0, |Self(number)| number.get())
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// A key from which those of the files are derived. It is never shown.
#[derive(Clone)]
pub struct MasterKey {
    id: KeyId,
    root: Prk,
}

/// A text is not the 64 hexadecimal digits of a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a key is 64 hexadecimal digits: `openssl rand -hex 32`")]
pub struct KeyError;

impl MasterKey {
    /// Reads a key from exactly 64 hexadecimal digits; the end of a line may follow them.
    ///
    /// # Errors
    /// If the text is anything else.
    pub fn from_hex(text: &str) -> Result<Self, KeyError> {
        let line = text.strip_suffix('\n').unwrap_or(text);
        let digits = line.strip_suffix('\r').unwrap_or(line).as_bytes();
        let (pairs, []) = digits.as_chunks::<2>() else { return Err(KeyError) };
        if pairs.len() != KEY_BYTES {
            return Err(KeyError);
        }
        let mut bytes = [0; KEY_BYTES];
        for (to, [high, low]) in bytes.iter_mut().zip(pairs) {
            let digit = |digit: u8| char::from(digit).to_digit(16).ok_or(KeyError);
            *to = (digit(*high)? << 4 | digit(*low)?) as u8;
        }
        let root = Salt::new(HKDF_SHA256, SALT).extract(&bytes);
        bytes.fill(0);
        let mut id = [0; 4];
        expand(&root, &[b"id"], &mut id).map_err(|Unspecified| KeyError)?;
        let id = KeyId(NonZeroU32::new(u32::from_le_bytes(id)).unwrap_or(NonZeroU32::MIN));
        Ok(Self { id, root })
    }

    /// Its number.
    #[must_use]
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// A key for one file, derived from what is said of it.
    fn derive(&self, info: &[&[u8]]) -> Result<LessSafeKey, Unspecified> {
        let mut bytes = [0; KEY_BYTES];
        expand(&self.root, info, &mut bytes)?;
        UnboundKey::new(&AES_256_GCM, &bytes).map(LessSafeKey::new)
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MasterKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// How many bytes are derived.
#[derive(Clone, Copy)]
struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

fn expand(root: &Prk, info: &[&[u8]], to: &mut [u8]) -> Result<(), Unspecified> {
    root.expand(info, Length(to.len()))?.fill(to)
}

/// The keys of a store: the one that it writes with, and those that it also reads with. The default has none: what is
/// written is plain.
#[derive(Clone, Debug, Default)]
pub struct Keyring {
    current: Option<MasterKey>,
    previous: Vec<MasterKey>,
}

impl Keyring {
    /// Writes with the current key, or plain where there is none; reads with all of them.
    #[must_use]
    pub const fn new(current: Option<MasterKey>, previous: Vec<MasterKey>) -> Self {
        Self { current, previous }
    }

    /// The key that is written with.
    #[must_use]
    pub fn current(&self) -> Option<KeyId> {
        self.current.as_ref().map(MasterKey::id)
    }

    fn all(&self) -> impl Iterator<Item = &MasterKey> {
        self.current.iter().chain(&self.previous)
    }

    fn find(&self, id: KeyId) -> Option<&MasterKey> {
        self.all().find(|key| key.id == id)
    }

    /// Whether what was written under this key, if any, can be read.
    pub(crate) fn has(&self, id: Option<KeyId>) -> bool {
        id.is_none_or(|id| self.find(id).is_some())
    }

    /// The ids of all keys, the current one first.
    pub(crate) fn ids(&self) -> Vec<KeyId> {
        self.all().map(MasterKey::id).collect()
    }

    /// Bytes by which a record is longer on disk than in memory.
    pub(crate) const fn record_overhead(&self) -> u64 {
        if self.current.is_some() { TAG_BYTES as u64 } else { 0 }
    }

    /// What reads the records of a segment.
    pub(crate) fn unsealer(&self, segment: u64, seal: Seal) -> Unsealer {
        let key = seal.key.map(|id| self.find(id).and_then(|key| SegmentCipher::new(key, segment, seal).ok()));
        Unsealer::new(seal, key)
    }

    /// What encrypts the records of a new segment; `None` where it is plain.
    pub(crate) fn sealer(&self, segment: u64, seal: Seal) -> Result<Option<SegmentCipher>, Unspecified> {
        self.current.as_ref().map(|key| SegmentCipher::new(key, segment, seal)).transpose()
    }
}

/// What is wrong when a file needs a key that is not there.
pub fn missing_key(id: KeyId, ring: &Keyring) -> String {
    let given = match ring.ids().as_slice() {
        [] => "no key is given".to_owned(),
        ids => format!("what is given is {}", ids.iter().map(KeyId::to_string).collect::<Vec<_>>().join(", ")),
    };
    format!(
        "it is encrypted under the key {id} and {given}: name the key's file in `gateway.store.encryption`, as \
         `key_file`, or under `previous_key_files` if new messages are to be written with another key"
    )
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub fn key(digit: char) -> MasterKey {
        MasterKey::from_hex(&digit.to_string().repeat(64)).unwrap()
    }

    #[test]
    fn a_key_is_64_hexadecimal_digits_and_is_not_shown() {
        let hex = "00112233445566778899aAbBcCdDeEfF00112233445566778899aabbccddeeff";
        let shown = format!("{:?}", MasterKey::from_hex(hex).unwrap());
        assert!(!shown.contains("0011") && !shown.to_lowercase().contains("aabb"), "{shown}");
        let same = MasterKey::from_hex(&hex.to_lowercase()).unwrap().id();
        for wrong in ["", &hex[1..], &hex[..62], &format!("{hex}00"), &format!(" {hex}"), &format!("{hex}\n\n")] {
            assert!(MasterKey::from_hex(wrong).is_err(), "{wrong:?}");
        }
        assert!(MasterKey::from_hex(&hex.replace('7', "g")).is_err());
        for end in ["", "\n", "\r\n"] {
            assert_eq!(MasterKey::from_hex(&format!("{hex}{end}")).unwrap().id(), same);
        }
        assert_ne!(key('0').id(), key('1').id());
    }

    /// The numbers are part of the format: what an earlier version wrote must be found by them.
    #[test]
    fn ids_stay_what_they_are() {
        assert_eq!(key('0').id().to_string(), "9bd8ffb9");
    }
}
