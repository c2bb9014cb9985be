//! P14: the window of `dedupe` and of Idempotency-Key survives kills (SIGKILL) of the real program.
//!
//! All senders send the same keys, and each repeats a request until it is answered, whatever was cut off meanwhile. Of each key
//! one message is stored, or delivered (under one id: what was under way at a kill is sent again); everybody else is told
//! that it is known, as far as his protocol has a word for it.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a helper of a test fails the test")]

use crossdock_testkit::{Client, Gateway, Partner, Random, Response, pause, seed};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

/// Senders at once.
const SENDERS: usize = 8;
const KILLS: u64 = 20;
/// What each key is sent to.
const PATHS: [&str; 3] = ["/named", "/first", "/later"];

/// One way in and out for each memory: `named` by the sender's own key, `first` by a step at the door, `later` by one
/// behind it.
fn routes(partner: &Partner) -> String {
    format!(
        r#"
channels: {{ named: {{ queue: {{}} }}, first: {{ queue: {{}} }} }}
connections: {{ erp: {{ http: {{ base_url: "http://127.0.0.1:{}" }} }} }}
routes:
  by-header:
    from: {{ http: {{ path: /named }} }}
    to: {{ queue: named }}
  at-the-door:
    from: {{ http: {{ path: /first }} }}
    accept: [ {{ dedupe: {{ key: .key, window: 10m }} }} ]
    to: {{ queue: first }}
  behind:
    from: {{ http: {{ path: /later }} }}
    steps: [ {{ dedupe: {{ key: .key, window: 10m }} }} ]
    to: {{ http: {{ connection: erp, path: "/later/{{{{ .key }}}}" }} }}
    retry: {{ attempts: 8, initial: 20ms, factor: 2, max: 200ms }}
"#,
        partner.port()
    )
}

/// An answer of 202: the path, the key, and the id that it named, if any.
type Answered = (&'static str, String, Option<String>);
/// Ids by key.
type Ids = BTreeMap<String, BTreeSet<String>>;

#[test]
fn a_key_that_many_send_is_taken_once_over_kills() {
    let mut random = Random::new(seed("once"));
    let partner = Partner::accepting();
    let mut gateway = Gateway::new(env!("CARGO_BIN_EXE_crossdock"), &routes(&partner));
    let (port, is_over) = (gateway.http, AtomicBool::new(false));
    let answered: Vec<Answered> = thread::scope(|scope| {
        let senders: Vec<_> = (0..SENDERS).map(|_| scope.spawn(|| send_until(&is_over, port))).collect();
        for _ in 0..KILLS {
            gateway.start();
            pause(Duration::from_millis(random.between(5, 250)));
            gateway.kill();
        }
        gateway.start();
        is_over.store(true, Ordering::SeqCst);
        senders.into_iter().flat_map(|sender| sender.join().unwrap()).collect()
    });
    let keys: BTreeSet<&String> = answered.iter().map(|(_, key, _)| key).collect();
    eprintln!("{} answers for {} keys over {KILLS} kills", answered.len(), keys.len());
    assert!(keys.len() as u64 > KILLS * 2, "too few keys to prove anything: {}", keys.len());
    gateway.wait_until_drained("behind", Duration::from_secs(60));
    let ids = check_stored(&gateway, "named", &named(&answered, "/named"));
    check_stored(&gateway, "first", &named(&answered, "/first"));
    let mut delivered = Ids::new();
    for request in partner.got() {
        let id = request.header("idempotency-key").unwrap_or_default().to_owned();
        delivered.entry(request.name().to_owned()).or_default().insert(id);
    }
    check_one_each(&delivered, "delivered");
    assert!(delivered.keys().eq(keys.iter().copied()), "{} of {} keys were delivered", delivered.len(), keys.len());
    let delivered = partner.count();
    check_repetitions(&gateway, &ids);
    assert_eq!(partner.count(), delivered, "repetitions were delivered");
    gateway.assert_account();
}

/// Sends key after key to each path, every request until it is answered with 202, until it is over.
fn send_until(is_over: &AtomicBool, port: u16) -> Vec<Answered> {
    let (mut answered, mut client) = (Vec::new(), None);
    for number in 0.. {
        let key = format!("k-{number}");
        for path in PATHS {
            let id = loop {
                let Some(mut open) = client.take().or_else(|| Client::new(port, Duration::from_secs(10)).ok()) else {
                    // Nobody listens: the gateway is being started again.
                    pause(Duration::from_millis(2));
                    continue;
                };
                let Ok(answer) = send(&mut open, path, &key) else { continue };
                client = Some(open);
                if answer.status == 202 {
                    break answer.json()["id"].as_str().map(str::to_owned);
                }
                assert_eq!(answer.status, 503, "{}", answer.text());
            };
            answered.push((path, key.clone(), id));
        }
        if is_over.load(Ordering::SeqCst) {
            break;
        }
    }
    answered
}

fn send(client: &mut Client, path: &str, key: &str) -> io::Result<Response> {
    let head = [("content-type", "application/json"), ("idempotency-key", key)];
    // Only one path is to know a message by its sender's key.
    let head = if path == "/named" { &head[..] } else { &head[..1] };
    client.send("POST", path, head, format!(r#"{{"key":"{key}"}}"#).as_bytes())
}

/// The ids that were named for each key of a path; none where every answer said `filtered`, because whoever was first was
/// cut off before he was answered.
fn named(answered: &[Answered], path: &str) -> Ids {
    let mut named = Ids::new();
    for (_, key, id) in answered.iter().filter(|(of, _, _)| *of == path) {
        named.entry(key.clone()).or_default().extend(id.clone());
    }
    named
}

/// The queue holds one message of each key, and whoever was told an id was told that one's; the ids.
fn check_stored(gateway: &Gateway, queue: &str, named: &Ids) -> Ids {
    let mut stored = Ids::new();
    let messages = gateway.list(&format!("/channels/{queue}/messages"));
    for message in &messages {
        let payload: Value = serde_json::from_str(message["payload"].as_str().unwrap()).unwrap();
        let id = message["id"].as_str().unwrap().to_owned();
        stored.entry(payload["key"].as_str().unwrap().to_owned()).or_default().insert(id);
    }
    check_one_each(&stored, queue);
    assert_eq!(messages.len(), stored.len(), "{queue}: a key is stored twice under one id");
    assert!(stored.keys().eq(named.keys()), "{queue}: {} keys are stored, {} were answered", stored.len(), named.len());
    let wrong: Vec<_> = named.iter().filter(|(key, ids)| !ids.is_subset(&stored[*key])).collect();
    assert!(wrong.is_empty(), "{queue}: an id was told that is not stored: {wrong:?}");
    stored
}

fn check_one_each(ids: &Ids, what: &str) {
    let other: Vec<_> = ids.iter().filter(|(_, ids)| ids.len() != 1).collect();
    assert!(other.is_empty(), "{what}: keys with several messages: {other:?}");
}

/// Once more each key: everybody is told that it is known, and it counts as filtered; nothing more is stored or delivered.
fn check_repetitions(gateway: &Gateway, ids: &Ids) {
    let mut client = Client::new(gateway.http, Duration::from_secs(10)).unwrap();
    let before = gateway.metrics().unwrap();
    let stored = |queue| gateway.list(&format!("/channels/{queue}/messages"));
    for (key, id) in ids {
        let answers = PATHS.map(|path| send(&mut client, path, key).unwrap().json());
        assert!(answers[0]["id"].as_str().is_some_and(|told| id.contains(told)), "{key}: {id:?}, {}", answers[0]);
        assert_eq!(answers[1]["filtered"], true, "{key}: {}", answers[1]);
        assert!(answers[2]["id"].is_string(), "{key}: what is behind the door cannot tell: {}", answers[2]);
    }
    gateway.wait_until_drained("behind", Duration::from_secs(30));
    let after = gateway.metrics().unwrap();
    for route in ["by-header", "at-the-door", "behind"] {
        let filtered = after.messages("filtered", Some(route)) - before.messages("filtered", Some(route));
        assert_eq!(filtered, ids.len() as u64, "{route}");
    }
    assert_eq!([stored("named").len(), stored("first").len()], [ids.len(); 2]);
}
