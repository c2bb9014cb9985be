//! The project's chores: `cargo xtask tidy | test | brokers | soak | codegen | bench`.
//!
//! Plain programs over `cargo`, `git` and the files of the work tree, and the servers that tests need. Nothing here is part of
//! the product, and nothing of the product is built into it, so that it is there at once.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a tool of the command line talks there")]

mod bench;
mod brokers;
mod codegen;
mod command;
mod machine;
mod soak;
mod test;
mod tidy;

use anyhow::{Context as _, Result, bail};
use std::{path::PathBuf, process::ExitCode};

const USAGE: &str = "\
usage: cargo xtask COMMAND

  tidy [--shrink]    check what no compiler checks: which crate may know which, sizes, module docs, links
                     (--shrink lowers the ratchet of sizes to what they are now)
  test [FILTER]      run every test there is, the demo and the check of generated files
                     (--brokers: only those that need RabbitMQ, Kafka and Mosquitto)
  brokers [COMMAND]  start RabbitMQ, Kafka and Mosquitto, run the command with their addresses, stop them
                     (without a command: until the end of stdin)
  soak [KILLS]       kill the real program 1,000 times (or KILLS) under load, and simulate as much longer
  codegen [--check]  write the generated files, or tell which are stale
  bench [NAME…]      take the figures of the store, the rules, the delivery and HTTP, and print them with the machine
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Whether all is well.
fn run(arguments: &[String]) -> Result<bool> {
    let root = root()?;
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["tidy"] => tidy::tidy(&root, tidy::Ratchet::Keep),
        ["tidy", "--shrink"] => tidy::tidy(&root, tidy::Ratchet::Shrink),
        ["test", "--brokers"] => test::only_brokers(&root),
        ["test", filter @ ..] => test::test(&root, filter),
        ["brokers", command @ ..] => brokers::brokers(&root, command),
        ["soak"] => soak::soak(&root, None),
        ["soak", kills] => soak::soak(&root, Some(kills)),
        ["codegen"] => codegen::codegen(&root, codegen::Mode::Write),
        ["codegen", "--check"] => codegen::codegen(&root, codegen::Mode::Check),
        ["bench", names @ ..] => bench::bench(&root, names),
        [] | ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            Ok(true)
        }
        [unknown, ..] => bail!("unknown command `{unknown}`\n\n{USAGE}"),
    }
}

/// The top of the work tree.
fn root() -> Result<PathBuf> {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().map(PathBuf::from).context("xtask has no folder above it")
}
