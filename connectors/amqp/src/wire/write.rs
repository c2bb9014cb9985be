//! Writing what fields are made of.

use bytes::{BufMut, BytesMut};

/// Longest short string.
pub const SHORT_BYTES_MAX: usize = 255;

/// The protocol's own kinds of strings.
pub trait Put {
    /// A short string; what is longer than one can be is cut, which the callers see to beforehand.
    fn put_short_string(&mut self, text: &[u8]);
    /// A long string.
    fn put_long_string(&mut self, text: &[u8]);
    /// Something whose length in bytes stands before it, in four octets.
    fn put_measured(&mut self, write: impl FnOnce(&mut Self));
}

impl Put for BytesMut {
    fn put_short_string(&mut self, text: &[u8]) {
        let text = text.get(..SHORT_BYTES_MAX).unwrap_or(text);
        self.put_u8(u8::try_from(text.len()).unwrap_or(u8::MAX));
        self.put_slice(text);
    }

    fn put_long_string(&mut self, text: &[u8]) {
        self.put_measured(|out| out.put_slice(text));
    }

    fn put_measured(&mut self, write: impl FnOnce(&mut Self)) {
        let at = self.len();
        self.put_u32(0);
        write(self);
        let length = u32::try_from(self.len() - at - 4).unwrap_or(u32::MAX).to_be_bytes();
        if let Some(place) = self.get_mut(at..at + 4) {
            place.copy_from_slice(&length);
        }
    }
}
