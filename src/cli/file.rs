//! Reading `routes.yaml` with the environment of this process.

use super::{
    exit::{Exit, Failure},
    terminal::{Paint, note},
};
use crate::registry;
use crossdock_config::{ConfigFile, Environment, Loaded, Plan};
use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The file that is read unless another one is named.
pub const DEFAULT: &str = "routes.yaml";

/// The file that is meant: named once, as an argument or with `-c`, or the default.
///
/// # Errors
/// It is named twice.
pub fn choose(option: Option<PathBuf>, argument: Option<PathBuf>) -> Result<PathBuf, Failure> {
    match (option, argument) {
        (Some(_), Some(_)) => Err(Failure::usage("the configuration is named twice: give FILE or `-c FILE`, not both")),
        (Some(path), None) | (None, Some(path)) => Ok(path),
        (None, None) => Ok(PathBuf::from(DEFAULT)),
    }
}

/// The variables and files of this process.
#[derive(Clone, Copy, Debug)]
pub struct ProcessEnvironment;

impl Environment for ProcessEnvironment {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn is_readable_by_all(&self, path: &Path) -> bool {
        fs::metadata(path).is_ok_and(|data| data.permissions().mode() & 0o004 != 0)
    }
}

/// Reads a configuration: its plan or its errors.
///
/// # Errors
/// The file cannot be read at all.
pub fn load(path: &Path, environment: &dyn Environment) -> Result<Loaded, Failure> {
    let bytes = fs::read(path).map_err(|error| {
        let missing = error.kind() == io::ErrorKind::NotFound;
        let hint = if missing { "; name one with `-c FILE`, or try `crossdock demo`" } else { "" };
        Failure::usage(format!("cannot read the configuration `{}`: {error}{hint}", path.display()))
    })?;
    let name = path.display().to_string();
    let file = ConfigFile { name: &name, folder: &folder(path), bytes: &bytes };
    Ok(crossdock_config::load(&file, environment, registry::PROTOCOLS))
}

/// Reads a configuration that must be right; warnings are told on stderr.
///
/// # Errors
/// It cannot be read, or has errors, which are told on stderr.
pub fn plan(path: &Path) -> Result<Arc<Plan>, Failure> {
    let loaded = load(path, &ProcessEnvironment)?;
    if !loaded.report.is_empty() {
        let paint = Paint::stderr();
        note(loaded.report.render(paint.is_colourful()).trim_end());
    }
    loaded.plan.ok_or_else(|| {
        Failure::new(Exit::Usage, format!("the configuration `{}` has errors and is not used", path.display()))
    })
}

/// The folder of the file, from which relative paths start.
fn folder(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        Some(_) | None => PathBuf::from("."),
    }
}
