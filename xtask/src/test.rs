//! Every test there is, one after the other: what each step does, how it went, and what could not be run here.
//!
//! A step that needs something of the machine (a server, a tool) names it in `needs`; if it is not there the step is not
//! run, and that is said at the end. Nothing is skipped in silence, and a test that was not run is not counted as passed.

use crate::{
    brokers::{self, Servers, is_there},
    codegen,
    command::{Step, command, step},
};
use anyhow::Result;
use std::{
    path::Path,
    process::{Command, Stdio},
};

/// A step of the whole.
struct Plan {
    name: &'static str,
    about: &'static str,
    arguments: &'static [&'static str],
    needs: &'static [Need],
}

/// What a step needs of the machine.
#[derive(Clone, Copy)]
enum Need {
    /// A program in the path, and the Debian package it comes in.
    Program(&'static str, &'static str),
    /// The right to mount a file system.
    Mount,
}

const STEPS: &[Plan] = &[
    Plan {
        name: "build",
        about: "the program, which the end-to-end tests start and kill",
        arguments: &["build", "--package", "crossdock"],
        needs: &[],
    },
    Plan {
        name: "tests",
        about: "unit, property and documentation tests of all crates; the ledger under kill -9, SIGTERM under load, the tour",
        arguments: &["test", "--workspace", "--no-fail-fast"],
        needs: &[],
    },
    Plan {
        name: "sync",
        about: "the store is synced before each answer, and a failed sync is the end, seen from outside by strace",
        arguments: &["test", "--package", "crossdock", "--features", "strace", "--test", "sync"],
        needs: &[Need::Program("strace", "strace")],
    },
    Plan {
        name: "volume",
        about: "the program on volumes of 16 MiB, filled, killed, drained and filled again",
        arguments: &["test", "--package", "crossdock", "--features", "mount", "--test", "volume"],
        needs: &[Need::Program("mkfs.ext4", "e2fsprogs"), Need::Mount],
    },
    Plan {
        name: "demo",
        about: "the demonstration by itself: ends with 0 only if its account is right",
        arguments: &["run", "--quiet", "--package", "crossdock", "--", "demo", "--exit", "--seed", "7"],
        needs: &[],
    },
];

/// What the step `brokers` is about, which starts servers.
const BROKERS: &str = "connectors and the program against RabbitMQ, Kafka and Mosquitto, which are started for it";

/// What cargo's test runner said in sum.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Sum {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Sum {
    /// Adds what a line says: `test result: ok. 3 passed; 0 failed; 1 ignored; …`.
    fn hear(&mut self, line: &str) {
        let Some(result) = line.strip_prefix("test result: ") else { return };
        let mut words = result.split([' ', ';', '.']).filter(|word| !word.is_empty()).peekable();
        while let Some(word) = words.next() {
            let (Ok(count), Some(what)) = (word.parse::<u64>(), words.peek()) else { continue };
            match *what {
                "passed" => self.passed += count,
                "failed" => self.failed += count,
                "ignored" => self.ignored += count,
                _ => {}
            }
        }
    }
}

/// Runs all steps, or with a filter only the workspace's tests that match it.
pub fn test(root: &Path, filter: &[&str]) -> Result<bool> {
    let (mut sum, mut steps, mut missing) = (Sum::default(), Vec::<Step>::new(), Vec::new());
    if let Err(error) = brokers::install(brokers::BUILD) {
        println!("the build may fail: {error:#}");
    }
    for plan in STEPS.iter().filter(|plan| filter.is_empty() || matches!(plan.name, "build" | "tests")) {
        let absent: Vec<String> = plan.needs.iter().filter_map(|need| need.lacks()).collect();
        if !absent.is_empty() {
            missing.push(format!("{}: {} ({})", plan.name, plan.about, absent.join("; ")));
            continue;
        }
        println!("\n{}: {}", plan.name, plan.about);
        let mut cargo = command(root, "cargo");
        cargo.args(plan.arguments).env("NO_COLOR", "1");
        if plan.name == "tests" {
            cargo.args(filter);
        }
        let done = step(plan.name, &mut cargo, |line| sum.hear(line))?;
        let is_good = done.is_good;
        steps.push(done);
        if plan.name == "build" && !is_good {
            break;
        }
    }
    let is_built = steps.iter().any(|step| step.name == "build" && step.is_good);
    if filter.is_empty() && is_built {
        match with_brokers(root, &mut sum)? {
            Ok(done) => steps.push(done),
            Err(why) => missing.push(format!("brokers: {BROKERS} ({why})")),
        }
    }
    if filter.is_empty() && is_built {
        println!("\ngenerated files: what is in the tree is what the program makes");
        let is_good = codegen::codegen(root, codegen::Mode::Check).unwrap_or_else(|error| {
            println!("{error:#}");
            false
        });
        steps.push(Step { name: "codegen".into(), is_good, took: 0.0 });
    }
    Ok(report(&steps, &missing, sum))
}

/// Runs the tests that need servers, and no others.
pub fn only_brokers(root: &Path) -> Result<bool> {
    let (mut sum, mut steps, mut missing) = (Sum::default(), Vec::new(), Vec::new());
    brokers::install(brokers::BUILD)?;
    match with_brokers(root, &mut sum)? {
        Ok(done) => steps.push(done),
        Err(why) => missing.push(format!("brokers: {BROKERS} ({why})")),
    }
    Ok(report(&steps, &missing, sum) && missing.is_empty())
}

/// The tests that need servers, or why they cannot be run here.
fn with_brokers(root: &Path, sum: &mut Sum) -> Result<Result<Step, String>> {
    println!("\nbrokers: {BROKERS}");
    let servers = match Servers::start() {
        Ok(servers) => servers,
        Err(error) => return Ok(Err(format!("{error:#}"))),
    };
    let mut cargo = command(root, "cargo");
    cargo.args(brokers::test_arguments(root)?).envs(servers.variables()).env("NO_COLOR", "1");
    step("brokers", &mut cargo, |line| sum.hear(line)).map(Ok)
}

fn report(steps: &[Step], missing: &[String], sum: Sum) -> bool {
    println!();
    for step in steps {
        println!("{:8} {} ({:.1} s)", step.name, if step.is_good { "ok" } else { "FAILED" }, step.took);
    }
    for what in missing {
        println!("not run: {what}");
    }
    // A step that is no test runner's counts as a test of its own.
    let others =
        steps.iter().filter(|step| !matches!(step.name.as_str(), "build" | "tests" | "sync" | "volume" | "brokers"));
    let (good, bad): (Vec<_>, Vec<_>) = others.partition(|step| step.is_good);
    // A runner that failed and told of no failed test could not even be built.
    let is_unbuilt = steps.iter().any(|step| !step.is_good) && sum.failed == 0 && bad.is_empty();
    let (passed, failed) = (sum.passed + good.len() as u64, sum.failed + bad.len() as u64 + u64::from(is_unbuilt));
    println!("\n{passed} passed, {failed} failed, {} skipped", sum.ignored + missing.len() as u64);
    steps.iter().all(|step| step.is_good) && failed == 0
}

impl Need {
    /// What is to be done for it, where it is not there.
    fn lacks(self) -> Option<String> {
        match self {
            Self::Program(program, package) => {
                (!is_there(program)).then(|| format!("there is no `{program}`: apt-get install {package}"))
            }
            Self::Mount => (!may_mount()).then(|| "mounting is not allowed here: run it as root".to_owned()),
        }
    }
}

/// Whether a file system can be mounted: tried, for many things may forbid it.
fn may_mount() -> bool {
    let Ok(folder) = tempfile::tempdir() else { return false };
    let quiet = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.args(arguments).arg(folder.path()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    quiet("mount", &["-t", "tmpfs", "-o", "size=64k", "crossdock-test"]) && quiet("umount", &[])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_summed() {
        let mut sum = Sum::default();
        for line in [
            "running 3 tests",
            "test a ... ok",
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "test result: FAILED. 5 passed; 2 failed; 0 ignored; 0 measured; 9 filtered out; finished in 1.25s",
        ] {
            sum.hear(line);
        }
        assert_eq!(sum, Sum { passed: 8, failed: 2, ignored: 1 });
    }

    #[test]
    fn programs_are_found() {
        assert_eq!(Need::Program("sh", "dash").lacks(), None);
        let lacks = Need::Program("no-such-program-anywhere", "package").lacks();
        assert!(lacks.is_some_and(|what| what.contains("apt-get install package")));
    }
}
