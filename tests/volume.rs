//! P9: a full volume is survived. The data folder of the real program is on a volume of 16 MiB: it is filled until the
//! gateway says 503, killed while full, drained, and filled again. Nothing acknowledged is lost, and every count adds up.
//!
//! Mounting takes rights; the test is built with the feature `mount` (`cargo xtask test` does where mounting works).

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::unreachable,
    clippy::print_stderr,
    reason = "a helper of a test fails the test"
)]

mod support;

use crossdock_testkit::{Client, Gateway, Partner, Random, Volume, seed, wait_for};
use std::{collections::BTreeSet, os::unix::fs::symlink, time::Duration};
use support::{assert_nothing_lost, gateway, moody_partner, order};

const VOLUME_BYTES: u64 = 16 << 20;
const SEGMENT: &str = "  store: { segment: 1MiB }\n";
/// What an order takes.
const ORDER_BYTES: usize = 8 << 10;

#[test]
fn a_full_volume_in_memory_is_survived() {
    check(Volume::tmpfs(VOLUME_BYTES));
}

#[test]
fn a_full_volume_with_a_journal_is_survived() {
    check(Volume::ext4(VOLUME_BYTES));
}

fn check(volume: Volume) {
    let mut random = Random::new(seed("volume"));
    let mut partner = moody_partner(random.next());
    let mut gateway = gateway(&partner, SEGMENT);
    symlink(volume.path(), gateway.path("data")).unwrap();
    gateway.start();
    let mut acknowledged = BTreeSet::new();
    for round in 0..3 {
        partner.down();
        let stored = fill(&gateway, round, &mut acknowledged);
        eprintln!("round {round}: {stored} orders filled the volume, {} bytes are used", volume.used_bytes());
        assert!(stored * ORDER_BYTES as u64 > VOLUME_BYTES / 4, "only {stored} orders fit on the volume");
        // It is as full for whoever starts on it.
        gateway.kill();
        gateway.start();
        assert_eq!(post(&gateway, &format!("o-{round}-full")).status, 503, "{}", gateway.log_tail());
        free(&gateway, &mut partner);
        // It goes on by itself, without a start.
        let name = format!("o-{round}-after");
        wait_for(Duration::from_secs(30), "an order to be taken again", || {
            (post(&gateway, &name).status == 202).then_some(())
        });
        acknowledged.insert(name);
    }
    assert_nothing_lost(&gateway, &partner, &acknowledged);
    // The volume goes when nothing works on it any more.
    gateway.kill();
    drop(volume);
}

/// Sends orders until there is no room; how many were taken.
fn fill(gateway: &Gateway, round: u32, acknowledged: &mut BTreeSet<String>) -> u64 {
    let mut client = Client::new(gateway.http, Duration::from_secs(20)).unwrap();
    for number in 0.. {
        let name = format!("o-{round}-{number}");
        let answer =
            client.send("POST", "/orders", &[("content-type", "application/json")], large(&name).as_bytes()).unwrap();
        match answer.status {
            202 => acknowledged.insert(name),
            503 => {
                let wait = answer.header("retry-after").and_then(|seconds| seconds.parse::<u64>().ok());
                assert!(wait.is_some_and(|seconds| seconds > 0), "when to come again: {answer:?}");
                return number;
            }
            status => panic!("{status} {}: {}", answer.text(), gateway.log_tail()),
        };
    }
    unreachable!("numbers do not end")
}

/// The partner is there again, and takes what waits.
fn free(gateway: &Gateway, partner: &mut Partner) {
    partner.up();
    gateway.wait_until_drained("out", Duration::from_secs(60));
}

fn post(gateway: &Gateway, name: &str) -> crossdock_testkit::Response {
    gateway.post("/orders", &large(name)).unwrap()
}

fn large(name: &str) -> String {
    let order = order(name);
    let padding = "x".repeat(ORDER_BYTES - order.len());
    order.replacen("{ ", &format!("{{ \"note\": \"{padding}\", "), 1)
}
