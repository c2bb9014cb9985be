//! Texts on disk: their bytes, or the number of a word that most messages have.
//!
//! ```text
//! varint n   even: n/2 bytes of UTF-8 follow      odd: WORDS[n/2]
//! ```

use crate::{
    DecodeError,
    format::{Reader, Write},
};
use bytes::Bytes;
use bytestring::ByteString;
use crossdock_model::Text;

/// Part of the format: words may be added behind, none may move.
const WORDS: [&str; 48] = [
    "application/json",
    "application/xml",
    "text/plain",
    "text/xml",
    "text/csv",
    "application/octet-stream",
    "application/x-ndjson",
    "application/cloudevents+json",
    "application/json; charset=utf-8",
    "text/plain; charset=utf-8",
    "application/x-www-form-urlencoded",
    "gzip",
    "zstd",
    "deflate",
    "http",
    "amqp",
    "kafka",
    "mqtt",
    "file",
    "generate",
    "nats",
    "stomp",
    "sqs",
    "content-type",
    "content-encoding",
    "message-id",
    "correlation-id",
    "reply-to",
    "x-request-id",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
    "x-api-version",
    "origin",
    "referer",
    "type",
    "app_id",
    "user_id",
    "redelivered",
    "retain",
    "qos",
    "delivery_mode",
    "exchange",
    "routing_key",
    "http.timeout",
    "http.500",
    "http.503",
];

/// More bytes than this no word has.
const WORD_BYTES_MAX: usize = 40;
/// Which words have so many bytes, a bit for each: most texts are compared with few.
#[expect(clippy::indexing_slicing, reason = "a wrong index does not compile")]
const OF_LENGTH: [u64; WORD_BYTES_MAX + 1] = {
    let (mut of_length, mut at) = ([0; WORD_BYTES_MAX + 1], 0);
    while at < WORDS.len() {
        of_length[WORDS[at].len()] |= 1 << at;
        at += 1;
    }
    of_length
};

/// Writes a text.
pub fn put_text(to: &mut Vec<u8>, text: &str) {
    if let Some(word) = word(text) {
        return to.put_varint((word as u64) << 1 | 1);
    }
    to.put_varint((text.len() as u64) << 1);
    to.put_raw(text.as_bytes());
}

/// The number of the word that a text is.
fn word(text: &str) -> Option<usize> {
    let mut left = *OF_LENGTH.get(text.len())?;
    while left != 0 {
        let at = left.trailing_zeros() as usize;
        if WORDS.get(at).is_some_and(|word| *word == text) {
            return Some(at);
        }
        left &= left - 1;
    }
    None
}

/// Reads a text as a slice of the whole.
pub fn text(reader: &mut Reader<'_>, whole: &Bytes) -> Result<Text, DecodeError> {
    let n = reader.varint()?;
    let at = usize::try_from(n >> 1).map_err(|_| DecodeError("a text is too long"))?;
    if n & 1 == 1 {
        let word = WORDS.get(at).ok_or(DecodeError("a word is not known: a newer version wrote it"))?;
        return Ok(Text::from_static(word));
    }
    let piece = reader.raw(at)?;
    if piece.is_empty() {
        return Ok(Text::new());
    }
    ByteString::try_from(whole.slice_ref(piece)).map_err(|_| DecodeError("a text is no UTF-8"))
}

/// Reads bytes with their number before them as a slice of the whole.
pub fn piece(reader: &mut Reader<'_>, whole: &Bytes) -> Result<Bytes, DecodeError> {
    reader.piece().map(|piece| slice(piece, whole))
}

/// A part of the whole as a slice of it.
pub fn slice(part: &[u8], whole: &Bytes) -> Bytes {
    if part.is_empty() { Bytes::new() } else { whole.slice_ref(part) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_found_and_nothing_else() {
        for (at, expected) in WORDS.iter().enumerate() {
            assert_eq!(word(expected), Some(at));
            assert_eq!(word(&expected.to_uppercase()), None);
            assert_eq!(word(&format!("{expected}x")), None);
        }
        assert_eq!(word(""), None);
        assert_eq!(word(&"x".repeat(WORD_BYTES_MAX + 1)), None);
    }
}
