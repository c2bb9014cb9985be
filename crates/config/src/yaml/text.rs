//! Where the characters and lines of a text are, in time that does not grow with the length of a line.

use crossdock_settings::Position;

/// How many characters lie between two known bytes.
const STEP: usize = 64;

/// The lines of a text, and the byte of every 64th character.
pub(super) struct Index<'a> {
    text: &'a str,
    lines: Vec<&'a str>,
    bytes: Vec<usize>,
}

/// Walks along a text and knows its place.
pub(super) struct Cursor<'a> {
    rest: std::str::Chars<'a>,
    place: Position,
}

/// A place from the parser's marker: lines from 1, columns from 0.
pub(super) fn position(line: usize, column: usize) -> Position {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Position { line: number(line), column: number(column).saturating_add(1) }
}

impl<'a> Index<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let bytes = text.char_indices().step_by(STEP).map(|(byte, _)| byte).collect();
        Self { text, lines: text.lines().collect(), bytes }
    }

    pub(super) fn line_count(&self) -> usize {
        self.lines.len().max(1)
    }

    /// The line of a number from 1; empty where there is none.
    pub(super) fn line(&self, number: usize) -> &'a str {
        number.checked_sub(1).and_then(|at| self.lines.get(at)).copied().unwrap_or_default()
    }

    /// The text from the character of a number, counted from 0.
    pub(super) fn cursor(&self, character: usize, place: Position) -> Cursor<'a> {
        let byte = self.bytes.get(character / STEP).copied().unwrap_or(self.text.len());
        let mut rest = self.text.get(byte..).unwrap_or_default().chars();
        if let Some(skip) = (character % STEP).checked_sub(1) {
            rest.nth(skip);
        }
        Cursor { rest, place }
    }
}

impl<'a> Cursor<'a> {
    pub(super) const fn place(&self) -> Position {
        self.place
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest.clone().next()
    }

    /// The characters that come, without going there.
    pub(super) fn ahead(&self) -> std::str::Chars<'a> {
        self.rest.clone()
    }

    pub(super) fn next(&mut self) -> Option<char> {
        let next = self.rest.next()?;
        if next == '\n' {
            self.place = Position { line: self.place.line.saturating_add(1), column: 1 };
        } else {
            self.place.column = self.place.column.saturating_add(1);
        }
        Some(next)
    }

    pub(super) fn skip(&mut self, count: usize) {
        for _ in 0..count {
            self.next();
        }
    }

    pub(super) fn skip_white_space(&mut self) {
        while self.peek().is_some_and(|next| matches!(next, ' ' | '\t' | '\r' | '\n')) {
            self.next();
        }
    }
}
