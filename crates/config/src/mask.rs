//! What is never shown: values from the environment and from files, every `auth` field, passwords in URLs, tokens.
//!
//! Which keys hold secrets comes from the tables; a list of usual names stands behind them for maps with free keys
//! (`headers: { Authorization: … }`). Masking too much does no harm, too little does.

use crate::{Protocol, substitute::MASK, tables};
use crossdock_settings::{Field, Kind, Node, NodeKind, Scalar, Span};
use serde_json::{Map, Value};
use std::ops::Range;

/// Knows which keys hold secrets.
pub(crate) struct Masks {
    names: Vec<&'static str>,
    urls: Vec<&'static str>,
}

impl Masks {
    /// The keys of the gateway's own tables and of the protocols'.
    pub(crate) fn new(protocols: &[Protocol]) -> Self {
        let mut masks = Self { names: vec!["auth"], urls: Vec::new() };
        masks.gather(tables::GATEWAY);
        for description in protocols.iter().map(|protocol| protocol.description) {
            for fields in [description.connection, description.source, description.target].into_iter().flatten() {
                masks.gather(fields);
            }
        }
        masks
    }

    fn gather(&mut self, fields: &'static [Field]) {
        for field in fields {
            self.gather_kind(field.name, &field.kind);
        }
    }

    fn gather_kind(&mut self, name: &'static str, kind: &Kind) {
        match kind {
            Kind::Secret => self.names.push(name),
            Kind::Url => self.urls.push(name),
            Kind::List(inner) | Kind::Map(inner) => self.gather_kind(name, inner),
            Kind::Group(fields) | Kind::Variant(fields) | Kind::Short(fields) => self.gather(fields),
            Kind::OneOf(kinds) => kinds.iter().for_each(|kind| self.gather_kind(name, kind)),
            Kind::Boolean
            | Kind::Integer { .. }
            | Kind::Number { .. }
            | Kind::Text
            | Kind::Choice(_)
            | Kind::Duration
            | Kind::Size
            | Kind::Rate
            | Kind::Path
            | Kind::Connection(_)
            | Kind::Channel
            | Kind::Template(_)
            | Kind::Expression(_)
            | Kind::Any => {}
        }
    }

    /// Whether what stands under a key is a secret: by its name, or because it is a URL in which nobody can tell the
    /// password from the rest.
    pub(crate) fn is_secret(&self, key: &str, value: &Node) -> bool {
        let unclear = |scalar: &Scalar| scalar.text.contains('@') && !scalar.text.contains("://");
        self.names.contains(&key) || is_usual(key) || self.urls.contains(&key) && value.scalar().is_some_and(unclear)
    }

    /// The configuration for people, as a JSON value.
    pub(crate) fn json(&self, node: &Node) -> Value {
        self.value(node, false)
    }

    fn value(&self, node: &Node, secret: bool) -> Value {
        match &node.kind {
            NodeKind::Null => Value::Null,
            NodeKind::Scalar(_) if secret => Value::String(MASK.into()),
            NodeKind::Scalar(scalar) => plain(scalar),
            NodeKind::Sequence(items) => items.iter().map(|item| self.value(item, secret)).collect(),
            NodeKind::Mapping(entries) => {
                let member = |entry: &crossdock_settings::Entry| {
                    (entry.key.clone(), self.value(&entry.value, secret || self.is_secret(&entry.key, &entry.value)))
                };
                Value::Object(entries.iter().map(member).collect::<Map<_, _>>())
            }
        }
    }

    /// The places of secrets in a tree as written, before substitution. What only names a variable or a file is none.
    pub(crate) fn secrets(&self, node: &Node) -> Vec<Span> {
        let mut spans = Vec::new();
        self.walk(node, false, &mut spans);
        spans
    }

    fn walk(&self, node: &Node, secret: bool, spans: &mut Vec<Span>) {
        match &node.kind {
            NodeKind::Null => {}
            NodeKind::Scalar(scalar) if secret => {
                if !is_reference(&scalar.text) {
                    spans.push(node.span);
                }
            }
            NodeKind::Scalar(scalar) => {
                let passwords = passwords(&scalar.text).into_iter();
                let literal = passwords.filter(|range| !scalar.text.get(range.clone()).is_some_and(is_reference));
                spans.extend(literal.map(|range| scalar.layout.span(&scalar.text, range)));
            }
            NodeKind::Sequence(items) => items.iter().for_each(|item| self.walk(item, secret, spans)),
            NodeKind::Mapping(entries) => {
                for entry in entries {
                    self.walk(&entry.value, secret || self.is_secret(&entry.key, &entry.value), spans);
                }
            }
        }
    }
}

/// Whether a key is usually a secret's, whatever the tables say.
fn is_usual(key: &str) -> bool {
    let key = key.to_ascii_lowercase().replace('-', "_");
    [
        "password",
        "passwd",
        "passphrase",
        "token",
        "secret",
        "api_key",
        "apikey",
        "private_key",
        "authorization",
        "cookie",
    ]
    .iter()
    .any(|usual| key.ends_with(usual))
}

/// Whether a text is one `${…}` without a default, which tells nothing of the value.
fn is_reference(text: &str) -> bool {
    let inside = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    inside.is_some_and(|inside| !inside.contains(['{', '}']) && !inside.contains(":-"))
}

/// A scalar's text for people.
pub(crate) fn shown(scalar: &Scalar) -> String {
    let text = scalar.masked.as_ref().unwrap_or(&scalar.text);
    hide(text, &passwords(text))
}

/// A scalar's value for people.
fn plain(scalar: &Scalar) -> Value {
    let text = scalar.text.as_str();
    let bare = !scalar.quoted && scalar.masked.is_none();
    match text {
        "true" if bare => Value::Bool(true),
        "false" if bare => Value::Bool(false),
        _ => match text.parse::<i64>() {
            Ok(number) if bare && number.to_string() == text => Value::from(number),
            Ok(_) | Err(_) => Value::String(shown(scalar)),
        },
    }
}

fn hide(text: &str, ranges: &[Range<usize>]) -> String {
    let mut out = text.to_owned();
    for range in ranges.iter().rev() {
        out.replace_range(range.clone(), MASK);
    }
    out
}

/// Where the passwords of URLs stand in a text: between the first colon and the last `@` of an authority (RFC 3986
/// §3.2.1).
pub(crate) fn passwords(text: &str) -> Vec<Range<usize>> {
    // A `${…}` has colons and slashes of its own.
    let opaque = opaque(text);
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(start) = opaque.get(from..).and_then(|rest| rest.find("://")).map(|at| from + at + 3) {
        let rest = opaque.get(start..).unwrap_or_default();
        let length = rest.find(|c: char| matches!(c, '/' | '?' | '#') || c.is_whitespace()).unwrap_or(rest.len());
        let authority = rest.get(..length).unwrap_or_default();
        if let Some((user, _)) = authority.rsplit_once('@')
            && let Some((name, _)) = user.split_once(':')
        {
            found.push(start + name.len() + 1..start + user.len());
        }
        from = start;
    }
    found
}

/// The text with every `${…}` blotted out, byte by byte.
fn opaque(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, reference)) = rest.find("${").and_then(|at| rest.split_at_checked(at)) {
        let length = reference.find('}').map_or(reference.len(), |at| at + 1);
        out.push_str(before);
        out.extend(std::iter::repeat_n('x', length));
        rest = reference.get(length..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

/// Where secrets stand in a line that could not be parsed: behind the name of one, and in URLs.
pub(crate) fn guess(line: &str) -> Vec<Range<usize>> {
    let mut found = passwords(line);
    let mut at = 0;
    for part in line.split_inclusive(':') {
        at += part.len();
        let key = part.trim_end_matches([':', '"', '\'', ' ']);
        let key = key.rsplit(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-'))).next().unwrap_or_default();
        if part.ends_with(':') && (is_usual(key) || matches!(key, "auth" | "basic" | "bearer" | "user")) {
            found.push(at..line.len());
            break;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_in_urls() {
        for (text, shown) in [
            ("amqp://guest:s3cret@h:1/%2f", "amqp://guest:***@h:1/%2f"),
            ("amqp://${env:U:-guest}:${env:P:-gu/est}@h", "amqp://${env:U:-guest}:***@h"),
            ("mqtt://u:p@ss@h", "mqtt://u:***@h"),
            ("x http://a:b@c y http://d:e@f/", "x http://a:***@c y http://d:***@f/"),
            ("http://h/a:b@c", "http://h/a:b@c"),
            ("http://user@h:80", "http://user@h:80"),
            ("http://:p@h", "http://:***@h"),
            ("none", "none"),
        ] {
            assert_eq!(hide(text, &passwords(text)), shown);
        }
    }

    #[test]
    fn secrets_in_lines_that_cannot_be_parsed() {
        for (line, shown) in [
            ("  auth: { bearer: abc", "  auth:***"),
            ("  password : abc", "  password :***"),
            ("  \"x-api-key\": abc", "  \"x-api-key\":***"),
            ("  url: http://a:b@c", "  url: http://a:***@c"),
            ("  path: /a", "  path: /a"),
        ] {
            let mut ranges = guess(line);
            ranges.sort_by_key(|range| range.start);
            assert_eq!(hide(line, &ranges), shown);
        }
    }
}
