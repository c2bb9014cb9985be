//! Reading: one pass over the bytes, straight into values.
//!
//! Written for this representation because reading is most of what a message costs: through a generic reader the same
//! orders took twice the instructions (`crossdock-rules`, example `rules_bench`). What is rare and subtle is left to
//! others: escapes to `serde_json`, long numbers to the standard library, whose results are correctly rounded.

use super::scan::plain_bytes;
use crossdock_model::{Text, VALUE_DEPTH_MAX};
use std::borrow::Cow;
use vrl::value::{KeyString, ObjectMap, Value as Inner};

/// What is wrong with a text, and at which byte.
pub struct Wrong {
    pub at: usize,
    pub what: Cow<'static, str>,
}

/// Reads a text that holds one value.
pub fn read(text: &Text) -> Result<Inner, Wrong> {
    let mut reader = Reader { text, bytes: text.as_bytes(), at: 0 };
    let value = reader.value(VALUE_DEPTH_MAX)?;
    match reader.peek() {
        None => Ok(value),
        Some(_) => Err(reader.wrong("only one value is expected, but more follows")),
    }
}

struct Reader<'a> {
    text: &'a Text,
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn wrong(&self, what: impl Into<Cow<'static, str>>) -> Wrong {
        let what = if self.at < self.bytes.len() { what.into() } else { "the text ends within a value".into() };
        Wrong { at: self.at, what }
    }

    /// The next byte behind space, without taking it.
    fn peek(&mut self) -> Option<u8> {
        loop {
            match self.bytes.get(self.at) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                byte => return byte.copied(),
            }
        }
    }

    fn value(&mut self, levels_left: usize) -> Result<Inner, Wrong> {
        match self.peek() {
            Some(b'"') => self.text().map(Inner::String),
            Some(b'{') => self.object(levels_left),
            Some(b'[') => self.array(levels_left),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Inner::Boolean(true)),
            Some(b'f') => self.word("false", Inner::Boolean(false)),
            Some(b'n') => self.word("null", Inner::Null),
            Some(_) | None => Err(self.wrong("a value is expected")),
        }
    }

    fn word(&mut self, word: &str, value: Inner) -> Result<Inner, Wrong> {
        if self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(word.as_bytes())) {
            self.at += word.len();
            return Ok(value);
        }
        Err(self.wrong("a value is expected"))
    }

    fn deeper(&self, levels_left: usize) -> Result<usize, Wrong> {
        levels_left.checked_sub(1).ok_or_else(|| self.wrong(format!("nested deeper than {VALUE_DEPTH_MAX} levels")))
    }

    fn array(&mut self, levels_left: usize) -> Result<Inner, Wrong> {
        let levels_left = self.deeper(levels_left)?;
        let mut items = Vec::new();
        self.at += 1;
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Inner::Array(items));
        }
        loop {
            items.push(self.value(levels_left)?);
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(Inner::Array(items));
                }
                Some(_) | None => return Err(self.wrong("`,` or `]` is expected")),
            }
        }
    }

    fn object(&mut self, levels_left: usize) -> Result<Inner, Wrong> {
        let levels_left = self.deeper(levels_left)?;
        let mut members = ObjectMap::new();
        self.at += 1;
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Inner::Object(members));
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.wrong("a key in double quotes is expected"));
            }
            let name = self.key()?;
            if self.peek() != Some(b':') {
                return Err(self.wrong("`:` is expected"));
            }
            self.at += 1;
            let value = self.value(levels_left)?;
            members.insert(name, value);
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(Inner::Object(members));
                }
                Some(_) | None => return Err(self.wrong("`,` or `}` is expected")),
            }
        }
    }

    fn key(&mut self) -> Result<KeyString, Wrong> {
        match self.plain()? {
            Some(plain) => Ok(KeyString::from(plain)),
            None => self.escaped().map(KeyString::from),
        }
    }

    fn text(&mut self) -> Result<Text, Wrong> {
        let text = self.text;
        match self.plain()? {
            Some(plain) => Ok(text.slice_ref(plain)),
            None => self.escaped().map(Text::from),
        }
    }

    /// The string that starts at the quote here, if it has no escapes; else nothing is taken.
    fn plain(&mut self) -> Result<Option<&str>, Wrong> {
        let start = self.at + 1;
        let end = start + plain_bytes(self.bytes.get(start..).unwrap_or_default());
        match self.bytes.get(end) {
            Some(b'"') => {
                self.at = end + 1;
                // Both ends are at quotes, so they are borders of characters.
                Ok(self.text.get(start..end))
            }
            Some(b'\\') => Ok(None),
            Some(_) | None => {
                self.at = end;
                Err(self.wrong("a control character must be written as an escape"))
            }
        }
    }

    /// The string that starts at the quote here, with its escapes resolved.
    fn escaped(&mut self) -> Result<String, Wrong> {
        let start = self.at;
        let mut end = start + 1;
        loop {
            match self.bytes.get(end) {
                Some(b'\\') => end += 2,
                Some(b'"') => break,
                Some(_) => end += 1,
                None => {
                    self.at = self.bytes.len();
                    return Err(self.wrong(""));
                }
            }
        }
        let token = self.text.get(start..=end).unwrap_or_default();
        let resolved = serde_json::from_str(token).map_err(|error| {
            let error = error.to_string();
            self.wrong(format!("a string is wrong: {}", error.split(" at line ").next().unwrap_or_default()))
        })?;
        self.at = end + 1;
        Ok(resolved)
    }

    fn digits(&mut self) -> Option<(u64, usize)> {
        let start = self.at;
        let mut number = 0_u64;
        while let Some(digit @ b'0'..=b'9') = self.bytes.get(self.at) {
            number = number.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
            self.at += 1;
        }
        Some((number, self.at - start)).filter(|(_, count)| *count > 0)
    }

    fn number(&mut self) -> Result<Inner, Wrong> {
        let start = self.at;
        let negative = self.bytes.get(start) == Some(&b'-');
        self.at += usize::from(negative);
        let first = self.bytes.get(self.at).copied();
        let Some((whole, whole_digits)) = self.digits() else { return Err(self.wrong("a digit is expected")) };
        if first == Some(b'0') && whole_digits > 1 {
            self.at = start;
            return Err(self.wrong("a number must not begin with 0"));
        }
        let (mut fraction, mut fraction_digits) = (0, 0);
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            (fraction, fraction_digits) = self.digits().ok_or_else(|| self.wrong("a digit is expected"))?;
        }
        let exponent = matches!(self.bytes.get(self.at), Some(b'e' | b'E'));
        if exponent {
            self.at += 1;
            self.at += usize::from(matches!(self.bytes.get(self.at), Some(b'+' | b'-')));
            self.digits().ok_or_else(|| self.wrong("a digit is expected"))?;
        }
        let token = self.text.get(start..self.at).unwrap_or_default();
        let plain = fraction_digits == 0 && !exponent;
        let value = if plain { integer(token, negative, whole, whole_digits) } else { None };
        let value = value.or_else(|| {
            let short = !exponent && whole_digits + fraction_digits <= 15;
            let decimal = if short { exact(negative, whole, fraction, fraction_digits) } else { None };
            decimal
                .or_else(|| token.parse().ok().filter(|number: &f64| number.is_finite()))
                .map(Inner::from_f64_or_zero)
        });
        value.ok_or_else(|| Wrong { at: start, what: "a number is beyond what can be told".into() })
    }
}

/// A whole number, if it has 64 bits with a sign. Minus zero has none.
fn integer(token: &str, negative: bool, whole: u64, digits: usize) -> Option<Inner> {
    if negative && whole == 0 {
        return None;
    }
    if digits > 18 {
        return token.parse().ok().map(Inner::Integer);
    }
    let number = i64::try_from(whole).ok()?;
    Some(Inner::Integer(if negative { -number } else { number }))
}

/// A decimal of at most 15 digits: both the digits and the power of ten are exact as binary fractions, so their quotient
/// is correctly rounded (Clinger 1990).
fn exact(negative: bool, whole: u64, fraction: u64, fraction_digits: usize) -> Option<f64> {
    const POWERS: [f64; 16] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];
    let power = POWERS.get(fraction_digits)?;
    let digits = whole as f64 * power + fraction as f64;
    Some(if negative { -digits / power } else { digits / power })
}
