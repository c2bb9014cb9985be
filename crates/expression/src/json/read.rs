//! Reading: one pass over the bytes, straight into what the caller builds.
//!
//! Written for these representations because reading is most of what a message costs: through a generic reader the same
//! orders took twice the instructions (`crossdock-rules`, example `rules_bench`). What is rare and subtle is left to
//! others: escapes to `serde_json`, long numbers to the standard library, whose results are correctly rounded.

use super::scan::plain_bytes;
use crossdock_model::VALUE_DEPTH_MAX;
use std::borrow::Cow;

/// What is wrong with a text, and at which byte.
pub struct Wrong {
    pub at: usize,
    pub what: Cow<'static, str>,
}

/// A string of the text.
pub enum Piece<'a> {
    /// Without escapes: where it stands, and what it is.
    Plain { start: usize, text: &'a str },
    /// With its escapes resolved.
    Resolved(String),
}

/// What is built of a text; called in the order of the text.
pub trait Build {
    type Value;
    /// The items of an array, being gathered.
    type Items;
    /// The members of an object, being gathered.
    type Members;
    type Key;

    fn null(&mut self) -> Self::Value;
    fn boolean(&mut self, boolean: bool) -> Self::Value;
    fn integer(&mut self, number: i64) -> Self::Value;
    /// A finite number.
    fn float(&mut self, number: f64) -> Self::Value;
    fn text(&mut self, piece: Piece<'_>) -> Self::Value;
    fn items(&mut self) -> Self::Items;
    fn item(&mut self, items: &mut Self::Items, value: Self::Value);
    fn array(&mut self, items: Self::Items) -> Self::Value;
    fn members(&mut self) -> Self::Members;
    fn key(&mut self, piece: Piece<'_>) -> Self::Key;
    /// A key may come again: the last value counts.
    fn member(&mut self, members: &mut Self::Members, key: Self::Key, value: Self::Value);
    fn object(&mut self, members: Self::Members) -> Self::Value;
}

/// Reads a text that holds one value.
pub fn read<B: Build>(text: &str, build: &mut B) -> Result<B::Value, Wrong> {
    let mut reader = Reader { text, bytes: text.as_bytes(), at: 0, build };
    let value = reader.value(VALUE_DEPTH_MAX)?;
    match reader.peek() {
        None => Ok(value),
        Some(_) => Err(reader.wrong("only one value is expected, but more follows")),
    }
}

struct Reader<'a, B> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    build: &'a mut B,
}

/// A number, before it is one of the values that are built.
enum Number {
    Integer(i64),
    Float(f64),
}

impl<'a, B: Build> Reader<'a, B> {
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

    fn value(&mut self, levels_left: usize) -> Result<B::Value, Wrong> {
        match self.peek() {
            Some(b'"') => self.piece().map(|piece| self.build.text(piece)),
            Some(b'{') => self.object(levels_left),
            Some(b'[') => self.array(levels_left),
            Some(b'-' | b'0'..=b'9') => self.number().map(|number| match number {
                Number::Integer(number) => self.build.integer(number),
                Number::Float(number) => self.build.float(number),
            }),
            Some(b't') => self.word("true").map(|()| self.build.boolean(true)),
            Some(b'f') => self.word("false").map(|()| self.build.boolean(false)),
            Some(b'n') => self.word("null").map(|()| self.build.null()),
            Some(_) | None => Err(self.wrong("a value is expected")),
        }
    }

    fn word(&mut self, word: &str) -> Result<(), Wrong> {
        if self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(word.as_bytes())) {
            self.at += word.len();
            return Ok(());
        }
        Err(self.wrong("a value is expected"))
    }

    fn deeper(&self, levels_left: usize) -> Result<usize, Wrong> {
        levels_left.checked_sub(1).ok_or_else(|| self.wrong(format!("nested deeper than {VALUE_DEPTH_MAX} levels")))
    }

    fn array(&mut self, levels_left: usize) -> Result<B::Value, Wrong> {
        let levels_left = self.deeper(levels_left)?;
        let mut items = self.build.items();
        self.at += 1;
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(self.build.array(items));
        }
        loop {
            let item = self.value(levels_left)?;
            self.build.item(&mut items, item);
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(self.build.array(items));
                }
                Some(_) | None => return Err(self.wrong("`,` or `]` is expected")),
            }
        }
    }

    fn object(&mut self, levels_left: usize) -> Result<B::Value, Wrong> {
        let levels_left = self.deeper(levels_left)?;
        let mut members = self.build.members();
        self.at += 1;
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(self.build.object(members));
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.wrong("a key in double quotes is expected"));
            }
            let piece = self.piece()?;
            let name = self.build.key(piece);
            if self.peek() != Some(b':') {
                return Err(self.wrong("`:` is expected"));
            }
            self.at += 1;
            let value = self.value(levels_left)?;
            self.build.member(&mut members, name, value);
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(self.build.object(members));
                }
                Some(_) | None => return Err(self.wrong("`,` or `}` is expected")),
            }
        }
    }

    /// The string that starts at the quote here.
    fn piece(&mut self) -> Result<Piece<'a>, Wrong> {
        let start = self.at + 1;
        match self.plain()? {
            Some(text) => Ok(Piece::Plain { start, text }),
            None => self.escaped().map(Piece::Resolved),
        }
    }

    /// The string that starts at the quote here, if it has no escapes; else nothing is taken.
    fn plain(&mut self) -> Result<Option<&'a str>, Wrong> {
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

    fn number(&mut self) -> Result<Number, Wrong> {
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
            decimal.or_else(|| token.parse().ok().filter(|number: &f64| number.is_finite())).map(Number::Float)
        });
        value.ok_or_else(|| Wrong { at: start, what: "a number is beyond what can be told".into() })
    }
}

/// A whole number, if it has 64 bits with a sign. Minus zero has none.
fn integer(token: &str, negative: bool, whole: u64, digits: usize) -> Option<Number> {
    if negative && whole == 0 {
        return None;
    }
    if digits > 18 {
        return token.parse().ok().map(Number::Integer);
    }
    let number = i64::try_from(whole).ok()?;
    Some(Number::Integer(if negative { -number } else { number }))
}

/// A decimal of at most 15 digits: both the digits and the power of ten are exact as binary fractions, so their quotient
/// is correctly rounded (Clinger 1990).
fn exact(negative: bool, whole: u64, fraction: u64, fraction_digits: usize) -> Option<f64> {
    const POWERS: [f64; 16] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];
    let power = POWERS.get(fraction_digits)?;
    let digits = whole as f64 * power + fraction as f64;
    Some(if negative { -digits / power } else { digits / power })
}
