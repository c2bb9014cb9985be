//! Memory for what is read: many small parts in few allocations.

use bytes::{Bytes, BytesMut};

/// Bytes of a piece; what is larger has a piece of its own.
const PIECE_BYTES: usize = 64 << 10;

/// Copies parts one behind the other. A piece lives as long as any part of it.
#[derive(Debug, Default)]
pub(crate) struct Arena {
    piece: BytesMut,
}

impl Arena {
    /// A copy of the bytes.
    pub fn copy(&mut self, bytes: &[u8]) -> Bytes {
        if bytes.is_empty() {
            return Bytes::new();
        }
        if bytes.len() > PIECE_BYTES / 4 {
            return Bytes::copy_from_slice(bytes);
        }
        if self.piece.capacity() < bytes.len() {
            self.piece = BytesMut::with_capacity(PIECE_BYTES);
        }
        self.piece.extend_from_slice(bytes);
        self.piece.split().freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_what_was_copied() {
        let mut arena = Arena::default();
        let sizes = [0, 1, 500, PIECE_BYTES / 4, PIECE_BYTES / 4 + 1, PIECE_BYTES * 3, 7];
        let parts: Vec<_> = (0..400_usize)
            .map(|n| vec![u8::try_from(n % 251).unwrap(); sizes[n % sizes.len()]])
            .map(|part| (arena.copy(&part), part))
            .collect();
        assert!(parts.iter().all(|(copy, part)| copy == part));
    }
}
