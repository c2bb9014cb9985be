//! Exit statuses, and what goes to stdout and to stderr.

use crate::harness::{api, counted, post, prepared, request, started, wait};
use crossdock_testkit::{Gateway, Stopped, free_port};
use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    time::Duration,
};

const ROUTES: &str =
    "channels: { q: { queue: {} } }\nroutes: { r: { from: { http: { path: /a } }, to: { queue: q } } }\n";

#[track_caller]
fn check(folder: &Gateway, arguments: &[&str], status: i32, in_stderr: &str) {
    let ended = folder.run(arguments, "");
    assert_eq!(ended.status, status, "{arguments:?}: {}{}", ended.stdout, ended.stderr);
    assert!(ended.stderr.contains(in_stderr), "{arguments:?}: no `{in_stderr}` in {}", ended.stderr);
    assert!(!ended.stderr.contains("panicked"), "{arguments:?}: {}", ended.stderr);
    assert!(!(ended.stdout + &ended.stderr).contains('\x1b'), "{arguments:?}: colour without a terminal");
}

#[test]
fn bad_usage_and_configuration_end_with_2() {
    let folder = prepared(ROUTES);
    check(&folder, &[], 2, "Usage");
    check(&folder, &["runn"], 2, "run");
    check(&folder, &["check", "--jsn"], 2, "--json");
    check(&folder, &["check", "nothing.yaml"], 2, "nothing.yaml");
    check(&folder, &["check", "routes.yaml", "-c", "routes.yaml"], 2, "named twice");
    check(&folder, &["explain"], 2, "ROUTE");
    check(&folder, &["try", "r", "no-such-message.json"], 2, "no-such-message.json");
    check(&folder, &["try", "r", "-H", "novalue"], 2, "name=value");
    check(&folder, &["try", "r", "-H", "crossdock-key=1"], 2, "crossdock-");
    check(&folder, &["try", "r", "-H", "Content-Type=text/xml"], 2, "--content-type text/xml");
    check(&folder, &["status", "--admin", "no url"], 2, "no url");
    check(&folder, &["dead", "rm", "--admin", "http://127.0.0.1:1"], 2, "--all");
    folder.write("broken.yaml", "version: 1\nroutes: [\n");
    for command in [&["run", "broken.yaml"][..], &["explain", "r", "broken.yaml"], &["verify", "broken.yaml"]] {
        check(&folder, command, 2, "broken.yaml");
    }
    check(&folder, &["try", "r", "-c", "broken.yaml"], 2, "broken.yaml");
    check(&folder, &["status", "-c", "broken.yaml"], 2, "broken.yaml");
}

#[test]
fn what_is_not_there_ends_with_4_and_a_gateway_that_is_not_with_3() {
    let folder = prepared(ROUTES);
    check(&folder, &["explain", "nothing"], 4, "nothing");
    check(&folder, &["try", "nothing"], 4, "nothing");
    let nobody = format!("http://127.0.0.1:{}", free_port());
    for command in [&["status"][..], &["queues"], &["dead", "ls"], &["dead", "redrive", "--yes"], &["pause", "r"]] {
        check(&folder, command, 3, "cannot reach the gateway");
        check(&folder, &[command, &["--admin", &nobody]].concat(), 3, "cannot reach the gateway");
        check(&folder, &[command, &["--admin", &nobody, "--token-file", "none"]].concat(), 3, "cannot reach");
    }
}

#[test]
fn help_version_and_generated_texts_are_data() {
    let folder = prepared(ROUTES);
    for (arguments, part) in [
        (&["--help"][..], "crossdock demo"),
        (&["run", "--help"], "SIGTERM"),
        (&["dead", "redrive", "--help"], "--dry-run"),
        (&["--version"], env!("CARGO_PKG_VERSION")),
        (&["schema"], "\"$schema\""),
        (&["completions", "bash"], "complete"),
        (&["completions", "zsh"], "#compdef"),
        (&["man"], ".TH"),
        (&["explain", "r"], "/a"),
    ] {
        let ended = folder.run(arguments, "");
        assert_eq!(ended.status, 0, "{arguments:?}: {}", ended.stderr);
        assert!(ended.stdout.contains(part), "{arguments:?}: no `{part}` in {}", ended.stdout);
        assert!(ended.stderr.is_empty(), "{arguments:?}: {}", ended.stderr);
    }
    let schema: serde_json::Value = serde_json::from_str(&folder.run(&["schema"], "").stdout).unwrap();
    assert!(schema.is_object());
}

#[test]
fn a_running_gateway_is_operated() {
    let mut gateway = started(ROUTES);
    for body in 0..5 {
        assert_eq!(post(&gateway, "/a", &[], format!("{{\"n\": {body}}}").as_bytes()).status, 202);
    }
    let status = gateway.operate(&["status"], "");
    assert!(status.status == 0 && status.stdout.contains("ready"), "{}{}", status.stdout, status.stderr);
    let queues = gateway.operate(&["queues", "--json"], "");
    let value: serde_json::Value = serde_json::from_str(&queues.stdout).unwrap();
    let api = api(&gateway, "GET", "/channels", "").json();
    assert_eq!(value["items"][0]["name"], api["items"][0]["name"], "--json prints what the API answers");
    let q = value["items"].as_array().unwrap().iter().find(|channel| channel["name"] == "q").unwrap();
    assert!(q["messages"] == 5 && q["bytes"].as_u64() > Some(0) && q["oldest_seconds"].is_number(), "{q}");
    for (arguments, code) in [
        (&["pause", "nothing"][..], 4),
        (&["dead", "show", "00000000-0000-4000-8000-000000000000"], 4),
        (&["dead", "show", "no-id"], 2),
        (&["dead", "redrive", "00000000-0000-4000-8000-000000000000", "--yes"], 4),
        (&["dead", "redrive", "--yes"], 0),
        (&["dead", "ls"], 0),
        (&["pause", "r"], 0),
        (&["resume", "r"], 0),
    ] {
        let ended = gateway.operate(arguments, "");
        assert_eq!(ended.status, code, "{arguments:?}: {}{}", ended.stdout, ended.stderr);
    }
    gateway.write("wrong", "not the token");
    let admin = format!("http://127.0.0.1:{}", gateway.admin);
    let denied = gateway.run(&["status", "--admin", &admin, "--token-file", "wrong"], "");
    assert_eq!(denied.status, 6, "{}", denied.stderr);
    for text in ["two\nlines", ""] {
        gateway.write("lines", text);
        let denied = gateway.run(&["status", "--admin", &admin, "--token-file", "lines"], "");
        assert!(denied.status == 6 && denied.stderr.contains("`lines` holds no token"), "{}", denied.stderr);
    }
    let missing = gateway.run(&["status", "--admin", &admin, "--token-file", "nothing"], "");
    assert!(missing.status == 6 && missing.stderr.contains("nothing"), "{}", missing.stderr);
    // Without options the file here tells where the gateway is.
    assert_eq!(gateway.run(&["status"], "").status, 0);
    assert_eq!(gateway.run(&["verify"], "").status, 2, "verify of a store that is held");
    assert_eq!(request(gateway.admin, "GET", "/readyz", &[], b"").status, 200);
    gateway.assert_account();
    assert_eq!(gateway.terminate(Duration::from_secs(15)), Stopped::Status(0));
    let verify = gateway.run(&["verify", "--json"], "");
    assert_eq!(verify.status, 0, "{}{}", verify.stdout, verify.stderr);
    let report: serde_json::Value = serde_json::from_str(&verify.stdout).unwrap();
    assert!(report["messages"].as_u64() >= Some(5) && report["findings"] == serde_json::json!([]), "{report}");
}

#[test]
fn what_touches_more_than_one_message_asks() {
    let routes = "channels: { q: { queue: {} } }
routes:
  r: { from: { http: { path: /a } }, steps: [ { filter: 'to_int!(.n) > 0' } ], to: { queue: q } }
";
    let gateway = started(routes);
    for _ in 0..3 {
        assert_eq!(post(&gateway, "/a", &[("content-type", "application/json")], b"{\"n\": \"x\"}").status, 202);
    }
    wait("three dead letters", || counted(&gateway, "r", "dead") == 3);
    for (arguments, stdin, status, said) in [
        (&["dead", "redrive"][..], "", 1, Err("redrive 3 dead letters?")),
        (&["dead", "redrive"], "n\n", 1, Err("nothing was done")),
        (&["dead", "redrive", "--dry-run"], "", 0, Ok("would redrive 3 dead letters")),
        (&["dead", "redrive", "--filter", "route=none"], "", 0, Ok("no dead letters")),
        (&["dead", "redrive", "--filter", "colour=red"], "", 2, Err("is no condition")),
        (&["dead", "redrive", "--rate", "fast", "--yes"], "", 2, Err("rate")),
        (&["dead", "redrive", "--max", "1"], "", 0, Ok("1 dead letter redriven")),
        (&["dead", "redrive", "--filter", "code=expression,route=r"], "y\n", 0, Ok("3 dead letters redriven")),
        (&["dead", "rm", "--all"], "", 1, Err("delete 3 dead letters?")),
        (&["dead", "rm", "--all", "--yes"], "", 0, Ok("3 dead letters deleted")),
    ] {
        // Redriven ones come back, as the rule is as it was.
        if status == 0 && arguments.len() != 3 {
            wait("three dead letters", || {
                gateway.operate(&["dead", "rm", "--all", "--dry-run"], "").stdout.contains(" 3 ")
            });
        }
        let ended = gateway.operate(arguments, stdin);
        assert_eq!(ended.status, status, "{arguments:?}: {}{}", ended.stdout, ended.stderr);
        // What came of it is data; questions and what went wrong are not.
        let (stream, said) = said.map_or_else(|said| (&ended.stderr, said), |said| (&ended.stdout, said));
        assert!(stream.contains(said), "{arguments:?}: no `{said}` in {stream}");
    }
    gateway.assert_account();
}

#[test]
fn check_asks_the_peers_only_if_told() {
    let (up, down) = (TcpListener::bind("127.0.0.1:0").unwrap(), free_port());
    let routes = |port: u16| {
        format!(
            "connections: {{ peer: {{ http: {{ base_url: \"http://127.0.0.1:{port}\" }} }} }}
routes: {{ r: {{ from: {{ http: {{ path: /a }} }}, to: {{ http: {{ connection: peer }} }} }} }}
"
        )
    };
    let folder = prepared(&routes(down));
    assert_eq!(folder.run(&["check"], "").status, 0);
    let refused = folder.run(&["check", "--connect"], "");
    assert!(refused.status == 1 && refused.stdout.contains("peer"), "{}{}", refused.stdout, refused.stderr);
    let value: serde_json::Value =
        serde_json::from_str(&folder.run(&["check", "--connect", "--json"], "").stdout).unwrap();
    assert_eq!(value["connections"][0]["up"], false, "{value}");
    folder.write_routes("", &routes(up.local_addr().unwrap().port()));
    // Any answer will do: whoever answers 404 is there.
    std::thread::spawn(move || {
        for mut stream in up.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        }
    });
    let fine = folder.run(&["check", "--connect"], "");
    assert!(fine.status == 0 && fine.stdout.contains("up"), "{}{}", fine.stdout, fine.stderr);
}
