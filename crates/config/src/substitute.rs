//! `${env:NAME}`, `${env:NAME:-default}` and `${file:/path}` in string values.
//!
//! It comes after parsing, so that no value can change the shape of the configuration, and in values only, never in
//! keys. `$${` stands for `${` itself. As in a shell, a default also stands for a variable that is empty. Line breaks at
//! the end of a file are not part of its value. What was put in is a secret: it is shown as `***` wherever the text is.

use crate::Environment;
use crossdock_settings::{Diagnostic, Diagnostics, Layout, Node, NodeKind, Position, Scalar, Span, suggest};
use std::path::Path;

/// What stands for a value that is not shown.
pub(crate) const MASK: &str = "***";

/// What substitution leaves beside the tree.
#[derive(Default)]
pub(crate) struct Substituted {
    /// The values that were put in, which appear in no message.
    pub secrets: Vec<String>,
    /// Where it failed: nothing more needs to be said of these values.
    pub failed: Vec<Span>,
}

/// Substitutes in all string values of the tree.
pub(crate) fn substitute(
    root: &mut Node,
    folder: &Path,
    environment: &dyn Environment,
    found: &mut Diagnostics,
) -> Substituted {
    let mut pass = Pass { folder, environment, found, result: Substituted::default() };
    pass.node(root);
    pass.result
}

struct Pass<'a> {
    folder: &'a Path,
    environment: &'a dyn Environment,
    found: &'a mut Diagnostics,
    result: Substituted,
}

/// A piece of a raw text, by its bytes.
enum Piece<'t> {
    Literal(usize, &'t str),
    /// `$${`
    Escaped(usize),
    Reference {
        start: usize,
        end: usize,
        inside: &'t str,
    },
    Unclosed(usize),
}

impl Pass<'_> {
    fn node(&mut self, node: &mut Node) {
        let span = node.span;
        match &mut node.kind {
            NodeKind::Null => {}
            NodeKind::Scalar(scalar) if scalar.text.contains("${") => self.scalar(scalar, span),
            NodeKind::Scalar(_) => {}
            NodeKind::Sequence(items) => items.iter_mut().for_each(|item| self.node(item)),
            NodeKind::Mapping(entries) => entries.iter_mut().for_each(|entry| self.node(&mut entry.value)),
        }
    }

    fn scalar(&mut self, scalar: &mut Scalar, span: Span) {
        let raw = std::mem::take(&mut scalar.text);
        let pieces = split(&raw);
        let whole = matches!(pieces.as_slice(), [Piece::Reference { .. }]);
        let mut out = Output::new(&raw, &scalar.layout);
        let mut masked = None::<String>;
        for piece in pieces {
            match piece {
                Piece::Literal(at, text) => {
                    out.push(at, text);
                    if let Some(masked) = &mut masked {
                        masked.push_str(text);
                    }
                }
                Piece::Escaped(at) => {
                    out.push(at + 1, "${");
                    if let Some(masked) = &mut masked {
                        masked.push_str("${");
                    }
                }
                Piece::Unclosed(at) => self.wrong(
                    scalar.layout.span(&raw, at..raw.len()),
                    span,
                    Wrong::new("substitution.syntax", "`${` is not closed")
                        .hint("close it with `}`, or write `$${` for `${` itself"),
                ),
                Piece::Reference { start, end, inside } => match self.resolve(inside) {
                    Ok(Some(value)) => {
                        masked.get_or_insert_with(|| out.text.clone()).push_str(MASK);
                        out.push_value(start, &value);
                        self.result.secrets.push(value);
                    }
                    Ok(None) => {
                        let text = raw.get(start..end).unwrap_or_default();
                        out.push(start, text);
                        if let Some(masked) = &mut masked {
                            masked.push_str(text);
                        }
                        self.suspicious(scalar.layout.span(&raw, start..end), inside);
                    }
                    Err(wrong) => self.wrong(scalar.layout.span(&raw, start..end), span, wrong),
                },
            }
        }
        (scalar.text, scalar.layout) = out.finish();
        scalar.masked = masked;
        // A value that is one reference is read as if its value stood there, so that `"${env:ATTEMPTS}"` can be a
        // number: between braces it could not be written without quotes.
        scalar.quoted = scalar.quoted && !whole;
    }

    /// The value of a reference; none where it is none of ours.
    fn resolve(&self, inside: &str) -> Result<Option<String>, Wrong> {
        let Some((kind, rest)) = inside.split_once(':') else { return Ok(None) };
        match kind {
            "env" => self.variable(rest).map(Some),
            "file" => self.file(rest).map(Some),
            _ if kind.is_empty() || !kind.bytes().all(|byte| byte.is_ascii_alphabetic()) => Ok(None),
            _ => {
                let hint = match suggest(kind, ["env", "file"]) {
                    Some(near) => format!("did you mean `${{{near}:…}}`?"),
                    None => "there are `${env:NAME}` and `${file:/path}`; write `$${` for `${` itself".into(),
                };
                let message = format!("nothing is known by `${{{kind}:…}}`");
                Err(Wrong::new("substitution.unknown", message).hint(hint))
            }
        }
    }

    fn variable(&self, reference: &str) -> Result<String, Wrong> {
        let (name, default) = match reference.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (reference, None),
        };
        let starts_well = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
        if !starts_well || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return Err(Wrong::new("substitution.syntax", format!("`{name}` is no name of an environment variable"))
                .hint("write `${env:NAME}` or `${env:NAME:-default}`, with letters, digits and `_` in the name"));
        }
        if default.is_some_and(|default| default.contains("${")) {
            return Err(Wrong::new("substitution.syntax", "a default cannot hold another `${…}`")
                .hint("write a plain text as the default"));
        }
        let value = self.environment.variable(name);
        match (value, default) {
            (Some(value), None) => Ok(value),
            (Some(value), Some(_)) if !value.is_empty() => Ok(value),
            (_, Some(default)) => Ok(default.to_owned()),
            (None, None) => {
                Err(Wrong::new("substitution.variable", format!("the environment variable `{name}` is not set"))
                    .hint(format!("set {name}, or give a default: `${{env:{name}:-default}}`")))
            }
        }
    }

    fn file(&self, path: &str) -> Result<String, Wrong> {
        let wrong = |why: String| Wrong::new("substitution.file", format!("the file `{path}` cannot be read: {why}"));
        if path.is_empty() {
            return Err(Wrong::new("substitution.syntax", "`${file:}` names no file").hint("write `${file:/path}`"));
        }
        let bytes = self.environment.read(&self.folder.join(path)).map_err(|error| wrong(crate::files::why(&error)))?;
        let text = String::from_utf8(bytes).map_err(|_| wrong("it is not UTF-8".into()))?;
        Ok(text.trim_end_matches(['\r', '\n']).to_owned())
    }

    /// `${NAME}` is what other tools write; here it stays as it is, which is likely not what was meant.
    fn suspicious(&mut self, place: Span, inside: &str) {
        let name = inside.split(':').next().unwrap_or_default();
        let like_a_variable = name.starts_with(|first: char| first.is_ascii_uppercase() || first == '_')
            && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
        if like_a_variable {
            let message = format!("`${{{name}}}` stays as it is");
            let hint = format!("write `${{env:{name}}}` for the environment variable, `$${{` for `${{` itself");
            self.found.push(Diagnostic::warning("substitution.unknown", place, message).hint(hint));
        }
    }

    fn wrong(&mut self, place: Span, whole: Span, wrong: Wrong) {
        self.found.push(Diagnostic::error(wrong.code, place, wrong.message).maybe_hint(wrong.hint));
        self.result.failed.push(whole);
    }
}

struct Wrong {
    code: &'static str,
    message: String,
    hint: Option<String>,
}

impl Wrong {
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None }
    }

    fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

fn split(raw: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut at = 0;
    while let Some(rest) = raw.get(at..).filter(|rest| !rest.is_empty()) {
        let Some(open) = rest.find("${") else {
            pieces.push(Piece::Literal(at, rest));
            break;
        };
        let escaped = rest.get(..open).is_some_and(|before| before.ends_with('$'));
        let literal = if escaped { open - 1 } else { open };
        if literal > 0 {
            pieces.push(Piece::Literal(at, rest.get(..literal).unwrap_or_default()));
        }
        let start = at + open;
        if escaped {
            pieces.push(Piece::Escaped(start - 1));
            at = start + 2;
            continue;
        }
        let Some(length) = rest.get(open..).and_then(|reference| reference.find('}')) else {
            pieces.push(Piece::Unclosed(start));
            break;
        };
        let inside = raw.get(start + 2..start + length).unwrap_or_default();
        pieces.push(Piece::Reference { start, end: start + length + 1, inside });
        at = start + length + 1;
    }
    pieces
}

/// The new text, with the place of each of its parts in the file.
struct Output<'t> {
    raw: &'t str,
    from: &'t Layout,
    text: String,
    layout: Layout,
}

impl<'t> Output<'t> {
    fn new(raw: &'t str, from: &'t Layout) -> Self {
        let layout = Layout { lines: from.lines.first().copied().into_iter().collect(), jumps: Vec::new() };
        Self { raw, from, text: String::new(), layout }
    }

    /// Text that stands at this byte of the raw one, and runs along with it.
    fn push(&mut self, at: usize, text: &str) {
        let mut byte = at;
        for line in text.split_inclusive('\n') {
            self.jump(self.from.position(self.raw, byte));
            for (inner, place) in &self.from.jumps {
                if (byte..byte + line.len()).contains(inner) {
                    self.layout.jumps.push((self.text.len() + inner - byte, *place));
                }
            }
            self.text.push_str(line);
            byte += line.len();
            if line.ends_with('\n') {
                self.layout.lines.push(self.from.position(self.raw, byte));
            }
        }
    }

    /// A value that stands, with all its lines, for the reference at this byte of the raw text.
    fn push_value(&mut self, at: usize, value: &str) {
        let place = self.from.position(self.raw, at);
        self.jump(place);
        self.text.push_str(value);
        self.layout.lines.extend(value.matches('\n').map(|_| place));
    }

    fn jump(&mut self, place: Position) {
        if self.layout.position(&self.text, self.text.len()) != place {
            self.layout.jumps.push((self.text.len(), place));
        }
    }

    fn finish(self) -> (String, Layout) {
        (self.text, self.layout)
    }
}

#[cfg(test)]
mod tests;
