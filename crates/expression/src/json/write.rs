//! Writing: values to JSON without spaces.

use super::{JsonError, scan::plain_bytes};
use crate::{ValueRef, View};

impl ValueRef<'_> {
    /// Writes the value as JSON without spaces, keys sorted.
    ///
    /// # Errors
    /// It holds bytes that are no UTF-8 or an infinite number, for which JSON has no form.
    pub fn write_json(self, out: &mut Vec<u8>) -> Result<(), JsonError> {
        match self.view() {
            View::Null => out.extend_from_slice(b"null"),
            View::Boolean(boolean) => out.extend_from_slice(if boolean { b"true" } else { b"false" }),
            View::Integer(number) => write_scalar(out, &number)?,
            View::Float(number) if number.is_finite() => write_scalar(out, &number)?,
            View::Float(_) => return Err(JsonError("a number is infinite, for which JSON has no form".into())),
            View::Text(text) => write_text(out, &text)?,
            View::Bytes(_) => {
                let hint = "encode them, for example with `encode_base64`";
                return Err(JsonError(format!("a string holds bytes that are no UTF-8: {hint}")));
            }
            View::Array(items) => {
                out.push(b'[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    item.write_json(out)?;
                }
                out.push(b']');
            }
            View::Object(members) => {
                out.push(b'{');
                for (index, (name, value)) in members.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    write_text(out, name)?;
                    out.push(b':');
                    value.write_json(out)?;
                }
                out.push(b'}');
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
    if plain_bytes(text.as_bytes()) < text.len() {
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
