//! The engine over channels that are not the embedded log (docs/adr/0021): the tests of `flow` that are not about a disk,
//! over a stand-in for a replicated store, and those of what only such a one does.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "what fails in the rig fails the test that uses it"
)]

mod backend;
#[path = "../flow/rig/mod.rs"]
mod rig;

#[path = "../flow/apart.rs"]
mod apart;
#[path = "../flow/bounds.rs"]
mod bounds;
#[path = "../flow/clock.rs"]
mod clock;
#[path = "../flow/consumers.rs"]
mod consumers;
#[path = "../flow/crash.rs"]
mod crash;
#[path = "../flow/expiry.rs"]
mod expiry;
#[path = "../flow/faults.rs"]
mod faults;
#[path = "../flow/redrives.rs"]
mod redrives;
#[path = "../flow/restart.rs"]
mod restart;
#[path = "../flow/sources.rs"]
mod sources;
#[path = "../flow/through.rs"]
mod through;

mod lacking;
mod leases;
mod repeated;
mod taken_over;
