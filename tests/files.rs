//! Files and made messages through the real program: in by lines and whole, out as lines and as files, with kills between.

use crossdock_testkit::{Gateway, Random, Stopped, pause, seed, wait, wait_for};
use std::{collections::BTreeSet, fs, path::Path, time::Duration};

fn gateway(routes: &str) -> Gateway {
    Gateway::new(env!("CARGO_BIN_EXE_crossdock"), routes)
}

fn lines(path: &Path) -> Vec<String> {
    fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}

#[test]
fn lines_come_through_kills_and_the_file_goes() {
    let mut random = Random::new(seed("files"));
    let mut gateway = gateway(
        r#"
routes:
  inbox:
    from: { file: { path: "in/*.jsonl", mode: lines, poll: 20ms, quiet: 20ms } }
    steps: [ { transform: .seen = true } ]
    to: { file: { path: out/all.jsonl } }
"#,
    );
    fs::create_dir(gateway.path("in")).unwrap();
    let expected: BTreeSet<String> = (0..5000).map(|n| format!(r#"{{"n":{n},"seen":true}}"#)).collect();
    let content: String = (0..5000).map(|n| format!("{{\"n\":{n}}}\n")).collect();
    gateway.write("ready.jsonl", &content);
    fs::rename(gateway.path("ready.jsonl"), gateway.path("in/a.jsonl")).unwrap();
    for _ in 0..6 {
        gateway.start();
        pause(Duration::from_millis(random.between(20, 250)));
        gateway.kill();
    }
    gateway.start();
    wait_for(Duration::from_secs(60), "all lines to come out", || {
        let found: BTreeSet<String> = lines(&gateway.path("out/all.jsonl")).into_iter().collect();
        (found == expected).then_some(())
    });
    wait("the file to go", || (!gateway.path("in/a.jsonl").exists()).then_some(()));
    gateway.wait_until_drained("inbox", Duration::from_secs(10));
    let repeated = lines(&gateway.path("out/all.jsonl")).len() - expected.len();
    eprintln!("{repeated} lines came out twice");
    gateway.assert_account();
}

#[test]
fn a_line_is_stored_once_however_often_the_file_is_read() {
    let mut random = Random::new(seed("files, once"));
    let mut gateway = gateway(
        r#"
channels: { lines: { queue: {} } }
routes:
  inbox:
    from: { file: { path: "in/*", mode: lines, poll: 20ms, quiet: 20ms } }
    to: { queue: lines }
"#,
    );
    fs::create_dir(gateway.path("in")).unwrap();
    gateway.write("ready", &(0..20_000).map(|n| format!("{n}\n")).collect::<String>());
    fs::rename(gateway.path("ready"), gateway.path("in/a.txt")).unwrap();
    for _ in 0..6 {
        gateway.start();
        pause(Duration::from_millis(random.between(20, 150)));
        gateway.kill();
    }
    gateway.start();
    wait_for(Duration::from_secs(60), "the file to go", || (!gateway.path("in/a.txt").exists()).then_some(()));
    let stored = gateway.metrics().unwrap().sum("crossdock_queue_messages", &[("queue", "lines")]);
    assert_eq!(stored, Some(20_000.0));
    gateway.assert_account();
}

#[test]
fn files_of_the_folder_itself_are_read_moved_kept_and_written() {
    let mut gateway = gateway(
        r#"
routes:
  moved:
    from: { file: { path: "*.json", done: { move: done }, poll: 20ms, quiet: 20ms } }
    to: { file: { path: out.jsonl } }
  kept:
    from: { file: { path: "*.txt", mode: lines, done: keep, poll: 20ms } }
    to: { file: { path: "by-{{ %content_type }}/all.txt", name: archive } }
"#,
    );
    gateway.write("a.json", "{\"a\": 1}");
    gateway.write("b.txt", "one\ntwo\n");
    gateway.start();
    let out = || (lines(&gateway.path("out.jsonl")), lines(&gateway.path("by-text/plain/all.txt")));
    let expected = (vec![r#"{"a": 1}"#.to_owned()], vec!["one".to_owned(), "two".to_owned()]);
    wait("both to come out", || (out() == expected).then_some(()));
    wait("the file to be moved", || gateway.path("done/a.json").exists().then_some(()));
    gateway.wait_until_drained("kept", Duration::from_secs(10));
    assert_eq!(gateway.terminate(Duration::from_secs(13)), Stopped::Status(0));
    gateway.write("c.txt", "three\n");
    gateway.start();
    let found = wait("what is new, and nothing again", || {
        let found = lines(&gateway.path("by-text/plain/all.txt"));
        found.contains(&"three".to_owned()).then_some(found)
    });
    assert_eq!(found, ["one", "two", "three"]);
    gateway.assert_account();
}

#[test]
fn made_messages_become_files_and_the_same_ones_for_a_seed() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let mut gateway = gateway(
            r#"
routes:
  made:
    from:
      generate:
        payload: '{ "n": .sequence, "dice": mod!(.random, 6) }'
        count: 100
        seed: 7
    to: { file: { path: "out/{{ .n }}.json", mode: create } }
"#,
        );
        gateway.start();
        let count = || fs::read_dir(gateway.path("out")).map_or(0, |files| files.flatten().count());
        wait("a hundred files", || (count() == 100).then_some(()));
        gateway.wait_until_drained("made", Duration::from_secs(10));
        gateway.assert_account();
        let read = |n| fs::read_to_string(gateway.path(&format!("out/{n}.json"))).unwrap();
        runs.push((0..100).map(read).collect::<Vec<_>>());
    }
    assert_eq!(runs[0], runs[1]);
    let dice: BTreeSet<&str> = runs[0].iter().filter_map(|text| text.split("\"dice\":").nth(1)?.get(..1)).collect();
    assert_eq!(dice.len(), 6, "every number comes up: {dice:?}");
}
