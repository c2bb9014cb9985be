//! A part of the tree and its table become typed values, or every finding at once.

use crate::{
    Diagnostic, Diagnostics, Entry, Field, Formula, FormulaKind, Kind, Layout, Node, NodeKind, Placed, Presence,
    Scalar, Setting, Settings, Slot, Span, UnitError, parse_duration, parse_rate, parse_size, suggest, url::url,
};
use crossdock_model::Text;
use std::path::PathBuf;

/// Reads one section; counts the slots of its formulas and gathers what is wrong.
#[derive(Debug, Default)]
pub struct Reader {
    slots: u16,
    found: Diagnostics,
}

impl Reader {
    /// A reader for one section.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What was found wrong so far.
    #[must_use]
    pub fn finish(self) -> Diagnostics {
        self.found
    }

    /// Reads a map with the keys of the table. Unknown keys, missing ones and wrong values are findings; what is right
    /// is in the result all the same, so that whoever reads on can find more.
    pub fn group(&mut self, node: &Node, fields: &'static [Field]) -> Settings {
        let mut settings = Settings::empty(node.span);
        let entries: &[Entry] = match &node.kind {
            NodeKind::Mapping(entries) => entries,
            NodeKind::Null => &[],
            NodeKind::Scalar(_) | NodeKind::Sequence(_) => {
                self.mismatch(node, &Kind::Group(fields));
                return settings;
            }
        };
        for entry in entries {
            if !fields.iter().any(|field| field.name == entry.key) {
                self.unknown(entry, fields);
            }
        }
        for field in fields {
            match entries.iter().find(|entry| entry.key == field.name) {
                Some(entry) => {
                    if let Some(value) = self.value(&entry.value, &field.kind) {
                        settings.insert(field.name, Placed::new(value, entry.value.span));
                    }
                }
                None => self.absent(node, field, &mut settings),
            }
        }
        settings
    }

    fn absent(&mut self, node: &Node, field: &Field, settings: &mut Settings) {
        match field.presence {
            Presence::Optional => {}
            Presence::Default(text) => {
                let scalar = Scalar { text: text.into(), quoted: false, masked: None, layout: Layout::default() };
                let stand_in = Node { span: node.span, kind: NodeKind::Scalar(scalar) };
                if let Some(value) = self.value(&stand_in, &field.kind) {
                    settings.insert(field.name, Placed::new(value, node.span));
                }
            }
            Presence::Required => {
                let message = format!("`{}` is missing", field.name);
                let kind = if matches!(field.kind, Kind::Any) {
                    String::new()
                } else {
                    format!(", {}", field.kind.describe())
                };
                let hint = format!("add `{}: …`{kind}: {}", field.name, field.about);
                self.found.push(Diagnostic::error("key.missing", node.span, message).hint(hint));
            }
        }
    }

    fn unknown(&mut self, entry: &Entry, fields: &[Field]) {
        let names = || fields.iter().map(|field| field.name);
        let hint = match suggest(&entry.key, names()) {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("the keys here are {}", names().collect::<Vec<_>>().join(", ")),
        };
        let message = format!("unknown key `{}`", entry.key);
        self.found.push(Diagnostic::error("key.unknown", entry.key_span, message).hint(hint));
    }

    /// Reads one value; none where it is wrong, and then a finding says so.
    pub fn value(&mut self, node: &Node, kind: &Kind) -> Option<Setting> {
        match kind {
            Kind::List(item) => self.list(node, item),
            Kind::Map(item) => self.map(node, item),
            Kind::Group(fields) => Some(Setting::Group(self.group(node, fields))),
            Kind::Variant(fields) => self.variant(node, fields),
            Kind::Short(fields) => self.short(node, fields),
            Kind::OneOf(kinds) => match kinds.iter().find(|kind| fits(node, kind)) {
                Some(kind) => self.value(node, kind),
                None => self.mismatch(node, kind),
            },
            Kind::Any => Some(Setting::Any(node.clone())),
            Kind::Boolean
            | Kind::Integer { .. }
            | Kind::Number { .. }
            | Kind::Text
            | Kind::Secret
            | Kind::Choice(_)
            | Kind::Duration
            | Kind::Size
            | Kind::Rate
            | Kind::Path
            | Kind::Url
            | Kind::Connection(_)
            | Kind::Channel
            | Kind::Template(_)
            | Kind::Expression(_) => match &node.kind {
                NodeKind::Scalar(scalar) => self.scalar(node.span, scalar, kind),
                NodeKind::Null | NodeKind::Sequence(_) | NodeKind::Mapping(_) => self.mismatch(node, kind),
            },
        }
    }

    fn list(&mut self, node: &Node, item: &Kind) -> Option<Setting> {
        let NodeKind::Sequence(nodes) = &node.kind else {
            return self.mismatch(node, &Kind::List(&Kind::Any));
        };
        let items = nodes.iter().filter_map(|node| Some(Placed::new(self.value(node, item)?, node.span)));
        Some(Setting::List(items.collect()))
    }

    fn map(&mut self, node: &Node, item: &Kind) -> Option<Setting> {
        let NodeKind::Mapping(entries) = &node.kind else {
            return self.mismatch(node, &Kind::Map(&Kind::Any));
        };
        let read = |entry: &Entry| {
            let value = self.value(&entry.value, item)?;
            Some((Text::from(entry.key.as_str()), Placed::new(value, entry.value.span)))
        };
        Some(Setting::Map(entries.iter().filter_map(read).collect()))
    }

    fn variant(&mut self, node: &Node, fields: &'static [Field]) -> Option<Setting> {
        let (name, key_span, value) = match &node.kind {
            NodeKind::Mapping(entries) => match entries.as_slice() {
                [entry] => (entry.key.as_str(), entry.key_span, Some(&entry.value)),
                [] => return self.mismatch(node, &Kind::Variant(fields)),
                [_, _, ..] => return self.several(entries, fields),
            },
            NodeKind::Scalar(scalar) if !fields.iter().any(|field| field.name == scalar.text) => {
                return self.no_variant(node.span, scalar, fields);
            }
            NodeKind::Scalar(scalar) => (scalar.text.as_str(), node.span, None),
            NodeKind::Null | NodeKind::Sequence(_) => return self.mismatch(node, &Kind::Variant(fields)),
        };
        let Some(field) = fields.iter().find(|field| field.name == name) else {
            let key = Entry { key: name.into(), key_span, value: node.clone() };
            self.unknown(&key, fields);
            return None;
        };
        let empty = Node { span: key_span, kind: NodeKind::Null };
        let value = value.unwrap_or(&empty);
        let setting = self.value(value, &field.kind)?;
        Some(Setting::Variant { name: field.name, value: Box::new(Placed::new(setting, value.span)) })
    }

    /// A word that names none of the variants.
    fn no_variant(&mut self, span: Span, scalar: &Scalar, fields: &'static [Field]) -> Option<Setting> {
        let shown = scalar.masked.as_ref().unwrap_or(&scalar.text);
        let hint = match suggest(&scalar.text, fields.iter().map(|field| field.name)) {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("write {}", Kind::Variant(fields).describe()),
        };
        self.found.push(Diagnostic::error("value.unknown", span, format!("`{shown}` is not known here")).hint(hint));
        None
    }

    /// A variant with several keys: each that is not known is told, else the second known one.
    fn several(&mut self, entries: &[Entry], fields: &'static [Field]) -> Option<Setting> {
        let is_known = |entry: &&Entry| fields.iter().any(|field| field.name == entry.key);
        for entry in entries.iter().filter(|entry| !is_known(entry)) {
            self.unknown(entry, fields);
        }
        if let [first, second, ..] = entries.iter().filter(is_known).collect::<Vec<_>>().as_slice() {
            let message = format!("`{}` stands here beside `{}`, and only one of them can", second.key, first.key);
            let hint = "give each an item of its own in a list, or remove one";
            self.found.push(Diagnostic::error("variant.several", second.key_span, message).hint(hint));
        }
        None
    }

    fn short(&mut self, node: &Node, fields: &'static [Field]) -> Option<Setting> {
        let Some(first) = fields.first() else { return self.mismatch(node, &Kind::Group(fields)) };
        if matches!(node.kind, NodeKind::Mapping(_)) || !fits(node, &first.kind) {
            return Some(Setting::Group(self.group(node, fields)));
        }
        let entry = Entry { key: first.name.into(), key_span: node.span, value: node.clone() };
        let whole = Node { span: node.span, kind: NodeKind::Mapping(vec![entry]) };
        Some(Setting::Group(self.group(&whole, fields)))
    }

    fn scalar(&mut self, span: Span, scalar: &Scalar, kind: &Kind) -> Option<Setting> {
        match parse_scalar(scalar, kind, Slot(self.slots)) {
            Ok(setting) => {
                if let Setting::Formula(_) = setting {
                    self.slots = self.slots.saturating_add(1);
                }
                Some(setting)
            }
            Err(wrong) => {
                // What came from the environment or a file must not stand in a message.
                let wrong = if scalar.masked.is_some() { expected("the value here", kind) } else { wrong };
                let code = if matches!(kind, Kind::Choice(_)) { "value.unknown" } else { "value.type" };
                self.found.push(Diagnostic::error(code, span, wrong.message).hint(wrong.hint));
                None
            }
        }
    }

    fn mismatch(&mut self, node: &Node, kind: &Kind) -> Option<Setting> {
        let message = format!("expected {}, found {}", kind.describe(), node.describe());
        self.found.push(Diagnostic::error("value.type", node.span, message));
        None
    }
}

fn fits(node: &Node, kind: &Kind) -> bool {
    match kind {
        Kind::List(_) => matches!(node.kind, NodeKind::Sequence(_)),
        Kind::Map(_) | Kind::Group(_) => matches!(node.kind, NodeKind::Mapping(_)),
        Kind::Variant(fields) => match &node.kind {
            NodeKind::Scalar(scalar) => fields.iter().any(|field| field.name == scalar.text),
            NodeKind::Mapping(_) => true,
            NodeKind::Null | NodeKind::Sequence(_) => false,
        },
        Kind::Short(fields) => {
            matches!(node.kind, NodeKind::Mapping(_)) || fields.first().is_some_and(|first| fits(node, &first.kind))
        }
        Kind::OneOf(kinds) => kinds.iter().any(|kind| fits(node, kind)),
        Kind::Any => true,
        Kind::Choice(words) => node.scalar().is_some_and(|scalar| words.contains(&scalar.text.as_str())),
        Kind::Boolean
        | Kind::Integer { .. }
        | Kind::Number { .. }
        | Kind::Text
        | Kind::Secret
        | Kind::Duration
        | Kind::Size
        | Kind::Rate
        | Kind::Path
        | Kind::Url
        | Kind::Connection(_)
        | Kind::Channel
        | Kind::Template(_)
        | Kind::Expression(_) => matches!(node.kind, NodeKind::Scalar(_)),
    }
}

fn parse_scalar(scalar: &Scalar, kind: &Kind, slot: Slot) -> Result<Setting, UnitError> {
    let text = scalar.text.as_str();
    // A URL that is none may hold a password all the same.
    let shown = if matches!(kind, Kind::Url) && text.contains('@') { "this".into() } else { format!("`{text}`") };
    let wrong = || expected(&shown, kind);
    let number = || text.parse::<f64>().ok().filter(|_| !scalar.quoted);
    let formula = |kind| {
        let formula = Formula { text: text.into(), layout: scalar.layout.clone(), kind, slot };
        Ok(Setting::Formula(formula))
    };
    match kind {
        Kind::Boolean => match text {
            "true" if !scalar.quoted => Ok(Setting::Boolean(true)),
            "false" if !scalar.quoted => Ok(Setting::Boolean(false)),
            _ => Err(wrong()),
        },
        Kind::Integer { min, max } => {
            let whole = text.parse::<i64>().ok().filter(|n| !scalar.quoted && (min..=max).contains(&n));
            whole.map(Setting::Integer).ok_or_else(wrong)
        }
        Kind::Number { min, max } => {
            number().filter(|n| *min <= *n && *n <= *max).map(Setting::Number).ok_or_else(wrong)
        }
        Kind::Choice(words) => words.contains(&text).then(|| Setting::Text(text.into())).ok_or_else(|| {
            let hint = match suggest(text, words.iter().copied()) {
                Some(word) => format!("did you mean `{word}`?"),
                None => format!("write {}", kind.describe()),
            };
            UnitError { message: format!("`{text}` is not known here"), hint }
        }),
        Kind::Text | Kind::Connection(_) | Kind::Channel => Ok(plain_or_secret(scalar)),
        Kind::Secret => Ok(Setting::Secret { value: text.into(), shown: Text::from_static("***") }),
        Kind::Duration => parse_duration(text).map(Setting::Duration),
        Kind::Size => parse_size(text).map(Setting::Size),
        Kind::Rate => parse_rate(text).map(Setting::Rate),
        Kind::Path if text.is_empty() => Err(wrong()),
        Kind::Path => Ok(Setting::Path(PathBuf::from(text))),
        Kind::Url => url(scalar).ok_or_else(wrong),
        Kind::Template(usage) => formula(FormulaKind::Template(*usage)),
        Kind::Expression(returns) => formula(FormulaKind::Expression(*returns)),
        Kind::List(_)
        | Kind::Map(_)
        | Kind::Group(_)
        | Kind::Variant(_)
        | Kind::Short(_)
        | Kind::OneOf(_)
        | Kind::Any => Err(wrong()),
    }
}

fn expected(what: &str, kind: &Kind) -> UnitError {
    UnitError { message: format!("{what} is not {}", kind.describe()), hint: format!("write {}", kind.describe()) }
}

fn plain_or_secret(scalar: &Scalar) -> Setting {
    match &scalar.masked {
        None => Setting::Text(scalar.text.as_str().into()),
        Some(shown) => Setting::Secret { value: scalar.text.as_str().into(), shown: shown.as_str().into() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: &[Field] = &[
        Field::required("path", Kind::Text, "where"),
        Field::default("timeout", Kind::Duration, "10s", "how long"),
        Field::optional("mode", Kind::Choice(&["append", "create"]), "how"),
        Field::optional("url", Kind::Url, "where to"),
        Field::optional("to", Kind::TEMPLATE, "a template"),
    ];

    fn node(text: &str) -> Node {
        let scalar = Scalar { text: text.into(), quoted: false, masked: None, layout: Layout::default() };
        Node { span: Span::default(), kind: NodeKind::Scalar(scalar) }
    }

    fn map(entries: &[(&str, &str)]) -> Node {
        let entry = |(k, v): &(&str, &str)| Entry { key: (*k).into(), key_span: Span::default(), value: node(v) };
        Node { span: Span::default(), kind: NodeKind::Mapping(entries.iter().map(entry).collect()) }
    }

    fn codes(entries: &[(&str, &str)]) -> Vec<&'static str> {
        let mut reader = Reader::new();
        reader.group(&map(entries), FIELDS);
        reader.finish().iter().map(|d| d.code).collect()
    }

    #[test]
    fn all_findings_at_once() {
        assert_eq!(codes(&[("path", "/a")]), [""; 0]);
        assert_eq!(
            codes(&[("pth", "/a"), ("timeout", "5"), ("mode", "apend")]),
            ["key.unknown", "key.missing", "value.type", "value.unknown"]
        );
    }

    #[test]
    fn defaults_and_slots() {
        let mut reader = Reader::new();
        let settings = reader.group(&map(&[("path", "/a"), ("to", "x")]), FIELDS);
        assert_eq!(settings.duration("timeout"), Some(std::time::Duration::from_secs(10)));
        assert_eq!(settings.slot("to"), Some(Slot(0)));
        assert_eq!(settings.text("mode"), None);
    }
}
