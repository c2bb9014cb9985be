//! Values: what a payload is decoded into and what an expression gives.

use bytes::Bytes;
use crossdock_model::Text;
use std::{borrow::Cow, collections::btree_map};
use vrl::value::{KeyString, ObjectMap, Value as Inner};

/// A decoded payload or the result of an expression.
#[derive(Clone, PartialEq, Debug)]
pub struct Value(pub(crate) Inner);

/// A borrowed [`Value`].
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ValueRef<'a>(pub(crate) &'a Inner);

/// What a value is. Times and patterns, which only expressions make, are shown as the text that JSON has for them.
#[derive(Clone, Debug)]
pub enum View<'a> {
    /// Nothing.
    Null,
    /// True or false.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A binary fraction; never NaN, but infinite where a calculation went beyond what can be told.
    Float(f64),
    /// Text.
    Text(Cow<'a, str>),
    /// Bytes that are no UTF-8 (an expression's `decode_base64`); no payload format can hold them.
    Bytes(&'a Bytes),
    /// Values in order.
    Array(ArrayRef<'a>),
    /// Values by name, sorted.
    Object(ObjectRef<'a>),
}

/// Values in order.
#[derive(Clone, Copy, Debug)]
pub struct ArrayRef<'a>(&'a [Inner]);

/// Values by name, sorted.
#[derive(Clone, Copy, Debug)]
pub struct ObjectRef<'a>(&'a ObjectMap);

/// Values by name, being gathered.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Object(ObjectMap);

impl Value {
    /// Nothing.
    pub const NULL: Self = Self(Inner::Null);

    /// Text.
    #[must_use]
    pub fn text(text: impl Into<Text>) -> Self {
        Self(Inner::String(text.into()))
    }

    /// True or false.
    #[must_use]
    pub const fn boolean(boolean: bool) -> Self {
        Self(Inner::Boolean(boolean))
    }

    /// A whole number.
    #[must_use]
    pub const fn integer(number: i64) -> Self {
        Self(Inner::Integer(number))
    }

    /// A binary fraction; zero for NaN.
    #[must_use]
    pub fn float(number: f64) -> Self {
        Self(Inner::from_f64_or_zero(number))
    }

    /// Values in order.
    #[must_use]
    pub fn array(items: Vec<Self>) -> Self {
        Self(Inner::Array(items.into_iter().map(|item| item.0).collect()))
    }

    /// Values by name.
    #[must_use]
    pub fn object(object: Object) -> Self {
        Self(Inner::Object(object.0))
    }

    /// A borrowed form that can be copied.
    #[must_use]
    pub const fn as_ref(&self) -> ValueRef<'_> {
        ValueRef(&self.0)
    }

    /// Adds a value to an array; anything else becomes the first item of a new one before.
    pub fn push(&mut self, item: Self) {
        if let Inner::Array(items) = &mut self.0 {
            items.push(item.0);
        } else {
            let first = std::mem::replace(&mut self.0, Inner::Null);
            self.0 = Inner::Array(vec![first, item.0]);
        }
    }
}

impl<'a> ValueRef<'a> {
    /// What it is.
    #[must_use]
    pub fn view(self) -> View<'a> {
        match self.0 {
            Inner::Null => View::Null,
            Inner::Boolean(boolean) => View::Boolean(*boolean),
            Inner::Integer(number) => View::Integer(*number),
            Inner::Float(number) => View::Float(number.into_inner()),
            Inner::String(text) => View::Text(Cow::Borrowed(text)),
            Inner::Bytes(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => View::Text(Cow::Borrowed(text)),
                Err(_) => View::Bytes(bytes),
            },
            Inner::Regex(pattern) => View::Text(Cow::Borrowed(pattern.as_str())),
            Inner::Timestamp(at) => View::Text(Cow::Owned(vrl::value::value::timestamp_to_string(at))),
            Inner::Array(items) => View::Array(ArrayRef(items)),
            Inner::Object(items) => View::Object(ObjectRef(items)),
        }
    }

    /// The items, if it is an array.
    #[must_use]
    pub fn as_array(self) -> Option<ArrayRef<'a>> {
        if let Inner::Array(items) = self.0 { Some(ArrayRef(items)) } else { None }
    }

    /// The members, if it is an object.
    #[must_use]
    pub fn as_object(self) -> Option<ObjectRef<'a>> {
        if let Inner::Object(members) = self.0 { Some(ObjectRef(members)) } else { None }
    }

    /// What it is, in a word with its article, for messages.
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self.0 {
            Inner::Null => "null",
            Inner::Boolean(_) => "a boolean",
            Inner::Integer(_) => "an integer",
            Inner::Float(_) => "a float",
            Inner::String(_) | Inner::Bytes(_) => "a string",
            Inner::Regex(_) => "a pattern",
            Inner::Timestamp(_) => "a timestamp",
            Inner::Array(_) => "an array",
            Inner::Object(_) => "an object",
        }
    }

    /// The same value, owned.
    #[must_use]
    pub fn to_owned(self) -> Value {
        Value(self.0.clone())
    }

    /// Where the value lies in memory: two that live at once never share it.
    #[must_use]
    pub fn address(self) -> usize {
        std::ptr::from_ref(self.0) as usize
    }
}

impl<'a> ArrayRef<'a> {
    /// How many there are.
    #[must_use]
    pub const fn len(self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// All items in order.
    #[must_use]
    pub fn iter(self) -> Items<'a> {
        Items(self.0.iter())
    }
}

impl<'a> ObjectRef<'a> {
    /// How many there are.
    #[must_use]
    pub fn len(self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// The value of a name.
    #[must_use]
    pub fn get(self, name: &str) -> Option<ValueRef<'a>> {
        self.0.get(name).map(ValueRef)
    }

    /// All members, sorted by name.
    #[must_use]
    pub fn iter(self) -> Members<'a> {
        Members(self.0.iter())
    }
}

/// The items of an array.
#[derive(Clone, Debug)]
pub struct Items<'a>(std::slice::Iter<'a, Inner>);

impl<'a> Iterator for Items<'a> {
    type Item = ValueRef<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(ValueRef)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

/// The members of an object.
#[derive(Clone, Debug)]
pub struct Members<'a>(btree_map::Iter<'a, KeyString, Inner>);

impl<'a> Iterator for Members<'a> {
    type Item = (&'a str, ValueRef<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(name, value)| (name.as_str(), ValueRef(value)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl Object {
    /// No members.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a value under a name, in the place of one that was there.
    pub fn insert(&mut self, name: impl Into<String>, value: Value) {
        self.0.insert(KeyString::from(name.into()), value.0);
    }

    /// Puts a value under a name; a name that is there gets an array of all its values in order.
    pub fn insert_or_push(&mut self, name: &str, value: Value) {
        match self.0.get_mut(name) {
            None => {
                self.0.insert(KeyString::from(name), value.0);
            }
            Some(Inner::Array(items)) => items.push(value.0),
            Some(other) => {
                let first = std::mem::replace(other, Inner::Null);
                *other = Inner::Array(vec![first, value.0]);
            }
        }
    }

    /// The value of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<ValueRef<'_>> {
        self.0.get(name).map(ValueRef)
    }

    /// How many members there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
