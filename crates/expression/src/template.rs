//! Texts with holes: `orders/{{ .order_id }}`.
//!
//! ```text
//! template = { literal | "{{" expression "}}" }
//! ```
//!
//! Each hole is an expression of its own and ends at the first `}}` outside of its brackets and literals. Outside of
//! holes every other sign stands for itself; two opening braces are written `{{ s'{{' }}`.

use crate::{CompileError, Compiler, Metadata, Program, Use, Value, View};
use crossdock_model::{Envelope, Fault, Text, uri};
use percent_encoding::utf8_percent_encode;
use std::{borrow::Cow, ops::Range};
use vrl::value::Kind;

/// What becomes of a value that is put into a text.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Escape {
    /// It stands as it is.
    #[default]
    None,
    /// It becomes one segment of a URL's path: everything but unreserved signs (RFC 3986 §2.3) is percent-encoded, and
    /// one that is empty, `.` or `..` is a fault.
    PathSegment,
}

/// How a template is compiled.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TemplateOptions {
    /// It picks where the message goes, so it must start with a literal.
    pub address: bool,
    /// An address need not start with a literal.
    pub allow_dynamic: bool,
    /// What becomes of the values.
    pub escape: Escape,
}

/// A compiled template.
#[derive(Clone, Debug)]
pub struct Template {
    parts: Parts,
    escape: Escape,
}

#[derive(Clone, Debug)]
enum Parts {
    /// No holes: nothing to do for a message.
    Fixed(Text),
    /// At least one hole.
    Holes(Vec<Part>),
}

#[derive(Clone, Debug)]
enum Part {
    Literal(Box<str>),
    Hole(Program),
}

impl Compiler {
    /// Compiles a template.
    ///
    /// # Errors
    /// Everything that is wrong with it and its holes.
    pub fn template(&self, text: &str, options: TemplateOptions) -> Result<Template, Vec<CompileError>> {
        let pieces = split(text).map_err(|error| vec![error])?;
        let mut errors = Vec::new();
        if let (true, false, Some(Piece::Hole(range))) = (options.address, options.allow_dynamic, pieces.first()) {
            errors.push(dynamic_address(range.clone()));
        }
        let mut parts = Vec::new();
        for piece in pieces {
            match piece {
                Piece::Literal(range) => parts.push(Part::Literal(text.get(range).unwrap_or_default().into())),
                Piece::Hole(range) => match self.hole(text, range) {
                    Ok(program) => parts.push(Part::Hole(program)),
                    Err(mut found) => errors.append(&mut found),
                },
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let parts = if parts.iter().any(|part| matches!(part, Part::Hole(_))) {
            Parts::Holes(parts)
        } else {
            Parts::Fixed(Text::from(text))
        };
        Ok(Template { parts, escape: options.escape })
    }

    /// Compiles the expression between the braces at `range`, with places in the template's text.
    fn hole(&self, text: &str, range: Range<usize>) -> Result<Program, Vec<CompileError>> {
        let inside = range.start + 2..range.end - 2;
        let expression = text.get(inside.clone()).unwrap_or_default();
        if expression.trim().is_empty() {
            let hint = Some("write an expression, for example `{{ .order_id }}`".into());
            return Err(vec![CompileError {
                code: "template.syntax",
                message: "the hole is empty".into(),
                range,
                hint,
            }]);
        }
        let moved = |mut error: CompileError| {
            error.range = error.range.start + inside.start..error.range.end + inside.start;
            error
        };
        let program = self.compile(expression, Use::Value);
        let program = program.map_err(|errors| errors.into_iter().map(moved).collect::<Vec<_>>())?;
        let kind = Self::result_of(program.inner()).kind().clone();
        let scalar = Kind::bytes().or_integer().or_float().or_boolean().or_timestamp();
        if !kind.intersects(&scalar) {
            let message = format!("this gives {kind}, which cannot stand in a text");
            let hint = Some("take a string, number or boolean of it, or write `encode_json(…)`".into());
            return Err(vec![CompileError { code: "expression.type", message, range: inside, hint }]);
        }
        Ok(program)
    }
}

impl Template {
    /// The text, if there are no holes.
    #[must_use]
    pub const fn fixed(&self) -> Option<&Text> {
        match &self.parts {
            Parts::Fixed(text) => Some(text),
            Parts::Holes(_) => None,
        }
    }

    /// Whether it starts with a value, so that content can pick any address.
    #[must_use]
    pub fn starts_with_value(&self) -> bool {
        match &self.parts {
            Parts::Fixed(_) => false,
            Parts::Holes(parts) => matches!(parts.first(), Some(Part::Hole(_))),
        }
    }

    /// Whether a hole reads the payload.
    #[must_use]
    pub fn needs_payload(&self) -> bool {
        self.programs().any(Program::needs_payload)
    }

    /// The programs of the holes, in order.
    pub fn programs(&self) -> impl Iterator<Item = &Program> {
        let parts = match &self.parts {
            Parts::Fixed(_) => &[],
            Parts::Holes(parts) => parts.as_slice(),
        };
        parts.iter().filter_map(|part| if let Part::Hole(program) = part { Some(program) } else { None })
    }

    /// Puts the values of a message into the holes. Without a payload `.` is null.
    ///
    /// # Errors
    /// Class `rejected`, code `expression`: a hole failed, or gave what cannot stand in a text (null, an array, an
    /// object) or in a path (nothing, `.`, `..`).
    pub fn render(&self, payload: Option<&Value>, metadata: &mut Metadata, envelope: &Envelope) -> Result<Text, Fault> {
        let parts = match &self.parts {
            Parts::Fixed(text) => return Ok(text.clone()),
            Parts::Holes(parts) => parts,
        };
        let mut out = String::new();
        for part in parts {
            match part {
                Part::Literal(literal) => out.push_str(literal),
                Part::Hole(program) => {
                    let value = program.value(payload, metadata, envelope)?;
                    push(&mut out, &value, self.escape, program.text())?;
                }
            }
        }
        Ok(Text::from(out))
    }
}

fn push(out: &mut String, value: &Value, escape: Escape, text: &str) -> Result<(), Fault> {
    let fault = |what: &str| Fault::rejected("expression", format!("`{}` gave {what}", text.trim()));
    let text: Cow<'_, str> = match value.as_ref().view() {
        View::Text(text) => text,
        View::Boolean(_) | View::Integer(_) | View::Float(_) => {
            let json = value.to_json().map_err(|error| fault(&error.to_string()))?;
            Cow::Owned(String::from_utf8_lossy(&json).into_owned())
        }
        View::Null => return Err(fault("null, which cannot stand in a text")),
        View::Array(_) => return Err(fault("an array, which cannot stand in a text")),
        View::Object(_) => return Err(fault("an object, which cannot stand in a text")),
        View::Bytes(_) => return Err(fault("bytes that are no UTF-8")),
    };
    match escape {
        Escape::None => out.push_str(&text),
        Escape::PathSegment if matches!(&*text, "" | "." | "..") => {
            return Err(fault(&format!("`{text}`, which cannot be a segment of a path")));
        }
        Escape::PathSegment => out.extend(utf8_percent_encode(&text, uri::SEGMENT)),
    }
    Ok(())
}

fn dynamic_address(range: Range<usize>) -> CompileError {
    CompileError {
        code: "template.dynamic_address",
        message: "an address must start with a literal, so that content cannot choose any destination".into(),
        range,
        hint: Some("put a fixed part before the hole, or set `allow_dynamic: true` on the target".into()),
    }
}

enum Piece {
    Literal(Range<usize>),
    /// With its braces.
    Hole(Range<usize>),
}

fn split(text: &str) -> Result<Vec<Piece>, CompileError> {
    let mut pieces = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let Some(open) = rest.find("{{") else {
            pieces.push(Piece::Literal(at..text.len()));
            break;
        };
        if open > 0 {
            pieces.push(Piece::Literal(at..at + open));
        }
        let start = at + open;
        let Some(end) = end_of_hole(text, start + 2) else {
            return Err(CompileError {
                code: "template.syntax",
                message: "the hole is not closed".into(),
                range: start..text.len(),
                hint: Some("end it with `}}`; a literal `{{` is written `{{ s'{{' }}`".into()),
            });
        };
        pieces.push(Piece::Hole(start..end));
        at = end;
    }
    Ok(pieces)
}

/// Behind the `}}` that closes the hole whose expression starts at `start`.
fn end_of_hole(text: &str, start: usize) -> Option<usize> {
    let mut scan = Scan::new(text, start);
    let mut depth = 0_usize;
    while let Some((at, sign)) = scan.next_outside() {
        match sign {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            '}' if text.get(at..).is_some_and(|rest| rest.starts_with("}}")) => return Some(at + 2),
            _ => {}
        }
    }
    None
}

/// Whether the byte at `offset` is inside of a literal or comment of an expression.
pub fn is_in_literal(text: &str, offset: usize) -> bool {
    let mut scan = Scan::new(text, 0);
    while let Some((at, _)) = scan.next_outside() {
        if at == offset {
            return false;
        }
    }
    true
}

/// Walks over the signs of an expression that are outside of its literals and comments.
pub struct Scan<'a> {
    signs: std::str::CharIndices<'a>,
    start: usize,
    before: char,
}

impl<'a> Scan<'a> {
    pub fn new(text: &'a str, start: usize) -> Self {
        Self { signs: text.get(start..).unwrap_or_default().char_indices(), start, before: ' ' }
    }

    pub fn next_outside(&mut self) -> Option<(usize, char)> {
        let (at, sign) = self.signs.next()?;
        match sign {
            '"' => self.skip_to('"'),
            // Raw strings, patterns and times: s'…', r'…', t'…'.
            '\'' if matches!(self.before, 's' | 'r' | 't') => self.skip_to('\''),
            '#' => while !matches!(self.signs.next(), None | Some((_, '\n'))) {},
            _ => {}
        }
        self.before = sign;
        Some((self.start + at, sign))
    }

    fn skip_to(&mut self, end: char) {
        while let Some((_, sign)) = self.signs.next() {
            if sign == '\\' {
                self.signs.next();
            } else if sign == end {
                return;
            }
        }
    }
}
