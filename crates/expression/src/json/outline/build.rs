//! Building an outline: each value is a slot, in the order of the text.

use super::{
    super::read::{Build, Plain},
    MEMBERS_MAX, Slot, mark,
};

/// An outline, being read.
#[derive(Default)]
pub struct Building {
    pub slots: Vec<Slot>,
    pub resolved: String,
    /// The marks of the keys of all objects that are open.
    marks: Vec<u32>,
    /// Whether this is to be read as values.
    pub subtle: bool,
}

/// A container whose slots follow.
pub struct Open {
    at: usize,
    count: u32,
    /// Where the marks of its keys begin.
    marks: usize,
}

impl Building {
    /// Nothing yet, with room for so many values.
    pub fn with_room(slots: usize) -> Self {
        Self { slots: Vec::with_capacity(slots), ..Self::default() }
    }

    fn open(&mut self) -> Open {
        self.slots.push(Slot::Null);
        Open { at: self.slots.len() - 1, count: 0, marks: self.marks.len() }
    }

    fn close(&mut self, open: &Open, slot: fn(u32, u32) -> Slot) {
        // There are no more slots than bytes, which fit.
        let end = self.slots.len() as u32;
        if let Some(first) = self.slots.get_mut(open.at) {
            *first = slot(open.count, end);
        }
    }

    #[inline]
    fn plain(&mut self, plain: Plain<'_>, mark: u32) {
        let start = plain.start as u32;
        self.slots.push(Slot::Plain { start, end: start + plain.text.len() as u32, mark });
    }

    fn resolved(&mut self, text: &str, mark: u32) {
        let start = self.resolved.len() as u32;
        self.resolved.push_str(text);
        self.slots.push(Slot::Resolved { start, end: self.resolved.len() as u32, mark });
    }

    /// Whether two keys of an object may be the same. That two others have one mark is so rare that it may cost time.
    fn may_repeat(&self, open: &Open) -> bool {
        let marks = self.marks.get(open.marks..).unwrap_or_default();
        // Most objects are told apart at one look: no two keys share a bit.
        let (mut seen, mut shared) = (0_u64, 0_u64);
        for mark in marks {
            let bit = 1 << (mark & 63);
            shared |= seen & bit;
            seen |= bit;
        }
        shared != 0 && repeats(marks)
    }
}

fn repeats(mut marks: &[u32]) -> bool {
    while let Some((first, rest)) = marks.split_first() {
        if rest.contains(first) {
            return true;
        }
        marks = rest;
    }
    false
}

impl Build for Building {
    type Value = ();
    type Items = Open;
    type Members = Open;
    type Key = ();

    fn null(&mut self) {
        self.slots.push(Slot::Null);
    }

    fn boolean(&mut self, boolean: bool) {
        self.slots.push(Slot::Boolean(boolean));
    }

    fn integer(&mut self, number: i64) {
        self.slots.push(Slot::Integer(number));
    }

    fn float(&mut self, number: f64) {
        self.slots.push(Slot::Float(number));
    }

    fn text(&mut self, plain: Plain<'_>) {
        self.plain(plain, 0);
    }

    fn resolved_text(&mut self, text: String) {
        self.resolved(&text, 0);
    }

    fn items(&mut self) -> Open {
        self.open()
    }

    fn item(&mut self, items: &mut Open, (): ()) {
        items.count += 1;
    }

    fn array(&mut self, items: Open) {
        self.close(&items, |count, end| Slot::Array { count, end });
    }

    fn members(&mut self) -> Open {
        self.open()
    }

    fn key(&mut self, plain: Plain<'_>) {
        let mark = mark(plain.text.as_bytes());
        self.marks.push(mark);
        self.plain(plain, mark);
    }

    fn resolved_key(&mut self, text: String) {
        let mark = mark(text.as_bytes());
        self.marks.push(mark);
        self.resolved(&text, mark);
    }

    fn member(&mut self, members: &mut Open, (): (), (): ()) {
        members.count += 1;
    }

    fn object(&mut self, members: Open) {
        self.subtle = self.subtle || members.count > MEMBERS_MAX || self.may_repeat(&members);
        self.marks.truncate(members.marks);
        self.close(&members, |count, end| Slot::Object { count, end });
    }
}
