//! `crossdock dead redrive`: sends dead letters back to where they failed.

use super::many::{Deed, Many};
use crate::cli::{client::Client, exit::Outcome};
use clap::Args;
use crossdock_admin::shape::RedriveRequest;

const REDRIVE: Deed = Deed { verb: "redrive", done: "redriven" };

/// Send dead letters back to where they failed; without a filter or ids, all of them.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    many: Many,

    /// At most so many in a time, evenly: 100/s, 30/m
    #[arg(long, value_name = "RATE")]
    rate: Option<String>,

    /// At most so many in all
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max: Option<u64>,
}

/// Counts, asks, does it, and waits until it is done.
pub fn execute(client: &Client, arguments: &Arguments) -> Outcome {
    let Arguments { many, rate, max } = arguments;
    many.execute(client, &REDRIVE, |filter, dry_run| RedriveRequest { filter, rate: rate.clone(), max: *max, dry_run })
}
