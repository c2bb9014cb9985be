//! The tests that find more the longer they run, run long: kills of the real program, a backlog behind a partner who never
//! answers, and simulations.

use crate::command::{command, step};
use anyhow::{Context as _, Result, bail};
use std::path::Path;

/// Kills where nothing else is said.
const KILLS: u64 = 1000;

/// A test that can be made longer.
struct Soak {
    name: &'static str,
    arguments: &'static [&'static str],
    /// Says how long.
    variable: &'static str,
    /// How much of it a kill of the ledger stands for.
    per_kill: u64,
}

const SOAKS: &[Soak] = &[
    Soak {
        name: "ledger",
        arguments: &["test", "--package", "crossdock", "--test", "ledger"],
        variable: "CROSSDOCK_KILLS",
        per_kill: 1,
    },
    Soak {
        name: "memory",
        arguments: &["test", "--package", "crossdock", "--test", "memory"],
        variable: "CROSSDOCK_BACKLOG",
        per_kill: 10_000,
    },
    Soak {
        name: "schedules",
        arguments: &["test", "--package", "crossdock-engine", "--features", "soak", "--test", "sim"],
        variable: "SIM_SCHEDULES",
        per_kill: 2,
    },
    Soak {
        name: "delivery",
        arguments: &["test", "--package", "crossdock-delivery"],
        variable: "PROPTEST_CASES",
        per_kill: 20,
    },
];

/// Runs them all, one after the other; the first that fails ends it. Each prints the seed that repeats it.
pub fn soak(root: &Path, kills: Option<&str>) -> Result<bool> {
    let kills: u64 = kills.map_or(Ok(KILLS), str::parse).context("the number of kills is a whole number")?;
    if kills == 0 {
        bail!("nothing would be run: give at least one kill");
    }
    for soak in SOAKS {
        let mut cargo = command(root, "cargo");
        cargo.args(soak.arguments).args(["--", "--nocapture"]);
        cargo.env(soak.variable, (kills * soak.per_kill).to_string());
        if !step(soak.name, &mut cargo, |_| {})?.is_good {
            return Ok(false);
        }
    }
    Ok(true)
}
