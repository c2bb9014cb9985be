//! Files that are written whole: checkpoints and the files of deduplication keys and of tries.
//!
//! ```text
//! key's id 4 · salt 16, random · encrypted content · tag 16
//! ```
//! Each writing draws a salt and has a key of its own, under which the nonce is 0.

use super::{KeyId, Keyring};
use crate::{
    DecodeError,
    format::{Reader, Write},
};
use aws_lc_rs::{
    aead::{Aad, NONCE_LEN, Nonce},
    error::Unspecified,
};

const SALT_BYTES: usize = 16;

/// What a file is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileKind {
    Checkpoint,
    Keys,
    Tries,
}

impl FileKind {
    /// Part of the format.
    const fn label(self) -> &'static [u8] {
        match self {
            Self::Checkpoint => b"checkpoint",
            Self::Keys => b"keys",
            Self::Tries => b"tries",
        }
    }
}

/// Why the content of a file cannot be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FileError {
    /// The key of this id is not there.
    NoKey(KeyId),
    /// It does not open under the key of this id: it was changed, or the key is another one that has the same id.
    Broken(KeyId),
    /// It is none.
    Invalid(DecodeError),
}

impl From<DecodeError> for FileError {
    fn from(error: DecodeError) -> Self {
        Self::Invalid(error)
    }
}

impl Keyring {
    /// Encrypts the content of a file, bound to `associated`; without a current key it stays as it is.
    pub(crate) fn encrypt_file(
        &self,
        kind: FileKind,
        associated: &[u8],
        random: &dyn Fn() -> u64,
        mut content: Vec<u8>,
    ) -> Result<Vec<u8>, Unspecified> {
        let Some(master) = &self.current else { return Ok(content) };
        let salt = [random().to_le_bytes(), random().to_le_bytes()].concat();
        let key = master.derive(&[b"file", kind.label(), &salt])?;
        key.seal_in_place_append_tag(zero(), Aad::from(associated), &mut content)?;
        let mut to = Vec::with_capacity(4 + SALT_BYTES + content.len());
        to.put_u32(KeyId::number(Some(master.id)));
        to.put_raw(&salt);
        to.put_raw(&content);
        Ok(to)
    }

    /// Decrypts what [`Self::encrypt_file`] made.
    pub(crate) fn decrypt_file(&self, kind: FileKind, associated: &[u8], stored: &[u8]) -> Result<Vec<u8>, FileError> {
        let mut reader = Reader::new(stored);
        let id = KeyId::of(reader.u32()?).ok_or(DecodeError("it names no key"))?;
        let salt: [u8; SALT_BYTES] = reader.array()?;
        let master = self.find(id).ok_or(FileError::NoKey(id))?;
        let key = master.derive(&[b"file", kind.label(), &salt]).map_err(|Unspecified| FileError::Broken(id))?;
        let mut content = reader.rest().to_vec();
        let plain = key.open_in_place(zero(), Aad::from(associated), &mut content);
        let bytes = plain.map_err(|Unspecified| FileError::Broken(id))?.len();
        content.truncate(bytes);
        Ok(content)
    }
}

fn zero() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

/// The id of the key that a file was encrypted under.
pub fn key_of(stored: &[u8]) -> Option<KeyId> {
    KeyId::of(Reader::new(stored).u32().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cipher::tests::key;

    #[test]
    fn a_file_is_read_with_its_key_as_what_it_is() {
        let ring = Keyring::new(Some(key('a')), vec![]);
        let stored = ring.encrypt_file(FileKind::Keys, b"7", &|| 5, b"the words".to_vec()).unwrap();
        assert!(!stored.windows(5).any(|window| window == b"words"));
        let read = |ring: &Keyring, kind, associated: &[u8]| ring.decrypt_file(kind, associated, &stored);
        let rotated = Keyring::new(Some(key('b')), vec![key('a')]);
        for ring in [&ring, &rotated] {
            assert_eq!(read(ring, FileKind::Keys, b"7"), Ok(b"the words".to_vec()));
        }
        let id = key('a').id();
        assert_eq!(read(&ring, FileKind::Checkpoint, b"7"), Err(FileError::Broken(id)));
        assert_eq!(read(&ring, FileKind::Keys, b"8"), Err(FileError::Broken(id)));
        assert_eq!(read(&Keyring::default(), FileKind::Keys, b"7"), Err(FileError::NoKey(id)));
        assert_eq!(key_of(&stored), Some(id));
        for bytes in 0..stored.len() {
            assert!(ring.decrypt_file(FileKind::Keys, b"7", &stored[..bytes]).is_err(), "{bytes}");
        }
        assert_eq!(Keyring::default().encrypt_file(FileKind::Keys, b"7", &|| 5, vec![1, 2]), Ok(vec![1, 2]));
    }
}
