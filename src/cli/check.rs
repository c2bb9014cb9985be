//! `crossdock check`: every error at once, with its place and how to mend it.

use super::{
    exit::{Exit, Failure, Outcome},
    file::{self, ProcessEnvironment},
    table::{Cell, Column, Table},
    terminal::{Paint, Tone, data, json, note},
};
use crate::registry;
use clap::Args;
use crossdock_config::{Plan, Report};
use crossdock_connector::StoreTag;
use crossdock_model::Fault;
use serde_json::{Value, json};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// How long a peer may take to answer a probe.
const PROBE_TIMEOUT: Duration = Duration::from_secs(10);

/// Check a configuration: every error at once, each with file:line:column, a code and a hint.
#[derive(Debug, Args)]
#[command(after_help = "Exit status: 0 fine or warnings only, 1 errors.")]
pub struct Arguments {
    /// The configuration [routes.yaml]
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,

    /// Also see whether the peers of the connections answer
    #[arg(long)]
    connect: bool,

    /// For programs: {"diagnostics":[…]}
    #[arg(long)]
    json: bool,
}

/// What a probe of a connection found.
struct Probe {
    connection: String,
    protocol: &'static str,
    result: Result<(), Fault>,
}

/// Checks the file.
pub fn execute(path: &Path, arguments: &Arguments) -> Outcome {
    let loaded = file::load(path, &ProcessEnvironment)?;
    let probes = match &loaded.plan {
        Some(plan) if arguments.connect => Some(probe(plan)?),
        Some(_) | None => None,
    };
    if arguments.json {
        json(&shape(&loaded.report, probes.as_deref()))?;
    } else {
        show(path, &loaded.report, probes.as_deref())?;
    }
    let refused = probes.iter().flatten().any(|probe| probe.result.is_err());
    Ok(if loaded.report.has_errors() || refused { Exit::Findings } else { Exit::Fine })
}

fn show(path: &Path, report: &Report, probes: Option<&[Probe]>) -> Result<(), Failure> {
    let paint = Paint::stdout();
    if !report.is_empty() {
        data(&format!("{}\n", report.render(paint.is_colourful()).trim_end()))?;
    }
    if let Some(probes) = probes {
        let mut table = Table::new([Column::text("CONNECTION"), Column::text("PROTOCOL"), Column::text("ANSWER")]);
        for probe in probes {
            let answer = match &probe.result {
                Ok(()) => Cell::toned(Tone::Good, "up"),
                Err(fault) => Cell::toned(Tone::Bad, fault.to_string()),
            };
            table.row([probe.connection.as_str().into(), probe.protocol.into(), answer]);
        }
        data(&table.render(paint))?;
    }
    if report.is_empty() {
        note(&format!("{}: {}", path.display(), paint.text(Tone::Good, "fine")));
    }
    Ok(())
}

/// The API's shape of a check; `connections` is there if they were asked.
fn shape(report: &Report, probes: Option<&[Probe]>) -> Value {
    let mut shape = report.json();
    if let (Some(probes), Some(shape)) = (probes, shape.as_object_mut()) {
        let connection = |probe: &Probe| {
            let fault = probe.result.as_ref().err();
            let fault =
                fault.map(|f| json!({"class": f.class.name(), "code": &*f.code, "text": &*f.text, "step": null}));
            json!({"name": probe.connection, "protocol": probe.protocol, "up": fault.is_none(), "fault": fault})
        };
        shape.insert("connections".into(), probes.iter().map(connection).collect());
    }
    shape
}

/// Asks the peer of every connection, all at once.
fn probe(plan: &Plan) -> Result<Vec<Probe>, Failure> {
    let connectors = registry::connectors(plan, StoreTag::from_static(""));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::other(format!("cannot start: {error}")))?;
    runtime.block_on(async {
        let mut probes = Vec::new();
        for connection in plan.connections() {
            let connector = connectors.iter().find(|c| c.description().name == connection.connector).cloned();
            let (name, protocol, config) =
                (connection.config.name.to_string(), connection.connector, connection.config.clone());
            let task = tokio::spawn(async move {
                let Some(connector) = connector else { return Ok(()) };
                let late =
                    |_| Err(Fault::new(crossdock_model::FaultClass::Unreachable, "timeout", "no answer in 10 s"));
                tokio::time::timeout(PROBE_TIMEOUT, connector.probe(&config)).await.unwrap_or_else(late)
            });
            probes.push((name, protocol, task));
        }
        let mut found = Vec::new();
        for (connection, protocol, task) in probes {
            let result =
                task.await.map_err(|error| Failure::other(format!("the probe of {connection} failed: {error}")))?;
            found.push(Probe { connection, protocol, result });
        }
        Ok(found)
    })
}
