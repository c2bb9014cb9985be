//! JSON text and values: reading with limits, and writing.
//!
//! RFC 8259 in UTF-8 without a byte order mark. Of repeated keys the last one counts. A string without escapes is a
//! slice of one copy of the payload: reading allocates per container and key, not per text.

use crate::{Value, ValueRef, View};
use bytes::Bytes;
use crossdock_model::{Text, VALUE_DEPTH_MAX};
use serde_json::de::{Deserializer, StrRead};
use std::{borrow::Cow, fmt};
use vrl::value::{KeyString, ObjectMap, Value as Inner};

use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};

/// Why a text is no JSON, or a value cannot be written as JSON.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct JsonError(String);

impl Value {
    /// Reads a JSON text of at most [`VALUE_DEPTH_MAX`] levels.
    ///
    /// # Errors
    /// It is no UTF-8, no JSON, nested too deeply, or holds a number that a binary fraction cannot hold (`1e999`).
    pub fn from_json(bytes: &[u8]) -> Result<Self, JsonError> {
        // The payload is a slice of a buffer that many messages share; the values' slices count references on a copy
        // of their own, so that workers do not meet on one counter.
        let text = Text::try_from(Bytes::copy_from_slice(bytes))
            .map_err(|_| JsonError(format!("not UTF-8 from byte {} on", valid_up_to(bytes))))?;
        let mut reader = Deserializer::new(StrRead::new(&text));
        // The seed counts levels itself, because the reader's own limit is one less than ours.
        reader.disable_recursion_limit();
        let seed = Seed { text: &text, levels_left: VALUE_DEPTH_MAX };
        let value = seed.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
        value.map(Self).map_err(|error| JsonError(error.to_string()))
    }

    /// The value as JSON text.
    ///
    /// # Errors
    /// As for [`ValueRef::write_json`].
    pub fn to_json(&self) -> Result<Vec<u8>, JsonError> {
        let mut out = Vec::with_capacity(256);
        self.as_ref().write_json(&mut out)?;
        Ok(out)
    }
}

fn valid_up_to(bytes: &[u8]) -> usize {
    std::str::from_utf8(bytes).err().map_or(bytes.len(), |error| error.valid_up_to())
}

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
            View::Text(text) => write_scalar(out, &*text)?,
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
                    write_scalar(out, name)?;
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
        let mut out = Vec::with_capacity(256);
        self.write_json(&mut out)?;
        Ok(out)
    }
}

fn write_scalar<T: serde::Serialize + ?Sized>(out: &mut Vec<u8>, scalar: &T) -> Result<(), JsonError> {
    serde_json::to_writer(out, scalar).map_err(|error| JsonError(error.to_string()))
}

#[derive(Clone, Copy)]
struct Seed<'a> {
    text: &'a Text,
    levels_left: usize,
}

impl Seed<'_> {
    fn inner<E: serde::de::Error>(self) -> Result<Self, E> {
        match self.levels_left.checked_sub(1) {
            Some(levels_left) => Ok(Self { levels_left, ..self }),
            None => Err(E::custom(format_args!("nested deeper than {VALUE_DEPTH_MAX} levels"))),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Inner;

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<Inner, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Inner;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Inner, E> {
        Ok(Inner::Null)
    }

    fn visit_bool<E>(self, boolean: bool) -> Result<Inner, E> {
        Ok(Inner::Boolean(boolean))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Inner, E> {
        Ok(Inner::Integer(number))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Inner, E> {
        match i64::try_from(number) {
            Ok(number) => Ok(Inner::Integer(number)),
            Err(_) => self.visit_f64(number as f64),
        }
    }

    fn visit_f64<E>(self, number: f64) -> Result<Inner, E> {
        // The reader gives no NaN.
        Ok(Inner::from_f64_or_zero(number))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Inner, E> {
        Ok(Inner::String(self.text.slice_ref(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Inner, E> {
        Ok(Inner::String(Text::from(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Inner, A::Error> {
        let seed = self.inner()?;
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(seed)? {
            array.push(item);
        }
        Ok(Inner::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Inner, A::Error> {
        let seed = self.inner()?;
        let mut object = ObjectMap::new();
        while let Some(name) = members.next_key_seed(KeySeed)? {
            let value = members.next_value_seed(seed)?;
            object.insert(name, value);
        }
        Ok(Inner::Object(object))
    }
}

/// A key; its own seed, because the library's key type copies twice.
struct KeySeed;

impl<'de> DeserializeSeed<'de> for KeySeed {
    type Value = KeyString;

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<KeyString, D::Error> {
        reader.deserialize_str(self)
    }
}

impl Visitor<'_> for KeySeed {
    type Value = KeyString;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, name: &str) -> Result<KeyString, E> {
        Ok(KeyString::from(name))
    }
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
        check(r#""""#, Ok(r#""""#));
        check(r#"{"":{"":[]}}"#, Ok(r#"{"":{"":[]}}"#));
        check("\"\\ud83d\\ude00\"", Ok("\"😀\""));
    }

    #[test]
    fn refuses_what_is_no_json() {
        for (text, part) in [
            ("", "EOF"),
            ("{\"a\": ", "EOF"),
            ("[1,]", "trailing comma"),
            ("1 2", "trailing characters"),
            ("1e999", "number out of range"),
            ("NaN", "expected value"),
            ("'a'", "expected value"),
            ("\u{feff}1", "expected value"),
            ("\"\\ud800\"", "escape"),
            ("\"\u{1}\"", "control character"),
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
