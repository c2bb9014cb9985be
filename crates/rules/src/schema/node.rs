//! Shows a value to the validator as JSON, without a copy.

use crossdock_expression::{ArrayRef, Items, Members, ObjectRef, Value, ValueRef, View};
use jsonschema::{
    JsonType,
    json::{self, Json, JsonNumber, NodeIdentity, cmp},
};
use serde_json::{Number as JsonValueNumber, Value as JsonValue};
use std::borrow::Cow;

/// Values of expressions, as a representation of JSON.
pub struct ValueJson;

/// A place in a value.
#[derive(Clone, Copy)]
pub struct Node<'a>(ValueRef<'a>);

impl<'a> From<ValueRef<'a>> for Node<'a> {
    fn from(value: ValueRef<'a>) -> Self {
        Self(value)
    }
}

impl Json for ValueJson {
    type Node<'a> = Node<'a>;
    type PreparedKey = Box<str>;
    type StringBuffer = Buffer;

    // Members are in a tree, as in the validator's own representation, for which this was measured.
    const KEYS_PER_LOOKUP: usize = 2;

    fn prepare_key(key: &str) -> Box<str> {
        key.into()
    }

    fn with_string_node<T>(buffer: &mut Buffer, string: &str, f: impl FnOnce(Node<'_>) -> T) -> T {
        buffer.0 = Value::text(string.to_owned());
        f(Node(buffer.0.as_ref()))
    }
}

/// Room for the name of a member while it is checked like a value.
pub struct Buffer(Value);

impl Default for Buffer {
    fn default() -> Self {
        Self(Value::NULL)
    }
}

/// A number of a value.
#[derive(Clone, Copy)]
pub enum Number {
    Integer(i64),
    Float(f64),
}

impl JsonNumber for Number {
    fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Integer(number) => u64::try_from(*number).ok(),
            Self::Float(_) => None,
        }
    }

    fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            Self::Float(_) => None,
        }
    }

    fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Integer(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
        }
    }

    fn as_str(&self) -> Cow<'_, str> {
        Cow::Owned(self.to_number().to_string())
    }

    fn to_number(&self) -> Cow<'_, JsonValueNumber> {
        Cow::Owned(match self {
            Self::Integer(number) => JsonValueNumber::from(*number),
            // Infinite numbers come from calculations only; the largest one stands for them.
            Self::Float(number) => {
                JsonValueNumber::from_f64(number.clamp(f64::MIN, f64::MAX)).unwrap_or_else(|| 0.into())
            }
        })
    }

    fn is_integer(&self) -> bool {
        match self {
            Self::Integer(_) => true,
            Self::Float(number) => number.fract() == 0.0,
        }
    }

    fn is_written_as_integer(&self) -> bool {
        match self {
            Self::Integer(_) => true,
            Self::Float(_) => false,
        }
    }
}

impl<'a> json::Node<'a, ValueJson> for Node<'a> {
    type Object = Object<'a>;
    type Array = Array<'a>;
    type Number = Number;

    fn as_object(&self) -> Option<Object<'a>> {
        self.0.as_object().map(Object)
    }

    fn as_array(&self) -> Option<Array<'a>> {
        self.0.as_array().map(Array)
    }

    fn as_string(&self) -> Option<Cow<'a, str>> {
        match self.0.view() {
            View::Text(text) => Some(text),
            View::Bytes(bytes) => Some(String::from_utf8_lossy(bytes)),
            View::Null | View::Boolean(_) | View::Integer(_) | View::Float(_) | View::Array(_) | View::Object(_) => {
                None
            }
        }
    }

    fn as_number(&self) -> Option<Number> {
        match self.0.view() {
            View::Integer(number) => Some(Number::Integer(number)),
            View::Float(number) => Some(Number::Float(number)),
            View::Null | View::Boolean(_) | View::Text(_) | View::Bytes(_) | View::Array(_) | View::Object(_) => None,
        }
    }

    fn as_boolean(&self) -> Option<bool> {
        if let View::Boolean(boolean) = self.0.view() { Some(boolean) } else { None }
    }

    fn is_null(&self) -> bool {
        matches!(self.0.view(), View::Null)
    }

    fn json_type(&self) -> JsonType {
        match self.0.view() {
            View::Null => JsonType::Null,
            View::Boolean(_) => JsonType::Boolean,
            View::Integer(_) | View::Float(_) => JsonType::Number,
            View::Text(_) | View::Bytes(_) => JsonType::String,
            View::Array(_) => JsonType::Array,
            View::Object(_) => JsonType::Object,
        }
    }

    fn equals_value(&self, expected: &JsonValue) -> bool {
        match (self.0.view(), expected) {
            (View::Null, JsonValue::Null) => true,
            (View::Boolean(ours), JsonValue::Bool(theirs)) => ours == *theirs,
            (View::Text(ours), JsonValue::String(theirs)) => *ours == **theirs,
            // Numbers compare as numbers; a copy of one costs nothing.
            (View::Integer(_) | View::Float(_), JsonValue::Number(_))
            | (View::Array(_), JsonValue::Array(_))
            | (View::Object(_), JsonValue::Object(_)) => cmp::equal(&JsonValue::from(self.0), expected),
            (View::Bytes(_), JsonValue::String(_)) => cmp::equal(&JsonValue::from(self.0), expected),
            _ => false,
        }
    }

    fn to_value(&self) -> Cow<'a, JsonValue> {
        Cow::Owned(JsonValue::from(self.0))
    }

    fn identity(&self) -> Option<NodeIdentity> {
        Some(NodeIdentity::new(self.0.address()))
    }
}

/// The members of an object.
pub struct Object<'a>(ObjectRef<'a>);

impl<'a> json::Object<'a, ValueJson> for Object<'a> {
    type Node = Node<'a>;
    type MemberName = &'a str;
    type MembersIter = MembersIter<'a>;

    fn len(&self) -> usize {
        self.0.len()
    }

    fn get(&self, key: &Box<str>) -> Option<Node<'a>> {
        self.0.get(key).map(Node)
    }

    fn members(&self) -> MembersIter<'a> {
        MembersIter(self.0.iter())
    }
}

pub struct MembersIter<'a>(Members<'a>);

impl<'a> Iterator for MembersIter<'a> {
    type Item = (&'a str, Node<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(name, value)| (name, Node(value)))
    }
}

/// The items of an array.
pub struct Array<'a>(ArrayRef<'a>);

impl<'a> json::Array<'a, ValueJson> for Array<'a> {
    type Node = Node<'a>;
    type ElementsIter = ElementsIter<'a>;

    fn len(&self) -> usize {
        self.0.len()
    }

    fn elements(&self) -> ElementsIter<'a> {
        ElementsIter(self.0.iter())
    }
}

pub struct ElementsIter<'a>(Items<'a>);

impl<'a> Iterator for ElementsIter<'a> {
    type Item = Node<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(Node)
    }
}
