//! Building values of the expressions.

use super::read::{Build, Plain};
use crossdock_model::Text;
use vrl::value::{KeyString, ObjectMap, Value as Inner};

/// Builds values whose texts are slices of the text that is read.
pub struct Tree<'a>(pub &'a Text);

impl Build for Tree<'_> {
    type Value = Inner;
    type Items = Vec<Inner>;
    type Members = ObjectMap;
    type Key = KeyString;

    fn null(&mut self) -> Inner {
        Inner::Null
    }

    fn boolean(&mut self, boolean: bool) -> Inner {
        Inner::Boolean(boolean)
    }

    fn integer(&mut self, number: i64) -> Inner {
        Inner::Integer(number)
    }

    fn float(&mut self, number: f64) -> Inner {
        Inner::from_f64_or_zero(number)
    }

    fn text(&mut self, plain: Plain<'_>) -> Inner {
        Inner::String(self.0.slice_ref(plain.text))
    }

    fn resolved_text(&mut self, text: String) -> Inner {
        Inner::String(Text::from(text))
    }

    fn items(&mut self) -> Vec<Inner> {
        Vec::new()
    }

    fn item(&mut self, items: &mut Vec<Inner>, value: Inner) {
        items.push(value);
    }

    fn array(&mut self, items: Vec<Inner>) -> Inner {
        Inner::Array(items)
    }

    fn members(&mut self) -> ObjectMap {
        ObjectMap::new()
    }

    fn key(&mut self, plain: Plain<'_>) -> KeyString {
        KeyString::from(plain.text)
    }

    fn resolved_key(&mut self, text: String) -> KeyString {
        KeyString::from(text)
    }

    fn member(&mut self, members: &mut ObjectMap, key: KeyString, value: Inner) {
        members.insert(key, value);
    }

    fn object(&mut self, members: ObjectMap) -> Inner {
        Inner::Object(members)
    }
}
