//! Channels that cannot do everything.

use crate::{
    backend::Backend,
    rig::{Rig, plan, until, world::Reply},
};
use crossdock_engine::{Gateway, Options, RequestError, StartError};
use crossdock_model::Timestamp;
use std::sync::Arc;

const ROUTE: &str = "
routes:
  r:
    from: { ask: {} }
    to: { ask: { connection: p, path: a } }
    retry: { attempts: 2, initial: 20ms, factor: 2, max: 100ms }
";

#[test]
fn messages_pass_where_they_can_be_neither_looked_at_nor_counted() {
    let rig = Rig::start_on(ROUTE, Backend::lacking());
    rig.world.script(|_| Reply::Taken);
    for n in 0..20 {
        rig.post("r", &format!("{{\"n\":{n}}}"));
    }
    until("all are delivered", || rig.world.taken().len() == 20);
    until("all are settled", || rig.backend.messages("route:r") == 0);
    let browsed = rig.block_on(rig.gateway().browse("r.dead", None, 10));
    assert!(matches!(browsed, Err(RequestError::Unsupported(_))), "{browsed:?}");
    let found = rig.block_on(rig.gateway().dead_groups());
    assert!(matches!(found, Err(RequestError::Unsupported(_))), "{found:?}");
    assert_eq!(rig.metric("crossdock_store_bytes"), None);
    assert_eq!(rig.route("r").counts.unaccounted(), 0);
}

#[test]
fn a_gate_does_not_start_where_keys_and_settlements_are_two_things() {
    let yaml = "
routes:
  r:
    from: { ask: {} }
    steps: [ { dedupe: { key: .n, window: 10m } } ]
    to: { ask: { connection: p, path: a } }
";
    let plan = plan(yaml);
    let options = Options::new(Arc::new(|| Timestamp(0)), 1);
    let channels = Backend::default().open(&plan, &options);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let started = runtime.block_on(Gateway::start(plan, Vec::new(), channels, options));
    let error = started.err().unwrap();
    assert!(matches!(&error, StartError::Atomicity { route } if route == "r"), "{error}");
    assert!(error.to_string().contains("`accept`"), "{error}");
}
