//! `crossdock dead redrive`: sends dead letters back to where they failed.

use super::filter::Filter;
use crate::cli::{
    client::Client,
    exit::{Exit, Failure, Outcome},
    terminal::{confirm, json, note},
    units::count,
};
use clap::Args;
use crossdock_admin::shape::{DryRun, OperationState, OperationView, RedriveRequest, Started};
use serde_json::Value;
use std::time::Duration;

/// How often a running operation is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Send dead letters back to where they failed; without a filter or ids, all of them.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Only these messages
    #[arg(value_name = "ID")]
    ids: Vec<String>,

    #[command(flatten)]
    filter: Filter,

    /// At most so many in a time, evenly: 100/s, 30/m
    #[arg(long, value_name = "RATE")]
    rate: Option<String>,

    /// At most so many in all
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max: Option<u64>,

    /// Only count them
    #[arg(long)]
    dry_run: bool,

    /// Do not ask
    #[arg(short, long)]
    yes: bool,

    /// For programs: what POST /api/v1/dead-letters/redrive answers
    #[arg(long)]
    json: bool,
}

/// Counts, asks, does it, and waits until it is done.
pub fn execute(client: &Client, arguments: &Arguments) -> Outcome {
    let request = RedriveRequest {
        filter: arguments.filter.read(&arguments.ids)?,
        rate: arguments.rate.clone(),
        max: arguments.max,
        dry_run: true,
    };
    let path = ["dead-letters", "redrive"];
    let dry = client.post::<DryRun>(&path, &request)?;
    if arguments.dry_run {
        return told(arguments.json, &dry.json, &format!("would redrive {}", letters(dry.shape.matched)));
    }
    let all = request.filter.ids.is_none();
    if !may_go_on("redrive", dry.shape.matched, all, arguments.yes, arguments.json, &dry.json)? {
        return Ok(Exit::Fine);
    }
    let started = client.post::<Started>(&path, &RedriveRequest { dry_run: false, ..request })?;
    if arguments.json {
        json(&started.json)?;
    }
    follow(client, &started.shape, "redriven")
}

/// Whether to go on with so many: with none there is nothing to do, with more than one somebody must have said yes.
///
/// # Errors
/// Messages that were named are not there, or nobody said yes.
pub fn may_go_on(
    verb: &str,
    matched: u64,
    all: bool,
    yes: bool,
    as_json: bool,
    answer: &Value,
) -> Result<bool, Failure> {
    match matched {
        0 if !all => Err(Failure::new(Exit::NotFound, "none of these messages is a dead letter")),
        0 => told(as_json, answer, &format!("no dead letters to {verb}")).map(|_| false),
        1 => Ok(true),
        _ if yes || confirm(&format!("{verb} {}?", letters(matched))) => Ok(true),
        _ => Err(Failure::other("nothing was done; answer `y`, or say `--yes`")),
    }
}

/// Waits for an operation, telling how far it is.
///
/// # Errors
/// The gateway cannot be asked any more; the operation goes on.
pub fn follow(client: &Client, started: &Started, done: &str) -> Outcome {
    let mut told = 0;
    let ended = loop {
        let operation = client.get::<OperationView>(&["operations", &started.operation], &[])?.shape;
        if operation.state != OperationState::Running {
            break operation;
        }
        if operation.done >= told + 1000 {
            told = operation.done;
            note(&format!("{told} of {} {done}", operation.total));
        }
        client.pause(LOOK_EVERY);
    };
    let moved = ended.done.saturating_sub(ended.failed);
    let failed = if ended.failed > 0 { format!(", {} could not be", ended.failed) } else { String::new() };
    note(&format!("{} {done}{failed}", letters(moved)));
    Ok(match (ended.state, ended.failed) {
        (OperationState::Done, 0) => Exit::Fine,
        (OperationState::Done | OperationState::Running | OperationState::Cancelled | OperationState::Failed, _) => {
            Exit::Findings
        }
    })
}

/// Tells a count: for programs as the API does, for people in words.
///
/// # Errors
/// It cannot be written.
pub fn told(as_json: bool, answer: &Value, text: &str) -> Outcome {
    if as_json {
        json(answer)?;
    } else {
        note(text);
    }
    Ok(Exit::Fine)
}

/// A count of dead letters in words.
pub fn letters(number: u64) -> String {
    count(number, "dead letter")
}
