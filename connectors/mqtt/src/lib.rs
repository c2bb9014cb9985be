//! MQTT 3.1.1 and 5: a source that subscribes, and a target that publishes. What it does for a user, its options and its
//! traps are in `README.md`.
//!
//! ```text
//!  broker ─► driver ─► Inbox: envelopes, tracker ─► Receiver ─► engine ─► stored ─► Settler ─┐
//!     ▲         ▲                                                                            │ in order of arrival
//!     └── PUBACK, PUBREC ◄─────────────────── bytes to write ◄────────────────────────────────┘
//!
//!  engine ─► Sender ─► Flight: one slot a packet id ─► bytes to write ─► driver ─► broker ─► PUBACK, PUBCOMP ─► results
//! ```
//!
//! Packets are read and written by the codecs of rumqttc; sessions are ours (`docs/adr/0019-mqtt-sessions-of-our-own.md`).
//!
//! Invariants
//! - **One task per connection** (`link::drive`) reads, writes and pings. Nobody else touches the socket; what is to be
//!   written is put into a buffer under a lock that is never held across an await.
//! - **An acknowledgement follows the synced append**, in the order in which the broker's messages came; one of an earlier
//!   connection goes nowhere.
//! - **Success is the PUBACK or PUBCOMP of exactly this message.** Whatever has none when a connection ends is handed back.
//! - **A full gateway does not read.** What waits to be taken by the engine is bounded by number and bytes, what is
//!   unacknowledged by the receive maximum; pings go on.

mod broker;
mod carriage;
mod connector;
mod convert;
mod describe;
mod link;
mod packet;
mod sink;
mod source;
mod topic;

pub use connector::Mqtt;
pub use describe::DESCRIPTION;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks; what a thread that panicked left behind is taken as it stands, because every change under these locks is whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
