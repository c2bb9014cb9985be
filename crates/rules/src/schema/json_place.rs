//! Where something stands in a JSON text that is known to be valid.

use crossdock_settings::{Position, Span};

/// The place of the value that a JSON pointer (RFC 6901) leads to; of the nearest one above it that is there.
pub fn of_pointer(text: &str, pointer: &str) -> Span {
    let mut scan = Scan { text, at: 0 };
    scan.space();
    let mut found = scan.at;
    for segment in pointer.split('/').skip(1) {
        let segment = segment.replace("~1", "/").replace("~0", "~");
        match scan.enter(&segment) {
            Some(at) => found = at,
            None => break,
        }
    }
    let start = position(text, found);
    Span { start, end: start }
}

/// The line and column of an offset.
pub fn position(text: &str, offset: usize) -> Position {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
    Position { line: u32::try_from(line).unwrap_or(u32::MAX), column: u32::try_from(column).unwrap_or(u32::MAX) }
}

/// Walks over a valid JSON text.
struct Scan<'a> {
    text: &'a str,
    at: usize,
}

impl Scan<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while self.peek().is_some_and(|sign| sign.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    /// Goes from the start of a container to that of a member or item of it.
    fn enter(&mut self, segment: &str) -> Option<usize> {
        let is_object = match self.peek()? {
            b'{' => true,
            b'[' => false,
            _ => return None,
        };
        self.at += 1;
        let mut index = 0_usize;
        loop {
            self.space();
            if matches!(self.peek()?, b'}' | b']') {
                return None;
            }
            let is_this = if is_object { self.key()? == segment } else { index.to_string() == segment };
            self.space();
            if is_this {
                return Some(self.at);
            }
            self.skip_value()?;
            self.space();
            if self.peek()? == b',' {
                self.at += 1;
            }
            index += 1;
        }
    }

    /// Reads a key and goes behind its colon.
    fn key(&mut self) -> Option<String> {
        let start = self.at;
        self.skip_string()?;
        let key = serde_json::from_str(self.text.get(start..self.at)?).ok()?;
        self.space();
        self.at += 1;
        Some(key)
    }

    fn skip_string(&mut self) -> Option<()> {
        self.at += 1;
        loop {
            match self.peek()? {
                b'\\' => self.at += 2,
                b'"' => {
                    self.at += 1;
                    return Some(());
                }
                _ => self.at += 1,
            }
        }
    }

    fn skip_value(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match self.peek()? {
                b'"' => self.skip_string()?,
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    self.at += 1;
                }
                b',' if depth == 0 => return Some(()),
                _ => self.at += 1,
            }
            if depth == 0 && matches!(self.peek()?, b',' | b'}' | b']') {
                return Some(());
            }
        }
    }
}
