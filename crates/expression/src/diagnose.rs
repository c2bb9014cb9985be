//! From the library's diagnostics to ours: one place, a stable code, one sentence and how to mend it.

use crate::{CompileError, Use, hint, metadata::Field};
use std::ops::Range;
use vrl::{
    compiler::{ProgramInfo, TypeDef},
    diagnostic::{Diagnostic, DiagnosticList, Label},
    path::{OwnedSegment, PathPrefix},
};

/// The library's code of a negation of what is no boolean.
const NOT: usize = 660;

/// All findings of a list, errors or warnings.
pub fn all(text: &str, list: DiagnosticList, usage: Use, names: &[&'static str]) -> Vec<CompileError> {
    list.into_iter().map(|found| one(text, &found, usage, names)).collect()
}

fn one(text: &str, found: &Diagnostic, usage: Use, names: &[&'static str]) -> CompileError {
    let range = place(text, found);
    let snippet = text.get(range.clone()).unwrap_or_default();
    let primary = || label(found, true).unwrap_or(&found.message).to_owned();
    let secondary = || label(found, false).map(ToOwned::to_owned);
    // The numbers are the library's registry of codes (vrl, `compiler::codes`).
    let (code, message, hint) = match found.code {
        105 => {
            let (message, hint) = hint::unknown_function(snippet, names);
            ("expression.unknown_function", message, hint)
        }
        701 => {
            ("expression.unknown_variable", format!("unknown variable `{snippet}`"), Some(hint::variable(text, &range)))
        }
        100 | 103 | 630 | 631 => {
            ("expression.fallible", format!("`{}` can fail", one_line(snippet)), Some(hint::fallible(snippet)))
        }
        110 => ("expression.type", argument_message(found, snippet), hint::argument(snippet, secondary())),
        102 | NOT => {
            ("expression.type", format!("`{}` need not be a boolean", one_line(snippet)), Some(hint::boolean(snippet)))
        }
        315 | 610 if found.message.contains("read-only") => {
            ("expression.read_only", hint::read_only_message(snippet, usage), Some(hint::read_only(usage)))
        }
        121 => ("expression.type", primary(), Some("say what it is with `array!(…)` or `object!(…)`".to_owned())),
        101 => {
            ("expression.regex", primary(), Some("patterns are those of Rust's regex, without look-around".to_owned()))
        }
        200..=299 => ("expression.syntax", primary(), hint::syntax(secondary())),
        106..=109 | 111 | 120 | 122 | 400..=499 => ("expression.arguments", primary(), secondary()),
        620 => {
            ("expression.cannot_fail", format!("`{}` cannot fail", one_line(snippet)), Some("remove the `!`".into()))
        }
        651 => ("expression.cannot_fail", primary(), Some("remove `??` and what follows".into())),
        900 => ("expression.unused", found.message.clone(), Some("assign the result or remove it".into())),
        _ => ("expression.invalid", found.message.clone(), secondary()),
    };
    CompileError { code, message, range, hint }
}

/// The place of the first primary label; the whole text if there is none.
fn place(text: &str, found: &Diagnostic) -> Range<usize> {
    // Of a negation the operand is what is wrong; its label is not the primary one.
    let primary = found.code != NOT;
    let label = found.labels.iter().find(|label| label.primary == primary).or(found.labels.first());
    let range = label.map_or(0..text.len(), |label| label.span.range());
    let (start, end) = (floor(text, range.start), floor(text, range.end));
    // The label of an assignment reaches over its sign.
    let snippet = text.get(start..end).unwrap_or_default().trim_end_matches([' ', '=']);
    start..start + snippet.len()
}

/// The next character border at or before an offset.
fn floor(text: &str, offset: usize) -> usize {
    let offset = offset.min(text.len());
    (0..=offset).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

fn label(found: &Diagnostic, primary: bool) -> Option<&str> {
    found.labels.iter().find(|label: &&Label| label.primary == primary).map(|label| label.message.as_str())
}

fn argument_message(found: &Diagnostic, snippet: &str) -> String {
    let expected = label(found, false).and_then(|text| text.split_once(" expects ")).map(|(_, kinds)| kinds);
    match expected {
        Some(kinds) => {
            let kinds = kinds.trim_start_matches("the exact type ").trim_start_matches("one of ");
            format!("`{}` need not be what the function takes ({kinds})", one_line(snippet))
        }
        None => found.message.clone(),
    }
}

/// The first line of a snippet, marked where more follows.
pub fn one_line(snippet: &str) -> String {
    match snippet.trim().split_once('\n') {
        Some((first, _)) => format!("{} …", first.trim_end()),
        None => snippet.trim().to_owned(),
    }
}

/// Names behind `%` that no message has.
pub fn unknown_metadata(text: &str, info: &ProgramInfo) -> Vec<CompileError> {
    let mut found: Vec<CompileError> = Vec::new();
    for path in info.target_queries.iter().chain(&info.target_assignments) {
        let Some(OwnedSegment::Field(name)) = path.path.segments.first() else { continue };
        if path.prefix != PathPrefix::Metadata || Field::from_name(name).is_some() {
            continue;
        }
        let range = hint::find_metadata(text, name);
        if found.iter().all(|error| error.range != range) {
            let (message, hint) = hint::unknown_metadata(name);
            found.push(CompileError { code: "expression.unknown_metadata", message, range, hint: Some(hint) });
        }
    }
    found
}

/// Whether the text gives what its use asks for.
pub fn result(text: &str, usage: Use, result: &TypeDef) -> Option<CompileError> {
    let kind = result.kind();
    match usage {
        Use::Condition if !kind.is_boolean() => Some(CompileError {
            code: "expression.condition",
            message: format!("a condition must be a boolean, but this gives {kind}"),
            range: 0..text.trim_end().len(),
            hint: Some(hint::condition(text)),
        }),
        Use::Value if kind.is_never() || kind.is_null() || kind.is_undefined() => Some(CompileError {
            code: "expression.type",
            message: "this never gives a value".into(),
            range: 0..text.trim_end().len(),
            hint: Some("write what to take, for example `.customer.id`".into()),
        }),
        Use::Condition | Use::Value | Use::Transform => None,
    }
}

/// A transform that does nothing.
pub fn changes_nothing(text: &str) -> CompileError {
    CompileError {
        code: "expression.unused",
        message: "this changes nothing".into(),
        range: 0..text.trim_end().len(),
        hint: Some("to assign, write one `=`, for example `.region = .ship_to.country`".into()),
    }
}

/// A field that is assigned what it cannot hold.
pub fn wrong_assignment(text: &str, field: Field) -> CompileError {
    CompileError {
        code: "expression.type",
        message: format!("`%{}` cannot hold what it is assigned", field.name()),
        range: hint::find_metadata(text, field.name()),
        hint: Some(format!("it takes {}", field.expects())),
    }
}
