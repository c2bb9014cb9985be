//! Field tables (specification §4.2.1, with RabbitMQ's errata), straight from and to the model's values.
//!
//! | Tag | Is | Tag | Is |
//! |---|---|---|---|
//! | `t` | boolean | `D` | decimal: scale, 32 bits with a sign |
//! | `b` `B` | 8 bits | `S` | long string: text, or bytes where it is no UTF-8 |
//! | `s` `u` | 16 bits | `x` | bytes |
//! | `I` `i` | 32 bits | `A` | array |
//! | `l` `L` | 64 bits | `T` | time, whole seconds |
//! | `f` `d` | fractions | `F` | table |
//! | `V` | nothing | | |

use super::{Cursor, Malformed, Put, SHORT_BYTES_MAX};
use bytes::{BufMut, Bytes, BytesMut};
use crossdock_model::{Text, Timestamp, VALUE_DEPTH_MAX, Value};

/// A table or array within tables and arrays.
const TOO_DEEP: Malformed = Malformed("a table is nested deeper than 128 levels");

/// The entries of a table, in order.
///
/// # Errors
/// The bytes are no table, or it is nested too deep.
pub fn table(bytes: Bytes) -> Result<Vec<(Text, Value)>, Malformed> {
    entries(bytes, VALUE_DEPTH_MAX)
}

fn entries(bytes: Bytes, depth_left: usize) -> Result<Vec<(Text, Value)>, Malformed> {
    let (mut cursor, mut entries) = (Cursor::new(bytes), Vec::new());
    while !cursor.is_empty() {
        let name = lossy(cursor.short_string()?);
        entries.push((name, value(&mut cursor, depth_left)?));
    }
    Ok(entries)
}

/// A text; what is no UTF-8 in it is replaced by U+FFFD, so that a name can always be shown.
pub fn lossy(bytes: Bytes) -> Text {
    Text::try_from(bytes.clone()).unwrap_or_else(|_| Text::from(String::from_utf8_lossy(&bytes).into_owned()))
}

fn value(cursor: &mut Cursor, depth_left: usize) -> Result<Value, Malformed> {
    let value = match cursor.octet()? {
        b't' => Value::Boolean(cursor.octet()? != 0),
        b'b' => Value::Integer(i64::from(cursor.octet()?.cast_signed())),
        b'B' => Value::Integer(i64::from(cursor.octet()?)),
        b's' => Value::Integer(i64::from(cursor.short()?.cast_signed())),
        b'u' => Value::Integer(i64::from(cursor.short()?)),
        b'I' => Value::Integer(i64::from(cursor.long()?.cast_signed())),
        b'i' => Value::Integer(i64::from(cursor.long()?)),
        b'l' => Value::Integer(cursor.long_long()?.cast_signed()),
        b'L' => unsigned(cursor.long_long()?),
        b'f' => Value::Float(f64::from(f32::from_bits(cursor.long()?))),
        b'd' => Value::Float(f64::from_bits(cursor.long_long()?)),
        b'D' => {
            let scale = cursor.octet()?;
            Value::Decimal { mantissa: i64::from(cursor.long()?.cast_signed()), scale }
        }
        b'S' => {
            let bytes = cursor.long_string()?;
            Text::try_from(bytes.clone()).map_or(Value::Bytes(bytes), Value::Text)
        }
        b'x' => Value::Bytes(cursor.long_string()?),
        b'T' => time(cursor.long_long()?),
        b'V' => Value::Null,
        b'A' => Value::List(items(cursor.long_string()?, depth_left.checked_sub(1).ok_or(TOO_DEEP)?)?),
        b'F' => Value::Table(entries(cursor.long_string()?, depth_left.checked_sub(1).ok_or(TOO_DEEP)?)?),
        _ => return Err(Malformed("a table holds a value of an unknown type")),
    };
    Ok(value)
}

fn items(bytes: Bytes, depth_left: usize) -> Result<Vec<Value>, Malformed> {
    let (mut cursor, mut items) = (Cursor::new(bytes), Vec::new());
    while !cursor.is_empty() {
        items.push(value(&mut cursor, depth_left)?);
    }
    Ok(items)
}

fn unsigned(number: u64) -> Value {
    i64::try_from(number).map_or(Value::Unsigned(number), Value::Integer)
}

/// A time in whole seconds; one that no calendar can tell stays a number.
pub fn time(seconds: u64) -> Value {
    let millis = i64::try_from(seconds).ok().and_then(|seconds| seconds.checked_mul(1000));
    millis.map_or_else(|| unsigned(seconds), |millis| Value::Timestamp(Timestamp(millis)))
}

/// Writes a table with its length. What the protocol has no type for goes as text: whole numbers above 63 bits, decimals
/// of more than 31 bits, times that are not whole seconds. An entry that does not [`fit`](fits) is left out, so that
/// whoever has to tell that asks before.
pub fn write_table<'a>(out: &mut BytesMut, entries: impl IntoIterator<Item = (&'a Text, &'a Value)>) {
    out.put_measured(|out| {
        for (name, value) in entries {
            if fits(name, value) {
                out.put_short_string(name.as_bytes());
                write_value(out, value);
            }
        }
    });
}

/// Whether an entry can be written whole: no name in it is too long, and it is not nested too deep.
pub fn fits(name: &str, value: &Value) -> bool {
    name.len() <= SHORT_BYTES_MAX && value_fits(value, VALUE_DEPTH_MAX)
}

fn value_fits(value: &Value, depth_left: usize) -> bool {
    match value {
        Value::List(items) => {
            depth_left.checked_sub(1).is_some_and(|left| items.iter().all(|item| value_fits(item, left)))
        }
        Value::Table(entries) => depth_left.checked_sub(1).is_some_and(|left| {
            entries.iter().all(|(name, value)| name.len() <= SHORT_BYTES_MAX && value_fits(value, left))
        }),
        Value::Null
        | Value::Boolean(_)
        | Value::Integer(_)
        | Value::Unsigned(_)
        | Value::Float(_)
        | Value::Decimal { .. }
        | Value::Timestamp(_)
        | Value::Text(_)
        | Value::Bytes(_) => true,
    }
}

fn write_value(out: &mut BytesMut, value: &Value) {
    match value {
        Value::Null => out.put_u8(b'V'),
        Value::Boolean(truth) => out.put_slice(&[b't', u8::from(*truth)]),
        Value::Integer(number) => match i32::try_from(*number) {
            Ok(number) => {
                out.put_u8(b'I');
                out.put_i32(number);
            }
            Err(_) => {
                out.put_u8(b'l');
                out.put_i64(*number);
            }
        },
        Value::Float(number) => {
            out.put_u8(b'd');
            out.put_f64(*number);
        }
        Value::Decimal { mantissa, scale } => match i32::try_from(*mantissa) {
            Ok(mantissa) => {
                out.put_slice(&[b'D', *scale]);
                out.put_i32(mantissa);
            }
            Err(_) => write_text(out, value),
        },
        Value::Timestamp(at) => match u64::try_from(at.millis()) {
            Ok(millis) if millis % 1000 == 0 => {
                out.put_u8(b'T');
                out.put_u64(millis / 1000);
            }
            Ok(_) | Err(_) => write_text(out, value),
        },
        Value::Unsigned(_) => write_text(out, value),
        Value::Text(text) => {
            out.put_u8(b'S');
            out.put_long_string(text.as_bytes());
        }
        Value::Bytes(bytes) => {
            out.put_u8(b'x');
            out.put_long_string(bytes);
        }
        Value::List(items) => {
            out.put_u8(b'A');
            out.put_measured(|out| items.iter().for_each(|item| write_value(out, item)));
        }
        Value::Table(entries) => {
            out.put_u8(b'F');
            write_table(out, entries.iter().map(|(name, value)| (name, value)));
        }
    }
}

fn write_text(out: &mut BytesMut, value: &Value) {
    out.put_u8(b'S');
    out.put_long_string(value.to_text().unwrap_or_default().as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn back(values: &[(Text, Value)]) -> Vec<(Text, Value)> {
        let mut out = BytesMut::new();
        write_table(&mut out, values.iter().map(|(name, value)| (name, value)));
        let mut cursor = Cursor::new(out.freeze());
        let table = table(cursor.long_string().unwrap()).unwrap();
        assert!(cursor.is_empty());
        table
    }

    #[test]
    fn values_come_back_with_their_type_order_and_duplicates() {
        let nested = Value::Table(vec![(Text::from_static("n"), Value::Null), (Text::new(), Value::Boolean(true))]);
        let values: Vec<_> = [
            Value::Null,
            Value::Boolean(true),
            Value::Integer(7),
            Value::Integer(i64::from(i32::MIN)),
            Value::Integer(i64::MAX),
            Value::Float(0.1),
            Value::Decimal { mantissa: -5, scale: 3 },
            Value::Timestamp(Timestamp(1_700_000_000_000)),
            Value::Text(Text::from_static("größe\r\n")),
            Value::Bytes(Bytes::from_static(b"\x00\xff")),
            Value::List(vec![Value::Integer(1), Value::List(vec![]), nested.clone()]),
            nested,
        ]
        .into_iter()
        .map(|value| (Text::from_static("same name"), value))
        .collect();
        assert_eq!(back(&values), values);
    }

    #[test]
    fn what_has_no_type_goes_as_text() {
        for (value, text) in [
            (Value::Unsigned(u64::MAX), "18446744073709551615"),
            (Value::Decimal { mantissa: i64::MAX, scale: 1 }, "922337203685477580.7"),
            (Value::Timestamp(Timestamp(1_700_000_000_123)), "2023-11-14T22:13:20.123Z"),
            (Value::Timestamp(Timestamp(-1000)), "1969-12-31T23:59:59.000Z"),
        ] {
            let got = back(&[(Text::from_static("v"), value)]);
            assert_eq!(got, [(Text::from_static("v"), Value::Text(Text::from_static(text)))]);
        }
    }

    #[test]
    fn reads_every_type_of_the_errata() {
        for (bytes, value) in [
            (&b"b\xff"[..], Value::Integer(-1)),
            (b"B\xff", Value::Integer(255)),
            (b"s\xff\xfe", Value::Integer(-2)),
            (b"u\xff\xfe", Value::Integer(65534)),
            (b"i\xff\xff\xff\xff", Value::Integer(4_294_967_295)),
            (b"L\xff\xff\xff\xff\xff\xff\xff\xff", Value::Unsigned(u64::MAX)),
            (b"L\x00\x00\x00\x00\x00\x00\x00\x01", Value::Integer(1)),
            (b"f\x3f\x80\x00\x00", Value::Float(1.0)),
            (b"S\x00\x00\x00\x01\xff", Value::Bytes(Bytes::from_static(b"\xff"))),
            (b"T\xff\xff\xff\xff\xff\xff\xff\xff", Value::Unsigned(u64::MAX)),
        ] {
            let bytes = [b"\x01k", bytes].concat();
            assert_eq!(table(Bytes::from(bytes)).unwrap(), [(Text::from_static("k"), value)]);
        }
    }

    #[test]
    fn depth_and_nonsense_are_refused_without_a_crash() {
        let deep = |levels: usize| {
            let mut bytes = Vec::new();
            for _ in 0..levels {
                let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
                bytes = [&b"\x00F"[..], &length, &bytes].concat();
            }
            Bytes::from(bytes)
        };
        assert!(table(deep(128)).is_ok());
        assert_eq!(table(deep(129)), Err(TOO_DEEP));
        assert_eq!(table(deep(10_000)), Err(TOO_DEEP));
        for bytes in [&b"\x01"[..], b"\x01k", b"\x01kZ", b"\x01kS\x00\x00\x00\x05ab", b"\x01kI\x00"] {
            assert!(table(Bytes::from_static(bytes)).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn what_cannot_be_written_whole_is_left_out() {
        let (long, mut deep) = (Text::from("n".repeat(256)), Value::Null);
        for _ in 0..200 {
            deep = Value::List(vec![deep]);
        }
        let inner = Value::Table(vec![(long.clone(), Value::Null)]);
        let entries = [(long, Value::Null), (Text::new(), deep), (Text::new(), inner), (Text::new(), Value::Null)];
        let mut out = BytesMut::new();
        write_table(&mut out, entries.iter().map(|(name, value)| (name, value)));
        assert_eq!(&out[..], b"\x00\x00\x00\x02\x00V");
    }
}
