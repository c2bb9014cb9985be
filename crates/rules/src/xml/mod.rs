//! XML and values.

use crossdock_expression::{Value, ValueRef};
use crossdock_model::Text;

/// How XML is decoded.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct XmlDecode {
    /// Names of elements that are arrays even where they come once.
    pub force_array: Vec<Text>,
    /// Whether leaves that look like numbers, booleans or null become such; else every leaf is a string.
    pub infer_types: bool,
}

/// How a value is written as XML.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct XmlEncode {
    /// Name of the root element; without it the value's only key is the root.
    pub root: Option<Text>,
}

/// Why a payload is no XML that is taken, or a value cannot be written as XML.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct XmlError(pub(crate) String);

impl std::fmt::Display for XmlError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for XmlError {}

pub(crate) fn decode(payload: &[u8], options: &XmlDecode) -> Result<Value, XmlError> {
    let _ = (payload, options);
    todo!()
}

pub(crate) fn encode(value: ValueRef<'_>, options: &XmlEncode) -> Result<Vec<u8>, XmlError> {
    let _ = (value, options);
    todo!()
}
