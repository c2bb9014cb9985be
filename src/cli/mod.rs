//! The command line: one file a verb.

mod check;
mod client;
mod completions;
mod connect;
mod dead;
mod demo;
mod exit;
mod explain;
mod file;
mod look;
mod man;
mod mapping;
mod pause;
mod queues;
mod run;
mod schema;
mod status;
mod table;
mod terminal;
mod try_message;
mod try_report;
mod units;
mod verify;

pub use exit::{Exit, Failure, Outcome};
pub use table::{Cell, Column, Table};
pub use terminal::{Paint, Tone, data, note};

use clap::{Parser, Subcommand, error::ErrorKind};
use std::{path::PathBuf, process::ExitCode};

/// A protocol-translating integration gateway.
///
/// Messages come in, are stored, checked, transformed by the rules of routes.yaml, and delivered: again and again until
/// they are, or set aside with the cause.
#[derive(Debug, Parser)]
#[command(name = "crossdock", version, max_term_width = 110, after_help = STATUSES, subcommand_required = true)]
pub struct CommandLine {
    /// The configuration, for every command that reads it [routes.yaml]
    #[arg(short, long = "config", value_name = "FILE", global = true)]
    config: Option<PathBuf>,

    #[command(subcommand)]
    command: Command,
}

const STATUSES: &str = "Exit status: 0 fine, 1 findings or a failure on the way, 2 bad usage or configuration, \
    3 gateway unreachable, 4 not found, 5 conflict, 6 denied.\nStart with: crossdock demo";

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Arguments),
    Run(run::Arguments),
    Check(check::Arguments),
    Explain(explain::Arguments),
    Try(try_message::Arguments),
    Status(status::Arguments),
    Queues(queues::Arguments),
    Dead(dead::Arguments),
    /// Stop delivering for a route; messages are still taken in, and nothing is lost
    Pause(pause::Arguments),
    /// Go on delivering for a route
    Resume(pause::Arguments),
    Verify(verify::Arguments),
    Schema(schema::Arguments),
    Completions(completions::Arguments),
    Man(man::Arguments),
    #[command(hide = true)]
    Mapping(mapping::Arguments),
}

/// Reads the command line, does what it asks for, and tells how that ended.
pub fn main() -> ExitCode {
    let line = match CommandLine::try_parse() {
        Ok(line) => line,
        Err(error) => return refuse(&error),
    };
    // Two TLS providers in one program would panic at the first use of either; so one is named before anything else.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let exit = execute(line).unwrap_or_else(|failure| {
        if !failure.text.is_empty() {
            let paint = Paint::stderr();
            note(&format!("{} {}", paint.text(Tone::Bad, "error:"), failure.text));
        }
        failure.exit
    });
    exit.into()
}

fn execute(line: CommandLine) -> Outcome {
    let config = line.config;
    match line.command {
        Command::Demo(arguments) => demo::execute(&arguments),
        Command::Run(arguments) => run::execute(&file::choose(config, arguments.file)?),
        Command::Check(mut arguments) => check::execute(&file::choose(config, arguments.file.take())?, &arguments),
        Command::Explain(mut arguments) => explain::execute(&file::choose(config, arguments.file.take())?, &arguments),
        Command::Try(arguments) => try_message::execute(config, &arguments),
        Command::Status(arguments) => status::execute(config, &arguments),
        Command::Queues(arguments) => queues::execute(config, &arguments),
        Command::Dead(arguments) => dead::execute(config, &arguments),
        Command::Pause(arguments) => pause::execute(config, &arguments, pause::Change::Pause),
        Command::Resume(arguments) => pause::execute(config, &arguments, pause::Change::Resume),
        Command::Verify(arguments) => verify::execute(&file::choose(config, arguments.file.clone())?, &arguments),
        Command::Schema(_) => schema::execute(),
        Command::Completions(arguments) => completions::execute(&arguments),
        Command::Man(_) => man::execute(),
        Command::Mapping(_) => mapping::execute(),
    }
}

/// Help and version are data; everything else is bad usage.
fn refuse(error: &clap::Error) -> ExitCode {
    let text = error.render().to_string();
    let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    let exit = if asked {
        data(&text).map_or_else(|failure| failure.exit, |()| Exit::Fine)
    } else {
        note(text.trim_end());
        Exit::Usage
    };
    exit.into()
}
