//! P19: a redrive of a mixed dead-letter queue keeps identity, keeps to its rate, can be cancelled, goes on after a kill, and
//! is audited.

use crate::harness::{api, post, prepared, wait};
use crossdock_testkit::{Answer, Gateway, Partner};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// A partner that refuses everything until it is mended, in its own way on each path.
struct Bench {
    partner: Partner,
    mended: Arc<AtomicBool>,
    gateway: Gateway,
}

impl Bench {
    fn new() -> Self {
        let mended = Arc::<AtomicBool>::default();
        let now = Arc::clone(&mended);
        let partner = Partner::new(move |request, _| match (now.load(Ordering::SeqCst), request.path.as_str()) {
            (true, _) => Answer::Status(200),
            (false, "/a") => Answer::Status(422),
            (false, _) => Answer::Status(410),
        });
        let mut gateway = prepared(&format!(
            "
connections: {{ p: {{ http: {{ base_url: \"http://127.0.0.1:{}\" }} }} }}
routes:
  a: {{ from: {{ http: {{ path: /a }} }}, to: {{ http: {{ connection: p, path: /a }} }}, dead_letter: {{ queue: dead }} }}
  b: {{ from: {{ http: {{ path: /b }} }}, to: {{ http: {{ connection: p, path: /b }} }}, dead_letter: {{ queue: dead }} }}
",
            partner.port()
        ));
        gateway.start();
        Self { partner, mended, gateway }
    }

    /// Has messages die; their ids.
    fn kill(&self, path: &str, count: usize) -> BTreeSet<String> {
        let send = |_| post(&self.gateway, path, &[], b"{}").json()["id"].as_str().unwrap().to_owned();
        (0..count).map(send).collect()
    }

    fn dead(&self) -> Vec<Value> {
        api(&self.gateway, "GET", "/dead-letters", "").json()["items"].as_array().unwrap().clone()
    }

    /// Starts a redrive; its operation.
    fn redrive(&self, request: &str) -> String {
        let answer = api(&self.gateway, "POST", "/dead-letters/redrive", request);
        assert_eq!(answer.status, 202, "{}", answer.text());
        answer.json()["operation"].as_str().unwrap().to_owned()
    }

    fn operation(&self, id: &str) -> Value {
        api(&self.gateway, "GET", &format!("/operations/{id}"), "").json()
    }

    /// What the partner took on a path: when, and under which key.
    fn taken(&self, path: &str) -> Vec<(std::time::Instant, String)> {
        let got = self.partner.got().into_iter().filter(|request| request.path == path && request.is_accepted());
        got.map(|request| (request.at, request.header("idempotency-key").unwrap_or_default().to_owned())).collect()
    }
}

#[test]
fn a_redrive_keeps_identity_and_rate_and_can_be_cancelled() {
    let bench = Bench::new();
    let (a, b) = (bench.kill("/a", 10), bench.kill("/b", 3));
    wait("all to die", || bench.dead().len() == 13);
    bench.mended.store(true, Ordering::SeqCst);
    let dry =
        api(&bench.gateway, "POST", "/dead-letters/redrive", r#"{"filter": {"code": "http.422"}, "dry_run": true}"#);
    assert_eq!((dry.status, dry.json()["matched"].as_u64()), (200, Some(10)));
    let began = std::time::Instant::now();
    let operation = bench.redrive(r#"{"filter": {"code": "http.422"}, "rate": "20/s", "max": 8}"#);
    wait("eight of them", || bench.operation(&operation)["state"] == "done" && bench.taken("/a").len() == 8);
    let taken = bench.taken("/a");
    let ids: BTreeSet<_> = taken.iter().map(|(_, id)| id.clone()).collect();
    assert!(ids.len() == 8 && ids.is_subset(&a), "{ids:?}");
    for (number, (at, _)) in taken.iter().enumerate() {
        // Even, without a burst: on a busy machine they come late, and never early.
        let earliest = Duration::from_millis(50 * number as u64).saturating_sub(Duration::from_millis(5));
        assert!(at.duration_since(began) >= earliest, "number {number} came too early");
    }
    let left: Vec<_> = bench.dead().iter().map(|letter| letter["route"].clone()).collect();
    assert_eq!(left.iter().filter(|route| **route == "b").count(), b.len(), "others are not touched");
    let operation = bench.redrive(r#"{"filter": {"route": "a"}, "rate": "1/m"}"#);
    wait("the first of them", || bench.operation(&operation)["done"] == 1);
    assert_eq!(
        api(&bench.gateway, "POST", &format!("/operations/{operation}/cancel"), "").json()["state"],
        "cancelled"
    );
    assert_eq!(bench.dead().len(), 4, "what was not moved stays");
    wait("what was moved to be delivered", || bench.taken("/a").len() == 9);
    let audit = api(&bench.gateway, "GET", "/audit", "").json()["items"].clone();
    let actions: Vec<_> = audit.as_array().unwrap().iter().map(|entry| entry["action"].clone()).collect();
    assert_eq!(actions, ["cancel", "redrive", "redrive", "config"], "a dry run changes nothing: {audit}");
    assert_eq!(
        (&audit[0]["subject"], &audit[1]["details"]["operation"]),
        (&Value::from(&*operation), &Value::from(&*operation))
    );
    bench.gateway.assert_account();
}

#[test]
fn a_redrive_goes_on_after_a_kill_and_counts() {
    let mut bench = Bench::new();
    let ids = bench.kill("/b", 5);
    wait("all to die", || bench.dead().len() == 5);
    let operation = bench.redrive("{}");
    wait("all to die again", || bench.operation(&operation)["state"] == "done" && bench.dead().len() == 5);
    for letter in bench.dead() {
        assert_eq!(
            (&letter["redrives"], &letter["attempts_total"]),
            (&json!(1), &json!(2)),
            "one in each life: {letter}"
        );
        assert_eq!(letter["attempts"].as_array().unwrap().len(), 1, "those since it was redriven: {letter}");
    }
    bench.mended.store(true, Ordering::SeqCst);
    let operation = bench.redrive(r#"{"rate": "4/s"}"#);
    wait("the second of them", || bench.taken("/b").len() >= 2);
    bench.gateway.kill();
    bench.gateway.start();
    wait("all of them", || bench.operation(&operation)["state"] == "done" && bench.dead().is_empty());
    wait("all to be delivered", || bench.taken("/b").into_iter().map(|(_, id)| id).collect::<BTreeSet<_>>() == ids);
    assert_eq!(bench.operation(&operation)["done"], 5);
    bench.gateway.assert_account();
}

#[test]
fn what_cannot_be_sent_back_says_why() {
    let mut gateway = prepared(
        "
channels: { q: { queue: {} } }
routes:
  made:
    from: { generate: { payload: '{\"n\": .sequence}', count: 2 } }
    accept: [ { validate: { json_schema: n.json } } ]
    to: { queue: q }
",
    );
    gateway.write("n.json", r#"{"properties": {"n": {"maximum": 0}}}"#);
    gateway.start();
    let dead = || api(&gateway, "GET", "/dead-letters", "").json()["items"].as_array().unwrap().len();
    wait("one is refused", || dead() == 1);
    let ended = gateway.operate(&["dead", "redrive", "--yes"], "");
    let said = "0 dead letters redriven, 1 could not be, the last because `accept` refuses it again";
    assert!(ended.status == 1 && ended.stdout.contains(said), "{}{}", ended.stdout, ended.stderr);
    let operation = api(&gateway, "GET", "/operations", "").json()["items"][0].clone();
    assert!(operation["failed"] == 1 && operation["reason"].as_str().unwrap().contains("/n"), "{operation}");
    gateway.assert_account();
}
