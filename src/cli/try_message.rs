//! `crossdock try`: one message through a route, without delivering it.

use super::{
    exit::{Exit, Failure, Outcome},
    explain::no_such_route,
    file,
    terminal::{Paint, data, json},
    try_report::{Outcome as End, Report, Sent},
};
use crate::registry;
use clap::Args;
use crossdock_config::{Destination, Plan, Route, Target};
use crossdock_connector::{Connector, Outgoing, Rendered, StoreTag, Ticket};
use crossdock_engine::{Acceptance, Addressed, Evaluation, Evaluator};
use crossdock_model::{Envelope, Fault, MessageId, Origin, Text, Timestamp};
use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

/// Run one message through a route without delivering it: each step with what it changed, and what would be sent.
#[derive(Debug, Args)]
#[command(after_help = "Exit status: 0 it would be sent, or filtered; 1 it would be refused or a dead letter.")]
pub struct Arguments {
    /// The route's key in the configuration
    route: String,

    /// The message's payload [stdin]
    #[arg(value_name = "MESSAGE-FILE")]
    message: Option<PathBuf>,

    /// A user header, name=value; may be given several times
    #[arg(short = 'H', long = "header", value_name = "K=V")]
    headers: Vec<String>,

    /// The payload's media type [of a file, by its extension]
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,

    /// For programs
    #[arg(long)]
    json: bool,
}

/// Runs the message through the route and shows what happens.
pub fn execute(path: &Path, arguments: &Arguments) -> Outcome {
    let plan = file::plan(path)?;
    let route = plan.route(&arguments.route).ok_or_else(|| no_such_route(&plan, &arguments.route))?;
    let report = evaluate(&plan, route, envelope(arguments)?);
    if arguments.json {
        json(&report.json())?;
    } else {
        data(&report.render(Paint::stdout()))?;
    }
    Ok(if report.went_well() { Exit::Fine } else { Exit::Findings })
}

/// The message as its sender would give it.
fn envelope(arguments: &Arguments) -> Result<Envelope, Failure> {
    let payload = match &arguments.message {
        Some(path) => fs::read(path)
            .map_err(|error| Failure::usage(format!("cannot read the message `{}`: {error}", path.display())))?,
        None => {
            let mut payload = Vec::new();
            std::io::stdin()
                .read_to_end(&mut payload)
                .map_err(|error| Failure::usage(format!("cannot read the message from standard input: {error}")))?;
            payload
        }
    };
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
    // Not a random id: two tries of one message are to show the same.
    let mut envelope = Envelope::new(MessageId::from_bytes([0; 16]), now, payload);
    let by_name = arguments.message.as_deref().and_then(media_type);
    envelope.properties.content_type = arguments.content_type.as_deref().or(by_name).map(Text::from);
    envelope.origin = Origin { protocol: Text::from_static("try"), ..Origin::default() };
    for header in &arguments.headers {
        let (name, value) = header
            .split_once('=')
            .filter(|(name, _)| !name.is_empty())
            .ok_or_else(|| Failure::usage(format!("`{header}` is no header; write -H name=value")))?;
        envelope.headers.push(Text::from(name), Text::from(value));
    }
    Ok(envelope)
}

fn media_type(path: &Path) -> Option<&'static str> {
    match path.extension()?.to_str()? {
        "json" => Some("application/json"),
        "xml" => Some("application/xml"),
        "csv" => Some("text/csv"),
        "txt" => Some("text/plain"),
        _ => None,
    }
}

fn evaluate(plan: &Plan, route: &Arc<Route>, envelope: Envelope) -> Report {
    let evaluator = Evaluator::new(Arc::clone(route));
    let mut report = Report::new(&route.id, &envelope);
    let accepted = evaluator.trace_accept(envelope, &mut |step| report.steps.push(step));
    let envelope = match accepted {
        Acceptance::Taken { envelope, .. } => envelope,
        Acceptance::Filtered { step } => {
            report.end = End::Filtered { step };
            return report;
        }
        Acceptance::Refused(refusal) => {
            report.end = End::Refused(refusal);
            return report;
        }
    };
    report.end = match evaluator.trace(&envelope, &mut |step| report.steps.push(step)) {
        Evaluation::Filtered { step } => End::Filtered { step },
        Evaluation::Fault(fault) => End::Dead(fault),
        Evaluation::Routed(routed) => {
            let connectors = registry::connectors(plan, StoreTag::from_static(""));
            let targets = route.targets.iter().zip(routed.targets);
            let sent = targets.filter_map(|(target, addressed)| sent(&connectors, target, &routed.envelope, addressed));
            End::Sent { payload: routed.envelope.payload.clone(), targets: sent.collect() }
        }
    };
    report
}

/// What one target would be sent; none if the message is not for it.
fn sent(
    connectors: &[Arc<dyn Connector>],
    target: &Target,
    envelope: &Arc<Envelope>,
    addressed: Addressed,
) -> Option<(Text, Result<Sent, Fault>)> {
    let result = match addressed {
        Addressed::Not => return None,
        Addressed::Faulty(fault) => Err(fault),
        Addressed::To(rendered) => preview(connectors, target, envelope, rendered),
    };
    Some((target.name.clone(), result))
}

fn preview(
    connectors: &[Arc<dyn Connector>],
    target: &Target,
    envelope: &Arc<Envelope>,
    rendered: Rendered,
) -> Result<Sent, Fault> {
    match &target.to {
        Destination::Channel(name) => Ok(Sent {
            act: Text::from(format!("append to channel {name}")),
            headers: envelope.headers.iter().map(|h| (h.name.clone(), Text::from(h.value.to_string()))).collect(),
            lost: Vec::new(),
        }),
        Destination::Connector { connector, config } => {
            let outgoing = Outgoing {
                ticket: Ticket(0),
                envelope: Arc::clone(envelope),
                rendered,
                idempotency_key: Text::from(envelope.id.to_string()),
                attempt: 1,
            };
            let found = connectors.iter().find(|c| c.description().name == *connector);
            let preview = found.map(|connector| connector.preview(config, &outgoing)).transpose()?.unwrap_or_default();
            Ok(Sent { act: preview.act, headers: preview.headers, lost: preview.lost })
        }
    }
}
