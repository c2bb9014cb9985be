//! Commands of the program, run to their end.

use crate::wait_for;
use std::{
    io::{Read, Write as _},
    path::Path,
    process::{Command, Stdio},
    thread::{self, JoinHandle},
    time::Duration,
};

/// How long a command may take before a test gives up on it.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a command ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ended {
    /// Its exit status; -1 where a signal ended it.
    pub status: i32,
    /// What it said as data.
    pub stdout: String,
    /// What it said beside.
    pub stderr: String,
}

/// The program in a folder, as every test runs it.
pub fn program(binary: &Path, folder: &Path) -> Command {
    let mut command = Command::new(binary);
    command.current_dir(folder).env("NO_COLOR", "1").env_remove("CROSSDOCK_LOG");
    command
}

/// Runs a command of the program in a folder to its end, with something on stdin.
///
/// # Panics
/// It cannot be started, says what is no UTF-8, or does not end within a minute.
#[must_use]
pub fn run_in(binary: &Path, folder: &Path, arguments: &[&str], stdin: &str) -> Ended {
    let mut command = program(binary, folder);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn();
    let mut child = Killed(child.unwrap_or_else(|error| panic!("cannot run {}: {error}", binary.display())));
    let (stdout, stderr) = (listen(child.0.stdout.take()), listen(child.0.stderr.take()));
    if let Some(mut pipe) = child.0.stdin.take() {
        // A command that does not read its stdin closes it, which is no failure.
        let _closed = pipe.write_all(stdin.as_bytes());
    }
    let name = format!("`crossdock {}` to end", arguments.join(" "));
    let status = wait_for(PATIENCE, &name, || child.0.try_wait().expect("its status"));
    let text = |said: JoinHandle<Vec<u8>>| String::from_utf8(said.join().expect("what it said")).expect("UTF-8");
    Ended { status: status.code().unwrap_or(-1), stdout: text(stdout), stderr: text(stderr) }
}

/// A child that does not outlive a test that failed.
struct Killed(std::process::Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // As a rule it has ended.
        let _ended = self.0.kill().and_then(|()| self.0.wait());
    }
}

/// Reads beside, so that no pipe is ever full.
fn listen(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut said = Vec::new();
        if let Some(mut pipe) = pipe {
            pipe.read_to_end(&mut said).expect("what a command says");
        }
        said
    })
}
