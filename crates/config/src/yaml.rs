//! Bytes → tree with positions. What stands in the tree is YAML 1.2 without its surprises: keys are unique names, merge
//! keys and tags are refused, aliases are copied within a limit, a file is one document.
//!
//! The parser is a loop over events, so no depth of nesting can exhaust the stack; how much a file may hold is bounded
//! before anything else looks at it.

mod align;
mod build;
mod text;

use crossdock_settings::{Diagnostic, Diagnostics, Node, Position, Span};
use saphyr_parser::{Parser, ScanError};

/// Largest file, bytes.
const FILE_BYTES_MAX: usize = 8 << 20;
/// Deepest nesting of maps and lists.
const DEPTH_MAX: usize = 64;
/// Most bytes that anchors and aliases may copy, all together.
const ALIAS_BYTES_MAX: usize = 4 << 20;

/// The file's text, if it is one: UTF-8, with or without a byte order mark, of bearable size.
pub(crate) fn decode(bytes: &[u8]) -> Result<&str, Diagnostic> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if bytes.len() > FILE_BYTES_MAX {
        let message = format!("the file has {} bytes, more than {FILE_BYTES_MAX}", bytes.len());
        return Err(
            Diagnostic::error("file.too_large", Span::default(), message).hint("split it over several gateways")
        );
    }
    std::str::from_utf8(bytes).map_err(|wrong| {
        let before = bytes.get(..wrong.valid_up_to()).unwrap_or_default();
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let last = before.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
        let place = text::position(line, String::from_utf8_lossy(last).chars().count());
        Diagnostic::error("file.encoding", Span { start: place, end: place }, "the file is not UTF-8 from here on")
            .hint("save it as UTF-8")
    })
}

/// What a text holds.
pub(crate) struct Parsed {
    /// The tree.
    pub root: Option<Node>,
    /// Parts that stand under a wrong or repeated key, and so not in the tree.
    pub dropped: Vec<Node>,
    /// What is wrong.
    pub found: Diagnostics,
}

/// The tree of a text; none if the text is no YAML or holds nothing. What is wrong with parts of it is told beside.
pub(crate) fn parse(text: &str) -> Parsed {
    let index = text::Index::new(text);
    let mut builder = build::Builder::new(&index);
    for event in Parser::new_from_str(text) {
        let going_on = match event {
            Ok((event, span)) => builder.take(event, span),
            Err(error) => Err(not_yaml(&index, &error)),
        };
        if let Err(fatal) = going_on {
            let mut parsed = builder.finish();
            parsed.found.push(fatal);
            return Parsed { root: None, ..parsed };
        }
    }
    builder.finish()
}

fn not_yaml(index: &text::Index<'_>, error: &ScanError) -> Diagnostic {
    let line_count = index.line_count();
    let beyond = error.marker().line() > line_count;
    let place = if beyond {
        text::position(line_count, index.line(line_count).chars().count())
    } else {
        text::position(error.marker().line(), error.marker().col())
    };
    let line = index.line(place.line as usize);
    let said = error.info();
    let hint = if said.contains("recursion limit") {
        Some(format!("nest at most {DEPTH_MAX} levels"))
    } else if said.contains("tabs") || said.contains("tab ") {
        Some("indent with spaces, not tabs".into())
    } else if line.contains("${") || line.contains("{{") {
        Some("between { } and [ ], put a text that holds `${…}` or `{{ … }}` in quotes".into())
    } else if said.contains("mapping values are not allowed") {
        Some("put a value that holds `: ` in quotes, and check the indentation".into())
    } else if beyond {
        Some("a bracket, brace or quote that opens before is not closed".into())
    } else if said.contains("unexpected character") {
        Some("put a text that begins with `%`, `@` or a backtick in quotes".into())
    } else {
        None
    };
    let end = Position { column: place.column.saturating_add(1), ..place };
    Diagnostic::error("yaml.syntax", Span { start: place, end }, format!("this is not YAML: {said}")).maybe_hint(hint)
}

#[cfg(test)]
mod tests;
