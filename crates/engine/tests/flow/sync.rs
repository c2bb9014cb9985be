//! A disk that fails to sync.

use crate::{backend::Backend, rig::Rig};
use crossdock_connector::Settlement;
use crossdock_store::{DiskOperation, FaultyDisk, MemoryDisk, Mishap};
use std::sync::Arc;

#[test]
fn a_failed_sync_ends_acknowledging_for_good() {
    let disk = MemoryDisk::new();
    let faulty = FaultyDisk::new(Arc::new(disk.clone()));
    let mut rig = Rig::start_on(
        "channels: { q: { queue: {} } }\nroutes: { r: { from: { ask: {} }, to: { queue: q } } }\n",
        Backend { disk: Arc::new(faulty.clone()) },
    );
    assert!(matches!(rig.post("r", "{}"), Settlement::Stored { .. }));
    faulty.plan(Some(DiskOperation::Sync), faulty.count(DiskOperation::Sync) + 1, Mishap::Fails);
    let settlement = rig.post("r", "{}");
    assert!(matches!(settlement, Settlement::Again { .. }), "{settlement:?}");
    let reason = rig.block_on(rig.gateway().failed());
    assert!(reason.contains("store"), "{reason}");
    assert!(rig.gateway().ready().is_err());
    assert!(matches!(rig.post("r", "{}"), Settlement::Again { .. }));
    rig.kill();
    rig.backend.disk = Arc::new(disk);
    rig.restart();
    assert!(matches!(rig.post("r", "{}"), Settlement::Stored { .. }));
    assert!(rig.gateway().ready().is_ok());
    rig.account();
}
