//! P1 and P6, seen from outside: between reading a request and answering it, the process synced its store; and once a sync
//! has failed, the process says yes to nobody, ends by itself, and loses nothing that it had said yes to.
//!
//! `strace` tells, and fails syncs; the tests are built with the feature `strace` (`cargo xtask test` runs them where the
//! program is there).

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use crossdock_testkit::{Client, Gateway, Stopped, pause, wait};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

const CALLS: &str = "trace=fdatasync,fsync,write,writev,sendto,sendmsg,pwrite64,pwritev,recvfrom,recvmsg,read,readv";
/// Nobody reads the queue, so nothing but the requests gives cause to sync.
const ROUTES: &str =
    "channels: { q: { queue: {} } }\nroutes: { in: { from: { http: { path: /orders } }, to: { queue: q } } }\n";

#[test]
fn the_store_is_synced_before_the_answer() {
    let mut gateway = Gateway::new(env!("CARGO_BIN_EXE_crossdock"), ROUTES);
    gateway.start();
    let mut tracer = trace(&gateway, &[]);
    for name in ["o-1", "o-2", "o-3"] {
        assert_eq!(gateway.post("/orders", &format!("\"{name}\"")).unwrap().status, 202);
    }
    // It ends with what it traces.
    gateway.kill();
    tracer.wait().unwrap();
    let trace = fs::read_to_string(gateway.path("trace")).unwrap();
    assert_eq!(answers_behind_a_sync(&trace), Ok(3));
}

/// A sync that fails once is as final as one that fails for ever: what the next one says is not to be believed.
#[test]
fn a_failed_sync_is_the_end_and_loses_nothing() {
    for (senders, fails) in
        [(1, "when=1"), (1, "when=6"), (1, "when=9+"), (4, "when=2+"), (4, "when=8"), (4, "when=30+")]
    {
        eprintln!("{senders} senders, {fails}");
        check_failed_sync(senders, fails);
    }
}

fn check_failed_sync(senders: usize, fails: &str) {
    let mut gateway = Gateway::new(env!("CARGO_BIN_EXE_crossdock"), ROUTES);
    gateway.start();
    let mut tracer = trace(&gateway, &["-e", &format!("inject=fdatasync,fsync:error=EIO:{fails}")]);
    let (port, is_over) = (gateway.http, Arc::<AtomicBool>::default());
    let senders: Vec<_> = (0..senders)
        .map(|sender| (sender, Arc::clone(&is_over)))
        .map(|(sender, is_over)| thread::spawn(move || send_until(&is_over, port, sender)))
        .collect();
    let ended = gateway.wait_until_ended(Duration::from_secs(15));
    is_over.store(true, Ordering::SeqCst);
    let answers: BTreeMap<String, u16> = senders.into_iter().flat_map(|sender| sender.join().unwrap()).collect();
    tracer.wait().unwrap();
    let trace = fs::read_to_string(gateway.path("trace")).unwrap();
    let log = gateway.log_tail();
    assert_eq!(ended, Stopped::Status(1), "{log}");
    assert!(answers.values().all(|status| [0, 202, 503].contains(status)), "{answers:?}");
    let acknowledged: BTreeSet<&str> =
        answers.iter().filter(|(_, status)| **status == 202).map(|(name, _)| name.as_str()).collect();
    let early = read_before_the_failure(&trace).unwrap();
    let late: Vec<_> = acknowledged.difference(&early).collect();
    assert!(late.is_empty(), "read after a sync had failed, and acknowledged: {late:?}");
    if senders_of(&answers) == 1 {
        // One request at a time: each answer had a sync of its own.
        assert_eq!(answers_behind_a_sync(&trace), Ok(acknowledged.len()));
    }
    let last = log.lines().last().unwrap_or_default();
    for part in
        ["sync", "Input/output error", "what was acknowledged is safe", "if the disk failed", "start the gateway again"]
    {
        assert!(last.contains(part), "no `{part}` in the last line: {log}");
    }
    check_start_after(&mut gateway, &answers, &acknowledged);
}

/// A start on what is there: every acknowledged message once, none that was not sent, and it goes on as ever.
fn check_start_after(gateway: &mut Gateway, answers: &BTreeMap<String, u16>, acknowledged: &BTreeSet<&str>) {
    gateway.start();
    assert_eq!(gateway.post("/orders", "\"o-after\"").unwrap().status, 202);
    let messages = gateway.list("/channels/q/messages");
    let payloads = messages.iter().map(|message| message["payload"].as_str().unwrap().trim_matches('"').to_owned());
    let stored: BTreeSet<String> = payloads.collect();
    assert_eq!(stored.len(), messages.len(), "something is stored twice");
    let lost: Vec<_> = acknowledged.iter().filter(|name| !stored.contains(**name)).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    let phantoms: Vec<_> = stored.iter().filter(|name| *name != "o-after" && !answers.contains_key(*name)).collect();
    assert!(phantoms.is_empty(), "stored and never sent: {phantoms:?}");
    gateway.assert_account();
    assert_eq!(gateway.terminate(Duration::from_secs(15)), Stopped::Status(0), "{}", gateway.log_tail());
    let verified = gateway.run(&["verify"], "");
    assert_eq!(verified.status, 0, "{}{}", verified.stdout, verified.stderr);
}

/// Sends one request after the other until it is over; each name with its answer's status, 0 where there was none.
fn send_until(is_over: &AtomicBool, port: u16, sender: usize) -> Vec<(String, u16)> {
    let (mut client, mut answers) = (None, Vec::new());
    while !is_over.load(Ordering::SeqCst) {
        let Some(mut open) = client.take().or_else(|| Client::new(port, Duration::from_secs(10)).ok()) else {
            // It listens no more, and has not ended yet.
            pause(Duration::from_millis(1));
            continue;
        };
        let name = format!("o-{sender}-{}", answers.len());
        let head = [("content-type", "application/json"), ("x-name", &name)];
        let answer = open.send("POST", "/orders", &head, format!("\"{name}\"").as_bytes());
        answers.push((name, answer.as_ref().map_or(0, |answer| answer.status)));
        client = answer.is_ok().then_some(open);
    }
    answers
}

fn senders_of(answers: &BTreeMap<String, u16>) -> usize {
    answers.keys().filter_map(|name| name.split('-').nth(1)).collect::<BTreeSet<_>>().len()
}

/// The names of the requests that the process had read when the first sync failed; none where no sync failed.
fn read_before_the_failure(trace: &str) -> Option<BTreeSet<&str>> {
    let failure = trace.lines().position(|line| line.contains("sync") && line.contains("EIO"))?;
    Some(trace.lines().take(failure).filter_map(|line| line.split("x-name: ").nth(1)?.split('\\').next()).collect())
}

fn trace(gateway: &Gateway, more: &[&str]) -> Child {
    let mut strace = Command::new("strace");
    strace
        .args(["-f", "-s", "160", "-e", CALLS, "-p", &gateway.process_id().to_string()])
        .args(more)
        .arg("-o")
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
    let (early, late) =
        (r#"1 recvfrom(9, "x-name: o-1\r\n", 80) = 80"#, r#"1 recvfrom(9, "x-name: o-2\r\n", 80) = 80"#);
    for failure in ["2 fdatasync(5) = -1 EIO (Input/output error) (INJECTED)", "2 <... fdatasync resumed>) = -1 EIO"] {
        assert_eq!(read_before_the_failure(&[early, sync, failure, late].join("\n")), Some(["o-1"].into()));
    }
    assert_eq!(read_before_the_failure(&[early, sync].join("\n")), None);
}
