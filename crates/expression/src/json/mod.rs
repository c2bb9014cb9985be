//! JSON text and values: reading with limits, and writing.
//!
//! RFC 8259 in UTF-8 without a byte order mark. Of repeated keys the last one counts. A string without escapes is a
//! slice of one copy of the payload: reading allocates per container and key, not per text.

mod outline;
mod read;
mod scan;
mod tree;
mod write;

pub use outline::{Glimpse, Name, Outline, Place, PlaceItems, PlaceMembers};

use crate::{Value, ValueRef, View};
use bytes::Bytes;
use crossdock_model::Text;
use std::borrow::Cow;

/// Why a text is no JSON, or a value cannot be written as JSON; a lowercase fragment.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct JsonError(String);

impl Value {
    /// Reads a JSON text of at most [`crossdock_model::VALUE_DEPTH_MAX`] levels.
    ///
    /// # Errors
    /// It is no UTF-8, no JSON, nested too deeply, or holds a number that a binary fraction cannot hold (`1e999`).
    pub fn from_json(bytes: &[u8]) -> Result<Self, JsonError> {
        // The payload is a slice of a buffer that many messages share; the values' slices count references on a copy
        // of their own, so that workers do not meet on one counter.
        let text = Text::try_from(Bytes::copy_from_slice(bytes))
            .map_err(|_| JsonError(format!("not UTF-8 from byte {} on", valid_up_to(bytes))))?;
        read::read(&text, &mut tree::Tree(&text)).map(Self).map_err(|wrong| {
            let before = text.get(..wrong.at).unwrap_or(&text);
            let line = before.matches('\n').count() + 1;
            let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
            JsonError(format!("{} at line {line}, column {column}", wrong.what))
        })
    }

    /// The value as JSON text.
    ///
    /// # Errors
    /// As for [`ValueRef::write_json`].
    pub fn to_json(&self) -> Result<Vec<u8>, JsonError> {
        self.as_ref().to_json()
    }
}

fn valid_up_to(bytes: &[u8]) -> usize {
    std::str::from_utf8(bytes).err().map_or(bytes.len(), |error| error.valid_up_to())
}

impl From<ValueRef<'_>> for serde_json::Value {
    /// The same value for libraries that know JSON only; an infinite number becomes null, bytes lose what is no UTF-8.
    fn from(value: ValueRef<'_>) -> Self {
        match value.view() {
            View::Null => Self::Null,
            View::Boolean(boolean) => Self::Bool(boolean),
            View::Integer(number) => Self::from(number),
            View::Float(number) => Self::from(number),
            View::Text(text) => Self::String(text.into_owned()),
            View::Bytes(bytes) => Self::String(String::from_utf8_lossy(bytes).into_owned()),
            View::Array(items) => Self::Array(items.iter().map(Self::from).collect()),
            View::Object(members) => {
                Self::Object(members.iter().map(|(name, value)| (name.to_owned(), Self::from(value))).collect())
            }
        }
    }
}

impl ValueRef<'_> {
    /// The value as people read it in a message or a trace: JSON, or what it is where JSON has no form.
    #[must_use]
    pub fn show(self) -> Cow<'static, str> {
        match self.to_json() {
            Ok(json) => Cow::Owned(String::from_utf8_lossy(&json).into_owned()),
            Err(_) => Cow::Borrowed(self.describe()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossdock_model::VALUE_DEPTH_MAX;
    use vrl::value::Value as Inner;

    fn check(text: &str, expected: Result<&str, &str>) {
        let got = Value::from_json(text.as_bytes()).and_then(|value| value.to_json());
        let got = got.map(|json| String::from_utf8(json).unwrap()).map_err(|error| error.to_string());
        match expected {
            Ok(json) => assert_eq!(got.as_deref(), Ok(json), "{text}"),
            Err(part) => assert!(got.as_ref().is_err_and(|error| error.contains(part)), "{text:.80}: {got:?}"),
        }
    }

    #[test]
    fn reads_and_writes() {
        check(r#" {"b" : 1.0, "a": [true, null, "x\n\u00e9", "é"]} "#, Ok(r#"{"a":[true,null,"x\né","é"],"b":1.0}"#));
        check(r#"{"a":1,"a":2}"#, Ok(r#"{"a":2}"#));
        check("12345678901234567890", Ok("1.2345678901234567e+19"));
        check("-9223372036854775808", Ok("-9223372036854775808"));
        check("122.416294033786585", Ok("122.41629403378658"));
        check("0.1", Ok("0.1"));
        check("-0", Ok("-0.0"));
        check("-0.5e1", Ok("-5.0"));
        check("123456789012345.678", Ok("123456789012345.67"));
        check("999999999.999999", Ok("999999999.999999"));
        check("9223372036854775808", Ok("9.223372036854776e+18"));
        check(r#""""#, Ok(r#""""#));
        check(r#"{"":{"":[]}}"#, Ok(r#"{"":{"":[]}}"#));
        check("\"\\ud83d\\ude00\"", Ok("\"😀\""));
    }

    #[test]
    fn refuses_what_is_no_json() {
        for (text, part) in [
            ("", "the text ends within a value at line 1, column 1"),
            ("{\"a\": ", "the text ends within a value"),
            ("\"abc", "the text ends within a value"),
            ("\"abc\\", "the text ends within a value"),
            ("[1,]", "a value is expected at line 1, column 4"),
            ("[1\n 2]", "`,` or `]` is expected at line 2, column 2"),
            ("{\"é\" 1}", "`:` is expected at line 1, column 6"),
            ("{\"a\":1 \"b\":2}", "`,` or `}` is expected"),
            ("{a:1}", "a key in double quotes"),
            ("{\"a\":1,}", "a key in double quotes"),
            ("1 2", "only one value"),
            ("1\0", "only one value"),
            ("{\"a\":1} \0{\"b\":2}", "only one value"),
            ("1e999", "beyond what can be told"),
            ("-", "the text ends"),
            ("01", "must not begin with 0"),
            ("1.x", "a digit is expected"),
            ("1e+x", "a digit is expected"),
            (".5", "a value is expected"),
            ("+1", "a value is expected"),
            ("NaN", "a value is expected"),
            ("nul", "a value is expected"),
            ("'a'", "a value is expected"),
            ("\u{feff}1", "a value is expected, and a byte order mark is there"),
            ("\"\\ud800\"", "a string is wrong"),
            ("\"\\x\"", "a string is wrong: invalid escape"),
            ("\"\u{1}\"", "control character"),
            ("\"\\n\u{1}\"", "control character"),
        ] {
            check(text, Err(part));
        }
        let error = Value::from_json(b"\"a\xff\"").unwrap_err();
        assert_eq!(error.to_string(), "not UTF-8 from byte 2 on");
    }

    #[test]
    fn depth_is_limited() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        let deep = nested(VALUE_DEPTH_MAX);
        check(&deep, Ok(&deep));
        check(&nested(VALUE_DEPTH_MAX + 1), Err("nested deeper than 128 levels"));
        check(&"[".repeat(100_000), Err("nested deeper than 128 levels"));
        check(&"{\"a\":".repeat(100_000), Err("nested deeper than 128 levels"));
    }

    #[test]
    fn what_json_cannot_hold_is_an_error() {
        assert!(Value::float(f64::INFINITY).to_json().is_err());
        assert!(Value(Inner::Bytes(Bytes::from_static(b"\xff"))).to_json().is_err());
        assert_eq!(Value(Inner::Bytes(Bytes::from_static(b"x"))).to_json(), Ok(b"\"x\"".to_vec()));
    }
}
