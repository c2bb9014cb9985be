//! P1, seen from outside: between reading a request and answering it, the process synced its store.
//!
//! `strace` tells; the test is built with the feature `strace` (`cargo xtask test` does where the program is there).

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use crossdock_testkit::{Gateway, wait};
use std::{
    fs,
    process::{Child, Command, Stdio},
};

const CALLS: &str = "trace=fdatasync,fsync,write,writev,sendto,sendmsg,pwrite64,pwritev,recvfrom,recvmsg,read,readv";

#[test]
fn the_store_is_synced_before_the_answer() {
    // Nobody reads the queue, so nothing but the requests gives cause to sync.
    let routes =
        "channels: { q: { queue: {} } }\nroutes: { in: { from: { http: { path: /orders } }, to: { queue: q } } }\n";
    let mut gateway = Gateway::new(env!("CARGO_BIN_EXE_crossdock"), routes);
    gateway.start();
    let mut tracer = trace(&gateway);
    for name in ["o-1", "o-2", "o-3"] {
        assert_eq!(gateway.post("/orders", &format!("\"{name}\"")).unwrap().status, 202);
    }
    // It ends with what it traces.
    gateway.kill();
    tracer.wait().unwrap();
    let trace = fs::read_to_string(gateway.path("trace")).unwrap();
    assert_eq!(answers_behind_a_sync(&trace), Ok(3));
}

fn trace(gateway: &Gateway) -> Child {
    let mut strace = Command::new("strace");
    strace
        .args(["-f", "-s", "80", "-e", CALLS, "-p", &gateway.process_id().to_string(), "-o"])
        .arg(gateway.path("trace"));
    let child = strace.stderr(Stdio::null()).spawn().unwrap();
    // Attached once a call of ours shows in the trace.
    wait("strace to be attached", || {
        let _ready = gateway.metrics().ok()?;
        fs::metadata(gateway.path("trace")).ok().filter(|trace| trace.len() > 0)
    });
    child
}

/// How many answers 202 there are; an error if one of them came without a sync since its request was read.
fn answers_behind_a_sync(trace: &str) -> Result<usize, String> {
    let (mut is_synced, mut answers) = (false, 0);
    for line in trace.lines() {
        if line.contains("POST /orders") {
            is_synced = false;
        } else if (line.contains("fdatasync") || line.contains("fsync")) && line.ends_with("= 0") {
            is_synced = true;
        } else if line.contains("HTTP/1.1 202") {
            answers += 1;
            if !is_synced {
                return Err(line.to_owned());
            }
        }
    }
    Ok(answers)
}

#[test]
fn an_answer_without_a_sync_is_seen() {
    let request = r#"1 recvfrom(9, "POST /orders HTTP/1.1", 80) = 80"#;
    let (sync, answer) = ("2 fdatasync(5) = 0", r#"1 writev(9, "HTTP/1.1 202 Accepted") = 80"#);
    for (lines, expected) in [
        (vec![request, sync, answer], Ok(1)),
        (vec![request, answer], Err(answer.to_owned())),
        (vec![sync, request, answer, sync], Err(answer.to_owned())),
        (vec![request, "2 <... fdatasync resumed>) = -1 EIO", answer], Err(answer.to_owned())),
    ] {
        assert_eq!(answers_behind_a_sync(&lines.join("\n")), expected);
    }
}
