//! Plain text: the whole payload is one string.

use crossdock_expression::{Value, ValueRef, View};
use crossdock_model::Text;

/// The payload as one string.
///
/// # Errors
/// It is no UTF-8.
pub fn decode(payload: &[u8]) -> Result<Value, String> {
    let text =
        std::str::from_utf8(payload).map_err(|error| format!("not UTF-8 from byte {} on", error.valid_up_to()))?;
    Ok(Value::text(Text::from(text)))
}

/// A string as it stands, a number or boolean as JSON.
///
/// # Errors
/// It is anything else.
pub fn encode(value: ValueRef<'_>) -> Result<Vec<u8>, String> {
    match value.view() {
        View::Text(text) => Ok(text.into_owned().into_bytes()),
        View::Boolean(_) | View::Integer(_) | View::Float(_) => value.to_json().map_err(|error| error.to_string()),
        View::Null | View::Bytes(_) | View::Array(_) | View::Object(_) => {
            Err(format!("the value is {}, only a string, number or boolean can be text", value.describe()))
        }
    }
}
