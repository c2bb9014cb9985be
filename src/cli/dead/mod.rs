//! `crossdock dead`: looking at dead letters, sending them back, editing and deleting them.

mod edit;
mod editor;
mod filter;
mod list;
mod many;
mod redrive;
mod remove;
mod show;

use super::{connect::Connection, exit::Outcome};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Look at dead letters, send them back to where they failed, as they are or edited, or delete them.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,

    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Subcommand)]
enum Command {
    Ls(list::Arguments),
    Show(show::Arguments),
    Redrive(redrive::Arguments),
    Edit(edit::Arguments),
    Rm(remove::Arguments),
}

/// Does what is asked for.
pub fn execute(config: Option<PathBuf>, arguments: &Arguments) -> Outcome {
    let client = arguments.connection.client(config)?;
    match &arguments.command {
        Command::Ls(arguments) => list::execute(&client, arguments),
        Command::Show(arguments) => show::execute(&client, arguments),
        Command::Redrive(arguments) => redrive::execute(&client, arguments),
        Command::Edit(arguments) => edit::execute(&client, arguments),
        Command::Rm(arguments) => remove::execute(&client, arguments),
    }
}
