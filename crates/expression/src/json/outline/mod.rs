//! An outline of a JSON text: its values in order, without a copy, for whoever only looks.
//!
//! ```text
//! {"a":[1,"x"],"b":null}      slots: Object ends 6 ─ Plain a ─ Array ends 5 ─ Integer 1 ─ Plain x ─ Plain b ─ Null
//! ```
//!
//! A [`crate::Value`] has an allocation for each container and key, which somebody who only looks does not need; what
//! that saves is told in `docs/adr/0011-an-outline-for-validation.md`. Texts that are subtle (a key that comes twice) or very wide have none, and are read as values.

mod build;

use super::read;
use build::Building;

/// Objects with more members have no outline: members are found by looking at each.
const MEMBERS_MAX: u32 = 32;

/// The values of a JSON text.
#[derive(Debug)]
pub struct Outline<'a> {
    text: &'a str,
    slots: Vec<Slot>,
    /// Strings that had escapes, one after the other.
    resolved: String,
}

#[derive(Clone, Copy, Debug)]
enum Slot {
    Null,
    Boolean(bool),
    Integer(i64),
    Float(f64),
    /// Bytes of the text, and for a key their mark.
    Plain {
        start: u32,
        end: u32,
        mark: u32,
    },
    /// Bytes of what was resolved, and for a key their mark.
    Resolved {
        start: u32,
        end: u32,
        mark: u32,
    },
    /// So many items follow, until a slot.
    Array {
        count: u32,
        end: u32,
    },
    /// So many members follow, each a key and a value, until a slot.
    Object {
        count: u32,
        end: u32,
    },
}

/// The name of a member, made ready to be looked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Name {
    text: Box<str>,
    mark: u32,
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        Self { text: text.into(), mark: mark(text.as_bytes()) }
    }
}

/// A value of an outline.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    outline: &'a Outline<'a>,
    at: usize,
}

/// What a value of an outline is.
#[derive(Clone, Copy, Debug)]
pub enum Glimpse<'a> {
    /// Nothing.
    Null,
    /// True or false.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A binary fraction, finite.
    Float(f64),
    /// Text.
    Text(&'a str),
    /// Values in order.
    Array(PlaceItems<'a>),
    /// Values by name, in the order of the text.
    Object(PlaceMembers<'a>),
}

impl<'a> Outline<'a> {
    /// The outline of a JSON text. None if it is no JSON that [`crate::Value::from_json`] reads, or one without an outline.
    #[must_use]
    pub fn of(bytes: &'a [u8]) -> Option<Self> {
        let text = simdutf8::basic::from_utf8(bytes).ok()?;
        u32::try_from(text.len()).ok()?;
        let mut build = Building::with_room(text.len() / 8 + 1);
        read::read(text, &mut build).ok()?;
        let Building { slots, resolved, subtle, .. } = build;
        (!subtle).then_some(Self { text, slots, resolved })
    }

    /// The whole value.
    #[must_use]
    pub const fn root(&'a self) -> Place<'a> {
        Place { outline: self, at: 0 }
    }

    fn slot(&self, at: usize) -> Slot {
        self.slots.get(at).copied().unwrap_or(Slot::Null)
    }

    fn string(&self, slot: Slot) -> &str {
        let (whole, start, end) = match slot {
            Slot::Plain { start, end, .. } => (self.text, start, end),
            Slot::Resolved { start, end, .. } => (&*self.resolved, start, end),
            Slot::Null
            | Slot::Boolean(_)
            | Slot::Integer(_)
            | Slot::Float(_)
            | Slot::Array { .. }
            | Slot::Object { .. } => return "",
        };
        whole.get(start as usize..end as usize).unwrap_or_default()
    }

    /// The slot behind a value.
    fn behind(&self, at: usize) -> usize {
        match self.slot(at) {
            Slot::Array { end, .. } | Slot::Object { end, .. } => end as usize,
            Slot::Null
            | Slot::Boolean(_)
            | Slot::Integer(_)
            | Slot::Float(_)
            | Slot::Plain { .. }
            | Slot::Resolved { .. } => at + 1,
        }
    }
}

/// Tells names apart at a glance: equal names have equal marks, others rarely.
#[inline]
fn mark(name: &[u8]) -> u32 {
    const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut hash = name.len() as u64;
    // Words of eight bytes, of which the last overlaps the one before; two of four bytes in a shorter name.
    if let Some(last) = name.last_chunk::<8>() {
        for chunk in name.as_chunks::<8>().0 {
            hash = (hash ^ u64::from_le_bytes(*chunk)).wrapping_mul(SPREAD);
        }
        hash ^= u64::from_le_bytes(*last);
    } else if let (Some(first), Some(last)) = (name.first_chunk::<4>(), name.last_chunk::<4>()) {
        hash ^= u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last)) << 3;
    } else {
        hash ^= name.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)) << 3;
    }
    (hash.wrapping_mul(SPREAD) >> 32) as u32
}

impl<'a> Place<'a> {
    /// What is there.
    #[must_use]
    pub fn look(self) -> Glimpse<'a> {
        let outline = self.outline;
        match outline.slot(self.at) {
            Slot::Null => Glimpse::Null,
            Slot::Boolean(boolean) => Glimpse::Boolean(boolean),
            Slot::Integer(number) => Glimpse::Integer(number),
            Slot::Float(number) => Glimpse::Float(number),
            slot @ (Slot::Plain { .. } | Slot::Resolved { .. }) => Glimpse::Text(outline.string(slot)),
            Slot::Array { count, .. } => Glimpse::Array(PlaceItems { outline, at: self.at + 1, left: count }),
            Slot::Object { count, .. } => Glimpse::Object(PlaceMembers { outline, at: self.at + 1, left: count }),
        }
    }

    /// Where the value lies in memory: two that live at once never share it.
    #[must_use]
    pub fn address(self) -> usize {
        self.outline.slots.get(self.at).map_or(0, |slot| std::ptr::from_ref(slot) as usize)
    }
}

/// Values in order.
#[derive(Clone, Copy, Debug)]
pub struct PlaceItems<'a> {
    outline: &'a Outline<'a>,
    at: usize,
    left: u32,
}

impl<'a> Iterator for PlaceItems<'a> {
    type Item = Place<'a>;

    fn next(&mut self) -> Option<Place<'a>> {
        self.left = self.left.checked_sub(1)?;
        let place = Place { outline: self.outline, at: self.at };
        self.at = self.outline.behind(self.at);
        Some(place)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

impl ExactSizeIterator for PlaceItems<'_> {}

/// Values by name, in the order of the text.
#[derive(Clone, Copy, Debug)]
pub struct PlaceMembers<'a> {
    outline: &'a Outline<'a>,
    at: usize,
    left: u32,
}

impl<'a> PlaceMembers<'a> {
    /// The value of a name.
    #[must_use]
    pub fn get(self, name: &Name) -> Option<Place<'a>> {
        let (outline, mut at) = (self.outline, self.at);
        for _ in 0..self.left {
            let key = outline.slot(at);
            if let Slot::Plain { mark, .. } | Slot::Resolved { mark, .. } = key
                && mark == name.mark
                && outline.string(key) == &*name.text
            {
                return Some(Place { outline, at: at + 1 });
            }
            at = outline.behind(at + 1);
        }
        None
    }
}

impl<'a> Iterator for PlaceMembers<'a> {
    type Item = (&'a str, Place<'a>);

    fn next(&mut self) -> Option<(&'a str, Place<'a>)> {
        self.left = self.left.checked_sub(1)?;
        let (outline, at) = (self.outline, self.at + 1);
        let name = outline.string(outline.slot(self.at));
        self.at = outline.behind(at);
        Some((name, Place { outline, at }))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

impl ExactSizeIterator for PlaceMembers<'_> {}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Map, Value as Json};

    fn seen(place: Place<'_>) -> Json {
        match place.look() {
            Glimpse::Null => Json::Null,
            Glimpse::Boolean(boolean) => boolean.into(),
            Glimpse::Integer(number) => number.into(),
            Glimpse::Float(number) => number.into(),
            Glimpse::Text(text) => text.into(),
            Glimpse::Array(items) => items.map(seen).collect(),
            Glimpse::Object(members) => Json::Object(members.map(|(name, value)| (name.into(), seen(value))).collect()),
        }
    }

    #[test]
    fn shows_what_is_there() {
        for text in [
            "null",
            " [ ] ",
            r#"{"a":[1,"x",{"b":{}}],"b":null,"c\n":"\u00e9\ud83d\ude00","d":-1.5e3,"":[[],[[]],true]}"#,
            r#"[{"a":{"b":[1,2,3]},"c":4},5]"#,
        ] {
            let outline = Outline::of(text.as_bytes()).unwrap();
            assert_eq!(seen(outline.root()), serde_json::from_str::<Json>(text).unwrap(), "{text}");
        }
    }

    #[test]
    fn finds_members_behind_containers() {
        let outline = Outline::of(br#"{"a":{"z":1},"b":[{"z":2}],"z":3}"#).unwrap();
        let Glimpse::Object(members) = outline.root().look() else { panic!("no object") };
        assert!(matches!(members.get(&"z".into()).map(Place::look), Some(Glimpse::Integer(3))));
        assert!(members.get(&"y".into()).is_none());
        assert_eq!((members.len(), members.size_hint()), (3, (3, Some(3))));
    }

    #[test]
    fn what_is_subtle_or_wrong_has_none() {
        let wide = |count| {
            let members: Map<_, _> = (0..count).map(|n| (n.to_string(), Json::Null)).collect();
            Json::Object(members).to_string()
        };
        assert!(Outline::of(wide(MEMBERS_MAX).as_bytes()).is_some());
        let wide = wide(MEMBERS_MAX + 1);
        for text in
            [r#"{"a":1,"b":2,"a":3}"#, r#"[{"a":{},"\u0061":1}]"#, &wide, "[1,]", "1 2", "", "\"\u{1}\"", "1e999"]
        {
            assert!(Outline::of(text.as_bytes()).is_none(), "{text:.40}");
        }
        assert!(Outline::of(b"\"\xff\"").is_none());
    }
}
