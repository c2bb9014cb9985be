//! Which crate may know which. Dependencies point up the list of [`LAYERS`] only; a new edge is an architectural change and
//! is made here, in the open.

use super::Finding;
use crate::command::{command, output};
use anyhow::{Context as _, Result};
use serde_json::Value;
use std::path::Path;

/// A crate of ours, and those it may know.
struct Layer {
    name: &'static str,
    may_know: &'static [&'static str],
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// No clock, task, socket, file or environment.
    Pure,
    /// Anything of the system.
    Free,
    /// May be depended on by tests alone, and by `xtask`, which starts servers for them.
    Tests,
}

use Kind::{Free, Pure, Tests};

const fn layer(name: &'static str, kind: Kind, may_know: &'static [&'static str]) -> Layer {
    Layer { name, may_know, kind }
}

/// From the top of the dependencies to their bottom. Connectors are `connectors/*`, whatever they are called.
const LAYERS: &[Layer] = &[
    layer("crossdock-model", Pure, &[]),
    layer("crossdock-settings", Pure, &["model"]),
    layer("crossdock-expression", Pure, &["model", "settings"]),
    layer("crossdock-rules", Pure, &["model", "settings", "expression"]),
    layer("crossdock-delivery", Pure, &["model"]),
    layer("crossdock-connector", Free, &["model", "settings"]),
    layer("crossdock-listener", Free, &[]),
    layer("crossdock-store", Free, &["model"]),
    layer("crossdock-config", Free, &["model", "settings", "expression", "rules", "connector"]),
    layer(
        "crossdock-engine",
        Free,
        &["model", "settings", "expression", "rules", "delivery", "connector", "store", "config"],
    ),
    layer("crossdock-admin", Free, &["model", "settings", "config", "engine", "listener"]),
    layer("crossdock-testkit", Tests, &["model", "settings", "connector"]),
];

/// What a connector may know of ours.
const CONNECTOR_MAY_KNOW: &[&str] = &["model", "connector", "listener"];

/// What a pure crate must not depend on, directly: crates that bring tasks, sockets, files or chance. (`chrono` is a type of
/// VRL's values; that nobody asks it for the time is for `names.rs` to see.)
const IMPURE: &[&str] = &[
    "tokio",
    "async-std",
    "smol",
    "mio",
    "hyper",
    "reqwest",
    "axum",
    "socket2",
    "rustix",
    "libc",
    "nix",
    "tempfile",
    "rand",
    "fastrand",
    "getrandom",
    "notify",
    "tracing-subscriber",
];

/// Crates nobody may depend on.
const BANNED: &[(&str, &str)] = &[
    ("openssl", "TLS is rustls with aws-lc-rs"),
    ("native-tls", "TLS is rustls with aws-lc-rs"),
    ("ring", "one TLS provider: two in one binary panic at first use"),
    ("once_cell", "std::sync::LazyLock does it"),
    ("lazy_static", "std::sync::LazyLock does it"),
];

/// Checks every edge of the workspace.
pub fn check(root: &Path) -> Result<Vec<Finding>> {
    let mut cargo = command(root, "cargo");
    let metadata = output(cargo.args(["metadata", "--format-version", "1", "--no-deps", "--offline"]))?;
    let metadata: Value = serde_json::from_slice(&metadata).context("cargo metadata is no JSON")?;
    let packages = metadata.get("packages").and_then(Value::as_array).context("cargo metadata has no packages")?;
    let mut findings = Vec::new();
    for package in packages {
        let name = text(package, "name").context("a package without a name")?;
        let manifest = Path::new(text(package, "manifest_path").unwrap_or_default());
        let path = manifest.strip_prefix(root).unwrap_or(manifest).to_string_lossy().into_owned();
        for dependency in package.get("dependencies").and_then(Value::as_array).into_iter().flatten() {
            let of = text(dependency, "name").unwrap_or_default();
            let is_for_tests = text(dependency, "kind") == Some("dev");
            findings.extend(wrong(name, &path, of, is_for_tests).map(|text| Finding::new(&path, 0, text)));
        }
        if !is_known(name, &path) {
            findings.push(Finding::new(&path, 0, "say in xtask/src/tidy/crates.rs which crates this one may know"));
        }
    }
    Ok(findings)
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str)
}

fn is_known(name: &str, path: &str) -> bool {
    path.starts_with("connectors/")
        || matches!(name, "crossdock" | "xtask")
        || LAYERS.iter().any(|layer| layer.name == name)
}

/// What is wrong with the edge, if anything.
fn wrong(name: &str, path: &str, of: &str, is_for_tests: bool) -> Option<String> {
    if let Some((_, reason)) = BANNED.iter().find(|(banned, _)| *banned == of) {
        return Some(format!("must not depend on {of}: {reason}"));
    }
    let layer = LAYERS.iter().find(|layer| layer.name == name);
    let Some(ours) = of.strip_prefix("crossdock-") else {
        let is_impure = layer.is_some_and(|layer| layer.kind == Pure) && IMPURE.contains(&of) && !is_for_tests;
        return is_impure.then(|| format!("a pure crate must not depend on {of}: take what it gives as an argument"));
    };
    let is_testkit = LAYERS.iter().any(|layer| layer.name == of && layer.kind == Tests);
    if is_for_tests {
        return None;
    }
    if is_testkit && name != "xtask" {
        return Some(format!("{of} is for tests: move it to [dev-dependencies]"));
    }
    let may_know = match layer {
        _ if path.starts_with("connectors/") => CONNECTOR_MAY_KNOW,
        _ if name == "crossdock" || (name == "xtask" && is_testkit) => return None,
        Some(layer) => layer.may_know,
        None => &[],
    };
    (!may_know.contains(&ours)).then(|| {
        let known = if may_know.is_empty() { "none of ours".into() } else { may_know.join(", ") };
        format!("must not know {of}; it may know {known} (xtask/src/tidy/crates.rs)")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, of: &str, is_for_tests: bool, is_wrong: bool) {
        let short = name.trim_start_matches("crossdock-");
        let folder = if matches!(short, "http" | "file") { "connectors" } else { "crates" };
        let found = wrong(name, &format!("{folder}/{short}/Cargo.toml"), of, is_for_tests);
        assert_eq!(found.is_some(), is_wrong, "{name} → {of}: {found:?}");
    }

    #[test]
    fn edges() {
        check("crossdock-http", "crossdock-connector", false, false);
        check("crossdock-http", "crossdock-listener", false, false);
        check("crossdock-http", "crossdock-engine", false, true);
        check("crossdock-http", "crossdock-settings", false, true);
        check("crossdock-http", "crossdock-testkit", false, true);
        check("crossdock-http", "crossdock-testkit", true, false);
        check("crossdock-engine", "crossdock-http", false, true);
        check("xtask", "crossdock-testkit", false, false);
        check("xtask", "crossdock-store", false, true);
        check("crossdock-engine", "crossdock-store", false, false);
        check("crossdock-store", "crossdock-engine", false, true);
        check("crossdock-rules", "tokio", false, true);
        check("crossdock-rules", "tokio", true, false);
        check("crossdock-engine", "tokio", false, false);
        check("crossdock-http", "ring", false, true);
        check("crossdock", "crossdock-http", false, false);
    }
}
