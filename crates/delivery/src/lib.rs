//! Who is at fault when a delivery fails, and what is sent when: back-off, circuits, order lanes, crash suspects.
//!
//! Pure and without I/O: time comes in as a [`Moment`](crossdock_model::Moment), answers come in as events, and what
//! is to be started or committed comes out. The crate knows no clock, task, socket, file or environment.

mod circuit;
mod crash;
mod effect;
mod entry;
mod hash;
mod lanes;
mod link;
mod member;
mod pace;
mod policy;
mod queue;
mod random;
mod scheduler;
mod slot;
mod status;

pub use crash::{Unclean, Verdict, judge};
pub use effect::{Effect, Start};
pub use entry::{Entry, Prior};
pub use link::Link;
pub use policy::{HELD_MAX, Order, Policy, RETRY_AFTER_MAX, Retry};
pub use scheduler::Scheduler;
pub use status::{CircuitStatus, Counters, Hold, State, Status};
