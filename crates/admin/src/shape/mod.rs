//! The shapes of the API's JSON, for the server and for its clients alike.
//!
//! They are types of this boundary and derive nothing from the engine's. Fields may be added, never renamed; times are
//! RFC 3339 in UTC; a key that may be null is always there, so that a client need not tell absent from null.

mod audit;
mod channel;
mod message;
mod operation;
mod page;
mod queue;
mod route;
mod status;
mod trial;

pub use audit::AuditEntry;
pub use channel::{Channel, ChannelKind, ChannelSubscription};
pub use message::{Attempt, DeadGroup, DeadLetter, Fault, HistoryEntry, Message, Origin};
pub use operation::{
    DeleteRequest, DryRun, EditRequest, Edited, OperationState, OperationView, Published, RedriveFilter,
    RedriveRequest, Started,
};
pub use page::Page;
pub use queue::{AckRequest, Acknowledged, LeasedMessage, NackRequest, ReceiveRequest, Received, Returned};
pub use route::{Counts, Route, RouteState, SourceView, TargetState, TargetView, UpDown};
pub use status::{Status, StoreView};
pub use trial::{Trial, TrialChange, TrialStep, TrialTarget, TryRequest};
