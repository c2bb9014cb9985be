//! `crossdock man`: the manual page.

use super::{
    CommandLine,
    exit::{Exit, Failure, Outcome},
    terminal::data,
};
use clap::{Args, CommandFactory};

/// Print the manual page: crossdock man | man -l -
#[derive(Debug, Args)]
pub struct Arguments {}

/// Prints the page of the program, then one of each command.
pub fn execute() -> Outcome {
    let mut command = CommandLine::command();
    command.build();
    let mut page = Vec::new();
    let mut render = |command: clap::Command| clap_mangen::Man::new(command).render(&mut page);
    let commands: Vec<_> = command.get_subcommands().cloned().collect();
    let rendered = render(command).and_then(|()| commands.into_iter().try_for_each(&mut render));
    rendered.map_err(|error| Failure::other(format!("cannot make the manual: {error}")))?;
    data(&String::from_utf8_lossy(&page))?;
    Ok(Exit::Fine)
}
