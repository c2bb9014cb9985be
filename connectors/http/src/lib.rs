//! HTTP: a source on the gateway's shared listener, and a sink that sends requests. What it does for a user, its
//! options and its traps are in `README.md`.
//!
//! ```text
//!  request ─► listener ─► door: path, method, credentials, body ─► session's queue ─► Receiver ─► engine
//!                          ▲                                                                        │
//!  answer  ◄───────────────┴──────────────── one wake-up per request ◄──── Settler ◄── stored ──────┘
//!
//!  engine ─► Sender: at most `max_in_flight` tasks ─► client of the connection ─► service ─► status → receipt or fault
//! ```
//!
//! Invariants
//! - **202 follows the synced append** and nothing else: an answer is made from a [`Settlement`] alone.
//! - **A request waits in one place.** One hop from its connection's task to the receiver, one back; no task, timer or
//!   copy of the body per request on the way in.
//! - **Nothing waits without bound**: bodies in memory by bytes, messages waiting for the engine by number and bytes;
//!   beyond it 503 with `Retry-After`.
//! - **Success is an answer of 2xx read to its end.** Before the first byte went out a failure is `Unreachable`, after it
//!   `Failed`; which it was, is known and not guessed.
//!
//! [`Settlement`]: crossdock_connector::Settlement

mod carriage;
mod connector;
mod convert;
mod describe;
mod sink;
mod source;

pub use connector::Http;
pub use describe::DESCRIPTION;
