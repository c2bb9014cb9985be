//! What operators are told of a target that is down and comes back, in the log and in `status`.

use crate::harness::{api, post, started, wait};
use crossdock_testkit::{Answer, Gateway, Partner, Stopped};
use std::time::Duration;

fn gateway(partner: &Partner) -> Gateway {
    started(&format!(
        "connections: {{ erp: {{ http: {{ base_url: \"http://127.0.0.1:{}\" }} }} }}\n\
         routes: {{ r: {{ from: {{ http: {{ path: /a }} }}, to: {{ http: {{ connection: erp, path: /in }} }} }} }}\n",
        partner.port()
    ))
}

fn target(gateway: &Gateway) -> serde_json::Value {
    api(gateway, "GET", "/routes/r", "").json()["targets"][0].clone()
}

fn lines(gateway: &Gateway, part: &str) -> usize {
    gateway.log().lines().filter(|line| line.contains(part)).count()
}

#[test]
fn an_outage_is_told_once_when_it_begins_and_once_when_it_ends() {
    let mut partner = Partner::accepting();
    let mut gateway = gateway(&partner);
    let from_the_start = target(&gateway)["since"].clone();
    partner.down();
    assert_eq!(post(&gateway, "/a", &[], b"{}").status, 202);
    wait("the outage in the log", || lines(&gateway, "the target is held") == 1);
    let held = target(&gateway);
    assert!(held["state"] != "up" && held["since"].as_str() > from_the_start.as_str(), "{held}");
    let mut probes = std::collections::BTreeSet::new();
    wait("three probes", || {
        probes.extend(target(&gateway)["next_probe"].as_str().map(str::to_owned));
        probes.len() > 3
    });
    partner.up();
    gateway.wait_until_drained("r", Duration::from_secs(60));
    wait("its end in the log", || lines(&gateway, "the target is up again") == 1);
    let up = target(&gateway);
    assert!(up["state"] == "up" && up["since"].as_str() > held["since"].as_str(), "{held} {up}");
    let told = lines(&gateway, "the target is held");
    assert_eq!(told, 1, "each probe that fails is no news: {}", gateway.log());
    assert_eq!(gateway.terminate(Duration::from_secs(15)), Stopped::Status(0));
}

#[test]
fn a_target_that_asks_for_patience_is_no_alarm() {
    let retry_later = |_: &crossdock_testkit::Request, attempt: usize| match attempt {
        1..3 => Answer::RetryAfter(429, 1),
        _ => Answer::Status(200),
    };
    let partner = Partner::new(retry_later);
    let mut gateway = gateway(&partner);
    assert_eq!(post(&gateway, "/a", &[], b"{}").status, 202);
    gateway.wait_until_drained("r", Duration::from_secs(60));
    assert!(partner.count() == 3 && lines(&gateway, "the target is held") == 0, "{}", gateway.log());
    assert_eq!(gateway.terminate(Duration::from_secs(15)), Stopped::Status(0));
}
