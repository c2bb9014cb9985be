//! The figures, taken in one run on one machine and printed with it. They are no tests: nothing fails because a machine is
//! slow. Each program says what it measures beside its bare reference (a raw append-and-sync loop, a bare echo), because
//! only the ratio means something elsewhere.

use crate::{
    command::{command, output, step},
    machine,
};
use anyhow::{Result, bail};
use std::path::Path;

/// A program that measures.
struct Bench {
    name: &'static str,
    about: &'static str,
    package: &'static str,
    program: &'static str,
}

const BENCHES: &[Bench] = &[
    Bench {
        name: "store",
        about: "512-byte messages appended, consumed and settled, with a sync per group, beside a raw loop",
        package: "crossdock-store",
        program: "log",
    },
    Bench {
        name: "scale",
        about: "ten and a thousand queues, a cold backlog of a thousand, dead letters among many, latency at a steady rate",
        package: "crossdock-store",
        program: "scale",
    },
    Bench {
        name: "rules",
        about: "parse, JSON Schema, a mapping of ten fields, encode: a 522-byte order on one core",
        package: "crossdock-rules",
        program: "rules",
    },
    Bench { name: "delivery", about: "deciding what is sent when", package: "crossdock-delivery", program: "delivery" },
    Bench {
        name: "http",
        about: "the whole program: 1 KiB requests from 32 keep-alive connections, checked, durable, beside a bare echo",
        package: "crossdock",
        program: "http",
    },
    Bench {
        name: "backlog",
        about: "the whole program: ten million messages behind a partner that answers nobody, a kill, and the way out",
        package: "crossdock",
        program: "backlog",
    },
    Bench {
        name: "http_connector",
        about: "what the http connector alone costs a message, in and out, beside hyper's server and client",
        package: "crossdock-http",
        program: "http_connector",
    },
    Bench {
        name: "kafka_connector",
        about: "one topic into another through the kafka connector alone, beside a bare loop of librdkafka",
        package: "crossdock-kafka",
        program: "kafka_connector",
    },
    Bench {
        name: "amqp_connector",
        about: "what the amqp connector alone costs a message, in and out, beside lapin's bare loop",
        package: "crossdock-amqp",
        program: "amqp_connector",
    },
    Bench {
        name: "mqtt_connector",
        about: "what the mqtt connector alone costs a message, in and out, beside rumqttc's bare loop",
        package: "crossdock-mqtt",
        program: "mqtt_connector",
    },
];

/// Runs the named benches, or all.
pub fn bench(root: &Path, names: &[&str]) -> Result<bool> {
    if let Some(unknown) = names.iter().find(|name| !BENCHES.iter().any(|bench| bench.name == **name)) {
        let known: Vec<&str> = BENCHES.iter().map(|bench| bench.name).collect();
        bail!("unknown bench `{unknown}`; there are {}", known.join(", "));
    }
    let version = output(command(root, "rustc").arg("--version"))?;
    let describe = || -> Result<String> {
        let commit = output(command(root, "git").args(["describe", "--always", "--dirty"]))?;
        Ok(String::from_utf8_lossy(&commit).trim().to_owned())
    };
    println!("{}\ncompiler  {}", machine::describe(root), String::from_utf8_lossy(&version).trim());
    println!("commit    {}", describe().unwrap_or_else(|_| "unknown".into()));
    let mut is_good = true;
    for bench in BENCHES.iter().filter(|bench| names.is_empty() || names.contains(&bench.name)) {
        println!("\n{}: {}", bench.name, bench.about);
        let mut cargo = command(root, "cargo");
        cargo.args(["bench", "--quiet", "--package", bench.package, "--bench", bench.program]);
        is_good &= step(bench.name, &mut cargo, |_| {})?.is_good;
    }
    Ok(is_good)
}
