//! Apache Kafka as a source and as a target. What it does for a user, its options and its traps are in `README.md`.
//!
//! ```text
//!  broker ─► librdkafka ─► a thread of the source: poll, convert ─► mailbox (bounded) ─► Receiver ─► engine
//!                               │ store_offsets, every 100 ms                                     │
//!                               └──────── ledger: watermark per partition and assignment ◄─ Settler ┘
//!
//!  engine ─► Sender::submit ─► librdkafka, one producer per connection and options ─► broker
//!                                   └─ a thread of the producer: delivery reports ─► one batch of results per session
//! ```
//!
//! Invariants
//! - **An offset is stored for committing when everything before it in its partition is settled**, and only within the
//!   assignment in which it was received: what settles after the partition went elsewhere moves nothing.
//! - **A delivery is reported when the broker's answer for exactly this message came**; one result per ticket, also when
//!   the producer breaks.
//! - **No call of librdkafka that may wait runs on the runtime**: a source and a producer have a thread of their own, and
//!   the runtime meets them at a mutex that is never held across a call of the library.
//! - **Memory is bounded** on both sides: by bytes in librdkafka's own queues, by messages and bytes in the mailbox; a
//!   source whose engine takes nothing pauses its partitions and goes on answering the group.
//! - No task, channel, future or lock per message; what is read is copied once, into memory shared by many messages.

mod carriage;
mod client;
mod connector;
mod convert;
mod describe;
mod fault;
mod options;
mod probe;
mod sink;
mod source;
mod topic;

pub use connector::Kafka;
pub use describe::DESCRIPTION;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks; what a thread that panicked left behind is taken as it stands, because every change under these locks is whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
