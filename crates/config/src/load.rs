//! From bytes to a plan, through all passes; each goes on where the one before found errors, so that one run tells all.

use crate::{
    ConfigFile, Environment, Loaded, Plan, Protocol, Scrubber, checks,
    context::Context,
    names::{Names, Seen},
    plan::{Channels, Route},
    read::{self, channels::Declared, connections::Named},
    report::{Report, Sources},
    substitute::substitute,
    tables::{ROOT, VERSION},
    yaml,
};
use crossdock_connector::GatewayConfig;
use crossdock_model::{DigestBuilder, Text};
use crossdock_settings::{Diagnostic, Diagnostics, Entry, Node, NodeKind, Span};
use std::{collections::HashSet, sync::Arc};

pub(crate) fn load(file: &ConfigFile<'_>, environment: &dyn Environment, protocols: &[Protocol]) -> Loaded {
    let text = match yaml::decode(file.bytes) {
        Ok(text) => text,
        Err(wrong) => return refused(file, "", wrong.into()),
    };
    let yaml::Parsed { root, dropped, mut found } = yaml::parse(text);
    let Some(mut root) = root.filter(|root| root.kind != NodeKind::Null) else {
        if !found.has_errors() {
            found.push(
                Diagnostic::error("file.empty", top(), "the file holds no configuration")
                    .hint("begin with `version: 1`, then `routes:`"),
            );
        }
        return refused(file, text, found);
    };
    let mut context = Context::new(file.folder, environment, protocols);
    let secrets: Vec<Span> = dropped.iter().chain([&root]).flat_map(|node| context.masks.secrets(node)).collect();
    let masked_text = crate::report::masked_text(text, &secrets);
    let substituted = substitute(&mut root, file.folder, environment, &mut found);
    context.found = found;
    context.scrubber = Scrubber::new(&substituted.secrets);
    let plan = read_root(&root, file, &mut context);
    let plan = plan.map(|plan| Plan { masked: context.masks.json(&root), masked_text, ..plan });
    let sources = Sources { name: file.name.into(), text, others: context.files.read, secrets: Some(secrets) };
    let report = Report::new(settle(context.found, &substituted.failed, &context.scrubber), &sources);
    let plan = plan.filter(|_| !report.has_errors()).map(Arc::new);
    Loaded { plan, report }
}

fn refused(file: &ConfigFile<'_>, text: &str, found: Diagnostics) -> Loaded {
    let sources = Sources { name: file.name.into(), text, others: Vec::new(), secrets: None };
    Loaded { plan: None, report: Report::new(found, &sources) }
}

fn top() -> Span {
    let start = crossdock_settings::Position { line: 1, column: 1 };
    Span { start, end: start }
}

/// Drops what follows from a failed substitution, and takes out of the texts what was substituted.
fn settle(found: Diagnostics, failed: &[Span], scrubber: &Scrubber) -> Diagnostics {
    let within = |place: Span| failed.iter().any(|failed| failed.start <= place.start && place.start < failed.end);
    let mut kept = Diagnostics::new();
    // An alias is read where it is used, each time with the same findings.
    let mut known = HashSet::new();
    for mut finding in found {
        let own = finding.code.starts_with("substitution.");
        if !own && finding.place.file.is_none() && within(finding.place.span) {
            continue;
        }
        finding.message = scrubber.string(finding.message);
        finding.hint = finding.hint.map(|hint| scrubber.string(hint));
        let start = finding.place.span.start;
        if known.insert((finding.code, finding.place.file.clone(), start, finding.message.clone())) {
            kept.push(finding);
        }
    }
    kept
}

/// Reads all sections; none where one of them cannot make a plan.
fn read_root(root: &Node, file: &ConfigFile<'_>, context: &mut Context<'_>) -> Option<Plan> {
    if root.entries().is_none() {
        let message = format!("expected a map with `version` and `routes`, found {}", root.describe());
        context.error_hint("value.type", root.span, message, "begin with `version: 1`, then `routes:`");
        return None;
    }
    context.group(root, ROOT);
    check_version(root, context);
    let gateway = read::gateway::read(root.get("gateway"), root.span, context);
    let connections = read::connections::read(root.get("connections"), context);
    let channels = read::channels::read(root.get("channels"), context);
    let entries = context.named(root.get("routes"), "route");
    if entries.is_empty() && channels.is_empty() && !context.found.has_errors() {
        let message = "there are no routes and no channels: the gateway has nothing to do";
        context.found.push(Diagnostic::warning("routes.none", root.span, message));
    }
    let config = gateway.connector_config(file.folder, Text::from_static(""));
    let mut names = names(&connections, &channels, &entries, &config, context);
    let message_bytes_max = gateway.store.message_bytes_max();
    let routes: Vec<Option<Arc<Route>>> =
        entries.iter().map(|entry| read::route::read(entry, message_bytes_max, &mut names, context)).collect();
    let whole: Vec<Arc<Route>> = routes.iter().flatten().cloned().collect();
    checks::check(&entries, &whole, &names, context);
    check_dead_letters(&channels, context);
    check_expiry(&channels, &whole, context);
    let channels = checks::channels(&names, &whole);
    let routes = routes.into_iter().collect::<Option<Vec<_>>>()?;
    let connections = connections.into_iter().map(|named| named.connection).collect::<Option<Vec<_>>>()?;
    Some(Plan {
        file: file.name.into(),
        folder: Arc::from(file.folder),
        gateway,
        connections,
        channels,
        routes,
        digest: DigestBuilder::new("routes.yaml").part(file.bytes).finish(),
        masked: serde_json::Value::Null,
        masked_text: String::new(),
    })
}

fn check_version(root: &Node, context: &mut Context<'_>) {
    let Some(node) = root.get("version") else {
        let hint = format!("begin the file with `version: {VERSION}`, the version of its language");
        context.error_hint("key.missing", root.span, "`version` is missing", hint);
        return;
    };
    let known = node.scalar().is_some_and(|scalar| scalar.text == VERSION);
    if !known {
        let message = "this version of the language is not known here";
        context.error_hint("version.unknown", node.span, message, format!("write `version: {VERSION}`"));
    }
}

fn names<'n>(
    connections: &'n [Named],
    channels: &'n [Declared],
    entries: &[&Entry],
    config: &GatewayConfig,
    context: &Context<'_>,
) -> Names<'n> {
    let mut dead_letters: Vec<Text> = Vec::new();
    let mut known: HashSet<Text> = HashSet::new();
    let dropped = channels.iter().filter_map(|declared| declared.dead_letter.as_ref()).map(|named| named.value.clone());
    for name in entries.iter().map(|entry| read::route::dead_letter_name(entry)).chain(dropped) {
        if known.insert(name.clone()) {
            dead_letters.push(name);
        }
    }
    let make = |protocol: &Protocol| (protocol.description.name, (protocol.make)(config));
    let connectors = context.protocols.iter().map(make).collect();
    Names { connections, channels, dead_letters, connectors, seen: Seen::default() }
}

/// What a route reads is the route's to give up.
fn check_expiry(channels: &[Declared], routes: &[Arc<Route>], context: &mut Context<'_>) {
    for declared in channels {
        let Some(span) = declared.expire else { continue };
        let reads = |route: &&Arc<Route>| match route.reads() {
            Channels::Queue(name) => *name == declared.channel.name,
            Channels::Topic { .. } | Channels::None => false,
        };
        if let Some(route) = routes.iter().find(reads) {
            let message = format!("`expire` is for queues that no route reads, and `{}` reads this one", route.id);
            context.error_hint("channel.expire", span, message, "put a step `expire` into the route");
        }
    }
}

/// Where `drop_oldest` puts what it drops must be another queue.
fn check_dead_letters(channels: &[Declared], context: &mut Context<'_>) {
    for declared in channels {
        let Some(named) = &declared.dead_letter else { continue };
        let target = channels.iter().find(|other| other.channel.name == named.value);
        if named.value == declared.channel.name {
            let message = format!("what `{}` drops would go back into it", named.value);
            context.error_hint("dead_letter.loop", named.span, message, "name another queue");
        } else if target.is_some_and(|other| !other.channel.is_queue()) {
            context.error("channel.kind", named.span, format!("`{}` is a topic, not a queue", named.value));
        } else {
            context.name(&named.value, named.span, "queue");
        }
    }
}
