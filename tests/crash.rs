//! P11: an attempt is noted before it is made. A partner kills the program (SIGKILL) whenever it is sent a certain order.

#[expect(dead_code, reason = "this partner has one mood only")]
mod support;

use crossdock_testkit::{Answer, Partner, Stopped, pause, wait_for};
use std::{
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    time::Duration,
};
use support::{assert_nothing_lost, gateway, order};

/// As the route of [`gateway`] says.
const ATTEMPTS: usize = 8;

#[test]
fn a_message_that_kills_the_program_is_dead_and_all_others_are_delivered() {
    let (victim, kills) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicUsize::new(0)));
    let (process, killed) = (Arc::clone(&victim), Arc::clone(&kills));
    // A name that ends with 7 is one that may be dead.
    let partner = Partner::new(move |request, _| {
        if request.name() != "o-kills7" {
            return Answer::Status(200);
        }
        let process = loop {
            match process.swap(0, Ordering::SeqCst) {
                0 => pause(Duration::from_millis(1)),
                process => break process,
            }
        };
        Command::new("kill").args(["-9", &process.to_string()]).status().unwrap();
        killed.fetch_add(1, Ordering::SeqCst);
        Answer::Drop
    });
    let mut gateway = gateway(&partner, "");
    gateway.start();
    let mut sent = std::collections::BTreeSet::new();
    for name in (100..120).map(|n| format!("o-{n}0")).chain(["o-kills7".to_owned()]) {
        assert_eq!(gateway.post("/orders", &order(&name)).unwrap().status, 202);
        sent.insert(name);
    }
    victim.store(gateway.process_id(), Ordering::SeqCst);
    for kill in 1..=ATTEMPTS + 2 {
        wait_for(Duration::from_secs(30), "the kill", || (kills.load(Ordering::SeqCst) >= kill).then_some(()));
        assert_eq!(gateway.terminate(Duration::from_secs(10)), Stopped::Signal);
        gateway.spawn();
        victim.store(gateway.process_id(), Ordering::SeqCst);
    }
    wait_for(Duration::from_secs(30), "the gateway to be ready", || gateway.metrics().is_ok().then_some(()));
    assert_nothing_lost(&gateway, &partner, &sent);
    let dead = gateway.list("/dead-letters");
    assert_eq!(dead.len(), 1, "{dead:?}");
    assert!(dead[0].to_string().contains("process.ended"), "{dead:?}");
    assert_eq!(kills.load(Ordering::SeqCst), ATTEMPTS + 2);
}
