//! Reading: one pass over the bytes, straight into what the caller builds.
//!
//! Written for these representations because reading is most of what a message costs: through a generic reader the same
//! orders took twice the instructions (`crossdock-rules`, bench `rules`). What is rare and subtle is left to
//! others: escapes to `serde_json`, long numbers to the standard library, whose results are correctly rounded.

use super::scan::plain_bytes;
use crossdock_model::VALUE_DEPTH_MAX;
use std::borrow::Cow;

/// What is wrong with a text, and at which byte.
pub struct Wrong {
    pub at: usize,
    pub what: Cow<'static, str>,
}

/// A string of the text without escapes: where it stands, and what it is.
#[derive(Clone, Copy)]
pub struct Plain<'a> {
    pub start: usize,
    pub text: &'a str,
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
    fn text(&mut self, plain: Plain<'_>) -> Self::Value;
    /// A string that had escapes.
    fn resolved_text(&mut self, text: String) -> Self::Value;
    fn items(&mut self) -> Self::Items;
    fn item(&mut self, items: &mut Self::Items, value: Self::Value);
    fn array(&mut self, items: Self::Items) -> Self::Value;
    fn members(&mut self) -> Self::Members;
    fn key(&mut self, plain: Plain<'_>) -> Self::Key;
    /// A key that had escapes.
    fn resolved_key(&mut self, text: String) -> Self::Key;
    /// A key may come again: the last value counts.
    fn member(&mut self, members: &mut Self::Members, key: Self::Key, value: Self::Value);
    fn object(&mut self, members: Self::Members) -> Self::Value;
}

/// Reads a text that holds one value.
pub fn read<B: Build>(text: &str, build: &mut B) -> Result<B::Value, Wrong> {
    let mut reader = Reader { text, bytes: text.as_bytes(), at: 0, build, wrong: None };
    let value = reader.value(VALUE_DEPTH_MAX);
    // A zero byte behind the value is no end.
    if value.is_some() && (reader.peek() != END || reader.at < reader.bytes.len()) {
        reader.fail::<()>("only one value is expected, but more follows");
    }
    match (value, reader.wrong) {
        (Some(value), None) => Ok(value),
        (_, Some(wrong)) => Err(wrong),
        (None, None) => Err(Wrong { at: 0, what: Cow::Borrowed("a value is expected") }),
    }
}

/// What [`Reader::peek`] sees behind the text. A byte of the text that is the same is wrong wherever it is peeked at.
const END: u8 = 0;

/// What it reads is returned as an option, and why there is nothing is kept here: an error as large as a text tells
/// would be moved about with each value.
struct Reader<'a, B> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    build: &'a mut B,
    wrong: Option<Wrong>,
}

/// A number, before it is one of the values that are built.
enum Number {
    Integer(i64),
    Float(f64),
}

impl<'a, B: Build> Reader<'a, B> {
    #[cold]
    fn fail<T>(&mut self, what: impl Into<Cow<'static, str>>) -> Option<T> {
        let what = if self.at < self.bytes.len() { what.into() } else { "the text ends within a value".into() };
        self.wrong = Some(Wrong { at: self.at, what });
        None
    }

    /// The next byte behind space, without taking it.
    #[inline]
    fn peek(&mut self) -> u8 {
        loop {
            match self.bytes.get(self.at) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                Some(byte) => return *byte,
                None => return END,
            }
        }
    }

    fn value(&mut self, levels_left: usize) -> Option<B::Value> {
        match self.peek() {
            b'"' => match self.plain() {
                Some(plain) => Some(self.build.text(plain)),
                None => self.escaped().map(|text| self.build.resolved_text(text)),
            },
            b'{' => self.object(levels_left),
            b'[' => self.array(levels_left),
            b'-' | b'0'..=b'9' => self.number().map(|number| match number {
                Number::Integer(number) => self.build.integer(number),
                Number::Float(number) => self.build.float(number),
            }),
            b't' => self.word("true").map(|()| self.build.boolean(true)),
            b'f' => self.word("false").map(|()| self.build.boolean(false)),
            b'n' => self.word("null").map(|()| self.build.null()),
            _ if self.at == 0 && self.text.starts_with('\u{feff}') => self.fail(
                "a value is expected, and a byte order mark is there, which RFC 8259 (section 8.1) does not allow",
            ),
            _ => self.fail("a value is expected"),
        }
    }

    fn word(&mut self, word: &str) -> Option<()> {
        if self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(word.as_bytes())) {
            self.at += word.len();
            return Some(());
        }
        self.fail("a value is expected")
    }

    fn deeper(&mut self, levels_left: usize) -> Option<usize> {
        match levels_left.checked_sub(1) {
            Some(left) => Some(left),
            None => self.fail(format!("nested deeper than {VALUE_DEPTH_MAX} levels")),
        }
    }

    fn array(&mut self, levels_left: usize) -> Option<B::Value> {
        let levels_left = self.deeper(levels_left)?;
        let mut items = self.build.items();
        self.at += 1;
        if self.peek() == b']' {
            self.at += 1;
            return Some(self.build.array(items));
        }
        loop {
            let item = self.value(levels_left)?;
            self.build.item(&mut items, item);
            match self.peek() {
                b',' => self.at += 1,
                b']' => {
                    self.at += 1;
                    return Some(self.build.array(items));
                }
                _ => return self.fail("`,` or `]` is expected"),
            }
        }
    }

    fn object(&mut self, levels_left: usize) -> Option<B::Value> {
        let levels_left = self.deeper(levels_left)?;
        let mut members = self.build.members();
        self.at += 1;
        if self.peek() == b'}' {
            self.at += 1;
            return Some(self.build.object(members));
        }
        loop {
            if self.peek() != b'"' {
                return self.fail("a key in double quotes is expected");
            }
            let name = match self.plain() {
                Some(plain) => self.build.key(plain),
                None => self.escaped().map(|text| self.build.resolved_key(text))?,
            };
            if self.peek() != b':' {
                return self.fail("`:` is expected");
            }
            self.at += 1;
            let value = self.value(levels_left)?;
            self.build.member(&mut members, name, value);
            match self.peek() {
                b',' => self.at += 1,
                b'}' => {
                    self.at += 1;
                    return Some(self.build.object(members));
                }
                _ => return self.fail("`,` or `}` is expected"),
            }
        }
    }

    /// The string that starts at the quote here, if it has no escapes and is right; else nothing is taken.
    #[inline]
    fn plain(&mut self) -> Option<Plain<'a>> {
        let start = self.at + 1;
        let end = start + plain_bytes(self.bytes.get(start..)?);
        if self.bytes.get(end) != Some(&b'"') {
            return None;
        }
        // Both ends are at quotes, so they are borders of characters.
        let text = self.text.get(start..end)?;
        self.at = end + 1;
        Some(Plain { start, text })
    }

    /// The string that starts at the quote here and is not plain, with its escapes resolved.
    #[cold]
    fn escaped(&mut self) -> Option<String> {
        let start = self.at;
        let mut end = start + 1;
        loop {
            match self.bytes.get(end) {
                Some(b'\\') => end += 2,
                Some(b'"') => break,
                Some(0..=0x1F) => {
                    self.at = end;
                    return self.fail("a control character must be written as an escape");
                }
                Some(_) => end += 1,
                None => {
                    self.at = self.bytes.len();
                    return self.fail("");
                }
            }
        }
        let token = self.text.get(start..=end).unwrap_or_default();
        match serde_json::from_str(token) {
            Ok(resolved) => {
                self.at = end + 1;
                Some(resolved)
            }
            Err(error) => {
                let error = error.to_string();
                self.fail(format!("a string is wrong: {}", error.split(" at line ").next().unwrap_or_default()))
            }
        }
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

    fn number(&mut self) -> Option<Number> {
        let start = self.at;
        let negative = self.bytes.get(start) == Some(&b'-');
        self.at += usize::from(negative);
        let first = self.bytes.get(self.at).copied();
        let Some((whole, whole_digits)) = self.digits() else { return self.fail("a digit is expected") };
        if first == Some(b'0') && whole_digits > 1 {
            self.at = start;
            return self.fail("a number must not begin with 0");
        }
        let (mut fraction, mut fraction_digits) = (0, 0);
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            let Some(digits) = self.digits() else { return self.fail("a digit is expected") };
            (fraction, fraction_digits) = digits;
        }
        let exponent = matches!(self.bytes.get(self.at), Some(b'e' | b'E'));
        if exponent {
            self.at += 1;
            self.at += usize::from(matches!(self.bytes.get(self.at), Some(b'+' | b'-')));
            if self.digits().is_none() {
                return self.fail("a digit is expected");
            }
        }
        let token = self.text.get(start..self.at).unwrap_or_default();
        let plain = fraction_digits == 0 && !exponent;
        let value = if plain { integer(token, negative, whole, whole_digits) } else { None };
        let value = value.or_else(|| {
            let short = !exponent && whole_digits + fraction_digits <= 15;
            let decimal = if short { exact(negative, whole, fraction, fraction_digits) } else { None };
            decimal.or_else(|| token.parse().ok().filter(|number: &f64| number.is_finite())).map(Number::Float)
        });
        if value.is_none() {
            self.wrong = Some(Wrong { at: start, what: "a number is beyond what can be told".into() });
        }
        value
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
