//! P4: nothing is dropped in silence. One message is driven into each end that there is: the counter of that end rises by
//! exactly one and none other does, and there is a record that says why: the sender's answer, a dead letter with its
//! cause, or a line of the log.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use crossdock_testkit::{Answer, Gateway, Partner, Response, request, wait};
use std::collections::BTreeMap;

const ROUTES: &str = r#"
channels:
  taken: { queue: {} }
  moving: { queue: { max_messages: 1, when_full: drop_oldest, dead_letter: { queue: moved } } }
  forgetting: { queue: { max_messages: 1, when_full: drop_oldest } }
connections: { erp: { http: { base_url: "http://127.0.0.1:PORT" } } }
routes:
  whole:
    from: { http: { path: /whole } }
    to: { http: { connection: erp, path: /whole } }
  strict:
    from: { http: { path: /strict } }
    to: { http: { connection: erp, path: /strict, strict: true } }
  door:
    from: { http: { path: /door, max_body: 1KiB } }
    accept:
      - filter: .n != 13
      - dedupe: { key: .n, window: 10m }
      - validate: { json_schema: order.schema.json }
    to: { queue: taken }
  steps:
    from: { http: { path: /steps } }
    steps:
      - filter: .n != 13
      - dedupe: { key: .n, window: 10m }
      - transform: .shout = upcase!(.name)
    to:
      - { http: { connection: erp, path: "/steps/{{ .n }}" }, when: .n != 404 }
    # Charged by a success that began after it failed, not while it is tried again.
    retry: { attempts: 1, initial: 2s, jitter: 0 }
  late:
    from: { http: { path: /late } }
    steps: [ { expire: { after: 20ms } }, { delay: 1h } ]
    to: { http: { connection: erp, path: /late } }
  moves: { from: { http: { path: /moves } }, to: { queue: moving } }
  forgets: { from: { http: { path: /forgets } }, to: { queue: forgetting } }
"#;

/// Where it is told why.
enum Told {
    /// The partner has it.
    Delivered,
    /// The sender reads this in the answer.
    Sender(&'static str),
    /// There is a dead letter with this cause.
    Letter(&'static str),
    /// The log has a line with this, at level debug.
    Log(&'static str),
    /// `crossdock_mapping_losses_total` has one more.
    Loss,
    /// Only the counter: of a repetition behind the door.
    Counter,
}
use Told::{Counter, Delivered, Letter, Log, Loss, Sender};

/// A way to end.
struct End {
    name: &'static str,
    /// Bodies that are posted before, so that it comes to this; they have ended when the message is sent.
    before: &'static [&'static str],
    path: &'static str,
    /// What of the message is not as usual.
    header: Option<(&'static str, &'static str)>,
    body: &'static str,
    status: u16,
    /// What is posted after it and delivered, so that it comes to this.
    after: Option<&'static str>,
    /// Whose counter rises, and which.
    counted: (&'static str, &'static str),
    told: Told,
}

const USUAL: End = End {
    name: "",
    before: &[],
    path: "/steps",
    header: None,
    body: r#"{"n":1,"name":"a"}"#,
    status: 202,
    after: None,
    counted: ("steps", "delivered"),
    told: Delivered,
};

const KEY: Option<(&str, &str)> = Some(("idempotency-key", "k-1"));
const WIDE: Option<(&str, &str)> = Some(("x-wide", "ü"));
const TEXT: Option<(&str, &str)> = Some(("content-type", "image/png"));

#[rustfmt::skip]
const ENDS: &[End] = &[
    End { name: "delivered", ..USUAL },
    End { name: "filtered by a step", body: r#"{"n":13,"name":"a"}"#, counted: ("steps", "filtered"), told: Log("a message is filtered"), ..USUAL },
    End { name: "repeats another, behind the door", counted: ("steps", "filtered"), told: Counter, ..USUAL },
    End { name: "refused by the partner", body: r#"{"n":422,"name":"a"}"#, counted: ("steps", "dead"), told: Letter("http.422"), ..USUAL },
    End { name: "failed too often", body: r#"{"n":500,"name":"a"}"#, after: Some(r#"{"n":3,"name":"a"}"#), counted: ("steps", "dead"), told: Letter("http.500"), ..USUAL },
    End { name: "no target", body: r#"{"n":404,"name":"a"}"#, counted: ("steps", "dead"), told: Letter("route.no_target"), ..USUAL },
    End { name: "a step fails", body: r#"{"n":2,"name":5}"#, counted: ("steps", "dead"), told: Letter("expression"), ..USUAL },
    End { name: "cannot be decoded, behind the door", body: "{", counted: ("steps", "dead"), told: Letter("decode"), ..USUAL },
    End { name: "filtered at the door", path: "/door", body: r#"{"n":13}"#, counted: ("door", "filtered"), told: Sender("\"filtered\":true"), ..USUAL },
    End { name: "repeats another, at the door", before: &[r#"{"n":1}"#], path: "/door", body: r#"{"n":1}"#, counted: ("door", "filtered"), told: Sender("\"filtered\":true"), ..USUAL },
    End { name: "repeats a key", before: &[r#"{"n":7}"#], path: "/door", header: KEY, body: r#"{"n":7}"#, counted: ("door", "filtered"), told: Sender("\"id\":"), ..USUAL },
    End { name: "another message under a key", before: &[r#"{"n":7}"#], path: "/door", header: KEY, body: r#"{"n":8}"#, status: 422, counted: ("door", "refused"), told: Sender("idempotency.conflict"), ..USUAL },
    End { name: "against the schema", path: "/door", body: r#"{"n":-1}"#, status: 422, counted: ("door", "refused"), told: Sender("\"at\":\"/n\""), ..USUAL },
    End { name: "cannot be decoded, at the door", path: "/door", body: "{", status: 400, counted: ("door", "refused"), told: Sender("decode"), ..USUAL },
    End { name: "of another type", path: "/door", header: TEXT, status: 415, counted: ("door", "refused"), told: Sender("content type"), ..USUAL },
    End { name: "expired", path: "/late", counted: ("late", "expired"), told: Log("a message has expired"), ..USUAL },
    End { name: "dropped and moved", before: &["{}"], path: "/moves", counted: ("queue:moving", "dead"), told: Letter("channel.dropped"), ..USUAL },
    End { name: "dropped", before: &["{}"], path: "/forgets", counted: ("queue:forgetting", "dead"), told: Log("its oldest message was dropped"), ..USUAL },
    End { name: "not carried whole", path: "/whole", header: WIDE, counted: ("whole", "delivered"), told: Loss, ..USUAL },
    End { name: "not carried whole where that is not allowed", path: "/strict", header: WIDE, counted: ("strict", "dead"), told: Letter("mapping.lost"), ..USUAL },
];

#[test]
fn every_end_has_its_counter_and_its_reason() {
    let partner = Partner::new(|request, _| match request.name() {
        "422" => Answer::Status(422),
        "500" => Answer::Status(500),
        _ => Answer::Status(200),
    });
    let routes = ROUTES.replace("PORT", &partner.port().to_string());
    let mut gateway = Gateway::new(env!("CARGO_BIN_EXE_crossdock"), &routes);
    gateway.write("order.schema.json", r#"{ "properties": { "n": { "minimum": 0 } } }"#);
    gateway.set("CROSSDOCK_LOG", "info,crossdock_engine=debug");
    gateway.start();
    for end in ENDS {
        check(&gateway, &partner, end);
    }
    gateway.assert_account();
}

fn check(gateway: &Gateway, partner: &Partner, end: &End) {
    for body in end.before {
        assert_eq!(post(gateway, end, body).status, 202, "{}", end.name);
    }
    // What came before is at rest: nothing is on its way anywhere.
    wait("what came before", || {
        (gateway.metrics().ok()?.sum("crossdock_unaccounted_messages", &[])? == 0.0).then_some(())
    });
    let (counts_before, records_before) = (counts(gateway, end), records(gateway, partner, end));
    let answer = post(gateway, end, end.body);
    assert_eq!(answer.status, end.status, "{}: {}", end.name, answer.text());
    if let Some(body) = end.after {
        // Only a success that began after a failure speaks against who failed.
        wait("a try that failed", || {
            let failed = gateway.metrics().ok()?.sum("crossdock_attempts_total", &[("outcome", "failed")])?;
            (failed > 0.0).then_some(())
        });
        assert_eq!(post(gateway, end, body).status, 202, "{}", end.name);
    }
    let mut expected = counts_before;
    *expected.get_mut(end.counted.1).unwrap() += 1;
    if end.after.is_some() {
        *expected.get_mut("delivered").unwrap() += 1;
    }
    let told = format!("{}: {expected:?}, counted", end.name);
    wait(&told, || (counts(gateway, end) == expected).then_some(()));
    if let Sender(part) = end.told {
        assert!(answer.text().contains(part), "{}: no `{part}` in {}", end.name, answer.text());
    }
    let told = format!("{}: its record", end.name);
    wait(&told, || (records(gateway, partner, end) == records_before + usize::from(is_recorded(end))).then_some(()));
}

fn post(gateway: &Gateway, end: &End, body: &str) -> Response {
    let kind = end.header.filter(|(name, _)| *name == "content-type").unwrap_or(("content-type", "application/json"));
    let more = end.header.filter(|(name, _)| *name != "content-type");
    let headers: Vec<_> = [kind].into_iter().chain(more).collect();
    request(gateway.http, "POST", end.path, &headers, body.as_bytes()).unwrap()
}

/// The counters of all ends, where this one is counted.
fn counts(gateway: &Gateway, end: &End) -> BTreeMap<&'static str, u64> {
    let metrics = gateway.metrics().unwrap();
    let ends = ["delivered", "filtered", "refused", "dead", "expired"];
    ends.map(|outcome| (outcome, metrics.messages(outcome, Some(end.counted.0)))).into()
}

const fn is_recorded(end: &End) -> bool {
    !matches!(end.told, Sender(_) | Counter)
}

/// How many records of the kind there are that is to tell of this end.
fn records(gateway: &Gateway, partner: &Partner, end: &End) -> usize {
    match end.told {
        Delivered => partner.got().iter().filter(|request| request.is_accepted()).count(),
        Letter(code) => {
            let letters = gateway.list("/dead-letters");
            let causes = letters.iter().map(|letter| &letter["cause"]);
            causes
                .filter(|cause| cause["code"] == code && cause["text"].as_str().is_some_and(|t| !t.is_empty()))
                .count()
        }
        Log(part) => gateway.log().lines().filter(|line| line.contains(part)).count(),
        Loss => {
            let losses = gateway.metrics().unwrap().sum("crossdock_mapping_losses_total", &[("field", "headers")]);
            losses.unwrap_or(0.0) as usize
        }
        Sender(_) | Counter => 0,
    }
}
