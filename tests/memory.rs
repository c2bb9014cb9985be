//! P20: memory does not grow with the backlog. Messages of 512 bytes wait behind a partner who never answers; what the
//! program holds resident does not grow with them.
//!
//! `CROSSDOCK_BACKLOG` says how many wait; `cargo xtask soak` has ten million.

use crossdock_testkit::{Answer, Gateway, Partner, wait_for};
use std::time::Duration;

/// Messages, where nothing else is said.
const MESSAGES: u64 = 800_000;
const MESSAGE_BYTES: u64 = 512;
/// What a backlog may take above an idle program.
const ABOVE_IDLE_MAX: u64 = 64 << 20;
/// Longer than ten million take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(1800);

#[test]
fn a_backlog_takes_disk_and_not_memory() {
    let messages = std::env::var("CROSSDOCK_BACKLOG").map_or(MESSAGES, |text| text.parse().unwrap());
    let partner = Partner::new(|_, _| Answer::Hang(Duration::from_secs(3600)));
    let payload = "x".repeat(MESSAGE_BYTES as usize);
    let routes = format!(
        r#"
connections: {{ erp: {{ http: {{ base_url: "http://127.0.0.1:{}", timeout: 1h }} }} }}
channels: {{ q: {{ queue: {{}} }} }}
routes:
  in: {{ from: {{ generate: {{ payload: '"{payload}"', count: {messages} }} }}, to: {{ queue: q }} }}
  stalled: {{ from: {{ queue: q }}, to: {{ http: {{ connection: erp, path: /out }} }} }}
"#,
        partner.port()
    );
    let idle = idle_bytes();
    let mut gateway = Gateway::new(env!("CARGO_BIN_EXE_crossdock"), &routes);
    gateway.start();
    let waiting = |at_least: u64| {
        wait_for(PATIENCE, &format!("{at_least} messages to wait"), || {
            let waiting = gateway.metrics().ok()?.sum("crossdock_queue_messages", &[("queue", "q")])?;
            Some((waiting as u64, gateway.resident_bytes())).filter(|(waiting, _)| *waiting >= at_least)
        })
    };
    // By then whatever is bounded has been filled.
    let (early, before) = waiting(messages / 4);
    let (all, after) = waiting(messages);
    let (stored, grown) = ((all - early) * MESSAGE_BYTES, after.saturating_sub(before));
    eprintln!("resident: idle {idle}, with {early} messages {before}, with {all} {after}");
    assert_eq!(all, messages);
    assert!(partner.count() > 0, "nothing was sent: the backlog is not behind a partner");
    assert!(after < idle + ABOVE_IDLE_MAX, "{after} bytes are resident, {idle} when idle");
    // What is kept of each message, be it 32 bytes, shows.
    assert!(grown < stored / 24, "{grown} bytes more are resident for {stored} that were stored");
}

/// What the program holds when it has nothing to do.
fn idle_bytes() -> u64 {
    let routes =
        "channels: { q: { queue: {} } }\nroutes: { in: { from: { http: { path: /in } }, to: { queue: q } } }\n";
    let mut gateway = Gateway::new(env!("CARGO_BIN_EXE_crossdock"), routes);
    gateway.start();
    gateway.resident_bytes()
}
