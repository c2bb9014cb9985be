//! The table that describes a section: names, kinds, defaults and what each is for.

/// One key of a section.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// The key.
    pub name: &'static str,
    /// What its value is.
    pub kind: Kind,
    /// Whether it must be there, and what it is if it is not.
    pub presence: Presence,
    /// What it is for, in a line, with its unit; becomes the description in the JSON Schema and the reference.
    pub about: &'static str,
}

/// Whether a key must be there.
#[derive(Clone, Copy, Debug)]
pub enum Presence {
    /// It must.
    Required,
    /// It need not; without it there is no value.
    Optional,
    /// It need not; without it this scalar is read in its place.
    Default(&'static str),
}

/// What a value is.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// `true` or `false`.
    Boolean,
    /// A whole number from `min` to `max`.
    Integer {
        /// The least.
        min: i64,
        /// The most.
        max: i64,
    },
    /// A number from `min` to `max`.
    Number {
        /// The least.
        min: f64,
        /// The most.
        max: f64,
    },
    /// A text.
    Text,
    /// A text that is never shown.
    Secret,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// `250ms 10s 5m 2h 7d`.
    Duration,
    /// `64KiB 1MiB 1GiB`.
    Size,
    /// `100/s`.
    Rate,
    /// A path, relative to the folder of the file it stands in.
    Path,
    /// A URL; a password in it is never shown.
    Url,
    /// The name of a connection of this protocol.
    Connection(&'static str),
    /// The name of a channel.
    Channel,
    /// A text with `{{ expression }}` holes.
    Template(TemplateUse),
    /// An expression.
    Expression(Returns),
    /// A list of values.
    List(&'static Kind),
    /// A map with free keys.
    Map(&'static Kind),
    /// A map with these keys.
    Group(&'static [Field]),
    /// A map with exactly one of these keys, or just its name where the kind is a `Group` that requires nothing.
    Variant(&'static [Field]),
    /// The value of the first of the `Group`'s fields on its own, or the whole group.
    Short(&'static [Field]),
    /// The first of these whose form (scalar, list, map) fits the value.
    OneOf(&'static [Kind]),
    /// Anything, handed over as it stands (`options:` of a client library).
    Any,
}

/// How the text that a template renders is used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TemplateUse {
    /// It picks where the message goes, so it must start with a literal (contract.md §1).
    pub address: bool,
    /// Each value is percent-encoded as one segment of a URL path.
    pub path_segment: bool,
}

/// What an expression gives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Returns {
    /// A truth value.
    Condition,
    /// Any value.
    Value,
    /// Nothing; it changes the payload and the metadata.
    Changes,
}

impl Field {
    /// A key that must be there.
    #[must_use]
    pub const fn required(name: &'static str, kind: Kind, about: &'static str) -> Self {
        Self { name, kind, presence: Presence::Required, about }
    }

    /// A key that need not be there.
    #[must_use]
    pub const fn optional(name: &'static str, kind: Kind, about: &'static str) -> Self {
        Self { name, kind, presence: Presence::Optional, about }
    }

    /// A key with a default, written as in the file.
    #[must_use]
    pub const fn default(name: &'static str, kind: Kind, default: &'static str, about: &'static str) -> Self {
        Self { name, kind, presence: Presence::Default(default), about }
    }
}

impl Kind {
    /// A template that does not pick an address.
    pub const TEMPLATE: Self = Self::Template(TemplateUse { address: false, path_segment: false });
    /// A template that picks an address.
    pub const ADDRESS: Self = Self::Template(TemplateUse { address: true, path_segment: false });
    /// A template for the path of a URL.
    pub const URL_PATH: Self = Self::Template(TemplateUse { address: true, path_segment: true });
    /// A whole number from zero.
    pub const COUNT: Self = Self::Integer { min: 0, max: i64::MAX };

    /// What is expected, for messages.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Boolean => "true or false".into(),
            Self::Integer { min, max } if *max == i64::MAX => format!("a whole number of at least {min}"),
            Self::Integer { min, max } => format!("a whole number from {min} to {max}"),
            Self::Number { min, max } if *max == f64::INFINITY => format!("a number of at least {min}"),
            Self::Number { min, max } => format!("a number from {min} to {max}"),
            Self::Text | Self::Secret => "a text".into(),
            Self::Choice(words) => format!("one of {}", words.join(", ")),
            Self::Duration => "a duration such as 10s".into(),
            Self::Size => "a size such as 64KiB".into(),
            Self::Rate => "a rate such as 100/s".into(),
            Self::Path => "a path".into(),
            Self::Url => "a URL".into(),
            Self::Connection(protocol) => format!("the name of a connection of kind {protocol}"),
            Self::Channel => "the name of a channel".into(),
            Self::Template(_) => "a text, with {{ expression }} where a value goes".into(),
            Self::Expression(_) => "an expression".into(),
            Self::List(_) => "a list".into(),
            Self::Map(_) | Self::Group(_) => "a map".into(),
            Self::Variant(fields) => {
                let names: Vec<_> = fields.iter().map(|field| field.name).collect();
                format!("a map with one of the keys {}", names.join(", "))
            }
            Self::Short(fields) => match fields.first() {
                Some(first) => format!("{} (or a map)", first.kind.describe()),
                None => "a map".into(),
            },
            Self::OneOf(kinds) => kinds.iter().map(Self::describe).collect::<Vec<_>>().join(", or "),
            Self::Any => "a value".into(),
        }
    }
}
