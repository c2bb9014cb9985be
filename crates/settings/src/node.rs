//! The tree of a configuration file, in which every part knows its place.

/// A place in a text; line and column count from 1, the column in characters. Zero means that the place is not known.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Position {
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

/// From a place up to, not including, another.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Span {
    /// The first character.
    pub start: Position,
    /// Behind the last character.
    pub end: Position,
}

/// A part of the tree with its place.
#[derive(Clone, PartialEq, Debug)]
pub struct Node {
    /// Where it stands.
    pub span: Span,
    /// What it is.
    pub kind: NodeKind,
}

/// What a part of the tree is.
#[derive(Clone, PartialEq, Debug)]
pub enum NodeKind {
    /// Nothing: `~`, `null` or no text at all.
    Null,
    /// A text, number or truth value; what it is, its reader decides.
    Scalar(Scalar),
    /// A list.
    Sequence(Vec<Node>),
    /// A map whose keys are unique.
    Mapping(Vec<Entry>),
}

/// A key and its value.
#[derive(Clone, PartialEq, Debug)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key stands.
    pub key_span: Span,
    /// The value.
    pub value: Node,
}

/// A scalar after substitution.
#[derive(Clone, PartialEq, Debug)]
pub struct Scalar {
    /// The text, with `${…}` replaced.
    pub text: String,
    /// Whether it stood in quotes or in a block, and so is text even if it looks like a number.
    pub quoted: bool,
    /// How it may be shown, if it holds something from the environment or a file.
    pub masked: Option<String>,
    /// Where its lines stand in the file.
    pub layout: Layout,
}

/// Maps byte offsets of a scalar's text to places in the file, through folded lines, escapes and substitutions.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Layout {
    /// Place of the first character of each line of the text.
    pub lines: Vec<Position>,
    /// Where the text does not go on column by column within its line: from this byte of the text on it stands there.
    /// Sorted by byte.
    pub jumps: Vec<(usize, Position)>,
}

impl Layout {
    /// The place of the byte at `offset` of `text`.
    #[must_use]
    pub fn position(&self, text: &str, offset: usize) -> Position {
        let offset = offset.min(text.len());
        let before = text.get(..offset).unwrap_or(text);
        let line = before.matches('\n').count();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let jumped = self.jumps.get(..self.jumps.partition_point(|(at, _)| *at <= offset)).and_then(<[_]>::last);
        let (from, start) = match jumped.filter(|(at, _)| *at >= line_start) {
            Some((at, place)) => (*at, *place),
            None => match self.lines.get(line).or(self.lines.last()) {
                Some(place) => (line_start, *place),
                None => return Position::default(),
            },
        };
        let columns = before.get(from..).map_or(0, |rest| rest.chars().count());
        Position { line: start.line, column: start.column.saturating_add(u32::try_from(columns).unwrap_or(u32::MAX)) }
    }

    /// The place of a range of bytes of `text`.
    #[must_use]
    pub fn span(&self, text: &str, range: std::ops::Range<usize>) -> Span {
        Span { start: self.position(text, range.start), end: self.position(text, range.end.max(range.start)) }
    }
}

impl Node {
    /// What the node is, for messages: `a map`, `a list`, `a text`.
    #[must_use]
    pub const fn describe(&self) -> &'static str {
        match &self.kind {
            NodeKind::Null => "nothing",
            NodeKind::Scalar(scalar) if scalar.quoted => "a quoted text",
            NodeKind::Scalar(_) => "a plain value",
            NodeKind::Sequence(_) => "a list",
            NodeKind::Mapping(entries) if entries.is_empty() => "an empty map",
            NodeKind::Mapping(_) => "a map",
        }
    }

    /// The value of a key, if this is a map that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        match &self.kind {
            NodeKind::Mapping(entries) => entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value),
            NodeKind::Null | NodeKind::Scalar(_) | NodeKind::Sequence(_) => None,
        }
    }

    /// The entries, if this is a map.
    #[must_use]
    pub fn entries(&self) -> Option<&[Entry]> {
        match &self.kind {
            NodeKind::Mapping(entries) => Some(entries),
            NodeKind::Null | NodeKind::Scalar(_) | NodeKind::Sequence(_) => None,
        }
    }

    /// The scalar, if this is one.
    #[must_use]
    pub const fn scalar(&self) -> Option<&Scalar> {
        match &self.kind {
            NodeKind::Scalar(scalar) => Some(scalar),
            NodeKind::Null | NodeKind::Sequence(_) | NodeKind::Mapping(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(line: u32, column: u32) -> Position {
        Position { line, column }
    }

    #[test]
    fn offsets_become_places() {
        let layout = Layout { lines: vec![at(2, 5), at(3, 9)], jumps: vec![(3, at(2, 20)), (9, at(4, 1))] };
        let text = "abcdef\nghé i";
        for (offset, place) in
            [(0, at(2, 5)), (2, at(2, 7)), (3, at(2, 20)), (5, at(2, 22)), (7, at(3, 9)), (9, at(4, 1)), (99, at(4, 4))]
        {
            assert_eq!(layout.position(text, offset), place, "{offset}");
        }
        assert_eq!(Layout::default().position(text, 3), Position::default());
    }
}
