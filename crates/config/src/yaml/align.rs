//! Lays a scalar's text beside the file's, so that a place in the one is a place in the other: a VRL program in a block,
//! a template with escapes and a folded sentence all point at the very character that is wrong.

use super::text::{Cursor, Index, position};
use crossdock_settings::{Layout, Position};
use saphyr_parser::{ScalarStyle, Span};

/// Where the characters of `text` stand.
pub(super) fn layout(index: &Index<'_>, text: &str, style: ScalarStyle, span: Span) -> Layout {
    let start = position(span.start.line(), span.start.col());
    match style {
        ScalarStyle::Literal => literal(text, start),
        ScalarStyle::Plain | ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => {
            let quote = usize::from(style != ScalarStyle::Plain);
            let one_to_one = span.len() == text.chars().count() + 2 * quote && !text.contains('\n');
            let first = position(span.start.line(), span.start.col() + quote);
            if one_to_one {
                return Layout { lines: vec![first], jumps: Vec::new() };
            }
            Walk::new(index.cursor(span.start.index() + quote, first), style).along(text)
        }
        ScalarStyle::Folded => Walk::new(index.cursor(span.start.index(), start), style).along(text),
    }
}

/// A literal block keeps its lines: each stands one below the other, from the block's indentation on.
fn literal(text: &str, start: Position) -> Layout {
    // The parser's place is that of the first line that is not empty.
    let empty = text.bytes().take_while(|byte| *byte == b'\n').count();
    let first = (start.line as usize).saturating_sub(empty);
    let column = (start.column as usize).saturating_sub(1);
    Layout {
        lines: (0..=text.matches('\n').count()).map(|line| position(first + line, column)).collect(),
        jumps: vec![],
    }
}

struct Walk<'a> {
    source: Cursor<'a>,
    style: ScalarStyle,
    layout: Layout,
    /// Where the next character stands if nothing intervenes; none at the start of a line of the text.
    expected: Option<Position>,
}

impl<'a> Walk<'a> {
    fn new(source: Cursor<'a>, style: ScalarStyle) -> Self {
        Self { source, style, layout: Layout::default(), expected: None }
    }

    fn along(mut self, text: &str) -> Layout {
        for (byte, character) in text.char_indices() {
            if !character.is_whitespace() {
                self.skip_fold();
            }
            self.note(byte);
            self.step(character);
            if character == '\n' {
                self.expected = None;
            }
        }
        self.note(text.len());
        self.layout
    }

    /// White space that folding removed, and escaped line breaks.
    fn skip_fold(&mut self) {
        self.source.skip_white_space();
        while self.style == ScalarStyle::DoubleQuoted && self.escape().is_some_and(|next| next == '\n' || next == '\r')
        {
            self.source.skip(1);
            self.source.skip_white_space();
        }
    }

    /// Notes where the character at this byte of the text stands, if that does not follow from the one before.
    fn note(&mut self, byte: usize) {
        let place = self.source.place();
        match self.expected {
            None => self.layout.lines.push(place),
            Some(expected) if expected == place => {}
            Some(_) => self.layout.jumps.push((byte, place)),
        }
        self.expected = Some(Position { column: place.column.saturating_add(1), ..place });
    }

    fn step(&mut self, character: char) {
        match self.source.peek() {
            None => {}
            Some('\\') if self.style == ScalarStyle::DoubleQuoted => {
                let length = match self.escape() {
                    Some('x') => 4,
                    Some('u') => 6,
                    Some('U') => 10,
                    Some(_) | None => 2,
                };
                self.source.skip(length);
            }
            Some('\'') if self.style == ScalarStyle::SingleQuoted => self.source.skip(2),
            Some(next) if next == character && character != '\n' => self.source.skip(1),
            // A fold: one blank or several line breaks stand for all the white space here.
            Some(_) if character.is_whitespace() => self.source.skip_white_space(),
            Some(_) => self.source.skip(1),
        }
    }

    /// The character behind a backslash that is next.
    fn escape(&self) -> Option<char> {
        let mut ahead = self.source.ahead();
        (ahead.next()? == '\\').then(|| ahead.next()).flatten()
    }
}
