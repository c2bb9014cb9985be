//! Generated files: what they are made by, and whether they are stale.

use crate::command::{command, output};
use anyhow::{Context as _, Result};
use std::{fs, path::Path};

/// What to do about a generated file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Write it.
    Write,
    /// Tell whether it is what would be written.
    Check,
}

/// Each generated file, and the arguments of `crossdock` that print it.
const GENERATED: &[(&str, &[&str])] = &[("schemas/routes.schema.json", &["schema"]), ("docs/mapping.md", &["mapping"])];

/// Writes or checks all generated files.
pub fn codegen(root: &Path, mode: Mode) -> Result<bool> {
    let mut is_good = true;
    for (path, arguments) in GENERATED {
        let mut crossdock = command(root, "cargo");
        crossdock.args(["run", "--quiet", "--package", "crossdock", "--"]).args(*arguments);
        let made = output(&mut crossdock)?;
        let file = root.join(path);
        if fs::read(&file).is_ok_and(|there| there == made) {
            println!("{path} is up to date");
            continue;
        }
        match mode {
            Mode::Write => {
                fs::write(&file, made).with_context(|| format!("cannot write {path}"))?;
                println!("{path} written");
            }
            Mode::Check => {
                is_good = false;
                println!("{path} is stale: run `cargo xtask codegen`");
            }
        }
    }
    Ok(is_good)
}
