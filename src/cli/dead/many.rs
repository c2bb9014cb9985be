//! What the commands share that do something to many dead letters: count, ask, do it, wait until it is done.

use super::filter::Filter;
use crate::cli::{
    client::Client,
    exit::{Exit, Failure, Outcome},
    terminal::{confirm, data, disarm, json, note},
    units::count,
};
use clap::Args;
use crossdock_admin::shape::{DryRun, OperationState, OperationView, RedriveFilter, Started};
use serde::Serialize;
use serde_json::Value;
use std::time::Duration;

/// How often a running operation is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Which are meant, and how sure somebody is.
#[derive(Debug, Args)]
pub struct Many {
    /// Only these messages
    #[arg(value_name = "ID")]
    ids: Vec<String>,

    #[command(flatten)]
    filter: Filter,

    /// Only count them
    #[arg(long)]
    dry_run: bool,

    /// Do not ask
    #[arg(short, long)]
    yes: bool,

    /// For programs: what the admin API answers
    #[arg(long)]
    json: bool,
}

/// What is done to them.
pub struct Deed {
    /// The command of the API: the last part of its path, and the word for people.
    pub verb: &'static str,
    /// The same when it is done.
    pub done: &'static str,
}

impl Many {
    /// Whether it is left open which are meant.
    pub fn names_none(&self) -> bool {
        self.ids.is_empty() && self.filter.is_empty()
    }

    /// Counts, asks, does it, and waits until it is done. `request` makes the API's request, to count only if it is told
    /// so.
    ///
    /// # Errors
    /// A condition is none, messages that were named are not there, nobody said yes, or the gateway cannot be asked.
    pub fn execute<R: Serialize>(
        &self,
        client: &Client,
        deed: &Deed,
        request: impl Fn(RedriveFilter, bool) -> R,
    ) -> Outcome {
        let filter = self.filter.read(&self.ids)?;
        let all = filter.ids.is_none();
        let path = ["dead-letters", deed.verb];
        let dry = client.post::<DryRun>(&path, &request(filter.clone(), true))?;
        let matched = dry.shape.matched;
        if self.dry_run {
            return self.told(&dry.json, &format!("would {} {}", deed.verb, letters(matched)));
        }
        match matched {
            0 if !all => return Err(Failure::new(Exit::NotFound, "none of these messages is a dead letter")),
            0 => return self.told(&dry.json, &format!("no dead letters to {}", deed.verb)),
            1 => {}
            _ if self.yes || confirm(&format!("{} {}?", deed.verb, letters(matched))) => {}
            _ => return Err(Failure::other("nothing was done; answer `y`, or say `--yes`")),
        }
        let started = client.post::<Started>(&path, &request(filter, false))?;
        if self.json {
            json(&started.json)?;
        }
        let (done, ended) = follow(client, &started.shape, deed.done)?;
        // A program has what was started; how it went is in its status then, and here for people.
        if self.json {
            note(&done);
        } else {
            data(&format!("{done}\n"))?;
        }
        Ok(ended)
    }

    /// Tells a count: to programs as the API does, to people in words.
    fn told(&self, answer: &Value, text: &str) -> Outcome {
        if self.json {
            json(answer)?;
        } else {
            data(&format!("{text}\n"))?;
        }
        Ok(Exit::Fine)
    }
}

/// Waits for an operation, telling how far it is; in words how it went. If the gateway cannot be asked any more, the operation
/// goes on.
fn follow(client: &Client, started: &Started, done: &str) -> Result<(String, Exit), Failure> {
    let mut told = 0;
    let ended = loop {
        let operation = client.get::<OperationView>(&["operations", &started.operation], &[])?.shape;
        if operation.state != OperationState::Running {
            break operation;
        }
        if operation.done >= told + 1000 {
            told = operation.done;
            note(&format!("{told} of {} {done}", operation.total));
        }
        client.pause(LOOK_EVERY);
    };
    let moved = ended.done.saturating_sub(ended.failed);
    let failed = match (&ended.reason, ended.failed) {
        (_, 0) => String::new(),
        (None, failed) => format!(", {failed} could not be"),
        (Some(reason), failed) => format!(", {failed} could not be, the last because {}", disarm(reason)),
    };
    let exit = match (ended.state, ended.failed) {
        (OperationState::Done, 0) => Exit::Fine,
        (OperationState::Done | OperationState::Running | OperationState::Cancelled | OperationState::Failed, _) => {
            Exit::Findings
        }
    };
    Ok((format!("{} {done}{failed}", letters(moved)), exit))
}

/// A count of dead letters in words.
fn letters(number: u64) -> String {
    count(number, "dead letter")
}
