//! A route.

use crate::{
    context::Context,
    names::{Names, Wanted},
    plan::{Destination, From, OnFailure, Retry, Route},
    read::{channels::dead_letter, source, steps, target},
    tables::{RETRY, ROUTE},
    words::Words,
};
use crossdock_model::Text;
use crossdock_rules::{ACCEPT_STEPS, STEPS, Stage, When};
use crossdock_settings::{Diagnostic, Entry, Kind, Node, NodeKind, Placed, Settings};
use std::{sync::Arc, time::Duration};

/// What the name of a route's hidden queue begins with.
const HIDDEN: &str = "route:";

/// The dead-letter queue of a route as it stands in the tree, so that others may refer to it before the route is read.
pub(crate) fn dead_letter_name(entry: &Entry) -> Text {
    let written = entry.value.get("dead_letter").and_then(|node| node.get("queue")).and_then(Node::scalar);
    written.map_or_else(|| format!("{}.dead", entry.key).into(), |scalar| scalar.text.as_str().into())
}

/// Reads a route; none where something is wrong with it.
pub(crate) fn read(
    entry: &Entry,
    message_bytes_max: u64,
    names: &mut Names<'_>,
    context: &mut Context<'_>,
) -> Option<Arc<Route>> {
    let errors = context.error_count();
    let id = Text::from(entry.key.as_str());
    // Findings about the route as a whole point at its name.
    let node = match &entry.value.kind {
        NodeKind::Mapping(_) => Node { span: entry.key_span, kind: entry.value.kind.clone() },
        NodeKind::Null | NodeKind::Scalar(_) | NodeKind::Sequence(_) => entry.value.clone(),
    };
    let node = without_misplaced_steps(node, context);
    let settings = context.group(&node, ROUTE);
    let mut words = Words::of(&node, &context.masks);
    let called = source::Called { id: &id, was: settings.text("was") };
    let from =
        node.get("from").and_then(|from| source::read(from, called, message_bytes_max, names, &mut words, context));
    let accept = steps::pipeline(Stage::Accept, settings.list("accept"), None, context);
    check_door(&node, &settings, context);
    let inherited = accept.as_ref().and_then(|accept| accept.decode().cloned());
    let steps = steps::pipeline(Stage::Steps, settings.list("steps"), inherited, context);
    let order_by = steps::program(&settings, "order_by", context);
    let circuit = steps::program(&settings, "circuit", context);
    let targets = node.get("to").and_then(|to| target::read(to, &id, names, &mut words, context));
    let retry = read_retry(&settings, context);
    let dead_letter = read_dead_letter(&settings, entry, names, context);
    let was = settings.text("was").map(|name| Placed::new(name.clone(), settings.span_of("was")));
    if let Some(was) = &was {
        context.name(&was.value, was.span, "route");
        names.seen.was.push(was.clone());
    }
    let (from, accept, steps, targets) = (from?, accept?, steps?, targets?);
    let to_peer = |target: &crate::plan::Target| match &target.to {
        Destination::Connector { .. } => true,
        Destination::Channel(_) => false,
    };
    // Without one a message goes from the door into all channels at once: nobody would ask the router.
    let chooses = targets.router.targets().iter().any(|target| !matches!(target.when, When::Always));
    let hidden = match &from {
        From::Connector(_) => !steps.is_empty() || chooses || targets.targets.iter().any(to_peer),
        From::Queue(_) | From::Topic { .. } => false,
    };
    let on_failure = read_on_failure(&node, &settings, context);
    let route = Route {
        was: was.map(|was| was.value),
        from,
        accept,
        hidden_queue: hidden.then(|| format!("{HIDDEN}{id}").into()),
        order_by: order_by?,
        on_failure,
        circuit: circuit?,
        steps,
        router: targets.router,
        targets: targets.targets,
        retry: retry?,
        dead_letter,
        scrubber: context.scrubber.clone(),
        words,
        id,
    };
    note_moves(&route, names);
    (context.error_count() == errors).then(|| Arc::new(route))
}

/// Says of steps that can only stand behind the store where they belong, and leaves them out of `accept`.
fn without_misplaced_steps(mut node: Node, context: &mut Context<'_>) -> Node {
    let NodeKind::Mapping(entries) = &mut node.kind else { return node };
    let accept = entries.iter_mut().filter(|entry| entry.key == "accept").map(|entry| &mut entry.value.kind);
    for kind in accept {
        let NodeKind::Sequence(items) = kind else { continue };
        items.retain(|item| {
            let [step] = item.entries().unwrap_or_default() else { return true };
            let misplaced = is_variant(&STEPS, &step.key) && !is_variant(&ACCEPT_STEPS, &step.key);
            if misplaced {
                let message = format!("`{}` cannot stand in `accept`: what is stored is what came in", step.key);
                context.error_hint("step.misplaced", step.key_span, message, "put it under `steps`");
            }
            !misplaced
        });
    }
    node
}

fn is_variant(kind: &Kind, name: &str) -> bool {
    matches!(kind, Kind::Variant(fields) if fields.iter().any(|field| field.name == name))
}

/// A route that reads a channel has no door: what it reads is stored already.
fn check_door(node: &Node, settings: &Settings, context: &mut Context<'_>) {
    let reads_channel = node.get("from").is_some_and(|from| from.get("queue").is_some() || from.get("topic").is_some());
    if reads_channel && settings.get("accept").is_some() {
        let message = "`accept` has no meaning here: what a route reads from a channel is stored already";
        context.error_hint("route.accept", settings.span_of("accept"), message, "put these steps under `steps`");
    }
}

/// What becomes of the others of a key when one of them fails.
fn read_on_failure(node: &Node, settings: &Settings, context: &mut Context<'_>) -> OnFailure {
    if let Some(given) = node.get("on_failure").filter(|_| node.get("order_by").is_none()) {
        let message = "`on_failure` has no effect without `order_by`";
        let hint = "add `order_by: .key`, or remove it: without an order no message waits for another";
        context.found.push(Diagnostic::warning("route.no_order", given.span, message).hint(hint));
    }
    match settings.text("on_failure").map(|word| &**word) {
        Some("skip") => OnFailure::Skip,
        Some(_) | None => OnFailure::BlockKey,
    }
}

fn read_retry(settings: &Settings, context: &mut Context<'_>) -> Option<Retry> {
    let read = match settings.group("retry") {
        Some(group) => group.clone(),
        None => context.group(&Node { span: settings.span, kind: NodeKind::Null }, RETRY),
    };
    let attempts = u32::try_from(read.integer("attempts")?).ok()?;
    let initial = read.duration("initial")?;
    let mut max = read.duration("max")?;
    // A default stands where its section stands.
    let written = read.span_of("max") != read.span;
    if initial > max && written {
        let hint = "make `max` at least as long as `initial`";
        context.error_hint("retry.max", read.span_of("max"), "the longest wait is shorter than the first", hint);
    }
    max = max.max(initial);
    if initial < Duration::from_millis(1) {
        context.error_hint("retry.initial", read.span_of("initial"), "there is no wait at all", "write at least `1ms`");
    }
    Some(Retry {
        attempts,
        initial,
        factor: read.number("factor")?,
        max,
        jitter: read.number("jitter")?,
        alone_limit: read.duration("alone_limit")?,
    })
}

fn read_dead_letter(settings: &Settings, entry: &Entry, names: &Names<'_>, context: &mut Context<'_>) -> Text {
    let Some(placed) = dead_letter(settings) else {
        let name = dead_letter_name(entry);
        let topic = names.channels.iter().any(|declared| declared.channel.name == name && !declared.channel.is_queue());
        if topic && settings.get("dead_letter").is_none() {
            let message = format!("`{name}`, the queue of this route's dead letters, is declared as a topic");
            context.error_hint(
                "channel.kind",
                entry.key_span,
                message,
                "declare it as a queue, or name another `dead_letter`",
            );
        }
        return name;
    };
    if context.name(&placed.value, placed.span, "queue")
        && names.channels.iter().any(|d| d.channel.name == placed.value)
    {
        names.channel(&placed.value, placed.span, Wanted::Queue, false, context);
    }
    placed.value
}

fn note_moves(route: &Route, names: &mut Names<'_>) {
    let from = match &route.from {
        From::Connector(_) => return,
        From::Queue(name) | From::Topic { name, .. } => name,
    };
    for to in route.targets.iter().filter_map(|target| target.to.channel()) {
        names.seen.moves.push((route.id.clone(), from.clone(), to.clone()));
    }
}
