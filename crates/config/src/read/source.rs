//! `from`.

use crate::{
    context::Context,
    names::{Names, Wanted},
    plan::{ConnectorSource, From, Start},
    read::{
        choice::{Choices, Chosen, Variant, choose},
        steps,
    },
    tables::{SOURCE_COMMON, source_channels},
    words::{self, Words},
};
use crossdock_connector::{OnRefused, SourceConfig};
use crossdock_model::{Text, Timestamp};
use crossdock_settings::{Kind, Node, Reader, Setting, Settings};

/// What a route is called.
#[derive(Clone, Copy)]
pub(crate) struct Called<'a> {
    pub id: &'a Text,
    /// Before (`was`).
    pub was: Option<&'a Text>,
}

/// Reads a route's source; none where something is wrong with it. `message_bytes_max` is what the store takes.
pub(crate) fn read(
    node: &Node,
    route: Called<'_>,
    message_bytes_max: u64,
    names: &mut Names<'_>,
    words: &mut Words,
    context: &mut Context<'_>,
) -> Option<From> {
    let chosen = choose(node, &choices(context), context)?;
    words.from = words::peer(&chosen, &context.masks);
    let common = context.group(&chosen.common, SOURCE_COMMON);
    if chosen.variant.protocol.is_some() {
        return connector(&chosen, &common, route, message_bytes_max, names, context);
    }
    if common.get("on_refused").is_some() {
        let message = "`on_refused` has no meaning here: what a route reads from a channel was accepted before";
        context.error("source.on_refused", common.span_of("on_refused"), message);
    }
    let mut reader = Reader::new();
    let setting = reader.value(&chosen.own, &Kind::Short(chosen.variant.fields));
    context.found.append(reader.finish());
    let Some(Setting::Group(settings)) = setting else { return None };
    match chosen.variant.name {
        "topic" => topic(&settings, route.id, names, context),
        _ => queue(&settings, route.id, names, context),
    }
}

/// What `from` may be.
pub(crate) fn choices(context: &Context<'_>) -> Choices {
    let connectors = context.protocols.iter().filter_map(|protocol| {
        let fields = protocol.description.source?;
        Some(Variant { name: protocol.description.name, fields, protocol: Some(*protocol) })
    });
    Choices { what: "source", variants: connectors.chain(source_channels()).collect(), common: SOURCE_COMMON }
}

fn queue(settings: &Settings, route: &Text, names: &mut Names<'_>, context: &mut Context<'_>) -> Option<From> {
    let name = settings.text("name")?.clone();
    let span = settings.span_of("name");
    if !names.channel(&name, span, Wanted::Queue, true, context) {
        return None;
    }
    names.seen.readers.push((name.clone(), route.clone(), span));
    Some(From::Queue(name))
}

fn topic(settings: &Settings, route: &Text, names: &mut Names<'_>, context: &mut Context<'_>) -> Option<From> {
    let name = settings.text("name")?.clone();
    let span = settings.span_of("name");
    let known = names.channel(&name, span, Wanted::Topic, false, context);
    let subscription = settings.text("subscription").unwrap_or(route).clone();
    let place = settings.span_of("subscription");
    if context.name(&subscription, place, "subscription") {
        names.seen.subscriptions.push((name.clone(), subscription.clone(), place));
    }
    let start = match settings.text("start").map(|text| &**text) {
        None | Some("latest") => Start::Latest,
        Some("earliest") => Start::Earliest,
        Some(text) => match Timestamp::parse_rfc3339(text) {
            Some(at) => Start::At(at),
            None => {
                let hint = "write `earliest`, `latest` or a time such as `2026-01-31T12:00:00Z`";
                context.error_hint("value.type", settings.span_of("start"), "this is no place to start from", hint);
                return None;
            }
        },
    };
    known.then_some(From::Topic { name, start, subscription })
}

fn connector(
    chosen: &Chosen,
    common: &Settings,
    route: Called<'_>,
    message_bytes_max: u64,
    names: &mut Names<'_>,
    context: &mut Context<'_>,
) -> Option<From> {
    let protocol = chosen.variant.protocol?;
    let errors = context.error_count();
    let mut settings = context.group(&chosen.own, chosen.variant.fields);
    fit_body(&mut settings, &chosen.own, message_bytes_max, context);
    let connection = names.connection(chosen.variant.fields, &settings, protocol, context);
    let formulas = steps::source_formulas(&settings, context);
    let on_refused = on_refused(common, protocol.description.on_refused, protocol.description.name, context);
    if context.error_count() != errors {
        return None;
    }
    let config = SourceConfig {
        route: route.id.clone(),
        was: route.was.cloned(),
        connection: connection.ok()?,
        settings,
        formulas: formulas?,
        folder: context.folder.to_path_buf(),
    };
    let connector = names.connector(protocol.description.name)?;
    let made = connector.source(&config);
    context.found.take(made.map(drop));
    names.seen.sources.push((protocol.description.name, config.clone()));
    Some(From::Connector(ConnectorSource { connector: protocol.description.name, config, on_refused }))
}

/// A message is at most half a segment: what is written beyond is an error, the default gives way.
fn fit_body(settings: &mut Settings, own: &Node, message_bytes_max: u64, context: &mut Context<'_>) {
    let Some(size) = settings.size("max_body").filter(|size| *size > message_bytes_max) else { return };
    let span = settings.span_of("max_body");
    if own.get("max_body").is_none() {
        settings.insert("max_body", crossdock_settings::Placed::new(Setting::Size(message_bytes_max), span));
        return;
    }
    let message = format!("`max_body` is {size} bytes, and the store takes messages of at most {message_bytes_max}");
    let hint = "a message is at most half of `gateway.store.segment`: lower this or raise that";
    context.error_hint("source.max_body", span, message, hint);
}

fn on_refused(common: &Settings, usual: OnRefused, connector: &str, context: &mut Context<'_>) -> OnRefused {
    match (common.text("on_refused").map(|word| &**word), usual) {
        (None, usual) => usual,
        (Some(_), OnRefused::Tell) => {
            let message =
                format!("`on_refused` has no meaning for `{connector}`: its sender hears that a message is refused");
            context.error("source.on_refused", common.span_of("on_refused"), message);
            usual
        }
        (Some("reject"), _) => OnRefused::Reject,
        (Some("drop"), _) => OnRefused::Drop,
        (Some(_), _) => OnRefused::DeadLetter,
    }
}
