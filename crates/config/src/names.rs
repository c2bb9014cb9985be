//! What the sections name and what refers to it.

use crate::{
    Protocol,
    context::{Context, near},
    plan::{ChannelKind, Connection},
    read::{channels::Declared, connections::Named},
};
use crossdock_connector::{ConnectionConfig, Connector, SourceConfig};
use crossdock_model::Text;
use crossdock_settings::{Field, Kind, Placed, Settings, Span};
use std::sync::Arc;

/// Everything that routes may refer to, and what is learned while they are read.
pub(crate) struct Names<'a> {
    pub connections: &'a [Named],
    pub channels: &'a [Declared],
    /// Dead-letter queues, declared or not.
    pub dead_letters: Vec<Text>,
    pub connectors: Vec<(&'static str, Arc<dyn Connector>)>,
    pub seen: Seen,
}

/// What the routes do, right or wrong in other respects; for the rules that look at all of them.
#[derive(Default)]
pub(crate) struct Seen {
    /// Names of connections that something refers to.
    pub connections: Vec<Text>,
    /// Queues that are read: queue, route, place.
    pub readers: Vec<(Text, Text, Span)>,
    /// Subscriptions of topics: topic, subscription, place.
    pub subscriptions: Vec<(Text, Text, Span)>,
    /// Sources by connector.
    pub sources: Vec<(&'static str, SourceConfig)>,
    /// Earlier names of routes.
    pub was: Vec<Placed<Text>>,
    /// Which route moves messages from which channel to which: route, from, to.
    pub moves: Vec<(Text, Text, Text)>,
}

/// Whether a queue or a topic is wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    Queue,
    Topic,
}

impl Wanted {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Topic => "topic",
        }
    }
}

impl Names<'_> {
    /// The connector of a protocol.
    pub(crate) fn connector(&self, name: &str) -> Option<Arc<dyn Connector>> {
        self.connectors.iter().find(|(known, _)| *known == name).map(|(_, connector)| Arc::clone(connector))
    }

    /// The connection that a section's field names, if its table has one. An error where it cannot be had: `Err` tells
    /// that nothing can be made of the section, and why has been said.
    pub(crate) fn connection(
        &mut self,
        fields: &'static [Field],
        settings: &Settings,
        protocol: Protocol,
        context: &mut Context<'_>,
    ) -> Result<Option<ConnectionConfig>, ()> {
        let Some(field) = fields.iter().find(|field| matches!(field.kind, Kind::Connection(_))) else {
            return Ok(None);
        };
        let Some(name) = settings.text(field.name) else { return Err(()) };
        let span = settings.span_of(field.name);
        let Some(named) = self.connections.iter().find(|named| named.name == *name) else {
            let known: Vec<&str> = self
                .connections
                .iter()
                .filter(|named| named.connector.is_none_or(|connector| connector == protocol.description.name))
                .map(|named| &*named.name)
                .collect();
            let none = format!("declare it: `connections: {{ {name}: {{ {}: {{ … }} }} }}`", protocol.description.name);
            context.error_hint(
                "connection.unknown",
                span,
                format!("unknown connection `{name}`"),
                near(name, &known, &none),
            );
            return Err(());
        };
        self.seen.connections.push(name.clone());
        let wanted = protocol.description.name;
        match (named.connector, &named.connection) {
            (Some(connector), _) if connector != wanted => {
                let message = format!("`{name}` is a connection of {connector}, and {wanted} needs one of its own");
                context.error("connection.kind", span, message);
                Err(())
            }
            (_, Some(Connection { config, .. })) => Ok(Some(config.clone())),
            (_, None) => Err(()),
        }
    }

    /// Whether a channel of this kind is there; a finding says if not. A dead-letter queue that is not declared counts
    /// where `implied` is set.
    pub(crate) fn channel(
        &self,
        name: &str,
        span: Span,
        wanted: Wanted,
        implied: bool,
        context: &mut Context<'_>,
    ) -> bool {
        let declared = self.channels.iter().find(|declared| *declared.channel.name == *name);
        let Some(declared) = declared else {
            if implied && wanted == Wanted::Queue && self.dead_letters.iter().any(|queue| **queue == *name) {
                return true;
            }
            let mut known: Vec<&str> =
                self.channels.iter().filter(|d| is(d, wanted)).map(|declared| &*declared.channel.name).collect();
            if implied && wanted == Wanted::Queue {
                known.extend(self.dead_letters.iter().map(|queue| &**queue).filter(|queue| near_enough(name, queue)));
            }
            let none = format!("declare it: `channels: {{ {name}: {{ {}: {{}} }} }}`", wanted.name());
            let message = format!("unknown {} `{name}`", wanted.name());
            context.error_hint("channel.unknown", span, message, near(name, &known, &none));
            return false;
        };
        if !is(declared, wanted) {
            let (is, wants) = match wanted {
                Wanted::Queue => ("topic", "queue"),
                Wanted::Topic => ("queue", "topic"),
            };
            let hint = format!("write `{is}: {name}`");
            context.error_hint("channel.kind", span, format!("`{name}` is a {is}, not a {wants}"), hint);
            return false;
        }
        true
    }
}

fn near_enough(name: &str, queue: &str) -> bool {
    crossdock_settings::suggest(name, [queue]).is_some()
}

fn is(declared: &Declared, wanted: Wanted) -> bool {
    match declared.channel.kind {
        ChannelKind::Queue(_) => wanted == Wanted::Queue,
        ChannelKind::Topic(_) => wanted == Wanted::Topic,
    }
}
