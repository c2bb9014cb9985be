//! `crossdock try`: one message through a route, without delivering it.

use super::{
    client::Client,
    connect::Connection,
    exit::{Exit, Failure, Outcome},
    explain::no_such_route,
    file,
    terminal::{Paint, data, json},
    try_report::render,
};
use crate::registry;
use clap::Args;
use crossdock_admin::shape::{Trial, TryRequest};
use crossdock_connector::StoreTag;
use crossdock_engine::TrialStart;
use crossdock_model::{Envelope, MessageId, Origin, Text, Timestamp, is_reserved};
use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

/// Run one message through a route without delivering it: each step with what it changed, and what would be sent.
///
/// A message from a file or stdin is tried with the rules of the configuration, and no gateway need run. With --message
/// the running gateway tries one that it has stored, a dead letter for example, with the rules that it runs.
#[derive(Debug, Args)]
#[command(after_help = "Exit status: 0 it would be sent, or nobody wants it; 1 it would be refused or a dead letter.")]
pub struct Arguments {
    /// The route's key in the configuration
    route: String,

    /// The message's payload [stdin]
    #[arg(value_name = "MESSAGE-FILE")]
    file: Option<PathBuf>,

    /// A message that the running gateway has stored, by its id
    #[arg(long = "message", value_name = "ID", conflicts_with_all = ["file", "headers", "content_type"])]
    stored: Option<String>,

    /// A user header, name=value; may be given several times
    #[arg(short = 'H', long = "header", value_name = "K=V")]
    headers: Vec<String>,

    /// The payload's media type [of a file, by its extension]
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,

    /// For programs: what POST /api/v1/routes/{id}/try answers
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    connection: Connection,
}

/// Runs the message through the route and shows what happens.
pub fn execute(config: Option<PathBuf>, arguments: &Arguments) -> Outcome {
    let (trial, shown) = match &arguments.stored {
        Some(id) => {
            let answer = ask(&arguments.connection.client(config)?, &arguments.route, id)?;
            (answer.shape, answer.json)
        }
        None => {
            let trial = evaluate(&file::choose(config, None)?, arguments)?;
            let shown = serde_json::to_value(&trial).map_err(|error| Failure::other(error.to_string()))?;
            (trial, shown)
        }
    };
    if arguments.json {
        json(&shown)?;
    } else {
        data(&render(&trial, Paint::stdout()))?;
    }
    Ok(if trial.went_well() { Exit::Fine } else { Exit::Findings })
}

/// Has the running gateway try a message that it has stored.
fn ask(client: &Client, route: &str, id: &str) -> Result<super::client::Answer<Trial>, Failure> {
    let request = TryRequest { message: Some(id.to_owned()), ..TryRequest::default() };
    client.post(&["routes", route, "try"], &request)
}

/// Tries a message with the rules of the file.
fn evaluate(path: &Path, arguments: &Arguments) -> Result<Trial, Failure> {
    let plan = file::plan(path)?;
    let route = plan.route(&arguments.route).ok_or_else(|| no_such_route(&plan, &arguments.route))?;
    let connectors = registry::connectors(&plan, StoreTag::from_static(""));
    let envelope = envelope(arguments)?;
    let now = envelope.received_at;
    Ok(crossdock_admin::trial(&crossdock_engine::trial(route, &connectors, envelope, TrialStart::Accept, now)))
}

/// The message as its sender would give it.
fn envelope(arguments: &Arguments) -> Result<Envelope, Failure> {
    let payload = match &arguments.file {
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
    let by_name = arguments.file.as_deref().and_then(media_type);
    envelope.properties.content_type = arguments.content_type.as_deref().or(by_name).map(Text::from);
    envelope.origin = Origin { protocol: Text::from_static("try"), ..Origin::default() };
    for header in &arguments.headers {
        let (name, value) = header
            .split_once('=')
            .filter(|(name, _)| !name.is_empty())
            .ok_or_else(|| Failure::usage(format!("`{header}` is no header; write -H name=value")))?;
        if is_reserved(name) {
            return Err(Failure::usage(format!("`{name}`: no message comes with a user header under `crossdock-`")));
        }
        if name.eq_ignore_ascii_case("content-type") {
            return Err(Failure::usage(format!("`{name}` is no user header; write --content-type {value}")));
        }
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
