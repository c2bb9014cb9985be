//! Routes: the one task that reads a route's channel for all its targets, and settles what it reads.
//!
//! ```text
//!  store ─fetch─► evaluate (once a message) ─admit─► scheduler ─start─► sink or channel
//!    ▲                │ filtered, faulty                │ ▲                 │ results
//!    │                ▼                                 │ └─────────────────┘
//!    └── settle, touch, bury ◄──────────────────────── effects
//! ```
//!
//! Each turn of the loop takes everything that has come in, then fetches, starts, and commits once. Nobody else settles
//! the route's messages. Each target has its own place in the channel and its own window, so that one that stands still
//! holds up no other; results of the rules are shared through a bounded cache, and nothing depends on a hit.
//!
//! It cannot stand still for ever: events come through a channel without bound, which holds at most one item for each
//! thing under way (a send, a commit, a read), and all of these are bounded; nothing that posts to it waits for the task.

mod build;
mod bury;
mod cache;
mod deadlines;
mod ended;
mod event;
mod expire;
mod fetch;
mod gate;
mod grave;
mod intake;
mod lease;
mod link;
mod live;
mod moves;
mod notes;
mod outbox;
mod outcome;
mod reading;
mod recover;
mod report;
mod send;
mod sink;
mod standing;
mod target;
mod turn;

pub(crate) use build::{Destination, RoutePlan, TargetPlan};
pub(crate) use event::RouteEvent;
pub(crate) use link::SharedLink;
pub(crate) use outbox::{Outbox, Parcel};
pub(crate) use reading::Reading;
pub(crate) use report::RouteReport;

use crate::{Evaluator, account::Channel, crash::Permit, metrics::Histogram, shared::Shared};
use cache::Cache;
use crossdock_model::Text;
use crossdock_store::Fence;
use ended::Ended;
use gate::Gate;
use grave::Grave;
use intake::Chunk;
use std::{collections::VecDeque, sync::Arc};
use target::Target;
use tokio::{
    sync::{Notify, mpsc},
    time::Instant,
};

/// Who reads the route's channel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reader {
    /// The gate, before all targets.
    Gate,
    /// The target at this place of the list.
    Target(usize),
}

/// A route's task.
pub(crate) struct RouteTask {
    shared: Arc<Shared>,
    evaluator: Evaluator,
    channel: Arc<Channel>,
    dead_letters: Arc<Channel>,
    events_to_self: mpsc::UnboundedSender<RouteEvent>,
    events: mpsc::UnboundedReceiver<RouteEvent>,
    /// Rung by the store and by changed links.
    bell: Arc<Notify>,
    /// Rung by the store as well, for the task that finds what has expired.
    expiry_bell: Arc<Notify>,
    targets: Vec<Target>,
    cache: Cache,
    /// On worker tasks, in the order fetched.
    chunks: VecDeque<Chunk>,
    ended: Ended,
    /// Where messages are looked at before any target reads them, if steps ask for that.
    gate: Option<Gate>,
    /// The claims on all of it.
    fences: Vec<Fence>,
    outbox: Outbox,
    grave: Grave,
    /// Flushes submitted and answered.
    flushes: (u64, u64),
    /// Moves to channels, burials and reads under way.
    under_way: usize,
    step_seconds: Arc<Histogram>,
    paused: bool,
    /// Why the route holds although it runs.
    trouble: Option<Text>,
    /// Whether the channel drops its oldest messages, whoever has them.
    drops: bool,
    /// Whether the schedulers are told to hold.
    held: bool,
    /// Until when what is under way has to end.
    stopping: Option<Instant>,
    /// Its place among those that let crash suspects go alone, and what it may do for now.
    place: usize,
    permit: Permit,
    /// Whether there is more to do at once.
    again: bool,
}
