//! Findings as people and programs see them.
//!
//! A report holds no text of the configuration but the lines it shows, with secrets taken out when it is made.

use crate::{mask, substitute::MASK};
use crossdock_settings::{Diagnostic, Diagnostics, Severity, Span};
use serde_json::json;
use std::{collections::HashMap, fmt::Write, ops::Range, sync::Arc};

/// Everything found in a configuration, sorted by place, with the lines it was found in.
#[derive(Clone, Debug)]
pub struct Report {
    file: Arc<str>,
    findings: Vec<Finding>,
}

/// The texts that findings point into.
pub(crate) struct Sources<'a> {
    pub name: Arc<str>,
    pub text: &'a str,
    /// Name and text of other files.
    pub others: Vec<(Arc<str>, Arc<str>)>,
    /// Where the text holds secrets; none where it could not be parsed, and then they are guessed.
    pub secrets: Option<Vec<Span>>,
}

#[derive(Clone, Debug)]
struct Finding {
    diagnostic: Diagnostic,
    excerpt: Option<Excerpt>,
}

/// The line of a finding as it may be shown, and the characters that it is about.
#[derive(Clone, Debug)]
struct Excerpt {
    line: String,
    marked: Range<usize>,
}

/// Longest line that is shown whole; of a longer one, what is around the finding.
const LINE_CHARACTERS_MAX: usize = 160;

/// Longest line that is shown at all, bytes.
const LINE_BYTES_MAX: usize = 64 << 10;

/// Most findings with the line they are about; of further ones there is the place.
const EXCERPTS_MAX: usize = 500;

impl Report {
    pub(crate) fn new(mut diagnostics: Diagnostics, sources: &Sources<'_>) -> Self {
        diagnostics.sort();
        let lines = Lines::new(sources);
        let finding = |(number, mut diagnostic): (usize, Diagnostic)| {
            let start = &mut diagnostic.place.span.start;
            if start.line > 0 {
                start.column = start.column.max(1);
            }
            let excerpt = if number < EXCERPTS_MAX { lines.excerpt(&diagnostic) } else { None };
            Finding { diagnostic, excerpt }
        };
        Self { file: Arc::clone(&sources.name), findings: diagnostics.into_iter().enumerate().map(finding).collect() }
    }

    /// Whether one of the findings is an error: then there is no plan.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.count(Severity::Error) > 0
    }

    /// Whether nothing was found, not even a warning.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.findings.is_empty()
    }

    /// How many findings of a severity there are.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        self.iter().filter(|diagnostic| diagnostic.severity == severity).count()
    }

    /// All findings, sorted by file and place.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.findings.iter().map(|finding| &finding.diagnostic)
    }

    /// The file, as the user named it.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// For people: place, severity, code and message, the source line with carets, and the hint; with colour if asked.
    /// Empty if nothing was found; else it ends with the numbers of errors and warnings.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        let mut out = String::new();
        for finding in &self.findings {
            // Writing into a String cannot fail.
            let _ = finding.render(&mut out, &self.file, Paint { colour });
        }
        if !self.is_empty() {
            let parts = [(Severity::Error, "error"), (Severity::Warning, "warning")];
            let counts = parts.map(|(severity, name)| (self.count(severity), name));
            let told: Vec<_> = counts
                .iter()
                .filter(|(count, _)| *count > 0)
                .map(|(count, name)| format!("{count} {name}{}", if *count == 1 { "" } else { "s" }))
                .collect();
            out.push_str(&told.join(", "));
            out.push('\n');
        }
        out
    }

    /// For programs: `{"diagnostics":[{"severity","code","message","file","line","column","hint"}]}`; `line` and
    /// `column` count from 1 and are null where the place is not known, as is `hint` where there is none.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        let known = |number: u32| (number > 0).then_some(number);
        let diagnostics: Vec<_> = self
            .iter()
            .map(|diagnostic| {
                let start = diagnostic.place.span.start;
                json!({
                    "severity": diagnostic.severity.name(),
                    "code": diagnostic.code,
                    "message": diagnostic.message,
                    "file": diagnostic.place.file.as_deref().unwrap_or(&self.file),
                    "line": known(start.line),
                    "column": known(start.column),
                    "hint": diagnostic.hint,
                })
            })
            .collect();
        json!({ "diagnostics": diagnostics })
    }
}

impl Finding {
    fn render(&self, out: &mut String, file: &str, paint: Paint) -> std::fmt::Result {
        let Diagnostic { severity, code, message, place, hint } = &self.diagnostic;
        let file = place.file.as_deref().unwrap_or(file);
        let tone = match severity {
            Severity::Error => Tone::Error,
            Severity::Warning => Tone::Warning,
        };
        let start = place.span.start;
        let place = if start.line == 0 { file.to_owned() } else { format!("{file}:{}:{}", start.line, start.column) };
        let label = paint.put(tone, &format!("{}[{code}]", severity.name()));
        writeln!(
            out,
            "{}: {label}: {}",
            paint.put(Tone::Strong, &printable(&place)),
            paint.put(Tone::Strong, &printable(message))
        )?;
        let number = start.line.to_string();
        let margin = " ".repeat(number.len());
        if let Some(Excerpt { line, marked }) = &self.excerpt {
            let bar = paint.put(Tone::Quiet, "|");
            writeln!(out, " {} {bar} {line}", paint.put(Tone::Quiet, &number))?;
            let carets = "^".repeat(marked.len().max(1));
            writeln!(out, " {margin} {bar} {}{}", " ".repeat(marked.start), paint.put(tone, &carets))?;
        }
        if let Some(hint) = hint {
            writeln!(out, " {margin} {} {}", paint.put(Tone::Quiet, "="), printable(hint))?;
        }
        out.push('\n');
        Ok(())
    }
}

#[derive(Clone, Copy)]
struct Paint {
    colour: bool,
}

#[derive(Clone, Copy)]
enum Tone {
    Error,
    Warning,
    Strong,
    Quiet,
}

impl Paint {
    fn put(self, tone: Tone, text: &str) -> String {
        if !self.colour {
            return text.to_owned();
        }
        let code = match tone {
            Tone::Error => "1;31",
            Tone::Warning => "1;33",
            Tone::Strong => "1",
            Tone::Quiet => "34",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

/// A text whose control characters cannot move the terminal's cursor.
fn printable(text: &str) -> String {
    text.chars().map(|sign| if sign.is_control() && sign != '\n' { '\u{fffd}' } else { sign }).collect()
}

/// The lines of the texts, and where in them are secrets.
struct Lines<'a> {
    own: Vec<&'a str>,
    others: Vec<(&'a str, Vec<&'a str>)>,
    /// By line; none where the text could not be parsed.
    secrets: Option<HashMap<u32, Vec<Span>>>,
}

impl<'a> Lines<'a> {
    fn new(sources: &'a Sources<'_>) -> Self {
        let others = sources.others.iter().map(|(name, text)| (&**name, text.lines().collect()));
        Self {
            own: sources.text.lines().collect(),
            others: others.collect(),
            secrets: sources.secrets.as_ref().map(|secrets| by_line(secrets)),
        }
    }

    fn excerpt(&self, diagnostic: &Diagnostic) -> Option<Excerpt> {
        let span = diagnostic.place.span;
        let index = usize::try_from(span.start.line).ok()?.checked_sub(1)?;
        let lines = match &diagnostic.place.file {
            None => &self.own,
            Some(file) => &self.others.iter().find(|(name, _)| *name == &**file)?.1,
        };
        let line = *lines.get(index)?;
        if line.len() > LINE_BYTES_MAX {
            return None;
        }
        let hidden = match (&diagnostic.place.file, &self.secrets) {
            (Some(_), _) => Vec::new(),
            (None, Some(secrets)) => hidden(secrets, span.start.line, line),
            (None, None) => mask::guess(line).into_iter().map(|range| in_characters(line, range)).collect(),
        };
        let length = line.chars().count();
        let marked = columns(span, span.start.line, length).unwrap_or_else(|| {
            let at = (span.start.column as usize).saturating_sub(1).min(length);
            at..at
        });
        Some(window(&blot(line, marked, hidden)))
    }
}

fn by_line(secrets: &[Span]) -> HashMap<u32, Vec<Span>> {
    let mut lines: HashMap<u32, Vec<Span>> = HashMap::new();
    for secret in secrets {
        for line in secret.start.line..=secret.end.line {
            lines.entry(line).or_default().push(*secret);
        }
    }
    lines
}

/// The characters of a line that are secret.
fn hidden(secrets: &HashMap<u32, Vec<Span>>, number: u32, line: &str) -> Vec<Range<usize>> {
    let Some(secrets) = secrets.get(&number) else { return Vec::new() };
    let length = line.chars().count();
    secrets.iter().filter_map(|secret| columns(*secret, number, length)).collect()
}

/// The characters of a line of this length that a span covers.
fn columns(span: Span, number: u32, length: usize) -> Option<Range<usize>> {
    let column = |column: u32| (column as usize).saturating_sub(1).min(length);
    let from = if span.start.line == number { column(span.start.column) } else { 0 };
    let to = if span.end.line == number { column(span.end.column) } else { length };
    (span.start.line <= number && number <= span.end.line && from < to).then_some(from..to)
}

fn in_characters(line: &str, range: Range<usize>) -> Range<usize> {
    let count = |end: usize| line.get(..end).map_or(0, |before| before.chars().count());
    count(range.start)..count(range.end)
}

/// The line with what is hidden replaced, and the mark moved along.
fn blot(line: &str, marked: Range<usize>, mut hidden: Vec<Range<usize>>) -> Excerpt {
    hidden.sort_by_key(|range| range.start);
    let (mut out, mut mark) = (String::new(), Range::default());
    let mut shown = 0;
    let mut ranges = hidden.into_iter().peekable();
    for (at, sign) in line.chars().chain([' ']).enumerate() {
        if at == marked.start {
            mark.start = shown;
        }
        if at == marked.end {
            mark.end = shown;
        }
        while ranges.next_if(|range| range.end <= at).is_some() {}
        match ranges.peek() {
            Some(range) if range.start == at => {
                out.push_str(MASK);
                shown += MASK.len();
            }
            Some(range) if range.contains(&at) => {}
            Some(_) | None => {
                out.push(if sign.is_control() { ' ' } else { sign });
                shown += 1;
            }
        }
    }
    Excerpt { line: out.trim_end().to_owned(), marked: mark.start..mark.end.max(mark.start) }
}

/// At most so many characters around the mark.
fn window(excerpt: &Excerpt) -> Excerpt {
    let length = excerpt.line.chars().count();
    if length <= LINE_CHARACTERS_MAX {
        return excerpt.clone();
    }
    let start =
        excerpt.marked.start.saturating_sub(LINE_CHARACTERS_MAX / 2).min(length.saturating_sub(LINE_CHARACTERS_MAX));
    let kept: String = excerpt.line.chars().skip(start).take(LINE_CHARACTERS_MAX).collect();
    let lead = if start > 0 { "… " } else { "" };
    let tail = if start + LINE_CHARACTERS_MAX < length { " …" } else { "" };
    let moved = |at: usize| at.saturating_sub(start).min(LINE_CHARACTERS_MAX) + lead.chars().count();
    Excerpt { line: format!("{lead}{kept}{tail}"), marked: moved(excerpt.marked.start)..moved(excerpt.marked.end) }
}

/// A configuration's text with secrets taken out.
pub(crate) fn masked_text(text: &str, secrets: &[Span]) -> String {
    let mut out = String::with_capacity(text.len());
    let secrets = by_line(secrets);
    for (number, line) in (1..).zip(text.lines()) {
        let hidden = hidden(&secrets, number, line);
        if hidden.is_empty() {
            out.push_str(line);
        } else {
            out.push_str(&blot(line, 0..0, hidden).line);
        }
        out.push('\n');
    }
    out
}
