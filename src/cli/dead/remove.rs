//! `crossdock dead rm`: deletes dead letters.

use super::{
    filter::Filter,
    redrive::{follow, letters, may_go_on, told},
};
use crate::cli::{
    client::Client,
    exit::{Exit, Failure, Outcome},
    terminal::json,
};
use clap::Args;
use crossdock_admin::shape::{DeleteRequest, DryRun, Started};

/// Delete dead letters for good; needs ids, a filter or --all.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Only these messages
    #[arg(value_name = "ID")]
    ids: Vec<String>,

    #[command(flatten)]
    filter: Filter,

    /// All of them
    #[arg(long, conflicts_with_all = ["ids", "filter"])]
    all: bool,

    /// Only count them
    #[arg(long)]
    dry_run: bool,

    /// Do not ask
    #[arg(short, long)]
    yes: bool,

    /// For programs: what POST /api/v1/dead-letters/delete answers
    #[arg(long)]
    json: bool,
}

/// Counts, asks, does it, and waits until it is done.
pub fn execute(client: &Client, arguments: &Arguments) -> Outcome {
    if arguments.ids.is_empty() && arguments.filter.is_empty() && !arguments.all {
        return Err(Failure::usage("say which: ids, `--filter KEY=VALUE`, or `--all`"));
    }
    let request = DeleteRequest { filter: arguments.filter.read(&arguments.ids)?, dry_run: true };
    let path = ["dead-letters", "delete"];
    let dry = client.post::<DryRun>(&path, &request)?;
    if arguments.dry_run {
        return told(arguments.json, &dry.json, &format!("would delete {}", letters(dry.shape.matched)));
    }
    let all = request.filter.ids.is_none();
    if !may_go_on("delete", dry.shape.matched, all, arguments.yes, arguments.json, &dry.json)? {
        return Ok(Exit::Fine);
    }
    let started = client.post::<Started>(&path, &DeleteRequest { dry_run: false, ..request })?;
    if arguments.json {
        json(&started.json)?;
    }
    follow(client, &started.shape, "deleted")
}
