//! A server's processes: started, asked whether they are ready, signalled together, and never left behind.
//!
//! A server runs in a session of its own under a watcher (`watch.sh`), which notices that the process that started it has
//! ended by a pipe that closes. So no server survives a test that panics or is killed, and none is hit by the Ctrl-C that is
//! meant for the tests.

use crate::try_wait_for;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::{
    ffi::OsStr,
    fs,
    io::{BufRead as _, BufReader, Read as _},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};
use tempfile::TempDir;

/// How long a server may take to come up on a busy machine.
const UP_WITHIN: Duration = Duration::from_secs(120);
/// How long a server may take to stop when it is asked to.
const STOPPED_WITHIN: Duration = Duration::from_secs(60);
/// How much of the end of a log an error shows.
const TAIL_LINES: usize = 25;

const WATCH: &str = include_str!("watch.sh");

/// What every server can be made to do. Each has a `server` of this module, and `up` to start it.
macro_rules! has_a_life {
    ($name:ty) => {
        impl $name {
            /// Kills it (SIGKILL).
            pub fn kill(&mut self) {
                self.server.kill();
            }

            /// Asks it to end (SIGTERM) and waits for it.
            ///
            /// # Panics
            /// It does not end.
            pub fn halt(&mut self) {
                self.server.halt().unwrap_or_else(|error| panic!("{error}"));
            }

            /// Starts it again with the folder and ports it had, after asking it to end where it runs.
            ///
            /// # Panics
            /// It does not end, or does not come up.
            pub fn restart(&mut self) {
                self.halt();
                self.up().unwrap_or_else(|error| panic!("{error}"));
            }

            /// Stops its processes where they are (SIGSTOP), and waits until they stand: connections stay open and nobody answers.
            ///
            /// # Panics
            /// They do not stop.
            pub fn freeze(&self) {
                self.server.freeze();
            }

            /// Lets them go on.
            pub fn thaw(&self) {
                self.server.thaw();
            }
        }
    };
}
pub(super) use has_a_life;

/// A server with its folder, which is removed with it.
#[derive(Debug)]
pub(super) struct Server {
    name: &'static str,
    folder: TempDir,
    process: Option<Process>,
}

#[derive(Debug)]
struct Process {
    watcher: Child,
    group: Pid,
}

impl Server {
    /// A folder for a server; nothing runs yet.
    pub(super) fn new(name: &'static str) -> Result<Self, String> {
        let folder = tempfile::Builder::new().prefix(&format!("crossdock-{name}-")).tempdir();
        let folder = folder.map_err(|error| format!("no temporary folder for {name}: {error}"))?;
        Ok(Self { name, folder, process: None })
    }

    /// A path in its folder.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file into its folder.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<(), String> {
        let path = self.path(name);
        fs::write(&path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
    }

    /// Starts the command in its folder and waits until `is_ready` says yes.
    pub(super) fn start(&mut self, command: &Command, mut is_ready: impl FnMut() -> bool) -> Result<(), String> {
        if self.process.is_some() {
            return Err(format!("{} runs already", self.name));
        }
        self.process = Some(Process::spawn(self.folder.path(), command)?);
        let up = try_wait_for(UP_WITHIN, || match self.ended() {
            Some(status) => Some(Err(format!("ended with {status} while it started"))),
            None => is_ready().then_some(Ok(())),
        });
        let up = up.unwrap_or_else(|| Err(format!("is not ready after {} s", UP_WITHIN.as_secs())));
        up.map_err(|error| {
            self.process = None;
            format!("{} {error}; the end of its log:\n{}", self.name, tail(&self.path("log")))
        })
    }

    fn ended(&mut self) -> Option<ExitStatus> {
        self.process.as_mut().and_then(|process| process.watcher.try_wait().ok().flatten())
    }

    /// Kills it with all its processes (SIGKILL); the folder stays.
    pub(super) fn kill(&mut self) {
        self.process = None;
    }

    /// Asks it to end (SIGTERM) and waits for it; the folder stays.
    pub(super) fn halt(&mut self) -> Result<(), String> {
        let Some(process) = &self.process else { return Ok(()) };
        process.signal(Signal::TERM);
        let ended = try_wait_for(STOPPED_WITHIN, || self.ended());
        self.process = None;
        let late = || format!("{} did not stop; the end of its log:\n{}", self.name, tail(&self.path("log")));
        ended.map(|_| ()).ok_or_else(late)
    }

    /// Stops all its processes where they are (SIGSTOP), so that connections stay open and nobody answers.
    ///
    /// # Panics
    /// They do not stop.
    pub(super) fn freeze(&self) {
        if let Some(process) = &self.process {
            process.signal(Signal::STOP);
            // On a busy machine a thread may go on for a while, and answer.
            let stopped = try_wait_for(STOPPED_WITHIN, || is_frozen(process.group).then_some(()));
            assert!(stopped.is_some(), "{} did not stop where it was", self.name);
        }
    }

    /// Lets them go on.
    pub(super) fn thaw(&self) {
        self.process.iter().for_each(|process| process.signal(Signal::CONT));
    }
}

impl Process {
    fn spawn(folder: &Path, command: &Command) -> Result<Self, String> {
        let mut watcher = Command::new("sh");
        watcher.args([OsStr::new("-c"), OsStr::new(WATCH), OsStr::new("watch"), folder.as_os_str()]);
        watcher.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => watcher.env(name, value),
                None => watcher.env_remove(name),
            };
        }
        let watcher = watcher.current_dir(folder).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut watcher = watcher.process_group(0).spawn().map_err(|error| format!("cannot run sh: {error}"))?;
        let mut line = String::new();
        if let Some(pipe) = watcher.stdout.take() {
            // Without a line there is no number either, which is told below.
            let _said = BufReader::new(pipe.take(64)).read_line(&mut line);
        }
        let group = line.trim().parse().ok().and_then(Pid::from_raw);
        let Some(group) = group else {
            // It ended by itself; what remains is to reap it.
            let _reaped = watcher.kill().and_then(|()| watcher.wait());
            return Err(format!("the watcher of {} did not start", command.get_program().display()));
        };
        Ok(Self { watcher, group })
    }

    /// A signal for all processes of the server. One that has ended by itself needs none.
    fn signal(&self, signal: Signal) {
        let _ended = kill_process_group(self.group, signal).or_else(|_| kill_process(self.group, signal));
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        // The watcher ends with the server. Its stdin stays open until then, so it does not remove the folder.
        let stdin = self.watcher.stdin.take();
        let _ended = self.watcher.wait();
        drop(stdin);
        // Its first process is gone; a large one beside it may still hold the port.
        let _gone = try_wait_for(STOPPED_WITHIN, || (!is_alive(self.group)).then_some(()));
    }
}

/// Whether a process of the group is alive. One that has ended and that nobody has reaped is not; but one whose first thread
/// alone has ended is, though its state says the same: the others still hold its sockets, and so its ports.
fn is_alive(group: Pid) -> bool {
    let group = group.as_raw_nonzero().to_string();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut states = processes.filter_map(|process| fs::read_to_string(process.path().join("stat")).ok());
    states.any(|stat| stat_is_alive(&stat, &group))
}

/// The same of a process by its `/proc/PID/stat` (proc_pid_stat(5)).
fn stat_is_alive(stat: &str, of_group: &str) -> bool {
    // Behind the name, which is in brackets: state, parent, group, and twelve others before the count of threads.
    let mut fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
    let (state, group, threads) = (fields.next(), fields.nth(1), fields.nth(14));
    let has_ended = matches!(state, Some("Z" | "X")) && matches!(threads, Some("0" | "1"));
    group == Some(of_group) && !has_ended
}

/// Whether no thread of the group's processes runs.
fn is_frozen(group: Pid) -> bool {
    let group = group.as_raw_nonzero().to_string();
    let inside = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let stat = |folder: &PathBuf| fs::read_to_string(folder.join("stat")).unwrap_or_default();
    let mut processes = inside(Path::new("/proc")).filter(|process| stat_is_alive(&stat(process), &group));
    processes.all(|process| inside(&process.join("task")).all(|thread| stat_is_stopped(&stat(&thread))))
}

/// Whether a thread's line of `/proc` says that it is stopped, or has ended; what is gone has no line.
fn stat_is_stopped(stat: &str) -> bool {
    let state = stat.rsplit(") ").next().and_then(|fields| fields.split(' ').next());
    matches!(state, Some("T" | "Z" | "X" | ""))
}

/// The last lines of a log.
fn tail(path: &Path) -> String {
    let log = String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned();
    let lines: Vec<&str> = log.lines().collect();
    lines.get(lines.len().saturating_sub(TAIL_LINES)..).unwrap_or_default().join("\n")
}

/// Runs a command to its end and gives what it said.
pub(super) fn output(command: &mut Command) -> Result<Vec<u8>, String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let ran = command.stdin(Stdio::null()).output().map_err(|error| format!("cannot run {program}: {error}"))?;
    if ran.status.success() {
        return Ok(ran.stdout);
    }
    let said = [ran.stdout, ran.stderr].concat();
    Err(format!("{program} failed ({}): {}", ran.status, String::from_utf8_lossy(&said).trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_waits_for_a_disk_is_not_stopped_yet() {
        for (line, expected) in [
            ("19250 (2_scheduler) T 1 19211 19211 0 -1 4194560 9 0", true),
            ("19250 (of (T) x) R 1 19211 19211 0 -1 4194560 9 0", false),
            ("19250 (2_scheduler) D 1 19211 19211 0 -1 4194560 9 0", false),
            ("19250 (2_scheduler) Z 1 19211 19211 0 -1 4194560 9 0", true),
            ("", true),
        ] {
            assert_eq!(stat_is_stopped(line), expected, "{line}");
        }
    }

    #[test]
    fn what_still_has_threads_is_alive() {
        // A killed Erlang: its first thread had ended, the others still held the port of its listener.
        for (line, expected) in [
            ("19250 (beam.smp) S 1 19211 19211 0 -1 4194560 9 0 0 0 6 3 0 0 20 0 24 0 81 0 0", true),
            ("19250 (beam.smp) Z 1 19211 19211 0 -1 4194564 9 0 0 0 6 3 0 0 20 0 24 0 81 0 0", true),
            ("19250 (beam.smp) Z 1 19211 19211 0 -1 4194564 9 0 0 0 6 3 0 0 20 0 1 0 81 0 0", false),
            ("19250 (beam.smp) X 1 19211 19211 0 -1 4194564 9 0 0 0 6 3 0 0 20 0 0 0 81 0 0", false),
            ("19250 (of (19211) R) S 1 77 77 0 -1 4194560 9 0 0 0 6 3 0 0 20 0 24 0 81 0 0", false),
            ("", false),
        ] {
            assert_eq!(stat_is_alive(line, "19211"), expected, "{line}");
        }
    }
}
