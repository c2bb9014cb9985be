//! P16: SIGTERM ends with 0 within its limit, also under load and with a partner that hangs; nothing acknowledged is lost.

mod support;

use crossdock_testkit::{Answer, Load, Partner, Random, Stopped, pause, seed, wait};
use std::{
    collections::BTreeSet,
    process::Command,
    time::{Duration, Instant},
};
use support::{assert_nothing_lost, gateway, moody_partner, order};

/// The contract says 10 s for what is in flight; the rest is for starting threads and closing files on a busy machine.
const LIMIT: Duration = Duration::from_secs(13);

#[test]
fn drains_under_load_and_ends_with_zero() {
    let mut random = Random::new(seed("terminate"));
    let partner = moody_partner(random.next());
    let mut gateway = gateway(&partner, "");
    let load = Load::start(gateway.http, "/orders", 4, order);
    for _ in 0..5 {
        gateway.start();
        pause(Duration::from_millis(random.between(100, 900)));
        assert_eq!(gateway.terminate(LIMIT), Stopped::Status(0), "{}", gateway.log_tail());
    }
    gateway.start();
    // Whoever came while it stopped heard that he should come again, not that there is nothing.
    assert!(load.statuses().is_subset(&[202, 503].into()), "{:?}", load.statuses());
    let (acknowledged, sent) = load.stop();
    eprintln!("{} acknowledged of {sent} sent", acknowledged.len());
    assert!(acknowledged.len() > 50, "too few to prove anything: {}", acknowledged.len());
    assert_nothing_lost(&gateway, &partner, &acknowledged);
}

#[test]
fn a_hanging_partner_holds_up_no_end() {
    let started = Instant::now();
    // For its first seconds the partner reads requests and says nothing.
    let partner = Partner::new(move |_, n| match n {
        1 if started.elapsed() < Duration::from_secs(20) => Answer::Hang(Duration::from_secs(60)),
        _ => Answer::Status(200),
    });
    let mut gateway = gateway(&partner, "");
    gateway.start();
    for name in ["o-1", "o-2", "o-3"] {
        assert_eq!(gateway.post("/orders", &order(name)).unwrap().status, 202);
    }
    wait("a request that hangs", || (partner.count() > 0).then_some(()));
    let killed = Command::new("kill").arg(gateway.process_id().to_string()).status().unwrap();
    assert!(killed.success());
    let mut names: BTreeSet<_> = ["o-1", "o-2", "o-3"].map(String::from).into();
    wait("the first 503", || {
        let status = gateway.post("/orders", &order("o-4")).unwrap().status;
        if status == 202 {
            names.insert("o-4".to_owned());
        }
        (status == 503).then_some(())
    });
    // While it waits for the partner, whoever comes hears that he should come again.
    for _ in 0..20 {
        let answer = gateway.post("/orders", &order("o-5")).unwrap();
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    }
    assert_eq!(gateway.wait_until_ended(LIMIT), Stopped::Status(0), "{}", gateway.log_tail());
    gateway.start();
    assert_nothing_lost(&gateway, &partner, &names);
}

/// The pipe of a log that is read no more, or the log on a volume that ran full.
#[test]
fn a_log_that_cannot_be_written_ends_nothing() {
    let partner = Partner::new(|_, _| Answer::Status(404));
    let mut gateway = gateway(&partner, "");
    std::os::unix::fs::symlink("/dev/full", gateway.path("log")).unwrap();
    gateway.start();
    for name in ["o-1", "o-2"] {
        assert_eq!(gateway.post("/orders", &order(name)).unwrap().status, 202);
    }
    // Of each dead letter there is a line.
    wait("both to die", || (gateway.metrics().ok()?.messages("dead", None) == 2).then_some(()));
    assert_eq!(gateway.hang_up(LIMIT), Stopped::Status(0));
}
