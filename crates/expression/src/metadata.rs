//! The metadata of a message as expressions see it (`%`), and back into the envelope.
//!
//! Only the fields that a program names are built, and only what was assigned goes back: a header that no program
//! touches keeps its type, its place and its duplicates. A field that the message does not have is absent: reading it
//! gives null, `exists` gives false.

use crate::{Value, ValueRef};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use crossdock_model as model;
use crossdock_model::{Envelope, Fault, HEADER_NAME_BYTES_MAX, HEADERS_MAX, Headers, Properties, Text};
use std::collections::BTreeMap;
use vrl::{
    path::{OwnedSegment, OwnedTargetPath},
    value::{KeyString, Kind, ObjectMap, Value as Inner, kind::Collection},
};

/// A field of the metadata.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Field {
    Id,
    Key,
    Headers,
    ContentType,
    CorrelationId,
    ReplyTo,
    Time,
    ExpiresAt,
    Priority,
    Origin,
}

impl Field {
    /// All fields, in the order of the documentation.
    pub const ALL: [Self; 10] = [
        Self::Id,
        Self::Key,
        Self::Headers,
        Self::ContentType,
        Self::CorrelationId,
        Self::ReplyTo,
        Self::Time,
        Self::ExpiresAt,
        Self::Priority,
        Self::Origin,
    ];

    /// The name behind `%`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Key => "key",
            Self::Headers => "headers",
            Self::ContentType => "content_type",
            Self::CorrelationId => "correlation_id",
            Self::ReplyTo => "reply_to",
            Self::Time => "time",
            Self::ExpiresAt => "expires_at",
            Self::Priority => "priority",
            Self::Origin => "origin",
        }
    }

    /// The field of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.name() == name)
    }

    /// Whether a transform may assign it.
    pub const fn is_writable(self) -> bool {
        match self {
            Self::Id | Self::Time | Self::Origin => false,
            Self::Key
            | Self::Headers
            | Self::ContentType
            | Self::CorrelationId
            | Self::ReplyTo
            | Self::ExpiresAt
            | Self::Priority => true,
        }
    }

    /// What it may be while it is read.
    pub fn kind(self) -> Kind {
        match self {
            Self::Id => Kind::bytes(),
            Self::Key | Self::ContentType | Self::CorrelationId | Self::ReplyTo => Kind::bytes().or_undefined(),
            Self::Headers => Kind::object(Collection::from_unknown(Kind::json().or_timestamp().or_undefined())),
            Self::Time | Self::ExpiresAt => Kind::timestamp().or_undefined(),
            Self::Priority => Kind::integer().or_undefined(),
            Self::Origin => origin_kind(),
        }
    }

    /// What may be assigned to it.
    pub fn accepts(self) -> Kind {
        let nothing = Kind::null().or_undefined();
        match self {
            Self::Id | Self::Time | Self::Origin => Kind::never(),
            Self::Key | Self::CorrelationId => nothing.or_bytes().or_integer().or_float().or_boolean(),
            Self::ContentType | Self::ReplyTo => nothing.or_bytes(),
            Self::Headers => nothing.or_object(Collection::any()),
            Self::ExpiresAt => nothing.or_timestamp().or_bytes(),
            Self::Priority => nothing.or_integer(),
        }
    }

    /// What may be assigned to it, in words.
    pub const fn expects(self) -> &'static str {
        match self {
            Self::Id | Self::Time | Self::Origin => "nothing, it is read-only",
            Self::Key | Self::CorrelationId => "a string, number, boolean or null",
            Self::ContentType | Self::ReplyTo => "a string or null",
            Self::Headers => "an object",
            Self::ExpiresAt => "a timestamp, a string with an RFC 3339 time, or null",
            Self::Priority => "an integer from 0 to 255, or null",
        }
    }

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

fn origin_kind() -> Kind {
    let text = || Kind::bytes();
    let maybe_text = || Kind::bytes().or_undefined();
    Kind::object(BTreeMap::from([
        ("protocol".into(), text()),
        ("connection".into(), text()),
        ("address".into(), text()),
        ("partition".into(), Kind::integer().or_undefined()),
        ("offset".into(), Kind::integer().or_undefined()),
        ("path".into(), maybe_text()),
        ("query".into(), Kind::object(Collection::from_unknown(maybe_text()))),
        ("remote".into(), maybe_text()),
    ]))
}

/// A set of fields.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FieldSet(u16);

impl FieldSet {
    pub const ALL: Self = Self((1 << Field::ALL.len()) - 1);

    pub const fn with(self, field: Field) -> Self {
        Self(self.0 | field.bit())
    }

    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub const fn contains(self, field: Field) -> bool {
        self.0 & field.bit() != 0
    }

    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The fields that a path behind `%` touches: one, or all for `%` itself.
    pub fn of_path(path: &OwnedTargetPath) -> Self {
        match path.path.segments.first() {
            Some(OwnedSegment::Field(name)) => Field::from_name(name).map_or(Self(0), |field| Self(0).with(field)),
            Some(OwnedSegment::Index(_)) | None => Self::ALL,
        }
    }
}

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
        match &self.root {
            Inner::Object(fields) => fields.get(name).map(ValueRef),
            _ => None,
        }
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
            if fields.contains(field) && !self.built.contains(field) {
                if let Some(value) = read(field, envelope) {
                    root.insert(KeyString::from(field.name()), value);
                }
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

fn read(field: Field, envelope: &Envelope) -> Option<Inner> {
    let properties = &envelope.properties;
    match field {
        Field::Id => Some(Inner::String(Text::from(envelope.id.to_string()))),
        Field::Key => properties.key.clone().map(text_or_bytes),
        Field::CorrelationId => properties.correlation_id.clone().map(text_or_bytes),
        Field::ContentType => properties.content_type.clone().map(Inner::String),
        Field::ReplyTo => properties.reply_to.clone().map(Inner::String),
        Field::Time => properties.time.and_then(timestamp),
        Field::ExpiresAt => properties.expires_at.and_then(timestamp),
        Field::Priority => properties.priority.map(|priority| Inner::Integer(priority.into())),
        Field::Headers => Some(read_headers(&envelope.headers)),
        Field::Origin => Some(read_origin(&envelope.origin)),
    }
}

fn read_headers(headers: &Headers) -> Inner {
    // Of repeated names the last one counts, as in `Headers::get`.
    let members = headers.iter().map(|header| (KeyString::from(&*header.name), header_value(&header.value)));
    Inner::Object(members.collect())
}

fn read_origin(origin: &model::Origin) -> Inner {
    let text = |text: &Text| Inner::String(text.clone());
    let query = origin.query.iter().map(|(name, value)| (KeyString::from(&**name), text(value))).collect();
    let mut members = ObjectMap::from([
        ("protocol".into(), text(&origin.protocol)),
        ("connection".into(), text(&origin.connection)),
        ("address".into(), text(&origin.address)),
        ("query".into(), Inner::Object(query)),
    ]);
    let optional = [
        ("partition", origin.partition.map(|number| Inner::Integer(number.into()))),
        ("offset", origin.offset.map(Inner::Integer)),
        ("path", origin.path.as_ref().map(text)),
        ("remote", origin.remote.as_ref().map(text)),
    ];
    members.extend(optional.into_iter().filter_map(|(name, value)| Some((KeyString::from(name), value?))));
    Inner::Object(members)
}

fn timestamp(at: model::Timestamp) -> Option<Inner> {
    DateTime::<Utc>::from_timestamp_millis(at.millis()).map(Inner::Timestamp)
}

fn text_or_bytes(bytes: Bytes) -> Inner {
    Inner::from_utf8_or_bytes(bytes)
}

/// A header's value as expressions see it. What has no exact form there keeps its digits as text, but for whole
/// numbers above `i64::MAX`, which become a float as they do in a payload.
fn header_value(value: &model::Value) -> Inner {
    match value {
        model::Value::Null => Inner::Null,
        model::Value::Boolean(boolean) => Inner::Boolean(*boolean),
        model::Value::Integer(number) => Inner::Integer(*number),
        model::Value::Unsigned(number) => {
            i64::try_from(*number).map_or_else(|_| Inner::from_f64_or_zero(*number as f64), Inner::Integer)
        }
        model::Value::Float(number) if number.is_nan() => Inner::Null,
        model::Value::Float(number) => Inner::from_f64_or_zero(*number),
        model::Value::Decimal { .. } => Inner::String(Text::from(value.to_string())),
        model::Value::Timestamp(at) => timestamp(*at).unwrap_or(Inner::Null),
        model::Value::Text(text) => Inner::String(text.clone()),
        model::Value::Bytes(bytes) => text_or_bytes(bytes.clone()),
        model::Value::List(items) => Inner::Array(items.iter().map(header_value).collect()),
        model::Value::Table(items) => {
            Inner::Object(items.iter().map(|(name, value)| (KeyString::from(&**name), header_value(value))).collect())
        }
    }
}

/// The value of an expression as a header has it.
pub fn to_header(value: &Inner) -> model::Value {
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

fn bytes_of(field: Field, value: &Inner) -> Result<Option<Bytes>, Fault> {
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

fn text_of(field: Field, value: &Inner) -> Result<Option<Text>, Fault> {
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

fn time_of(field: Field, value: &Inner) -> Result<Option<model::Timestamp>, Fault> {
    match (value, Value(value.clone()).0.to_str()) {
        (Inner::Null, _) => Ok(None),
        (Inner::Timestamp(at), _) => Ok(Some(model::Timestamp(at.timestamp_millis()))),
        (_, Some(text)) => model::Timestamp::parse_rfc3339(text).map(Some).ok_or_else(|| {
            Fault::rejected("expression", format!("`%{}` was assigned a string that is no RFC 3339 time", field.name()))
        }),
        (_, None) => Err(wrong(field, value)),
    }
}

fn priority_of(field: Field, value: &Inner) -> Result<Option<u8>, Fault> {
    match value {
        Inner::Null => Ok(None),
        Inner::Integer(number) => u8::try_from(*number).map(Some).map_err(|_| {
            Fault::rejected("expression", format!("`%{}` was assigned an integer beyond 0 to 255", field.name()))
        }),
        _ => Err(wrong(field, value)),
    }
}

/// Carries what changed over: a header of another value is set, one that is gone or null is removed.
fn write_headers(headers: &mut Headers, value: &Inner) -> Result<(), Fault> {
    let none = ObjectMap::new();
    let members = match value {
        Inner::Null => &none,
        Inner::Object(members) => members,
        _ => return Err(wrong(Field::Headers, value)),
    };
    let before = read_headers(headers);
    let empty = ObjectMap::new();
    let before = if let Inner::Object(before) = &before { before } else { &empty };
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
