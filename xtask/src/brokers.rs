//! The servers that tests of AMQP, Kafka and MQTT talk to: their programs installed, the servers started, their addresses
//! given to whatever is run, and all stopped at the end.

use crate::command::{command, output};
use anyhow::{Context as _, Result, bail};
use crossdock_testkit::servers::{
    KAFKA, Kafka, KafkaOptions, MOSQUITTO, Mosquitto, MosquittoOptions, RABBIT, Rabbit, RabbitOptions,
};
use serde_json::Value;
use std::{
    path::Path,
    process::{Command, Stdio},
};

/// A program or file that must be there, and the Debian package it comes in.
const NEEDED: &[(&str, &str)] = &[
    ("rabbitmq-server", "rabbitmq-server"),
    ("mosquitto", "mosquitto"),
    ("mosquitto_pub", "mosquitto-clients"),
    ("amqp-publish", "amqp-tools"),
    ("kcat", "kcat"),
    ("java", "default-jre-headless"),
    ("mvn", "maven"),
    ("openssl", "openssl"),
    ("setsid", "util-linux"),
];

/// What librdkafka is built with.
pub const BUILD: &[(&str, &str)] = &[
    ("cc", "gcc"),
    ("make", "make"),
    ("pkg-config", "pkg-config"),
    ("/usr/include/openssl/ssl.h", "libssl-dev"),
    ("/usr/include/zlib.h", "zlib1g-dev"),
];

/// The servers, which run until this is dropped.
#[derive(Debug)]
pub struct Servers {
    rabbit: Rabbit,
    kafka: Kafka,
    mosquitto: Mosquitto,
}

impl Servers {
    /// Installs what is missing, if it may, and starts all three.
    ///
    /// # Errors
    /// Something is missing and cannot be installed, or a server does not come up.
    pub fn start() -> Result<Self> {
        install(NEEDED)?;
        println!("starting RabbitMQ, Kafka and Mosquitto");
        let rabbit = Rabbit::try_with(&RabbitOptions::default())?;
        let kafka = Kafka::try_with(&KafkaOptions::default())?;
        let mosquitto = Mosquitto::try_with(&MosquittoOptions::default())?;
        Ok(Self { rabbit, kafka, mosquitto })
    }

    /// The variables that tell tests where the servers are.
    pub fn variables(&self) -> [(&'static str, &str); 3] {
        [(RABBIT, self.rabbit.url()), (KAFKA, self.kafka.address()), (MOSQUITTO, self.mosquitto.address())]
    }
}

/// Starts the servers and runs a command with their addresses; without one, tells the addresses and waits for the end of
/// stdin.
pub fn brokers(root: &Path, arguments: &[&str]) -> Result<bool> {
    let servers = Servers::start()?;
    for (name, value) in servers.variables() {
        println!("export {name}='{value}'");
    }
    let Some((program, arguments)) = arguments.split_first() else {
        println!("end with Ctrl-D");
        std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
        return Ok(true);
    };
    let mut command = command(root, program);
    let status = command.args(arguments).envs(servers.variables()).status();
    Ok(status.with_context(|| format!("cannot run {program}"))?.success())
}

/// The arguments of cargo for all tests that stand behind the feature `brokers`, as the manifests tell it.
///
/// # Errors
/// Cargo does not tell them, or there are none.
pub fn test_arguments(root: &Path) -> Result<Vec<String>> {
    let mut cargo = command(root, "cargo");
    let metadata = output(cargo.args(["metadata", "--format-version", "1", "--no-deps", "--offline"]))?;
    let metadata: Value = serde_json::from_slice(&metadata).context("cargo metadata is no JSON")?;
    arguments_of(&metadata).context("no test stands behind the feature `brokers`")
}

fn arguments_of(metadata: &Value) -> Option<Vec<String>> {
    let list = |value: &Value, key: &str| value.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    // The whole workspace, as the step before chose it: of fewer packages cargo would choose other features of the crates
    // they share, and build those again.
    let mut arguments = ["test", "--workspace", "--no-fail-fast"].map(str::to_owned).to_vec();
    let (mut features, mut names) = (vec![], vec![]);
    for package in list(metadata, "packages") {
        let package_name = package.get("name")?.as_str()?.to_owned();
        let targets = list(&package, "targets").into_iter();
        let tests: Vec<String> = targets
            .filter(|target| list(target, "kind").iter().any(|kind| kind == "test"))
            .filter(|target| list(target, "required-features").iter().any(|feature| feature == "brokers"))
            .filter_map(|target| Some(target.get("name")?.as_str()?.to_owned()))
            .collect();
        if tests.is_empty() {
            continue;
        }
        features.push(format!("{package_name}/brokers"));
        names.extend(tests);
    }
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        return None;
    }
    arguments.extend(["--features".to_owned(), features.join(",")]);
    arguments.extend(names.into_iter().flat_map(|name| ["--test".to_owned(), name]));
    // These tests wait for servers more than they compute.
    arguments.extend(["--", "--test-threads=4"].map(str::to_owned));
    Some(arguments)
}

/// Installs the packages of what is not there.
///
/// # Errors
/// Something is missing, and this is not root, or there is no `apt-get`, or it fails.
pub fn install(needed: &[(&str, &str)]) -> Result<()> {
    let missing: Vec<&str> = needed.iter().filter(|(what, _)| !is_there(what)).map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages = missing.join(" ");
    if !is_there("apt-get") {
        bail!("missing, and there is no apt-get to install them with; Debian's packages are: {packages}");
    }
    if !is_root() {
        bail!("missing, and only root may install them: apt-get install {packages}");
    }
    println!("installing {packages}");
    for arguments in
        [&["update", "-q"][..], &[&["install", "-y", "-q", "--no-install-recommends"], &missing[..]].concat()]
    {
        let mut apt = Command::new("apt-get");
        // In run level 1 no service is started: tests start their own.
        apt.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1").stdin(Stdio::null());
        // What it does at length is told only where it fails.
        output(&mut apt)?;
    }
    match needed.iter().find(|(what, _)| !is_there(what)) {
        Some((what, package)) => bail!("{package} is installed, and there is still no {what}"),
        None => Ok(()),
    }
}

/// Whether a file is there, or a program in the path or where Debian puts what only root runs.
pub fn is_there(what: &str) -> bool {
    if what.starts_with('/') {
        return Path::new(what).exists();
    }
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let beside = ["/usr/sbin".into(), "/usr/local/sbin".into()];
    std::env::split_paths(&paths).chain(beside).any(|folder| folder.join(what).is_file())
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").stderr(Stdio::null()).output();
    id.is_ok_and(|id| id.stdout.trim_ascii() == b"0")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn tests_behind_the_feature_are_named() {
        let target =
            |name: &str, features: &[&str]| json!({ "name": name, "kind": ["test"], "required-features": features });
        let package = |name: &str, targets: &[Value]| json!({ "name": name, "targets": targets });
        let packages = [
            package(
                "a",
                &[
                    json!({ "name": "a", "kind": ["example"], "required-features": ["brokers"] }),
                    target("suite", &["brokers"]),
                    target("sync", &["strace"]),
                ],
            ),
            package("b", &[target("plain", &[])]),
            package("c", &[target("suite", &["brokers"]), target("bridges", &["brokers"])]),
        ];
        let arguments = arguments_of(&json!({ "packages": packages })).unwrap().join(" ");
        assert_eq!(
            arguments,
            "test --workspace --no-fail-fast --features a/brokers,c/brokers --test bridges --test suite -- --test-threads=4"
        );
        assert_eq!(arguments_of(&json!({ "packages": [package("b", &[])] })), None);
    }

    #[test]
    fn what_is_there_is_not_installed() {
        assert!(is_there("sh") && is_there("/bin/sh") && !is_there("no-such-program") && !is_there("/no/such/file"));
        install(&[("sh", "dash"), ("/bin/sh", "dash")]).unwrap();
    }
}
