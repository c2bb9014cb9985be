//! The tasks that move messages: sources, routes, redrives; the queues between them, timers and shutdown.

mod gateway;
mod metrics;
mod options;
mod signals;
mod view;

pub use crossdock_delivery::State as TargetState;
pub use crossdock_store::{ChannelKind, OperationState};
pub use gateway::{Gateway, StartError};
pub use options::{Clock, Options};
pub use view::{
    Attempt, ChannelView, Counts, DeadFilter, DeadGroup, DeadLetter, HistoryEvent, MessageState, MessageView,
    OperationView, Page, Redrive, RedriveRequest, RequestError, RouteState, RouteView, SourceState, SourceView, Status,
    SubscriptionView, TargetView,
};
