//! Consumers of a queue whose messages have to be read from a disk that takes its time.

use crate::{
    backend::Backend,
    rig::{Rig, until},
};
use crossdock_engine::Receive;
use crossdock_store::{DiskOperation, FaultyDisk, MemoryDisk};
use std::{sync::Arc, time::Duration};

const LONG: Duration = Duration::from_secs(30);

#[test]
fn who_comes_after_one_that_left_gets_no_more_than_it_asked_for() {
    let faulty = FaultyDisk::new(Arc::new(MemoryDisk::new()));
    let yaml = "channels: { q: { queue: {} } }\nroutes: { in: { from: { ask: {} }, to: { queue: q } } }\n";
    let mut rig = Rig::start_on(yaml, Backend { disk: Arc::new(faulty.clone()) });
    for n in 0..50 {
        rig.push("in", &format!(r#"{{"n":{n}}}"#));
    }
    until("they are stored", || rig.world.settled_count("in") == 50);
    rig.stop(LONG);
    rig.restart();
    faulty.stall(DiskOperation::Read, faulty.count(DiskOperation::Read) + 1);
    let ask = |messages_max| Receive { messages_max, wait: LONG, lease: LONG };
    rig.block_on(async {
        let reads = async {
            while faulty.hanging() == 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            _ = rig.gateway().receive("q", ask(100)) => panic!("the disk hangs"),
            () = reads => {}
        }
        let (got, ()) = tokio::join!(rig.gateway().receive("q", ask(1)), async { faulty.go_on() });
        assert_eq!(got.unwrap().len(), 1);
    });
    let left = rig.block_on(rig.gateway().receive("q", ask(100))).unwrap();
    assert_eq!(left.len(), 49);
    rig.account();
}
