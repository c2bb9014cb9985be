//! Typed values on disk: a tag, then the content.

use super::words::{piece, put_text, text};
use crate::{
    DecodeError,
    format::{Reader, Write},
};
use bytes::Bytes;
use crossdock_model::{Timestamp, VALUE_DEPTH_MAX, Value};

/// Deeper values are not read: well beyond what a message may have, well within a thread's stack.
const DEPTH_MAX: usize = VALUE_DEPTH_MAX * 8;

/// Writes a value.
pub fn put_value(to: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => to.put_u8(0),
        Value::Boolean(false) => to.put_u8(1),
        Value::Boolean(true) => to.put_u8(2),
        Value::Integer(n) => {
            to.put_u8(3);
            to.put_signed(*n);
        }
        Value::Unsigned(n) => {
            to.put_u8(4);
            to.put_varint(*n);
        }
        Value::Float(n) => {
            to.put_u8(5);
            to.put_u64(n.to_bits());
        }
        Value::Decimal { mantissa, scale } => {
            to.put_u8(6);
            to.put_signed(*mantissa);
            to.put_u8(*scale);
        }
        Value::Timestamp(at) => {
            to.put_u8(7);
            to.put_signed(at.millis());
        }
        Value::Text(text) => {
            to.put_u8(8);
            put_text(to, text);
        }
        Value::Bytes(bytes) => {
            to.put_u8(9);
            to.put_piece(bytes);
        }
        Value::List(items) => {
            to.put_u8(10);
            to.put_varint(items.len() as u64);
            for item in items {
                put_value(to, item);
            }
        }
        Value::Table(items) => {
            to.put_u8(11);
            to.put_varint(items.len() as u64);
            for (name, item) in items {
                put_text(to, name);
                put_value(to, item);
            }
        }
    }
}

/// Reads a value; texts and bytes are slices of the whole.
pub fn value(reader: &mut Reader<'_>, whole: &Bytes) -> Result<Value, DecodeError> {
    value_at(reader, whole, DEPTH_MAX)
}

fn value_at(reader: &mut Reader<'_>, whole: &Bytes, depth_left: usize) -> Result<Value, DecodeError> {
    let depth_left = depth_left.checked_sub(1).ok_or(DecodeError("a value is nested too deep"))?;
    Ok(match reader.u8()? {
        0 => Value::Null,
        1 => Value::Boolean(false),
        2 => Value::Boolean(true),
        3 => Value::Integer(reader.signed()?),
        4 => Value::Unsigned(reader.varint()?),
        5 => Value::Float(f64::from_bits(reader.u64()?)),
        6 => Value::Decimal { mantissa: reader.signed()?, scale: reader.u8()? },
        7 => Value::Timestamp(Timestamp(reader.signed()?)),
        8 => Value::Text(text(reader, whole)?),
        9 => Value::Bytes(piece(reader, whole)?),
        10 => {
            let count = reader.count()?;
            Value::List((0..count).map(|_| value_at(reader, whole, depth_left)).collect::<Result<_, _>>()?)
        }
        11 => {
            let count = reader.count()?;
            let mut items = Vec::with_capacity(count);
            for _ in 0..count {
                items.push((text(reader, whole)?, value_at(reader, whole, depth_left)?));
            }
            Value::Table(items)
        }
        _ => return Err(DecodeError("a type of value is not known: a newer version wrote it")),
    })
}
