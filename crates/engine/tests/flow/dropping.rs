//! Full queues that drop their oldest messages to a dead-letter queue.

use crate::rig::{Rig, until};
use crossdock_engine::{OperationState, RedriveRequest};

const QUEUE: &str = "
channels: { q: { queue: { max_messages: 5, when_full: drop_oldest, dead_letter: { queue: dropped } } } }
routes: { in: { from: { ask: {} }, to: { queue: q } } }
";

#[test]
fn what_a_full_queue_drops_is_a_dead_letter_and_can_be_sent_back() {
    let mut rig = Rig::start(QUEUE);
    for n in 0..12 {
        rig.post("in", &format!("{{\"n\":{n}}}"));
    }
    until("five are left and seven are moved", || {
        (rig.channel("q").messages, rig.channel("dropped").messages) == (5, 7)
    });
    let dead = rig.dead();
    assert_eq!(dead.len(), 7);
    assert_eq!((&*dead[0].cause.code, dead[0].source.as_deref()), ("channel.dropped", Some("q")));
    assert_eq!(rig.metric(r#"crossdock_messages_total{route="queue:q",outcome="dead"}"#), Some(7.0));
    assert_eq!(rig.metric(r#"crossdock_messages_total{route="queue:dropped",outcome="received"}"#), Some(7.0));
    rig.account();
    rig.kill();
    rig.restart();
    assert_eq!((rig.channel("q").messages, rig.dead().len()), (5, 7));
    rig.account();
    // With more room all of them fit.
    rig.stop(std::time::Duration::from_secs(5));
    rig.write(&QUEUE.replace("max_messages: 5", "max_messages: 50"));
    rig.restart();
    let id = rig.block_on(rig.gateway().redrive(RedriveRequest::default())).unwrap().operation.unwrap();
    until("it is done", || rig.gateway().operation(id).unwrap().state == OperationState::Done);
    assert_eq!((rig.channel("q").messages, rig.dead().len()), (12, 0));
    rig.account();
}
