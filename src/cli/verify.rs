//! `crossdock verify`: reads every byte of the store.

use super::{
    exit::{Exit, Outcome},
    file,
    terminal::{data, json, note},
    units::{bytes, count},
};
use crate::start::{keyring, store_folder, unusable};
use clap::Args;
use crossdock_store::{Finding, RealDisk, Report};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Check the files of the store; the gateway must not be running.
#[derive(Debug, Args)]
#[command(after_help = "Exit status: 0 sound, 1 damage found, 2 the data folder is held by another process, or a \
    key is missing.")]
pub struct Arguments {
    /// The configuration, which tells where the store is [routes.yaml]
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,

    /// For programs: {"segments","frames","records","messages","bytes","findings":[…],"unchecked":[…]}
    #[arg(long)]
    json: bool,
}

/// Checks it.
pub fn execute(path: &Path, arguments: &Arguments) -> Outcome {
    let plan = file::plan(path)?;
    let folder = store_folder(plan.gateway());
    if !folder.is_dir() {
        return Err(unusable(&plan.gateway().data_dir, "there is no store yet; `crossdock run` makes it"));
    }
    let disk = RealDisk::new(&folder).map_err(|error| unusable(&plan.gateway().data_dir, error))?;
    let keys = keyring(plan.gateway())?;
    let report =
        crossdock_store::verify_with(&disk, &keys).map_err(|error| unusable(&plan.gateway().data_dir, error))?;
    if arguments.json {
        json(&shape(&report))?;
    } else {
        show(&report)?;
    }
    Ok(match (report.findings.is_empty(), report.unchecked.is_empty()) {
        (false, _) => Exit::Findings,
        (true, false) => Exit::Usage,
        (true, true) => Exit::Fine,
    })
}

fn show(report: &Report) -> Result<(), super::Failure> {
    for finding in &report.findings {
        data(&format!("{}:{}: {}\n", finding.file, finding.at, finding.what))?;
    }
    for left in &report.unchecked {
        note(&format!("{}: {}", left.file, left.what));
    }
    let read = format!(
        "{}, {}, {}",
        count(report.messages, "message"),
        count(report.segments, "segment"),
        bytes(report.bytes)
    );
    let verdict = match report.findings.len() {
        0 if report.unchecked.is_empty() => "sound".to_owned(),
        0 => "not checked whole, for want of a key".to_owned(),
        number => count(number as u64, "finding"),
    };
    note(&format!("{read}: {verdict}"));
    Ok(())
}

fn shape(report: &Report) -> Value {
    let all = |found: &[Finding]| -> Value {
        found.iter().map(|f| json!({"file": &*f.file, "at": f.at, "what": &*f.what})).collect()
    };
    json!({
        "segments": report.segments, "frames": report.frames, "records": report.records,
        "messages": report.messages, "bytes": report.bytes, "findings": all(&report.findings), "unchecked": all(&report.unchecked),
    })
}
