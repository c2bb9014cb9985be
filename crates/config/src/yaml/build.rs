//! Events → tree.

use super::{ALIAS_BYTES_MAX, DEPTH_MAX, Parsed, align, text};
use crossdock_settings::{Diagnostic, Diagnostics, Entry, Node, NodeKind, Scalar, Span};
use saphyr_parser::{Event, ScalarStyle};
use std::collections::HashMap;

type Fatal = Diagnostic;

/// Puts the tree together.
pub(super) struct Builder<'a> {
    index: &'a text::Index<'a>,
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    alias_bytes: usize,
    root: Option<Node>,
    documents: usize,
    dropped: Vec<Node>,
    found: Diagnostics,
}

/// A map or list whose end has not come.
struct Open {
    anchor: usize,
    span: Span,
    parts: Parts,
}

enum Parts {
    Sequence(Vec<Node>),
    Mapping { entries: Vec<Entry>, lines: HashMap<String, u32>, key: Key },
}

/// What is known of the entry that comes next.
enum Key {
    /// Its key is awaited.
    Awaited,
    /// Its value is awaited.
    Given(String, Span),
    /// Its value is awaited and dropped, because the key was wrong.
    Wrong,
}

impl<'a> Builder<'a> {
    pub(super) fn new(index: &'a text::Index<'a>) -> Self {
        Self {
            index,
            open: Vec::new(),
            anchors: HashMap::new(),
            alias_bytes: 0,
            root: None,
            documents: 0,
            dropped: Vec::new(),
            found: Diagnostics::new(),
        }
    }

    /// Takes an event; an error where nothing behind it can be read.
    pub(super) fn take(&mut self, event: Event<'_>, span: saphyr_parser::Span) -> Result<(), Fatal> {
        let here = Span {
            start: text::position(span.start.line(), span.start.col()),
            end: text::position(span.end.line(), span.end.col()),
        };
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(Diagnostic::error("yaml.documents", here, "a second document begins here")
                        .hint("a configuration is one document: remove the line `---`"));
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                if tag.is_some() {
                    self.tag(here);
                }
                let node = self.scalar(&text, style, span, here);
                self.complete(node, anchor)?;
            }
            Event::Alias(anchor) => {
                let node = self.alias(anchor, here)?;
                self.complete(node, 0)?;
            }
            Event::SequenceStart(anchor, tag) => {
                self.begin(anchor, here, tag.is_some(), Parts::Sequence(Vec::new()))?;
            }
            Event::MappingStart(anchor, tag) => {
                let parts = Parts::Mapping { entries: Vec::new(), lines: HashMap::new(), key: Key::Awaited };
                self.begin(anchor, here, tag.is_some(), parts)?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(here)?,
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Parsed {
        Parsed { root: self.root, dropped: self.dropped, found: self.found }
    }

    fn begin(&mut self, anchor: usize, span: Span, tagged: bool, parts: Parts) -> Result<(), Fatal> {
        if tagged {
            self.tag(span);
        }
        if self.open.len() >= DEPTH_MAX {
            let message = format!("maps and lists are nested deeper than {DEPTH_MAX} levels here");
            return Err(Diagnostic::error("yaml.depth", span, message));
        }
        self.open.push(Open { anchor, span, parts });
        Ok(())
    }

    fn end(&mut self, here: Span) -> Result<(), Fatal> {
        let Some(Open { anchor, span, parts }) = self.open.pop() else { return Ok(()) };
        let kind = match parts {
            Parts::Sequence(items) => NodeKind::Sequence(items),
            Parts::Mapping { entries, .. } => NodeKind::Mapping(entries),
        };
        self.complete(Node { span: Span { start: span.start, end: here.end }, kind }, anchor)
    }

    fn scalar(&self, text: &str, style: ScalarStyle, span: saphyr_parser::Span, here: Span) -> Node {
        let quoted = style != ScalarStyle::Plain;
        if !quoted && matches!(text, "" | "~" | "null" | "Null" | "NULL") {
            return Node { span: here, kind: NodeKind::Null };
        }
        let layout = align::layout(self.index, text, style, span);
        let scalar = Scalar { text: text.to_owned(), quoted, masked: None, layout };
        Node { span: here, kind: NodeKind::Scalar(scalar) }
    }

    fn alias(&mut self, anchor: usize, here: Span) -> Result<Node, Fatal> {
        let Some(node) = self.anchors.get(&anchor) else {
            return Err(Diagnostic::error("yaml.alias", here, "the alias stands inside of what it names")
                .hint("write the part out instead"));
        };
        self.alias_bytes = self.alias_bytes.saturating_add(weight(node));
        check_budget(self.alias_bytes, here)?;
        // An alias of an alias may be deep: what is copied counts as if it were written here.
        if self.open.len() + depth(node) > DEPTH_MAX {
            let message = format!("this alias nests maps and lists deeper than {DEPTH_MAX} levels");
            return Err(Diagnostic::error("yaml.depth", here, message));
        }
        Ok(node.clone())
    }

    fn tag(&mut self, place: Span) {
        let tag = Diagnostic::error("yaml.tag", place, "tags (`!…`) have no meaning here");
        self.found.push(tag.hint("remove the tag; put a text that begins with `!` in quotes"));
    }

    fn complete(&mut self, node: Node, anchor: usize) -> Result<(), Fatal> {
        if anchor != 0 {
            self.alias_bytes = self.alias_bytes.saturating_add(weight(&node));
            check_budget(self.alias_bytes, node.span)?;
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut().map(|open| &mut open.parts) {
            None => self.root = Some(node),
            Some(Parts::Sequence(items)) => items.push(node),
            Some(Parts::Mapping { entries, lines, key }) => match std::mem::replace(key, Key::Awaited) {
                Key::Given(name, key_span) => entries.push(Entry { key: name, key_span, value: node }),
                Key::Wrong => self.dropped.push(node),
                Key::Awaited => match checked_key(node, lines) {
                    Ok((name, span)) => *key = Key::Given(name, span),
                    Err(wrong) => {
                        *key = Key::Wrong;
                        self.found.push(wrong);
                    }
                },
            },
        }
        Ok(())
    }
}

/// Anchors and aliases are copies, so what they hold together is bounded: an alias bomb stops here.
fn check_budget(bytes: usize, here: Span) -> Result<(), Fatal> {
    if bytes <= ALIAS_BYTES_MAX {
        return Ok(());
    }
    let message = format!("anchors and aliases copy more than {ALIAS_BYTES_MAX} bytes up to here");
    Err(Diagnostic::error("yaml.alias", here, message).hint("use aliases for small parts, and fewer of them"))
}

/// A key is a name that has not come before in its map.
fn checked_key(node: Node, lines: &mut HashMap<String, u32>) -> Result<(String, Span), Diagnostic> {
    let span = node.span;
    let NodeKind::Scalar(scalar) = node.kind else {
        let message = format!("a key must be a name, not {}", node.describe());
        return Err(
            Diagnostic::error("yaml.key", span, message).hint("put a text that begins with `{`, `[` or `*` in quotes")
        );
    };
    if scalar.text == "<<" && !scalar.quoted {
        return Err(Diagnostic::error("yaml.merge", span, "merge keys (`<<`) are not supported")
            .hint("write the keys out; an alias as a whole value is fine"));
    }
    if let Some(line) = lines.get(&scalar.text) {
        let message = format!("`{}` is here a second time", scalar.text);
        return Err(Diagnostic::error("key.duplicate", span, message)
            .hint(format!("the first one is in line {line}; rename or remove one of them")));
    }
    lines.insert(scalar.text.clone(), span.start.line);
    Ok((scalar.text, span))
}

/// About as many bytes as a copy takes.
fn weight(node: &Node) -> usize {
    let own = size_of::<Node>();
    own + match &node.kind {
        NodeKind::Null => 0,
        NodeKind::Scalar(scalar) => scalar.text.len(),
        NodeKind::Sequence(items) => items.iter().map(weight).sum(),
        NodeKind::Mapping(entries) => entries.iter().map(|entry| entry.key.len() + weight(&entry.value)).sum(),
    }
}

fn depth(node: &Node) -> usize {
    match &node.kind {
        NodeKind::Null | NodeKind::Scalar(_) => 0,
        NodeKind::Sequence(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        NodeKind::Mapping(entries) => 1 + entries.iter().map(|entry| depth(&entry.value)).max().unwrap_or(0),
    }
}
