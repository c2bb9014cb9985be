//! Running other programs and hearing what they say.

use anyhow::{Context as _, Result, bail};
use std::{
    ffi::OsStr,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

/// A command in the work tree; `cargo` is the one that runs us.
pub fn command(root: &Path, program: &str) -> Command {
    let cargo = std::env::var_os("CARGO").filter(|_| program == "cargo");
    let mut command = Command::new(cargo.as_deref().unwrap_or(OsStr::new(program)));
    command.current_dir(root);
    command
}

/// The output of a command that must succeed.
///
/// # Errors
/// It cannot be started, or fails; its diagnostics are in the error.
pub fn output(command: &mut Command) -> Result<Vec<u8>> {
    let ran = command.output().with_context(|| format!("cannot run {command:?}"))?;
    if !ran.status.success() {
        bail!("{command:?} failed ({}):\n{}", ran.status, String::from_utf8_lossy(&ran.stderr));
    }
    Ok(ran.stdout)
}

/// How a step went.
#[derive(Debug)]
pub struct Step {
    /// Its name.
    pub name: String,
    /// Whether it succeeded.
    pub is_good: bool,
    /// Seconds.
    pub took: f64,
}

/// Runs a step, with its output passed on line by line; `hear` gets each line too.
///
/// # Errors
/// It cannot be started.
pub fn step(name: &str, command: &mut Command, mut hear: impl FnMut(&str)) -> Result<Step> {
    let start = Instant::now();
    println!("\n── {name}: {}", shown(command));
    let mut child = command.stdout(Stdio::piped()).spawn().with_context(|| format!("cannot run {command:?}"))?;
    let stdout = child.stdout.take().context("the output was asked for")?;
    for line in BufReader::new(stdout).lines() {
        let line = line.with_context(|| format!("cannot read what {name} says"))?;
        println!("{line}");
        hear(&line);
    }
    let status = child.wait().with_context(|| format!("cannot wait for {name}"))?;
    let took = start.elapsed().as_secs_f64();
    if !status.success() {
        println!("── {name} failed ({status}) after {took:.1} s");
    }
    Ok(Step { name: name.to_owned(), is_good: status.success(), took })
}

fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy();
    let arguments = command.get_args().map(OsStr::to_string_lossy);
    std::iter::once(program).chain(arguments).collect::<Vec<_>>().join(" ")
}
