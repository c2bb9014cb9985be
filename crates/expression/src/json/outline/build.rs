//! Building an outline: each value is a slot, in the order of the text.

use super::{
    super::read::{Build, Piece},
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

    fn string(&mut self, piece: Piece<'_>, mark: u32) {
        let slot = match piece {
            Piece::Plain { start, text } => Slot::Plain { start: start as u32, end: (start + text.len()) as u32, mark },
            Piece::Resolved(text) => {
                let start = self.resolved.len() as u32;
                self.resolved.push_str(&text);
                Slot::Resolved { start, end: self.resolved.len() as u32, mark }
            }
        };
        self.slots.push(slot);
    }

    /// Whether two keys of an object may be the same. That two others have one mark is so rare that it may cost time.
    fn may_repeat(&self, open: &Open) -> bool {
        let mut marks = self.marks.get(open.marks..).unwrap_or_default();
        while let Some((first, rest)) = marks.split_first() {
            if rest.contains(first) {
                return true;
            }
            marks = rest;
        }
        false
    }
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

    fn text(&mut self, piece: Piece<'_>) {
        self.string(piece, 0);
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

    fn key(&mut self, piece: Piece<'_>) {
        let mark = match &piece {
            Piece::Plain { text, .. } => mark(text.as_bytes()),
            Piece::Resolved(text) => mark(text.as_bytes()),
        };
        self.marks.push(mark);
        self.string(piece, mark);
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
