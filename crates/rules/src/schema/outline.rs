//! Shows an outline to the validator as JSON, without a copy.

use super::node::Number;
use crossdock_expression::{Glimpse, Name, Place, PlaceItems, PlaceMembers};
use jsonschema::{
    JsonType,
    json::{self, Json, NodeIdentity, cmp},
};
use serde_json::Value as JsonValue;
use std::borrow::Cow;

/// Outlines of JSON texts, as a representation of JSON.
pub struct OutlineJson;

/// A place in an outline.
#[derive(Clone, Copy)]
pub enum Node<'a> {
    Place(Place<'a>),
    /// The name of a member while it is checked like a value.
    Name(&'a str),
}

impl<'a> From<Place<'a>> for Node<'a> {
    fn from(place: Place<'a>) -> Self {
        Self::Place(place)
    }
}

impl<'a> Node<'a> {
    fn look(self) -> Glimpse<'a> {
        match self {
            Self::Place(place) => place.look(),
            Self::Name(name) => Glimpse::Text(name),
        }
    }
}

fn to_json(glimpse: Glimpse<'_>) -> JsonValue {
    match glimpse {
        Glimpse::Null => JsonValue::Null,
        Glimpse::Boolean(boolean) => boolean.into(),
        Glimpse::Integer(number) => number.into(),
        Glimpse::Float(number) => number.into(),
        Glimpse::Text(text) => text.into(),
        Glimpse::Array(items) => items.map(|item| to_json(item.look())).collect(),
        Glimpse::Object(members) => {
            JsonValue::Object(members.map(|(name, value)| (name.to_owned(), to_json(value.look()))).collect())
        }
    }
}

impl Json for OutlineJson {
    type Node<'a> = Node<'a>;
    type PreparedKey = Name;
    type StringBuffer = ();

    // A lookup walks the members, as a pass over all of them does.
    const KEYS_PER_LOOKUP: usize = 32;

    fn prepare_key(key: &str) -> Name {
        key.into()
    }

    fn with_string_node<T>((): &mut (), string: &str, f: impl FnOnce(Node<'_>) -> T) -> T {
        f(Node::Name(string))
    }
}

impl<'a> json::Node<'a, OutlineJson> for Node<'a> {
    type Object = Object<'a>;
    type Array = Array<'a>;
    type Number = Number;

    fn as_object(&self) -> Option<Object<'a>> {
        if let Glimpse::Object(members) = self.look() { Some(Object(members)) } else { None }
    }

    fn as_array(&self) -> Option<Array<'a>> {
        if let Glimpse::Array(items) = self.look() { Some(Array(items)) } else { None }
    }

    fn as_string(&self) -> Option<Cow<'a, str>> {
        if let Glimpse::Text(text) = self.look() { Some(Cow::Borrowed(text)) } else { None }
    }

    fn as_number(&self) -> Option<Number> {
        match self.look() {
            Glimpse::Integer(number) => Some(Number::Integer(number)),
            Glimpse::Float(number) => Some(Number::Float(number)),
            Glimpse::Null | Glimpse::Boolean(_) | Glimpse::Text(_) | Glimpse::Array(_) | Glimpse::Object(_) => None,
        }
    }

    fn as_boolean(&self) -> Option<bool> {
        if let Glimpse::Boolean(boolean) = self.look() { Some(boolean) } else { None }
    }

    fn is_null(&self) -> bool {
        matches!(self.look(), Glimpse::Null)
    }

    fn json_type(&self) -> JsonType {
        match self.look() {
            Glimpse::Null => JsonType::Null,
            Glimpse::Boolean(_) => JsonType::Boolean,
            Glimpse::Integer(_) | Glimpse::Float(_) => JsonType::Number,
            Glimpse::Text(_) => JsonType::String,
            Glimpse::Array(_) => JsonType::Array,
            Glimpse::Object(_) => JsonType::Object,
        }
    }

    fn equals_value(&self, expected: &JsonValue) -> bool {
        match (self.look(), expected) {
            (Glimpse::Null, JsonValue::Null) => true,
            (Glimpse::Boolean(ours), JsonValue::Bool(theirs)) => ours == *theirs,
            (Glimpse::Text(ours), JsonValue::String(theirs)) => *ours == **theirs,
            // Numbers compare as numbers; a copy of one costs nothing.
            (glimpse @ (Glimpse::Integer(_) | Glimpse::Float(_)), JsonValue::Number(_))
            | (glimpse @ Glimpse::Array(_), JsonValue::Array(_))
            | (glimpse @ Glimpse::Object(_), JsonValue::Object(_)) => cmp::equal(&to_json(glimpse), expected),
            _ => false,
        }
    }

    fn to_value(&self) -> Cow<'a, JsonValue> {
        Cow::Owned(to_json(self.look()))
    }

    fn identity(&self) -> Option<NodeIdentity> {
        match self {
            Self::Place(place) => Some(NodeIdentity::new(place.address())),
            Self::Name(_) => None,
        }
    }
}

/// The members of an object.
pub struct Object<'a>(PlaceMembers<'a>);

impl<'a> json::Object<'a, OutlineJson> for Object<'a> {
    type Node = Node<'a>;
    type MemberName = &'a str;
    type MembersIter = MembersIter<'a>;

    fn len(&self) -> usize {
        self.0.len()
    }

    fn get(&self, key: &Name) -> Option<Node<'a>> {
        self.0.get(key).map(Node::Place)
    }

    fn members(&self) -> MembersIter<'a> {
        MembersIter(self.0)
    }
}

pub struct MembersIter<'a>(PlaceMembers<'a>);

impl<'a> Iterator for MembersIter<'a> {
    type Item = (&'a str, Node<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(name, place)| (name, Node::Place(place)))
    }
}

/// The items of an array.
pub struct Array<'a>(PlaceItems<'a>);

impl<'a> json::Array<'a, OutlineJson> for Array<'a> {
    type Node = Node<'a>;
    type ElementsIter = ElementsIter<'a>;

    fn len(&self) -> usize {
        self.0.len()
    }

    fn elements(&self) -> ElementsIter<'a> {
        ElementsIter(self.0)
    }
}

pub struct ElementsIter<'a>(PlaceItems<'a>);

impl<'a> Iterator for ElementsIter<'a> {
    type Item = Node<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(Node::Place)
    }
}
