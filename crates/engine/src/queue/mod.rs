//! Queues that no route reads: one task each owns the queue's subscription, gives messages out to consumers who ask, and
//! settles what they acknowledge.
//!
//! ```text
//!  receive ─► waiters ─► gather ─► lease ─► the consumer ─► ack ─► settled, synced, answered
//!                ▲          ▲                  │
//!                │ ring     └── given back ◄───┘ nack, or the lease ran out
//!  store ────────┘
//! ```
//!
//! What holds
//! - A message is with one consumer at a time: until its lease runs out, as the stopwatch tells. Leases live in memory;
//!   a restart returns them. What was put off stays put off.
//! - Who asked first is served first. Only the first of those who wait is gathered for.
//! - Giving back and running out charge nothing.
//! - Payloads are held from reading until the answer; the rest of what is held is bounded (`limits`).
//!
//! It cannot stand still for ever: events come through a channel without bound that holds at most one for each request
//! on the admin listener, which bounds these, and one for each thing under way; nothing that posts to it waits for the
//! task but who asked.

mod event;
mod handle;
mod serve;
mod settle;
mod table;
mod token;
mod turn;

pub(crate) use event::QueueEvent;
pub(crate) use handle::{Board, QueueHandle};
pub use handle::{Delivery, Receive};

use crate::{
    account::Channel,
    claims::Claimed,
    route::{Outbox, Reading},
    shared::Shared,
};
use crossdock_model::Moment;
use serve::Waiter;
use settle::Pending;
use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};
use table::Table;
use tokio::sync::{Notify, mpsc};

/// The task of a queue that no route reads.
pub(crate) struct QueueTask {
    shared: Arc<Shared>,
    channel: Arc<Channel>,
    claimed: Claimed,
    board: Arc<Board>,
    /// How long a message stays here.
    expire_after: Option<Duration>,
    events_to_self: mpsc::UnboundedSender<QueueEvent>,
    events: mpsc::UnboundedReceiver<QueueEvent>,
    /// Rung by the store.
    bell: Arc<Notify>,
    /// Rung by the store as well, for the task that finds what has expired.
    expiry_bell: Arc<Notify>,
    reading: Reading,
    /// Whether messages that were given back are being read.
    recalling: bool,
    /// What could not be read is not tried again before.
    retry_at: Option<Moment>,
    /// In the order in which they asked.
    waiters: VecDeque<Waiter>,
    table: Table,
    /// Tries and charges of those messages that a route tried before it stopped reading the queue.
    tried: BTreeMap<u64, (u32, u32)>,
    /// Names this task in leases.
    incarnation: u64,
    outbox: Outbox,
    /// Flushes submitted and answered.
    flushes: (u64, u64),
    /// Requests that are answered when a flush is.
    pending: VecDeque<Pending>,
    /// What somebody else had settled before a flush did that one of these waits for.
    late: HashSet<u64>,
    /// Whether the gateway stops, so that nothing is given out.
    stopping: bool,
}
