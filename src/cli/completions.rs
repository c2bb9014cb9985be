//! `crossdock completions`: what a shell needs to complete commands and options.

use super::{
    CommandLine,
    exit::{Exit, Outcome},
    terminal::data,
};
use clap::{Args, CommandFactory};
use clap_complete::Shell;

/// Print a completion script: crossdock completions bash > /etc/bash_completion.d/crossdock
#[derive(Debug, Args)]
pub struct Arguments {
    /// The shell
    shell: Shell,
}

/// Prints it.
pub fn execute(arguments: &Arguments) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut CommandLine::command(), "crossdock", &mut script);
    data(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Fine)
}
