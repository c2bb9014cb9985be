//! What end-to-end tests are made of: the real program in a folder of its own, partners that answer as scripted, load, and
//! the account at the end. For tests alone (`[dev-dependencies]`).
//!
//! Everything here speaks the outside contract only (command line, HTTP, metrics) and knows no crate of ours, so that a test
//! tells what a user would see; but for the `suite` of connectors (a feature), which plays the engine. Whatever goes wrong panics with what was awaited: it fails the test that asked for it.
//! Threads are plain ones; sockets are on loopback, on ports that are free.

#![expect(clippy::panic, clippy::expect_used, reason = "what fails here fails the test that asked for it")]

mod client;
mod command;
mod gateway;
mod load;
mod meter;
mod metrics;
mod partner;
mod port;
mod proxy;
mod random;
pub mod servers;
#[cfg(feature = "suite")]
pub mod suite;
mod volume;
mod wait;
mod wire;

pub use client::{Client, request};
pub use command::{Ended, run_in};
pub use gateway::{Gateway, Stopped};
pub use load::Load;
pub use meter::{Meter, Whose};
pub use metrics::Metrics;
pub use partner::{Answer, Partner, Request};
pub use port::free_port;
pub use proxy::{Direction, Proxy};
pub use random::{Random, seed};
pub use volume::Volume;
pub use wait::{pause, try_wait_for, wait, wait_for};
pub use wire::Response;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks; a panic elsewhere has failed its test already.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
