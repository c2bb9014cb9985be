//! The tasks that move messages: sources, routes, redrives; the queues between them, timers and shutdown.
//!
//! ```text
//!  connector ─► source task ─► store ─► route task ─► connector
//!                 (accept)               (steps, when, delivery)
//! ```
//!
//! Invariants
//! - A source's message is settled when the store has answered for it, never earlier; a sink's when the peer has.
//! - One task settles what a route reads. Everything that it decides in a turn is one commit.
//! - Everything is bounded (the table in `limits`), and what is full pushes back.
//! - A task that panics makes the gateway fail; a panic over a message is the message's own fault.
//! - No connector is named here, and no rule has another implementation.

mod account;
mod browse;
mod claims;
mod crash;
mod dead;
mod evaluate;
mod expiry;
mod gateway;
mod handle;
mod limits;
mod metrics;
mod operation;
mod options;
mod publish;
mod queue;
mod room;
mod route;
mod shared;
mod sift;
mod signals;
mod source;
mod start;
mod status;
mod tasks;
mod time;
mod trial;
mod view;

pub use crossdock_delivery::State as TargetState;
pub use crossdock_rules::{Change, StepOutcome, StepTrace};
pub use crossdock_store::{ChannelKind, OperationState};
pub use evaluate::{Acceptance, Addressed, Evaluation, Evaluator, Routed};
pub use gateway::{Gateway, StartError};
pub use operation::{Edit, Edited};
pub use options::{Clock, Options};
pub use queue::{Delivery, Receive};
pub use trial::{Sent, Trial, TrialEnd, TrialStart, trial};
pub use view::{
    Attempt, ChannelView, Counts, DeadFilter, DeadGroup, DeadLetter, HistoryEvent, MessageState, MessageView,
    OperationView, Page, Redrive, RedriveRequest, RequestError, RouteState, RouteView, SourceState, SourceView, Status,
    SubscriptionView, TargetView,
};
