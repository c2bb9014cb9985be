//! The typed values of a section.

use crate::{Diagnostic, Diagnostics, Layout, Node, Rate, Returns, Span, TemplateUse};
use crossdock_model::Text;
use std::{path::PathBuf, time::Duration};

/// A value and where it stands.
#[derive(Clone, PartialEq, Debug)]
pub struct Placed<T> {
    /// The value.
    pub value: T,
    /// Where it stands; of a default, where its section stands.
    pub span: Span,
}

/// A value of the kind that the table asks for.
#[derive(Clone, PartialEq, Debug)]
pub enum Setting {
    /// [`crate::Kind::Boolean`].
    Boolean(bool),
    /// [`crate::Kind::Integer`].
    Integer(i64),
    /// [`crate::Kind::Number`].
    Number(f64),
    /// [`crate::Kind::Text`], `Choice`, `Connection`, `Channel`.
    Text(Text),
    /// [`crate::Kind::Secret`], or a text that holds a substitution; `shown` is what may be printed.
    Secret {
        /// The value.
        value: Text,
        /// What may be printed.
        shown: Text,
    },
    /// [`crate::Kind::Duration`].
    Duration(Duration),
    /// [`crate::Kind::Size`], bytes.
    Size(u64),
    /// [`crate::Kind::Rate`].
    Rate(Rate),
    /// [`crate::Kind::Path`], as written.
    Path(PathBuf),
    /// [`crate::Kind::Template`] or [`crate::Kind::Expression`], and the slot in which its result comes.
    Formula(Formula),
    /// [`crate::Kind::List`].
    List(Vec<Placed<Setting>>),
    /// [`crate::Kind::Map`], in order.
    Map(Vec<(Text, Placed<Setting>)>),
    /// [`crate::Kind::Group`] and [`crate::Kind::Short`].
    Group(Settings),
    /// [`crate::Kind::Variant`].
    Variant {
        /// Its key.
        name: &'static str,
        /// Its value.
        value: Box<Placed<Setting>>,
    },
    /// [`crate::Kind::Any`].
    Any(Node),
}

/// The place of a formula's result in what a target gets with a message; counted per section in the order of its table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Slot(pub u16);

/// Whether a formula is a template or an expression, and its use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FormulaKind {
    /// A text with holes.
    Template(TemplateUse),
    /// An expression.
    Expression(Returns),
}

/// The text of an expression or template. Compiling it is somebody else's work; a connector uses the slot alone.
#[derive(Clone, PartialEq, Debug)]
pub struct Formula {
    /// The text.
    pub text: Text,
    /// Where its lines stand.
    pub layout: Layout,
    /// Template or expression, and its use.
    pub kind: FormulaKind,
    /// Where the result comes.
    pub slot: Slot,
}

/// A section's values by the names of its table.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Settings {
    /// Where the section stands.
    pub span: Span,
    values: Vec<(&'static str, Placed<Setting>)>,
}

impl Settings {
    /// A section without values, at the given place.
    #[must_use]
    pub const fn empty(span: Span) -> Self {
        Self { span, values: Vec::new() }
    }

    /// Adds a value; a later one of the same name hides an earlier one.
    pub fn insert(&mut self, name: &'static str, value: Placed<Setting>) {
        self.values.push((name, value));
    }

    /// The value of a key; none where it was left out and has no default.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Placed<Setting>> {
        self.values.iter().rev().find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// All values in the order of the table.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Placed<Setting>)> {
        self.values.iter().map(|(name, value)| (*name, value))
    }

    /// Where a key's value stands; the section's own place where it was left out.
    #[must_use]
    pub fn span_of(&self, name: &str) -> Span {
        self.get(name).map_or(self.span, |value| value.span)
    }

    /// A finding at a key.
    #[must_use]
    pub fn error(&self, name: &str, code: &'static str, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(code, self.span_of(name), message)
    }

    /// What to say where a value that must be there is not; [`crate::Reader`] has said so before.
    #[must_use]
    pub fn missing(&self, name: &str) -> Diagnostics {
        Diagnostic::error("key.missing", self.span, format!("`{name}` is missing")).into()
    }

    /// A text, secret ones included.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&Text> {
        self.get(name).and_then(|value| value.value.as_text())
    }

    /// Whether a truth value is there and true.
    #[must_use]
    pub fn flag(&self, name: &str) -> bool {
        matches!(self.get(name), Some(Placed { value: Setting::Boolean(true), .. }))
    }

    /// A whole number.
    #[must_use]
    pub fn integer(&self, name: &str) -> Option<i64> {
        self.get(name).and_then(|value| if let Setting::Integer(n) = value.value { Some(n) } else { None })
    }

    /// A number.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<f64> {
        self.get(name).and_then(|value| if let Setting::Number(n) = value.value { Some(n) } else { None })
    }

    /// A duration.
    #[must_use]
    pub fn duration(&self, name: &str) -> Option<Duration> {
        self.get(name).and_then(|value| if let Setting::Duration(d) = value.value { Some(d) } else { None })
    }

    /// A size in bytes.
    #[must_use]
    pub fn size(&self, name: &str) -> Option<u64> {
        self.get(name).and_then(|value| if let Setting::Size(n) = value.value { Some(n) } else { None })
    }

    /// A rate.
    #[must_use]
    pub fn rate(&self, name: &str) -> Option<Rate> {
        self.get(name).and_then(|value| if let Setting::Rate(rate) = value.value { Some(rate) } else { None })
    }

    /// A path, as written.
    #[must_use]
    pub fn path(&self, name: &str) -> Option<&PathBuf> {
        self.get(name).and_then(|value| if let Setting::Path(path) = &value.value { Some(path) } else { None })
    }

    /// A template or expression.
    #[must_use]
    pub fn formula(&self, name: &str) -> Option<&Formula> {
        self.get(name).and_then(|value| value.value.as_formula())
    }

    /// The slot in which the result of a template or expression comes.
    #[must_use]
    pub fn slot(&self, name: &str) -> Option<Slot> {
        self.formula(name).map(|formula| formula.slot)
    }

    /// A list; empty where there is none.
    #[must_use]
    pub fn list(&self, name: &str) -> &[Placed<Setting>] {
        match self.get(name) {
            Some(Placed { value: Setting::List(items), .. }) => items,
            Some(_) | None => &[],
        }
    }

    /// A map with free keys; empty where there is none.
    #[must_use]
    pub fn map(&self, name: &str) -> &[(Text, Placed<Setting>)] {
        match self.get(name) {
            Some(Placed { value: Setting::Map(items), .. }) => items,
            Some(_) | None => &[],
        }
    }

    /// A map with keys of its own.
    #[must_use]
    pub fn group(&self, name: &str) -> Option<&Self> {
        self.get(name).and_then(|value| if let Setting::Group(group) = &value.value { Some(group) } else { None })
    }

    /// The name and value of a variant.
    #[must_use]
    pub fn variant(&self, name: &str) -> Option<(&'static str, &Placed<Setting>)> {
        match self.get(name) {
            Some(Placed { value: Setting::Variant { name, value }, .. }) => Some((name, value)),
            Some(_) | None => None,
        }
    }
}

impl Setting {
    /// The text, secret ones included.
    #[must_use]
    pub fn as_text(&self) -> Option<&Text> {
        if let Self::Text(text) | Self::Secret { value: text, .. } = self { Some(text) } else { None }
    }

    /// The template or expression.
    #[must_use]
    pub fn as_formula(&self) -> Option<&Formula> {
        if let Self::Formula(formula) = self { Some(formula) } else { None }
    }
}

impl<T> Placed<T> {
    /// A value at a place.
    pub const fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }
}
