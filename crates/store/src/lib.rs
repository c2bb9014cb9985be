//! The durable store: one log for all channels (docs/specs/log.md).

mod disk;
mod error;
mod info;
mod message;
mod names;
mod options;
mod store;
mod txn;
mod verify;

pub use disk::{
    CrashPolicy, Disk, DiskFile, DiskLock, DiskOperation, FaultyDisk, FileEntry, MemoryDisk, Mishap, OpenMode,
    RealDisk, Space,
};
pub use error::{DeclareError, DecodeError, OpenError, ReadError};
pub use info::{ChannelInfo, Fetched, GroupCounts, History, Page, Rest, StoreCounts, SubscriptionInfo, Touched, Try};
pub use message::{DeadNote, EncodedMessage, Notes, StoredMessage};
pub use names::{
    Amendment, ChannelKind, ChannelNumber, ChannelSpec, OffsetRun, Offsets, Outcome, Start, SubscriptionNumber,
    SubscriptionSpec, WhenFull,
};
pub use options::{Clock, Options, Random, SyncPolicy};
pub use store::{Store, Watch};
pub use txn::{
    CommitError, Committed, Completion, KeyClaim, Operation, OperationState, Put, PutResult, Settle, Takes, Touch, Txn,
};
pub use verify::{Finding, Report, verify};
