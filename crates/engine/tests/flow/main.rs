//! The way of messages through a gateway: scripted peers on both sides, a store on a disk in memory, kills between.

mod rig;

mod bounds;
mod faults;
mod restart;
mod through;
