//! `crossdock dead rm`: deletes dead letters.

use super::many::{Deed, Many};
use crate::cli::{
    client::Client,
    exit::{Failure, Outcome},
};
use clap::Args;
use crossdock_admin::shape::DeleteRequest;

const DELETE: Deed = Deed { verb: "delete", done: "deleted" };

/// Delete dead letters for good; needs ids, a filter or --all.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    many: Many,

    /// All of them
    #[arg(long, conflicts_with_all = ["ids", "filter"])]
    all: bool,
}

/// Counts, asks, does it, and waits until it is done.
pub fn execute(client: &Client, arguments: &Arguments) -> Outcome {
    if arguments.many.names_none() && !arguments.all {
        return Err(Failure::usage("say which: ids, `--filter KEY=VALUE`, or `--all`"));
    }
    arguments.many.execute(client, &DELETE, |filter, dry_run| DeleteRequest { filter, dry_run })
}
