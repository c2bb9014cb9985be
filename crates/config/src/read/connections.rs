//! `connections`: peers, named once.

use crate::{
    Protocol,
    context::{Context, near},
    plan::Connection,
    read::gateway::check_tls_files,
};
use crossdock_connector::ConnectionConfig;
use crossdock_model::Text;
use crossdock_settings::{Entry, Node, NodeKind, Span};

/// A connection that the file names, right or wrong.
pub(crate) struct Named {
    pub name: Text,
    pub span: Span,
    /// Its protocol, if that is known.
    pub connector: Option<&'static str>,
    /// Its values, if nothing is wrong with them.
    pub connection: Option<Connection>,
}

/// Reads the section.
pub(crate) fn read(node: Option<&Node>, context: &mut Context<'_>) -> Vec<Named> {
    let entries = context.named(node, "connection");
    entries.into_iter().map(|entry| one(entry, context)).collect()
}

fn one(entry: &Entry, context: &mut Context<'_>) -> Named {
    let name = Text::from(entry.key.as_str());
    let mut named = Named { name: name.clone(), span: entry.key_span, connector: None, connection: None };
    let Some((protocol, key_span, value)) = variant(entry, context) else { return named };
    named.connector = Some(protocol.description.name);
    let Some(fields) = protocol.description.connection else {
        let message = format!("`{}` has no connections", protocol.description.name);
        context.error_hint("connection.none", key_span, message, "remove it: sources and targets of it need none");
        return named;
    };
    let errors = context.error_count();
    let settings = context.group(value, fields);
    check_tls_files(&settings, context);
    if context.error_count() == errors {
        let config = ConnectionConfig { name, settings };
        named.connection = Some(Connection { connector: protocol.description.name, config });
    }
    named
}

/// The one key that names the protocol, and its value.
fn variant<'n>(entry: &'n Entry, context: &mut Context<'_>) -> Option<(Protocol, Span, &'n Node)> {
    let known: Vec<_> = context
        .protocols
        .iter()
        .filter(|protocol| protocol.description.connection.is_some())
        .map(|protocol| protocol.description.name)
        .collect();
    let variant = match &entry.value.kind {
        NodeKind::Mapping(entries) => match entries.as_slice() {
            [variant] => variant,
            [] | [_, _, ..] => {
                let message = "a connection is a map with one key, its protocol";
                let hint = format!("write `{}: {{ {}: {{ … }} }}`", entry.key, known.first().unwrap_or(&"http"));
                context.error_hint("value.type", entry.value.span, message, hint);
                return None;
            }
        },
        NodeKind::Null | NodeKind::Scalar(_) | NodeKind::Sequence(_) => {
            let message = format!("expected a map with the protocol as its key, found {}", entry.value.describe());
            let hint = format!("write `{}: {{ {}: {{ … }} }}`", entry.key, known.first().unwrap_or(&"http"));
            context.error_hint("value.type", entry.value.span, message, hint);
            return None;
        }
    };
    match context.protocols.iter().find(|protocol| protocol.description.name == variant.key) {
        Some(protocol) => Some((*protocol, variant.key_span, &variant.value)),
        None => {
            let message = format!("unknown protocol `{}`", variant.key);
            let hint = near(&variant.key, &known, "no protocol has connections");
            context.error_hint("connector.unknown", variant.key_span, message, hint);
            None
        }
    }
}
