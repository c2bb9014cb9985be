//! A source or a target: a map with one key that names it, and common keys beside it or within.

use crate::{Protocol, context::Context};
use crossdock_settings::{Diagnostic, Entry, Field, Node, NodeKind, suggest};

/// What a source or a target may be.
pub(crate) struct Choices {
    /// `source` or `target`.
    pub what: &'static str,
    /// The names with their tables.
    pub variants: Vec<Variant>,
    /// The keys that each of them takes.
    pub common: &'static [Field],
}

/// One of them.
#[derive(Clone, Copy)]
pub(crate) struct Variant {
    /// Its key.
    pub name: &'static str,
    /// Its own keys.
    pub fields: &'static [Field],
    /// Its protocol; none for a channel.
    pub protocol: Option<Protocol>,
}

/// What was chosen.
pub(crate) struct Chosen {
    /// Which one it is.
    pub variant: Variant,
    /// Its own values.
    pub own: Node,
    /// The common keys' values.
    pub common: Node,
}

/// Takes a source or target apart; none where nothing is chosen, and then a finding says so.
pub(crate) fn choose(node: &Node, choices: &Choices, context: &mut Context<'_>) -> Option<Chosen> {
    let NodeKind::Mapping(entries) = &node.kind else {
        let message = format!("expected a map with the {} as its key, found {}", choices.what, node.describe());
        context.error_hint("value.type", node.span, message, there_are(choices));
        return None;
    };
    let (common, others): (Vec<&Entry>, Vec<&Entry>) =
        entries.iter().partition(|entry| is_field(choices.common, &entry.key));
    let known: Vec<_> = others.iter().filter_map(|entry| Some((*entry, variant(choices, &entry.key)?))).collect();
    if let Some((_, (second, _))) = known.split_first().and_then(|(first, rest)| Some((first, rest.first()?))) {
        let message = format!("there is one {} here already, before `{}`", choices.what, second.key);
        let hint = if choices.what == "source" {
            "a route has one source: make a route for each, and let them write to one queue"
        } else {
            "make `to` a list with an item for each target"
        };
        context.error_hint("variant.several", second.key_span, message, hint);
    }
    if others.is_empty() {
        let message = format!("no {} is named here", choices.what);
        context.error_hint("variant.missing", node.span, message, there_are(choices));
    }
    report_unknown(&others, !known.is_empty(), choices, context);
    let (entry, variant) = known.first()?;
    let mut common: Vec<Entry> = common.into_iter().cloned().collect();
    let own = own_values(entry, *variant, choices, &mut common, context);
    let common = Node { span: node.span, kind: NodeKind::Mapping(common) };
    Some(Chosen { variant: *variant, own, common })
}

fn variant(choices: &Choices, name: &str) -> Option<Variant> {
    choices.variants.iter().find(|variant| variant.name == name).copied()
}

fn is_field(fields: &[Field], name: &str) -> bool {
    fields.iter().any(|field| field.name == name)
}

fn report_unknown(others: &[&Entry], chosen: bool, choices: &Choices, context: &mut Context<'_>) {
    let names: Vec<_> = choices.variants.iter().map(|variant| variant.name).collect();
    let all: Vec<_> = names.iter().copied().chain(choices.common.iter().map(|field| field.name)).collect();
    for entry in others.iter().filter(|entry| variant(choices, &entry.key).is_none()) {
        if chosen {
            let common: Vec<_> = choices.common.iter().map(|field| format!("`{}`", field.name)).collect();
            let hint = match suggest(&entry.key, all.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("beside the {} there can be {}", choices.what, common.join(", ")),
            };
            context.error_hint("key.unknown", entry.key_span, format!("unknown key `{}`", entry.key), hint);
        } else {
            let hint = match suggest(&entry.key, all.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => there_are(choices),
            };
            let message = format!("unknown {} `{}`", choices.what, entry.key);
            context.error_hint("connector.unknown", entry.key_span, message, hint);
        }
    }
}

fn there_are(choices: &Choices) -> String {
    let names: Vec<_> = choices.variants.iter().map(|variant| format!("`{}`", variant.name)).collect();
    format!("a {} is one of {}: `{{ {}: {{ … }} }}`", choices.what, names.join(", "), first_name(choices))
}

fn first_name(choices: &Choices) -> &'static str {
    choices.variants.first().map_or("queue", |variant| variant.name)
}

/// The variant's value without the common keys, which may stand there too.
fn own_values(
    entry: &Entry,
    variant: Variant,
    choices: &Choices,
    common: &mut Vec<Entry>,
    context: &mut Context<'_>,
) -> Node {
    let NodeKind::Mapping(entries) = &entry.value.kind else { return entry.value.clone() };
    let mut own = Vec::new();
    for inner in entries {
        if is_field(variant.fields, &inner.key) {
            own.push(inner.clone());
        } else if is_field(choices.common, &inner.key) {
            if common.iter().any(|outer| outer.key == inner.key) {
                let message = format!("`{}` stands beside `{}` already", inner.key, variant.name);
                context.error_hint("key.duplicate", inner.key_span, message, "remove one of them");
            } else {
                common.push(inner.clone());
            }
        } else if let Some(name) = nearer_common(&inner.key, variant, choices) {
            let unknown = Diagnostic::error("key.unknown", inner.key_span, format!("unknown key `{}`", inner.key));
            context.found.push(unknown.hint(format!("did you mean `{name}`?")));
        } else {
            own.push(inner.clone());
        }
    }
    Node { span: entry.value.span, kind: NodeKind::Mapping(own) }
}

/// The common key that was likely meant, where none of the variant's own is near.
fn nearer_common(key: &str, variant: Variant, choices: &Choices) -> Option<&'static str> {
    match suggest(key, variant.fields.iter().map(|field| field.name)) {
        Some(_) => None,
        None => suggest(key, choices.common.iter().map(|field| field.name)),
    }
}
