//! The metadata of a message as expressions see it (`%`), and back into the envelope.
//!
//! Only the fields that a program names are built, and only what was assigned goes back: a header that no program
//! touches keeps its type, its place and its duplicates. A field that the message does not have is absent: reading it
//! gives null, `exists` gives false.

mod field;
mod read;
mod write;

pub use field::{Field, FieldSet};

use crate::ValueRef;
use crossdock_model::{Envelope, Fault, Headers, Properties, Text};
use read::read;
use vrl::value::{KeyString, ObjectMap, Value as Inner};
use write::{bytes_of, priority_of, text_of, time_of, write_headers};

/// The metadata of one message while its steps run.
#[derive(Clone, Debug)]
pub struct Metadata {
    pub(crate) root: Inner,
    built: FieldSet,
    pub(crate) written: FieldSet,
}

impl Default for Metadata {
    fn default() -> Self {
        Self { root: Inner::Object(ObjectMap::new()), built: FieldSet::default(), written: FieldSet::default() }
    }
}

impl Metadata {
    /// Nothing built, nothing changed.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether a program assigned or deleted something.
    #[must_use]
    pub const fn is_changed(&self) -> bool {
        !self.written.is_empty()
    }

    /// What is known of a field by its name, with what programs assigned; for traces.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<ValueRef<'_>> {
        if let Inner::Object(fields) = &self.root { fields.get(name).map(ValueRef) } else { None }
    }

    /// The names of the fields that programs assigned, in the order of the documentation.
    pub fn changed(&self) -> impl Iterator<Item = &'static str> {
        let written = self.written;
        Field::ALL.into_iter().filter(move |field| written.contains(*field)).map(Field::name)
    }

    /// Builds all fields; for traces.
    pub fn build_all(&mut self, envelope: &Envelope) {
        self.build(FieldSet::ALL, envelope);
    }

    /// Overwrites the content type, as a step that fixes it does.
    pub fn set_content_type(&mut self, content_type: &str) {
        if let Inner::Object(fields) = &mut self.root {
            let name = Field::ContentType.name();
            fields.insert(KeyString::from(name), Inner::String(Text::from(content_type)));
        }
        self.built = self.built.with(Field::ContentType);
        self.written = self.written.with(Field::ContentType);
    }

    /// Builds those of the fields that are not there yet.
    pub(crate) fn build(&mut self, fields: FieldSet, envelope: &Envelope) {
        if self.built.union(fields) == self.built {
            return;
        }
        let Inner::Object(root) = &mut self.root else { return };
        for field in Field::ALL {
            let wanted = fields.contains(field) && !self.built.contains(field);
            if let Some(value) = wanted.then(|| read(field, envelope)).flatten() {
                root.insert(KeyString::from(field.name()), value);
            }
        }
        self.built = self.built.union(fields);
    }

    /// The properties and headers with what programs assigned.
    ///
    /// # Errors
    /// A field was assigned what it cannot hold, or a header a name that it cannot have.
    pub fn apply(&self, envelope: &Envelope) -> Result<(Properties, Headers), Fault> {
        let mut properties = envelope.properties.clone();
        let mut headers = envelope.headers.clone();
        let none = ObjectMap::new();
        let root = if let Inner::Object(root) = &self.root { root } else { &none };
        for field in Field::ALL.into_iter().filter(|field| self.written.contains(*field)) {
            let value = root.get(field.name()).unwrap_or(&Inner::Null);
            match field {
                Field::Id | Field::Time | Field::Origin => {}
                Field::Key => properties.key = bytes_of(field, value)?,
                Field::CorrelationId => properties.correlation_id = bytes_of(field, value)?,
                Field::ContentType => properties.content_type = text_of(field, value)?,
                Field::ReplyTo => properties.reply_to = text_of(field, value)?,
                Field::ExpiresAt => properties.expires_at = time_of(field, value)?,
                Field::Priority => properties.priority = priority_of(field, value)?,
                Field::Headers => write_headers(&mut headers, value)?,
            }
        }
        Ok((properties, headers))
    }
}
