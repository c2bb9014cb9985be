//! JSON Schema: drafts 4, 6, 7, 2019-09 and 2020-12, as `$schema` says, else 2020-12.
//!
//! Formats are asserted, patterns are linear-time (Rust's `regex`: no look-around, no back references). A `$ref` leads
//! to a file beside the schema or below the configuration's folder, never to the network. A message is checked without
//! being converted: [`node`] shows a value to the validator as it is, [`outline`] the outline of a payload that nobody
//! needs as a value.

mod json_place;
mod load;
mod node;
mod outline;
#[cfg(test)]
mod tests;

use crate::{
    Files,
    schema::{node::ValueJson, outline::OutlineJson},
};
use crossdock_expression::{Outline, ValueRef};
use crossdock_model::{Text, Violation};
use crossdock_settings::{Diagnostics, Span};
use jsonschema::Validator;
use std::{fmt, path::Path};

/// Most violations that are told of one message.
const VIOLATIONS_MAX: usize = 64;

/// A compiled JSON Schema.
pub struct JsonSchema {
    validator: Validator<ValueJson>,
    /// The same schema, for outlines.
    glance: Validator<OutlineJson>,
}

impl fmt::Debug for JsonSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JsonSchema")
    }
}

impl JsonSchema {
    /// Compiles the schema in a file, with all that it refers to. None where something is wrong, and then findings say
    /// so: at `span` where the file cannot be read, else in the file itself.
    pub fn compile(path: &Path, span: Span, files: &mut dyn Files, found: &mut Diagnostics) -> Option<Self> {
        load::compile(path, span, files, found)
    }

    /// Whether a payload is right, from its outline; what is wrong is told of the value ([`Self::validate`]).
    #[must_use]
    pub fn admits(&self, outline: &Outline<'_>) -> bool {
        self.glance.is_valid(outline.root().into())
    }

    /// Checks a value.
    ///
    /// # Errors
    /// Each place that is wrong, in the order of the schema, at most 64 of them. Messages hold nothing of the value,
    /// so that they can be logged and grouped.
    pub fn validate(&self, value: ValueRef<'_>) -> Result<(), Vec<Violation>> {
        if self.validator.is_valid(value.into()) {
            return Ok(());
        }
        let errors = self.validator.iter_errors(value.into()).take(VIOLATIONS_MAX);
        let violations = errors.map(|error| Violation {
            at: Text::from(error.instance_path().as_str()),
            message: Text::from(error.masked().to_string()),
            rule: Some(Text::from(error.schema_path().as_str())),
        });
        Err(violations.collect())
    }
}
