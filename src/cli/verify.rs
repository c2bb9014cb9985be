//! `crossdock verify`: reads every byte of the store.

use super::{
    exit::{Exit, Outcome},
    file,
    terminal::{data, json, note},
    units::{bytes, count},
};
use crate::start::{store_folder, unusable};
use clap::Args;
use crossdock_store::{RealDisk, Report};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Check the files of the store; the gateway must not be running.
#[derive(Debug, Args)]
#[command(after_help = "Exit status: 0 sound, 1 damage found, 2 the data folder is held by another process.")]
pub struct Arguments {
    /// The configuration, which tells where the store is [routes.yaml]
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,

    /// For programs: {"segments","frames","records","messages","bytes","findings":[…]}
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
    let report = crossdock_store::verify(&disk).map_err(|error| unusable(&plan.gateway().data_dir, error))?;
    if arguments.json {
        json(&shape(&report))?;
    } else {
        show(&report)?;
    }
    Ok(if report.findings.is_empty() { Exit::Fine } else { Exit::Findings })
}

fn show(report: &Report) -> Result<(), super::Failure> {
    for finding in &report.findings {
        data(&format!("{}:{}: {}\n", finding.file, finding.at, finding.what))?;
    }
    let read = format!(
        "{}, {}, {}",
        count(report.messages, "message"),
        count(report.segments, "segment"),
        bytes(report.bytes)
    );
    let verdict = match report.findings.len() {
        0 => "sound".to_owned(),
        number => count(number as u64, "finding"),
    };
    note(&format!("{read}: {verdict}"));
    Ok(())
}

fn shape(report: &Report) -> Value {
    let findings: Value =
        report.findings.iter().map(|f| json!({"file": &*f.file, "at": f.at, "what": &*f.what})).collect();
    json!({
        "segments": report.segments, "frames": report.frames, "records": report.records,
        "messages": report.messages, "bytes": report.bytes, "findings": findings,
    })
}
