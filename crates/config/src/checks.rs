//! Rules that look at several routes at once.

use crate::{
    context::Context,
    names::Names,
    plan::{Channel, ChannelKind, ChannelUse, From, QueueLimits, Route},
};
use crossdock_model::Text;
use crossdock_settings::{Diagnostic, Entry};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

/// Everything that is wrong between routes that may each be right.
pub(crate) fn check(entries: &[&Entry], routes: &[Arc<Route>], names: &Names<'_>, context: &mut Context<'_>) {
    check_readers(names, context);
    check_sources(names, context);
    check_was(entries, names, context);
    check_loops(entries, names, context);
    for route in routes {
        check_dead_letter(route, entries, context);
    }
    // Said of a file that is right otherwise: where a name is misspelt, its connection only looks unused.
    if !context.found.has_errors() {
        check_unused(names, context);
        advise(names, context);
    }
}

/// A route whose dead letters go back into the queue it reads would read them for ever.
fn check_dead_letter(route: &Route, entries: &[&Entry], context: &mut Context<'_>) {
    if !matches!(&route.from, From::Queue(queue) if *queue == route.dead_letter) {
        return;
    }
    let entry = entries.iter().find(|entry| *entry.key == *route.id);
    let place = entry.map(|entry| entry.value.get("dead_letter").map_or(entry.key_span, |node| node.span));
    let message = format!("the dead letters of `{}` would go back into the queue that it reads", route.id);
    context.error_hint(
        "dead_letter.loop",
        place.unwrap_or_default(),
        message,
        "name another queue under `dead_letter`",
    );
}

/// A queue has one reader; so has a subscription.
fn check_readers(names: &Names<'_>, context: &mut Context<'_>) {
    let mut readers: HashMap<&Text, &Text> = HashMap::new();
    for (queue, route, span) in &names.seen.readers {
        if let Some(first) = readers.get(queue) {
            let message = format!("`{queue}` has two readers: `{first}` and `{route}`");
            let hint = "make it a topic, from which each route gets every message, or let one route read it";
            context.error_hint("queue.two_readers", *span, message, hint);
        }
        readers.entry(queue).or_insert(route);
    }
    let mut subscriptions = HashSet::new();
    for (topic, name, span) in &names.seen.subscriptions {
        if !subscriptions.insert((topic, name)) {
            let message = format!("another route reads `{topic}` under the subscription `{name}` already");
            context.error_hint("topic.two_readers", *span, message, "give it another `subscription`");
        }
    }
}

/// What a connector finds between its sources, such as two with one path.
fn check_sources(names: &Names<'_>, context: &mut Context<'_>) {
    for (name, connector) in &names.connectors {
        let sources: Vec<_> =
            names.seen.sources.iter().filter(|(owner, _)| owner == name).map(|(_, source)| source.clone()).collect();
        if !sources.is_empty() {
            context.found.append(connector.check(&sources));
        }
    }
}

fn check_was(entries: &[&Entry], names: &Names<'_>, context: &mut Context<'_>) {
    for (index, was) in names.seen.was.iter().enumerate() {
        if entries.iter().any(|entry| *entry.key == *was.value) {
            let message = format!("a route `{}` is still there, so no other can have been it", was.value);
            context.error_hint("route.was", was.span, message, "remove `was`, or the older route");
        } else if names.seen.was.iter().take(index).any(|earlier| earlier.value == was.value) {
            let message = format!("another route was `{}` already", was.value);
            context.error_hint("route.was", was.span, message, "one route takes over what is stored under a name");
        }
    }
}

/// Messages that come back to where they were read go round, unless a rule ends it.
fn check_loops(entries: &[&Entry], names: &Names<'_>, context: &mut Context<'_>) {
    let moves = &names.seen.moves;
    for (route, from, to) in moves {
        let mut reached = vec![to];
        let mut at = 0;
        while let Some(channel) = reached.get(at).copied() {
            for (_, next_from, next_to) in moves {
                if next_from == channel && !reached.contains(&next_to) {
                    reached.push(next_to);
                }
            }
            at += 1;
        }
        let place = entries.iter().find(|entry| *entry.key == **route).map(|entry| entry.key_span).unwrap_or_default();
        if from == to {
            let message = format!("`{route}` puts what it reads from `{from}` back into it");
            context.error_hint("route.loop", place, message, "send it to another channel");
        } else if reached.contains(&from) {
            let message = format!("what `{route}` reads from `{from}` can come back to it");
            let hint = "make sure that a filter or a condition ends the loop";
            context.found.push(Diagnostic::warning("route.loop", place, message).hint(hint));
        }
    }
}

fn check_unused(names: &Names<'_>, context: &mut Context<'_>) {
    for named in names.connections {
        if !names.seen.connections.contains(&named.name) {
            let message = format!("no route uses the connection `{}`", named.name);
            context.found.push(Diagnostic::warning("connection.unused", named.span, message));
        }
    }
}

/// What connectors have to say of the connections that are used.
fn advise(names: &Names<'_>, context: &mut Context<'_>) {
    let used = names.connections.iter().filter(|named| names.seen.connections.contains(&named.name));
    for connection in used.filter_map(|named| named.connection.as_ref()) {
        if let Some(connector) = names.connector(connection.connector) {
            context.found.append(connector.advise(&connection.config));
        }
    }
}

/// All channels that there are: declared, dead letters, hidden queues.
pub(crate) fn channels(names: &Names<'_>, routes: &[Arc<Route>]) -> Vec<Channel> {
    let mut channels: Vec<Channel> = names.channels.iter().map(|declared| declared.channel.clone()).collect();
    let queue = |name: &Text, purpose| Channel {
        name: name.clone(),
        kind: ChannelKind::Queue(QueueLimits::default()),
        purpose,
    };
    let declared: HashSet<&Text> = names.channels.iter().map(|declared| &declared.channel.name).collect();
    for name in &names.dead_letters {
        if !declared.contains(name) {
            channels.push(queue(name, ChannelUse::DeadLetters));
        }
    }
    for route in routes {
        if let Some(name) = &route.hidden_queue {
            channels.push(queue(name, ChannelUse::Hidden { route: route.id.clone() }));
        }
    }
    channels
}
