//! Kafka's jars (54 MB), fetched by Maven once a machine into a cache folder that all runs share.
//!
//! A run that finds none makes them in a folder of its own and renames that to the shared name: so what has the name is
//! whole, and of two runs at once the second one uses what the first one made.

use super::super::process::output;
use std::{env, fs, path::PathBuf, process::Command};

const POM: &str = include_str!("pom.xml");
/// Changes with what the pom asks for.
const NAME: &str = "kafka-4.3.0";

/// The folder of the jars, which are fetched if they are not there.
pub(super) fn folder() -> Result<PathBuf, String> {
    let cache = cache();
    let made = cache.join(NAME);
    if made.is_dir() {
        return Ok(made);
    }
    fs::create_dir_all(&cache).map_err(|error| format!("cannot make {}: {error}", cache.display()))?;
    let part = tempfile::Builder::new().prefix("part-").tempdir_in(&cache);
    let part = part.map_err(|error| format!("no folder for Kafka's jars: {error}"))?;
    fs::write(part.path().join("pom.xml"), POM).map_err(|error| format!("cannot write the pom: {error}"))?;
    let mut maven = Command::new("mvn");
    maven.args(["-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=jars", "-DincludeScope=runtime"]);
    output(maven.current_dir(part.path())).map_err(|error| format!("cannot fetch Kafka's jars: {error}"))?;
    match fs::rename(part.path().join("jars"), &made) {
        // Another run was quicker.
        Err(_) if made.is_dir() => Ok(made),
        Err(error) => Err(format!("cannot make {}: {error}", made.display())),
        Ok(()) => Ok(made),
    }
}

/// Where programs keep what they can fetch again.
fn cache() -> PathBuf {
    let of = |variable: &str| env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = || of("HOME").map(|home| home.join(".cache"));
    of("XDG_CACHE_HOME").or_else(home).unwrap_or_else(env::temp_dir).join("crossdock-test")
}
