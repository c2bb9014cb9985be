//! `to`.

use crate::{
    context::Context,
    names::{Names, Wanted},
    plan::{Destination, Idempotency, Target, TargetEvent},
    read::{
        choice::{Choices, Chosen, Variant, choose},
        steps,
    },
    tables::{TARGET_COMMON, target_channels},
    words::{self, Words},
};
use crossdock_connector::{Events, SinkConfig};
use crossdock_model::Text;
use crossdock_rules::{EventDefaults, EventMode, Router, TargetRules, When};
use crossdock_settings::{Field, Kind, Node, NodeKind, Presence, Reader, Setting, Settings, Span};

/// A route's targets and what decides between them.
pub(crate) struct Targets {
    pub targets: Vec<Target>,
    pub router: Router,
}

/// What is known of one target before its siblings are looked at.
struct Draft {
    span: Span,
    name: Text,
    name_span: Span,
    named: bool,
    conditional: Option<Span>,
    made: Option<(Target, TargetRules)>,
}

/// Reads a route's targets; none where something is wrong with them.
pub(crate) fn read(
    node: &Node,
    route: &Text,
    names: &mut Names<'_>,
    words: &mut Words,
    context: &mut Context<'_>,
) -> Option<Targets> {
    let nodes: Vec<&Node> = match &node.kind {
        NodeKind::Sequence(items) if items.is_empty() => {
            let hint = "name a target, such as `{ queue: NAME }`, or remove the route";
            context.error_hint("route.nowhere", node.span, "the route leads nowhere: `to` is empty", hint);
            return None;
        }
        NodeKind::Sequence(items) => items.iter().collect(),
        NodeKind::Null => {
            let hint = "name a target, such as `{ queue: NAME }`, or remove the route";
            context.error_hint("route.nowhere", node.span, "the route leads nowhere: `to` is empty", hint);
            return None;
        }
        NodeKind::Scalar(_) | NodeKind::Mapping(_) => vec![node],
    };
    let choices = choices(context);
    let mut drafts: Vec<Draft> = Vec::new();
    let mut complete = true;
    for node in nodes {
        match choose(node, &choices, context) {
            Some(chosen) => {
                words.targets.push(words::target(&chosen, &context.masks));
                let ordinal = drafts.iter().filter(|draft| same_peer(draft, &chosen)).count();
                drafts.push(one(node, &chosen, route, ordinal, names, context));
            }
            None => complete = false,
        }
    }
    check_identities(&drafts, context);
    check_conditions(&drafts, context);
    let made: Option<Vec<_>> = drafts.into_iter().map(|draft| draft.made).collect();
    let (targets, rules) = made.filter(|_| complete)?.into_iter().unzip();
    Some(Targets { targets, router: Router::new(rules) })
}

/// What `to` may be.
pub(crate) fn choices(context: &Context<'_>) -> Choices {
    let connectors = context.protocols.iter().filter_map(|protocol| {
        let fields = protocol.description.target?;
        Some(Variant { name: protocol.description.name, fields, protocol: Some(*protocol) })
    });
    Choices { what: "target", variants: connectors.chain(target_channels()).collect(), common: TARGET_COMMON }
}

/// Whether an earlier target goes to the same peer through the same connector.
fn same_peer(draft: &Draft, chosen: &Chosen) -> bool {
    let Some((Target { to: Destination::Connector { connector, config }, .. }, _)) = &draft.made else { return false };
    let connection = connection_of(chosen);
    *connector == chosen.variant.name && config.connection.as_ref().map(|c| &*c.name) == connection.as_deref()
}

fn one(
    node: &Node,
    chosen: &Chosen,
    route: &Text,
    ordinal: usize,
    names: &mut Names<'_>,
    context: &mut Context<'_>,
) -> Draft {
    let errors = context.error_count();
    let common = context.group(&chosen.common, TARGET_COMMON);
    let given = common.text("name").cloned();
    if let Some(name) = &given {
        context.name(name, common.span_of("name"), "target");
    }
    check_event(&common, chosen, context);
    let when = when(&common, context);
    let name = given.clone().unwrap_or_else(|| identity(chosen));
    let made = destination(chosen, &common, &Which { route, name: &name, ordinal }, names, context);
    let conditional = match (common.get("when"), common.flag("otherwise")) {
        (None, false) => None,
        (Some(placed), _) => Some(placed.span),
        (None, true) => Some(common.span_of("otherwise")),
    };
    let made = match (made, when) {
        (Some((to, formulas)), Some(when)) if context.error_count() == errors => {
            let idempotency = match common.text("idempotency").map(|word| &**word) {
                Some("per_redrive") => Idempotency::PerRedrive,
                Some(_) | None => Idempotency::Id,
            };
            let event = event(&common, &to, names);
            Some((Target { name: name.clone(), to, idempotency, event }, TargetRules { when, formulas }))
        }
        _ => None,
    };
    let name_span = if given.is_some() { common.span_of("name") } else { node.span };
    Draft { span: node.span, name, name_span, named: given.is_some(), conditional, made }
}

/// How its messages leave as events.
fn event(common: &Settings, to: &Destination, names: &Names<'_>) -> Option<TargetEvent> {
    let (_, value) = common.variant("encode")?;
    let Setting::Group(settings) = &value.value else { return None };
    let defaults = EventDefaults::of(settings);
    let column = match to {
        Destination::Connector { connector, config } => names.connector(connector)?.column(config),
        Destination::Channel(_) => None,
    };
    let mode = match column.map(|column| column.events) {
        Some(Events::Headers { prefix, percent_encoded }) => EventMode::Binary { prefix, percent_encoded },
        Some(Events::Structured) | None => EventMode::Structured,
    };
    Some(TargetEvent { mode, defaults })
}

/// A message that goes to a channel is stored as it is, so that whoever reads it decides how it leaves.
fn check_event(common: &Settings, chosen: &Chosen, context: &mut Context<'_>) {
    if common.get("encode").is_some() && chosen.variant.protocol.is_none() {
        let message = "`encode` is for targets outside the gateway";
        let hint = "put `encode: cloudevent` among the `steps`, or at the target of the route that reads the channel";
        context.error_hint("target.encode", common.span_of("encode"), message, hint);
    }
}

fn when(common: &Settings, context: &mut Context<'_>) -> Option<When> {
    let condition = steps::program(common, "when", context);
    if common.get("when").is_some() && common.flag("otherwise") {
        let message = "a target has `when` or `otherwise`, not both";
        context.error_hint("route.condition", common.span_of("otherwise"), message, "remove one of them");
        return None;
    }
    match condition? {
        Some(program) => Some(When::If(program)),
        None if common.flag("otherwise") => Some(When::Otherwise),
        None => Some(When::Always),
    }
}

/// Which target it is.
struct Which<'a> {
    route: &'a Text,
    name: &'a Text,
    /// Which of the route's targets of one connector and connection.
    ordinal: usize,
}

/// The destination and its compiled formulas.
fn destination(
    chosen: &Chosen,
    common: &Settings,
    which: &Which<'_>,
    names: &mut Names<'_>,
    context: &mut Context<'_>,
) -> Option<(Destination, Vec<crossdock_rules::Formula>)> {
    let Some(protocol) = chosen.variant.protocol else {
        return channel(chosen, names, context).map(|name| (Destination::Channel(name), Vec::new()));
    };
    let errors = context.error_count();
    let settings = context.group(&chosen.own, chosen.variant.fields);
    let connection = names.connection(chosen.variant.fields, &settings, protocol, context);
    let formulas = steps::formulas(&settings, common.flag("allow_dynamic"), context);
    crate::read::gateway::check_tls_files(&settings, context);
    if context.error_count() != errors {
        return None;
    }
    let config = SinkConfig {
        route: which.route.clone(),
        target: which.name.clone(),
        ordinal: which.ordinal,
        connection: connection.ok()?,
        settings,
        folder: context.folder.to_path_buf(),
        forward_origin: common.flag("forward_origin"),
        strict: common.flag("strict"),
    };
    let made = names.connector(protocol.description.name)?.sink(&config);
    context.found.take(made.map(drop))?;
    Some((Destination::Connector { connector: protocol.description.name, config }, formulas?))
}

fn channel(chosen: &Chosen, names: &Names<'_>, context: &mut Context<'_>) -> Option<Text> {
    let mut reader = Reader::new();
    let setting = reader.value(&chosen.own, &Kind::Short(chosen.variant.fields));
    context.found.append(reader.finish());
    let Some(Setting::Group(settings)) = setting else { return None };
    let name = settings.text("name")?;
    let wanted = if chosen.variant.name == "topic" { Wanted::Topic } else { Wanted::Queue };
    names.channel(name, settings.span_of("name"), wanted, false, context).then(|| name.clone())
}

/// Connection and address as they are written, `CONNECTION:ADDRESS`; what comes from the environment stays masked, so
/// that a secret is no label and a changed value no other target.
fn identity(chosen: &Chosen) -> Text {
    let Some(protocol) = chosen.variant.protocol else {
        let name =
            chosen.own.scalar().map(written).or_else(|| chosen.own.get("name").and_then(Node::scalar).map(written));
        return format!("{}:{}", chosen.variant.name, name.unwrap_or_default()).into();
    };
    let peer = connection_of(chosen).unwrap_or_else(|| chosen.variant.name.to_owned());
    let parts: Vec<_> = protocol
        .description
        .address
        .iter()
        .map(|field| value_of(chosen, field))
        .filter(|part| !part.is_empty())
        .collect();
    if parts.is_empty() { peer.into() } else { format!("{peer}:{}", parts.join("/")).into() }
}

/// A field's value as it is written, or its default.
fn value_of(chosen: &Chosen, name: &str) -> String {
    if let Some(scalar) = chosen.own.get(name).and_then(Node::scalar) {
        return written(scalar);
    }
    let field: Option<&Field> = chosen.variant.fields.iter().find(|field| field.name == name);
    match field.map(|field| field.presence) {
        Some(Presence::Default(text)) => text.to_owned(),
        Some(Presence::Required | Presence::Optional) | None => String::new(),
    }
}

fn written(scalar: &crossdock_settings::Scalar) -> String {
    scalar.masked.clone().unwrap_or_else(|| scalar.text.clone())
}

fn connection_of(chosen: &Chosen) -> Option<String> {
    let field = chosen.variant.fields.iter().find(|field| matches!(field.kind, Kind::Connection(_)))?;
    chosen.own.get(field.name).and_then(Node::scalar).map(|scalar| scalar.text.clone())
}

fn check_identities(drafts: &[Draft], context: &mut Context<'_>) {
    for (index, draft) in drafts.iter().enumerate() {
        let Some(first) = drafts.iter().take(index).find(|earlier| earlier.name == draft.name) else { continue };
        let message = format!("there is a target `{}` in line {} already", draft.name, first.name_span.start.line);
        let hint = if draft.named { "give it another name" } else { "give one of them a `name`" };
        context.error_hint("target.identity", draft.name_span, message, hint);
    }
}

fn check_conditions(drafts: &[Draft], context: &mut Context<'_>) {
    if drafts.iter().all(|draft| draft.conditional.is_none()) {
        return;
    }
    for draft in drafts.iter().filter(|draft| draft.conditional.is_none()) {
        let message = "this target has neither `when` nor `otherwise`, but others of the list have";
        let hint = "give all targets a condition, or none; `when: \"true\"` is one that always holds";
        context.error_hint("route.conditions", draft.span, message, hint);
    }
}
