//! Queues over the admin API: publishing, and consumers that have no protocol of their own.

use crate::harness::{api, request, started, wait};
use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpStream},
};

const ROUTES: &str = "
channels: { held: { queue: {} } }
routes: { in: { from: { http: { path: /a } }, to: { queue: held } } }
";

#[test]
fn what_is_published_stands_in_the_channel() {
    let gateway = started(ROUTES);
    let token = format!("Bearer {}", gateway.token().unwrap());
    let headers = [("authorization", &*token), ("content-type", "text/plain"), ("x-unit", "9"), ("cookie", "secret")];
    let answer = request(gateway.admin, "POST", "/api/v1/channels/held/messages", &headers, b"by hand");
    assert_eq!(answer.status, 202, "{}", answer.text());
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    let message = api(&gateway, "GET", &format!("/messages/{id}"), "").json();
    assert!(message["payload"] == "by hand" && message["content_type"] == "text/plain", "{message}");
    assert_eq!(message["headers"], serde_json::json!({"x-unit": "9"}));
    gateway.assert_account();
}

#[test]
fn what_is_published_again_under_its_key_stands_once_also_after_a_kill() {
    let mut gateway = started(ROUTES);
    let token = format!("Bearer {}", gateway.token().unwrap());
    let publish = |gateway: &crossdock_testkit::Gateway, channel: &str, keys: &[&str], body: &str| {
        let mut headers = vec![("authorization", &*token)];
        headers.extend(keys.iter().map(|key| ("idempotency-key", *key)));
        request(gateway.admin, "POST", &format!("/api/v1/channels/{channel}/messages"), &headers, body.as_bytes())
    };
    let first = publish(&gateway, "held", &["k-1"], "a");
    assert_eq!(first.status, 202, "{}", first.text());
    gateway.kill();
    gateway.start();
    let again = publish(&gateway, "held", &["k-1"], "a");
    assert_eq!((again.status, again.json()), (202, first.json()));
    let other = publish(&gateway, "held", &["k-1"], "b");
    assert!(other.status == 422 && other.text().contains("use a new key"), "{}", other.text());
    assert_ne!(publish(&gateway, "held", &["k-2"], "a").json(), first.json(), "another key is another message");
    for keys in [&["k", "l"][..], &[""], &[&*"k".repeat(256)]] {
        assert_eq!(publish(&gateway, "held", keys, "a").status, 400, "{keys:?}");
    }
    let messages = api(&gateway, "GET", "/channels/held/messages", "").json();
    assert_eq!(messages["items"].as_array().unwrap().len(), 2, "{messages}");
    gateway.assert_account();
}

#[test]
fn a_consumer_that_has_gone_is_given_nothing() {
    let gateway = started(ROUTES);
    let token = format!("Bearer {}", gateway.token().unwrap());
    let body = r#"{"wait":"60s","lease":"60s"}"#;
    let head = format!(
        "POST /api/v1/queues/held/receive HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nAuthorization: {token}\r\nContent-Length: {}\r\n\r\n",
        gateway.admin,
        body.len()
    );
    // Who says that he will send no more may have gone, and hears that there was nothing; who has gone hears nothing.
    for _ in 0..3 {
        let mut half_gone = TcpStream::connect(("127.0.0.1", gateway.admin)).unwrap();
        half_gone.write_all(format!("{head}{body}").as_bytes()).unwrap();
        half_gone.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        half_gone.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with(r#"{"messages":[]}"#), "{answer}");
        let mut gone = TcpStream::connect(("127.0.0.1", gateway.admin)).unwrap();
        gone.write_all(format!("{head}{body}").as_bytes()).unwrap();
    }
    wait("the gateway to let go of who has gone", || {
        std::fs::read_to_string("/proc/net/tcp").unwrap().lines().all(|line| {
            let mut words = line.split_whitespace().skip(1);
            let (local, state) = (words.next(), words.nth(1));
            // CLOSE_WAIT: the peer has closed, and the gateway still holds the connection.
            !(local.is_some_and(|local| local.ends_with(&format!(":{:04X}", gateway.admin))) && state == Some("08"))
        })
    });
    let publish = |body: &str| {
        let headers = [("authorization", &*token), ("content-type", "application/json")];
        assert_eq!(
            request(gateway.admin, "POST", "/api/v1/channels/held/messages", &headers, body.as_bytes()).status,
            202
        );
    };
    let receive = || api(&gateway, "POST", "/queues/held/receive", r#"{"wait":"10s","lease":"60s"}"#).json();
    for n in 0..3 {
        publish(&format!("{n}"));
        let got = receive();
        assert_eq!(got["messages"][0]["payload"], n.to_string(), "another had it: {got}");
    }
}

#[test]
fn a_consumer_receives_acknowledges_and_gives_back() {
    let gateway = started(ROUTES);
    let token = format!("Bearer {}", gateway.token().unwrap());
    for n in 0..3 {
        let headers = [("authorization", &*token), ("content-type", "application/json")];
        let body = format!("{{\"n\":{n}}}");
        let answer = request(gateway.admin, "POST", "/api/v1/channels/held/messages", &headers, body.as_bytes());
        assert_eq!(answer.status, 202, "{}", answer.text());
    }
    let ask = |verb: &str, body: &str| api(&gateway, "POST", &format!("/queues/held/{verb}"), body);
    let taken = ask("receive", r#"{"max":3,"wait":"1s","lease":"20s"}"#).json();
    let leases: Vec<&str> =
        taken["messages"].as_array().unwrap().iter().map(|m| m["lease"].as_str().unwrap()).collect();
    assert_eq!((leases.len(), &taken["messages"][0]["payload"]), (3, &serde_json::json!(r#"{"n":0}"#)));
    let found = api(&gateway, "GET", "/channels/held/messages?filter=.n%20%3D%3D%201", "").json();
    assert_eq!((&found["items"][0]["state"], found["items"].as_array().unwrap().len()), (&"in_flight".into(), 1));
    assert_eq!(ask("ack", &format!(r#"{{"leases":["{}"]}}"#, leases[0])).json()["acknowledged"], 1);
    let stale = ask("ack", &format!(r#"{{"leases":["{}","{}"]}}"#, leases[0], leases[1]));
    assert_eq!((stale.status, &stale.json()["stale"]), (409, &serde_json::json!([leases[0]])));
    assert_eq!(ask("nack", &format!(r#"{{"leases":["{}"]}}"#, leases[2])).json()["returned"], 1);
    assert_eq!(ask("receive", "").json()["messages"].as_array().unwrap().len(), 1, "one, at once, by default");
    for (verb, body, status) in [
        ("receive", r#"{"max":0}"#, 400),
        ("receive", r#"{"max":1001}"#, 400),
        ("receive", r#"{"wait":5}"#, 400),
        ("receive", r#"{"lease":"0s"}"#, 400),
        ("receive", r#"{"most":1}"#, 400),
        ("ack", "", 400),
        ("nack", r#"{"leases":[],"delay":"soon"}"#, 400),
        ("ack", r#"{"leases":[]}"#, 200),
    ] {
        assert_eq!(ask(verb, body).status, status, "{verb} {body}");
    }
    assert_eq!(api(&gateway, "POST", "/queues/none/receive", "").status, 404);
    assert_eq!(api(&gateway, "GET", "/channels/held/messages?filter=.n%20%3E", "").status, 400);
    gateway.assert_account();
}
