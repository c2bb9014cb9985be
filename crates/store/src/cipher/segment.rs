//! The records of an encrypted segment.
//!
//! ```text
//! body on disk       encrypted body · tag: 16                       its CRC is of this
//! key                of the segment's number and incarnation: fresh at every use of a file
//! nonce              byte of the record in the segment 4 · writes that failed before 2 · zeros 6
//! associated data    the record's entry of the table 20 · segment 8 · incarnation 8 · byte of the record 4
//! ```
//! A byte of a segment is written once, except after a write that failed for want of room, which counts up the second part of
//! the nonce; the record says it. So no nonce is used twice under a key, and a record is read alone and only where it was
//! written.

use super::MasterKey;
use crate::format::{ENTRY_BYTES, Entry, RecordHead, RecordKind, Seal};
use aws_lc_rs::{
    aead::{Aad, LessSafeKey, NONCE_LEN, Nonce},
    error::Unspecified,
};

/// Bytes by which an encrypted body is longer.
pub const TAG_BYTES: usize = 16;

/// Encrypts the records of one segment, and decrypts them.
pub struct SegmentCipher {
    key: LessSafeKey,
    segment: u64,
    incarnation: u64,
    /// How many writes to the segment failed. What they left may be on the disk, so that the next one to the same place must
    /// be encrypted otherwise.
    pub failed_writes: u16,
}

impl SegmentCipher {
    pub fn new(key: &MasterKey, segment: u64, seal: Seal) -> Result<Self, Unspecified> {
        let incarnation = seal.incarnation;
        let key = key.derive(&[b"segment", &segment.to_le_bytes(), &incarnation.to_le_bytes()])?;
        Ok(Self { key, segment, incarnation, failed_writes: 0 })
    }

    /// Notes that something was encrypted and could not be written whole.
    pub const fn write_failed(&mut self) {
        self.failed_writes = self.failed_writes.saturating_add(1);
    }

    /// Whether nothing more can be encrypted that is to stand where a write failed.
    pub const fn is_spent(&self) -> bool {
        self.failed_writes == u16::MAX
    }

    /// Encrypts a body in place; its last 16 bytes, which are room, become the tag.
    pub fn encrypt(&self, entry: Entry, at: u32, body: &mut [u8]) -> Result<(), Unspecified> {
        let (plain, room) = body.split_last_chunk_mut::<TAG_BYTES>().ok_or(Unspecified)?;
        let associated = Aad::from(self.associated(entry, at));
        let tag = self.key.seal_in_place_separate_tag(nonce(entry, at), associated, plain)?;
        room.copy_from_slice(tag.as_ref());
        Ok(())
    }

    /// The plain body; `None` if it is not what was written there.
    fn decrypt(&self, entry: Entry, at: u32, stored: &[u8]) -> Option<Vec<u8>> {
        let mut body = stored.to_vec();
        let plain = self.key.open_in_place(nonce(entry, at), Aad::from(self.associated(entry, at)), &mut body);
        let bytes = plain.ok()?.len();
        body.truncate(bytes);
        Some(body)
    }

    fn associated(&self, entry: Entry, at: u32) -> [u8; ENTRY_BYTES + 20] {
        let mut bytes = [0; ENTRY_BYTES + 20];
        let place = self.segment.to_le_bytes().into_iter().chain(self.incarnation.to_le_bytes());
        for (to, from) in bytes.iter_mut().zip(entry.encode().into_iter().chain(place).chain(at.to_le_bytes())) {
            *to = from;
        }
        bytes
    }
}

fn nonce(entry: Entry, at: u32) -> Nonce {
    let mut bytes = [0; NONCE_LEN];
    for (to, from) in bytes.iter_mut().zip(at.to_le_bytes().into_iter().chain(entry.failed_writes.to_le_bytes())) {
        *to = from;
    }
    Nonce::assume_unique_for_key(bytes)
}

/// How the records of a segment can be read.
enum Lock {
    /// They are plain.
    Plain,
    Key(SegmentCipher),
    /// They are encrypted under a key that is not there.
    NoKey,
}

/// Checks the records of a segment, and decrypts them.
pub struct Unsealer {
    pub seal: Seal,
    lock: Lock,
}

/// What the body of a record is.
#[derive(Debug, PartialEq, Eq)]
pub enum Opened {
    /// Not what was written there.
    Damaged,
    /// What stands on disk.
    AsStored,
    /// This.
    Decrypted(Vec<u8>),
    /// Not to be read without its key; its checksum holds.
    Locked,
}

impl Unsealer {
    /// For a segment of that seal; encrypted, with its cipher if there is one.
    pub fn new(seal: Seal, cipher: Option<Option<SegmentCipher>>) -> Self {
        let lock = match cipher {
            None => Lock::Plain,
            Some(Some(cipher)) => Lock::Key(cipher),
            Some(None) => Lock::NoKey,
        };
        Self { seal, lock }
    }

    /// The record of the kind, number and offset, given what stands on disk. A plain record in an encrypted segment is none of
    /// ours.
    pub fn open(
        &self,
        head: RecordHead,
        (kind, number, offset): (RecordKind, u32, u64),
        at: u32,
        stored: &[u8],
    ) -> Opened {
        let Some(entry) = head.checked(self.seal, kind, number, offset, stored) else { return Opened::Damaged };
        match (&self.lock, entry.is_encrypted()) {
            (Lock::Plain, false) => Opened::AsStored,
            (Lock::Key(cipher), true) => cipher.decrypt(entry, at, stored).map_or(Opened::Damaged, Opened::Decrypted),
            (Lock::NoKey, true) => Opened::Locked,
            (Lock::Plain, true) | (Lock::Key(_) | Lock::NoKey, false) => Opened::Damaged,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cipher::{Keyring, tests::key};
    use crate::format::RECORD_BYTES;

    /// A record as it stands on disk: its head, and its body.
    fn record(ring: &Keyring, seal: Seal, entry: Entry, at: u32, plain: &[u8]) -> (RecordHead, Vec<u8>) {
        let entry = entry.encrypted(at as u16);
        let mut body = plain.to_vec();
        body.resize(plain.len() + TAG_BYTES, 0);
        ring.sealer(7, seal).unwrap().unwrap().encrypt(entry, at, &mut body).unwrap();
        let mut head = Vec::new();
        entry.put_record_head(&mut head, entry.checksum(seal, crc32c::crc32c(&body)));
        assert_eq!(head.len(), RECORD_BYTES);
        (RecordHead::decode(&head).unwrap(), body)
    }

    #[test]
    fn a_record_is_read_with_its_key_and_only_where_it_was_written() {
        let ring = Keyring::new(Some(key('a')), vec![]);
        let seal = Seal::new(11).under(ring.current());
        let entry = Entry { kind: RecordKind::Put, flags: 0, failed_writes: 0, body_bytes: 8, number: 4, offset: 9 };
        let what = (RecordKind::Put, 4, 9);
        let (head, body) = record(&ring, seal, entry, 5000, b"the body");
        assert!(!body.windows(4).any(|window| window == b"body"));
        let open =
            |ring: &Keyring, segment, seal, at, body: &[u8]| ring.unsealer(segment, seal).open(head, what, at, body);
        assert_eq!(open(&ring, 7, seal, 5000, &body), Opened::Decrypted(b"the body".to_vec()));
        let rotated = Keyring::new(Some(key('b')), vec![key('a')]);
        assert_eq!(open(&rotated, 7, seal, 5000, &body), Opened::Decrypted(b"the body".to_vec()));
        assert_eq!(open(&Keyring::default(), 7, seal, 5000, &body), Opened::Locked);
        // What its checksum would let pass: another place, another segment, a plain segment.
        assert_eq!(open(&ring, 7, seal, 5001, &body), Opened::Damaged);
        assert_eq!(open(&ring, 8, seal, 5000, &body), Opened::Damaged);
        assert_eq!(open(&ring, 7, Seal::new(11), 5000, &body), Opened::Damaged);
        // A flipped bit of which the checksum was made to hold.
        for bit in 0..body.len() * 8 {
            let mut forged = body.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            let mut bytes = Vec::new();
            let entry = entry.encrypted(5000);
            entry.put_record_head(&mut bytes, entry.checksum(seal, crc32c::crc32c(&forged)));
            let head = RecordHead::decode(&bytes).unwrap();
            assert_eq!(ring.unsealer(7, seal).open(head, what, 5000, &forged), Opened::Damaged, "bit {bit}");
        }
    }

    #[test]
    fn a_plain_record_in_an_encrypted_segment_is_none_of_ours() {
        let ring = Keyring::new(Some(key('a')), vec![]);
        let seal = Seal::new(11).under(ring.current());
        let entry = Entry { kind: RecordKind::Put, flags: 0, failed_writes: 0, body_bytes: 8, number: 4, offset: 9 };
        let mut bytes = Vec::new();
        entry.put_record_head(&mut bytes, entry.checksum(seal, crc32c::crc32c(b"the body")));
        let head = RecordHead::decode(&bytes).unwrap();
        assert_eq!(ring.unsealer(7, seal).open(head, (RecordKind::Put, 4, 9), 5000, b"the body"), Opened::Damaged);
    }

    #[test]
    fn the_same_words_never_look_the_same() {
        let ring = Keyring::new(Some(key('a')), vec![]);
        let entry = Entry { kind: RecordKind::Put, flags: 0, failed_writes: 0, body_bytes: 8, number: 4, offset: 9 };
        let of = |incarnation, at: u32, failed: u16| {
            let seal = Seal::new(incarnation).under(ring.current());
            let mut body = [b"the body".as_slice(), &[0; TAG_BYTES]].concat();
            ring.sealer(7, seal).unwrap().unwrap().encrypt(entry.encrypted(failed), at, &mut body).unwrap();
            body
        };
        let all = [of(11, 5000, 0), of(11, 5000, 1), of(11, 5001, 0), of(12, 5000, 0)];
        for (n, one) in all.iter().enumerate() {
            assert!(all[n + 1..].iter().all(|other| other[..8] != one[..8]), "{n}");
        }
    }
}
