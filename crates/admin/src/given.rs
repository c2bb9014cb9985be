//! Messages that a request brings: as its body and headers, or as JSON.

use crate::Problem;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use crossdock_model::{HEADERS_MAX, Headers, MessageId, Text, Timestamp, Value, is_reserved};
use serde_json::{Map, Value as Json};

/// A new message's id.
///
/// # Errors
/// The system gives no random numbers.
pub fn draw_id(now: Timestamp) -> Result<MessageId, Problem> {
    let mut random = [0; 10];
    getrandom::fill(&mut random).map_err(|error| Problem::internal("random", error.to_string()))?;
    Ok(MessageId::from_time_and_random(u64::try_from(now.millis()).unwrap_or(0), &random))
}

/// The payload that a JSON body gives, as text or in base64; none where it gives neither.
///
/// # Errors
/// It gives both, or what is no base64.
pub fn payload(text: Option<String>, base64: Option<&str>) -> Result<Option<Bytes>, Problem> {
    match (text, base64) {
        (None, None) => Ok(None),
        (Some(text), None) => Ok(Some(Bytes::from(text))),
        (None, Some(encoded)) => match BASE64_STANDARD.decode(encoded) {
            Ok(bytes) => Ok(Some(Bytes::from(bytes))),
            Err(error) => Err(Problem::bad_request("payload.invalid", format!("payload_base64 is no base64: {error}"))),
        },
        (Some(_), Some(_)) => {
            Err(Problem::bad_request("payload.twice", "give `payload` or `payload_base64`, and not both"))
        }
    }
}

/// Bytes in base64, as the shapes have them.
#[must_use]
pub fn base64(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes)
}

/// User headers that a JSON body gives by name: a list is several headers of the name.
///
/// # Errors
/// A name is reserved or empty, a value has no form as a header's, or there are too many.
pub fn headers(given: Map<String, Json>) -> Result<Headers, Problem> {
    let mut headers = Headers::new();
    for (name, value) in given {
        check_name(&name)?;
        let values = match value {
            Json::Array(values) => values,
            one @ (Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Object(_)) => vec![one],
        };
        for value in values {
            headers.push(Text::from(name.as_str()), header_value(&name, value)?);
        }
    }
    check_number(&headers)?;
    Ok(headers)
}

/// Whether a user header may have the name.
///
/// # Errors
/// It may not.
pub fn check_name(name: &str) -> Result<(), Problem> {
    if name.is_empty() || is_reserved(name) {
        let detail = format!("a header cannot be called `{name}`: the name is empty or the gateway's own");
        return Err(Problem::bad_request("header.reserved", detail));
    }
    Ok(())
}

/// Whether there are as many headers as a message may have.
///
/// # Errors
/// There are more.
pub fn check_number(headers: &Headers) -> Result<(), Problem> {
    if headers.len() > HEADERS_MAX {
        let status = axum::http::StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        return Err(Problem::new(status, "headers.too_many", format!("a message has at most {HEADERS_MAX} headers")));
    }
    Ok(())
}

/// A typed value of a header, from JSON: text, numbers, true and false, null.
///
/// # Errors
/// It is a list or an object.
pub fn header_value(name: &str, value: Json) -> Result<Value, Problem> {
    let wrong = || {
        let detail = format!("the header `{name}` is a text, a number, true, false or null, or a list of these");
        Problem::bad_request("header.invalid", detail)
    };
    match value {
        Json::Null => Ok(Value::Null),
        Json::Bool(value) => Ok(Value::Boolean(value)),
        Json::String(text) => Ok(Value::Text(Text::from(text))),
        Json::Number(number) => {
            let whole = number.as_i64().map(Value::Integer).or_else(|| number.as_u64().map(Value::Unsigned));
            whole.or_else(|| number.as_f64().map(Value::Float)).ok_or_else(wrong)
        }
        Json::Array(_) | Json::Object(_) => Err(wrong()),
    }
}

/// Changes to user headers that a JSON body gives by name: null takes all of the name away, a list is several.
///
/// # Errors
/// As for [`headers`].
pub fn changes(given: Map<String, Json>) -> Result<Vec<(Text, Vec<Value>)>, Problem> {
    let mut changes = Vec::new();
    for (name, value) in given {
        check_name(&name)?;
        let values = match value {
            Json::Null => Vec::new(),
            Json::Array(values) => values,
            one @ (Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Object(_)) => vec![one],
        };
        let values: Vec<_> = values.into_iter().map(|value| header_value(&name, value)).collect::<Result<_, _>>()?;
        changes.push((Text::from(name), values));
    }
    Ok(changes)
}
