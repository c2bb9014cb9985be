//! The fields of the metadata: their names, what may be read from and assigned to them.

use std::collections::BTreeMap;
use vrl::{
    path::{OwnedSegment, OwnedTargetPath},
    value::{Kind, kind::Collection},
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
