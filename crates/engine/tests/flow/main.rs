//! The way of messages through a gateway: scripted peers on both sides, a store on a disk in memory, kills between.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "what fails in the rig fails the test that uses it"
)]

mod backend;
mod rig;

mod apart;
mod bounds;
mod burying;
mod clock;
mod cold;
mod consumers;
mod crash;
mod dropping;
mod expiry;
mod faults;
mod gate;
mod redrives;
mod removed;
mod renamed;
mod restart;
mod sources;
mod sync;
mod through;
mod topics;
