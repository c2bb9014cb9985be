//! The durable store: one log for all channels (docs/specs/log.md).

mod checkpoint;
mod disk;
mod error;
mod format;
mod info;
mod message;
mod meters;
mod names;
mod options;
mod read;
mod recover;
mod shared;
mod state;
mod store;
mod txn;
mod verify;
mod writer;

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
pub use options::{Clock, OnFailure, Options, Random, SyncPolicy};
pub use store::{Store, Watch};
pub use txn::{
    CommitError, Committed, Completion, KeyClaim, Operation, OperationState, Put, PutResult, Settle, Takes, Touch, Txn,
};
pub use verify::{Finding, Report, verify};
