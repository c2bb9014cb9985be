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

/// Writes a text.
pub fn put_text(to: &mut Vec<u8>, text: &str) {
    // Words are short; a long text is none of them, and a short one is compared by length and first bytes.
    match WORDS.iter().position(|word| *word == text) {
        Some(word) if !text.is_empty() => to.put_varint((word as u64) << 1 | 1),
        Some(_) | None => {
            to.put_varint((text.len() as u64) << 1);
            to.put_raw(text.as_bytes());
        }
    }
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
