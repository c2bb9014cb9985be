//! `crossdock demo`: a day at the dock.

use super::{
    exit::Outcome,
    run::{log, runtime},
};
use crate::demo::{Options, play};
use clap::Args;

/// See it work: sample routes, a thousand orders over real HTTP, partner systems of which some fail, and the account.
#[derive(Debug, Args)]
#[command(after_help = "Exit status with --exit: 0 only if the account is right.")]
pub struct Arguments {
    /// End when the account is drawn up, instead of going on until Ctrl-C
    #[arg(long)]
    exit: bool,

    /// What the orders follow from; the same seed gives the same orders
    #[arg(long, value_name = "N", default_value_t = 7)]
    seed: u64,
}

/// Plays it.
pub fn execute(arguments: &Arguments) -> Outcome {
    log("error")?;
    runtime()?.block_on(play(Options { exit: arguments.exit, seed: arguments.seed }))
}
