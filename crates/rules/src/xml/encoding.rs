//! Bytes to text: a byte order mark, else the content type's `charset` (RFC 7303 §3), else the declaration, else UTF-8.

use super::XmlError;
use encoding_rs::{Encoding, UTF_8};
use std::borrow::Cow;

/// The text of a document, without a byte order mark.
///
/// # Errors
/// The encoding is unknown, or the bytes are not in it.
pub fn decode<'a>(bytes: &'a [u8], charset: Option<&str>) -> Result<Cow<'a, str>, XmlError> {
    let (encoding, rest) = match Encoding::for_bom(bytes) {
        Some((encoding, length)) => (encoding, bytes.get(length..).unwrap_or_default()),
        None => match charset.or_else(|| declared(bytes)) {
            Some(label) => (named(label)?, bytes),
            None => (UTF_8, bytes),
        },
    };
    if encoding == UTF_8 {
        let text = std::str::from_utf8(rest);
        return text
            .map(Cow::Borrowed)
            .map_err(|error| XmlError(format!("not UTF-8 from byte {} on", error.valid_up_to())));
    }
    encoding
        .decode_without_bom_handling_and_without_replacement(rest)
        .ok_or_else(|| XmlError(format!("the bytes are not {}, which the document is said to be", encoding.name())))
}

fn named(label: &str) -> Result<&'static Encoding, XmlError> {
    Encoding::for_label_no_replacement(label.as_bytes())
        .ok_or_else(|| XmlError("its encoding is unknown; use UTF-8".into()))
}

/// The encoding that the declaration names. It is ASCII in all encodings that have no byte order mark.
fn declared(bytes: &[u8]) -> Option<&str> {
    let inside = bytes.strip_prefix(b"<?xml")?;
    let end = inside.windows(2).take(256).position(|pair| pair == b"?>")?;
    let text = std::str::from_utf8(inside.get(..end)?).ok()?;
    let value = text.split_once("encoding")?.1.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|sign| matches!(sign, '"' | '\''))?;
    value.get(1..)?.split_once(quote).map(|(label, _)| label)
}
