//! From what expressions assigned to the envelope.

use super::{Field, read::read_headers};
use crate::ValueRef;
use bytes::Bytes;
use crossdock_model::{self as model, Fault, HEADER_NAME_BYTES_MAX, HEADERS_MAX, Headers, Text};
use vrl::value::{ObjectMap, Value as Inner};

/// The value of an expression as a header has it.
fn to_header(value: &Inner) -> model::Value {
    match value {
        Inner::Null => model::Value::Null,
        Inner::Boolean(boolean) => model::Value::Boolean(*boolean),
        Inner::Integer(number) => model::Value::Integer(*number),
        Inner::Float(number) => model::Value::Float(number.into_inner()),
        Inner::Timestamp(at) => model::Value::Timestamp(model::Timestamp(at.timestamp_millis())),
        Inner::String(text) => model::Value::Text(text.clone()),
        Inner::Regex(pattern) => model::Value::Text(Text::from(pattern.as_str())),
        Inner::Bytes(bytes) => match Text::try_from(bytes.clone()) {
            Ok(text) => model::Value::Text(text),
            Err(_) => model::Value::Bytes(bytes.clone()),
        },
        Inner::Array(items) => model::Value::List(items.iter().map(to_header).collect()),
        Inner::Object(items) => model::Value::Table(
            items.iter().map(|(name, value)| (Text::from(name.as_str()), to_header(value))).collect(),
        ),
    }
}

fn wrong(field: Field, value: &Inner) -> Fault {
    let found = ValueRef(value).describe();
    Fault::rejected("expression", format!("`%{}` was assigned {found}: it takes {}", field.name(), field.expects()))
}

pub fn bytes_of(field: Field, value: &Inner) -> Result<Option<Bytes>, Fault> {
    match value {
        Inner::Null => Ok(None),
        Inner::String(text) => Ok(Some(text.as_bytes().clone())),
        Inner::Bytes(bytes) => Ok(Some(bytes.clone())),
        Inner::Integer(_) | Inner::Float(_) | Inner::Boolean(_) => match ValueRef(value).to_json() {
            Ok(json) => Ok(Some(json.into())),
            Err(_) => Err(wrong(field, value)),
        },
        Inner::Timestamp(_) | Inner::Regex(_) | Inner::Array(_) | Inner::Object(_) => Err(wrong(field, value)),
    }
}

pub fn text_of(field: Field, value: &Inner) -> Result<Option<Text>, Fault> {
    match bytes_of(field, value)? {
        Some(bytes) if matches!(value, Inner::String(_) | Inner::Bytes(_)) => {
            Text::try_from(bytes).map(Some).map_err(|_| {
                Fault::rejected("expression", format!("`%{}` was assigned bytes that are no UTF-8", field.name()))
            })
        }
        Some(_) => Err(wrong(field, value)),
        None => Ok(None),
    }
}

pub fn time_of(field: Field, value: &Inner) -> Result<Option<model::Timestamp>, Fault> {
    if let Inner::Timestamp(at) = value {
        return Ok(Some(model::Timestamp(at.timestamp_millis())));
    }
    let Some(text) = text_of(field, value)? else { return Ok(None) };
    model::Timestamp::parse_rfc3339(&text).map(Some).ok_or_else(|| {
        Fault::rejected("expression", format!("`%{}` was assigned a string that is no RFC 3339 time", field.name()))
    })
}

pub fn priority_of(field: Field, value: &Inner) -> Result<Option<u8>, Fault> {
    if let Inner::Null = value {
        return Ok(None);
    }
    let Inner::Integer(number) = value else { return Err(wrong(field, value)) };
    u8::try_from(*number).map(Some).map_err(|_| {
        Fault::rejected("expression", format!("`%{}` was assigned an integer beyond 0 to 255", field.name()))
    })
}

/// Carries what changed over: a header of another value is set, one that is gone or null is removed.
pub fn write_headers(headers: &mut Headers, value: &Inner) -> Result<(), Fault> {
    let none = ObjectMap::new();
    let members = if let Inner::Null = value { Some(&none) } else { value.as_object() };
    let members = members.ok_or_else(|| wrong(Field::Headers, value))?;
    let before = read_headers(headers);
    for name in before.keys().filter(|name| !members.contains_key(*name)) {
        headers.remove(name);
    }
    for (name, value) in members {
        match (before.get(name), value) {
            (Some(old), new) if old == new => {}
            (_, Inner::Null) => headers.remove(name),
            (_, new) => {
                check_header_name(name)?;
                headers.set(Text::from(name.as_str()), to_header(new));
            }
        }
    }
    if headers.len() > HEADERS_MAX {
        return Err(Fault::rejected("expression", format!("the message has more than {HEADERS_MAX} headers")));
    }
    Ok(())
}

fn check_header_name(name: &str) -> Result<(), Fault> {
    let wrong = if name.is_empty() {
        "is empty".to_owned()
    } else if name.len() > HEADER_NAME_BYTES_MAX {
        format!("is longer than {HEADER_NAME_BYTES_MAX} bytes")
    } else if name.chars().any(char::is_control) {
        "holds control characters".to_owned()
    } else if model::is_reserved(name) {
        format!("begins with `{}`, which is the gateway's own", model::RESERVED_PREFIX)
    } else {
        return Ok(());
    };
    Err(Fault::rejected("expression", format!("the name of a header that was assigned {wrong}")))
}
