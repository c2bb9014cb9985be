//! Writing: values to JSON without spaces.

use super::{JsonError, scan::is_plain};
use crate::{ValueRef, View};
use vrl::value::Value as Inner;

impl ValueRef<'_> {
    /// Writes the value as JSON without spaces, keys sorted.
    ///
    /// # Errors
    /// It holds bytes that are no UTF-8 or an infinite number, for which JSON has no form.
    pub fn write_json(self, out: &mut Vec<u8>) -> Result<(), JsonError> {
        match self.0 {
            Inner::Null => out.extend_from_slice(b"null"),
            Inner::Boolean(boolean) => out.extend_from_slice(if *boolean { b"true" } else { b"false" }),
            Inner::Integer(number) => write_scalar(out, number)?,
            Inner::Float(number) if number.is_finite() => write_scalar(out, &number.into_inner())?,
            Inner::Float(_) => return Err(JsonError("a number is infinite, for which JSON has no form".into())),
            Inner::String(text) => write_text(out, text)?,
            Inner::Bytes(_) | Inner::Regex(_) | Inner::Timestamp(_) => {
                let View::Text(text) = self.view() else {
                    let hint = "encode them, for example with `encode_base64`";
                    return Err(JsonError(format!("a string holds bytes that are no UTF-8: {hint}")));
                };
                write_text(out, &text)?;
            }
            Inner::Array(items) => {
                let mut before = b'[';
                for item in items {
                    out.push(before);
                    ValueRef(item).write_json(out)?;
                    before = b',';
                }
                out.extend_from_slice(if items.is_empty() { b"[]" } else { b"]" });
            }
            Inner::Object(members) => {
                let mut before = b'{';
                for (name, value) in members {
                    out.push(before);
                    write_text(out, name)?;
                    out.push(b':');
                    ValueRef(value).write_json(out)?;
                    before = b',';
                }
                out.extend_from_slice(if members.is_empty() { b"{}" } else { b"}" });
            }
        }
        Ok(())
    }

    /// The value as JSON text.
    ///
    /// # Errors
    /// As for [`ValueRef::write_json`].
    pub fn to_json(self) -> Result<Vec<u8>, JsonError> {
        let mut out = Vec::with_capacity(1024);
        self.write_json(&mut out)?;
        Ok(out)
    }
}

/// Most texts need no escapes and are copied as they are.
fn write_text(out: &mut Vec<u8>, text: &str) -> Result<(), JsonError> {
    if !is_plain(text.as_bytes()) {
        return write_scalar(out, text);
    }
    out.reserve(text.len() + 2);
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
    Ok(())
}

fn write_scalar<T: serde::Serialize + ?Sized>(out: &mut Vec<u8>, scalar: &T) -> Result<(), JsonError> {
    serde_json::to_writer(out, scalar).map_err(|error| JsonError(error.to_string()))
}
