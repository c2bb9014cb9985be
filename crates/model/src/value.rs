//! Typed values of headers and native properties.

use crate::{Text, Timestamp};
use bytes::Bytes;
use std::fmt;

/// A typed value as the protocols' headers have them: AMQP field tables, Kafka bytes, MQTT and HTTP strings.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    /// Nothing, which is not the empty text.
    Null,
    /// True or false.
    Boolean(bool),
    /// A whole number that fits 64 bits with a sign.
    Integer(i64),
    /// A whole number above `i64::MAX`.
    Unsigned(u64),
    /// A binary fraction.
    Float(f64),
    /// A decimal fraction, `mantissa` · 10^-`scale` (AMQP 0-9-1 §4.2.5.3).
    Decimal {
        /// The digits as a whole number.
        mantissa: i64,
        /// How many of the digits stand behind the point.
        scale: u8,
    },
    /// A point of time.
    Timestamp(Timestamp),
    /// Unicode text.
    Text(Text),
    /// Bytes that need not be text.
    Bytes(Bytes),
    /// Values in order.
    List(Vec<Value>),
    /// Values by name, in the order received.
    Table(Vec<(Text, Value)>),
}

impl Value {
    /// The value as text, for targets whose headers are text only: `7` for 7, RFC 3339 for a time; bytes that are no
    /// UTF-8, nothing, lists and tables have no such form.
    #[must_use]
    pub fn to_text(&self) -> Option<Text> {
        match self {
            Self::Null | Self::List(_) | Self::Table(_) => None,
            Self::Boolean(b) => Some(Text::from_static(if *b { "true" } else { "false" })),
            Self::Integer(n) => Some(Text::from(n.to_string())),
            Self::Unsigned(n) => Some(Text::from(n.to_string())),
            Self::Float(n) => Some(Text::from(n.to_string())),
            Self::Decimal { mantissa, scale } => Some(Text::from(decimal(*mantissa, *scale))),
            Self::Timestamp(at) => Some(Text::from(at.to_string())),
            Self::Text(text) => Some(text.clone()),
            Self::Bytes(bytes) => Text::try_from(bytes.clone()).ok(),
        }
    }
}

fn decimal(mantissa: i64, scale: u8) -> String {
    if scale == 0 {
        return mantissa.to_string();
    }
    let (sign, digits) = (if mantissa < 0 { "-" } else { "" }, mantissa.unsigned_abs().to_string());
    let padded = format!("{digits:0>width$}", width = usize::from(scale) + 1);
    let (whole, fraction) = padded.split_at(padded.len() - usize::from(scale));
    format!("{sign}{whole}.{fraction}")
}

impl From<Text> for Value {
    fn from(text: Text) -> Self {
        Self::Text(text)
    }
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Self::Text(Text::from_static(text))
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, self.to_text()) {
            (_, Some(text)) => f.write_str(&text),
            (Self::Bytes(bytes), None) => write!(f, "{} bytes", bytes.len()),
            (Self::List(items), None) => f.debug_list().entries(items).finish(),
            (Self::Table(items), None) => f.debug_map().entries(items.iter().map(|(k, v)| (k, v))).finish(),
            (_, None) => f.write_str("null"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_keep_their_point() {
        for (mantissa, scale, text) in
            [(12345, 2, "123.45"), (-5, 3, "-0.005"), (7, 0, "7"), (i64::MIN, 1, "-922337203685477580.8")]
        {
            assert_eq!(decimal(mantissa, scale), text);
        }
    }
}
