//! The durable store: channels and their subscriptions over one log (docs/specs/log.md).
//!
//! ```text
//! submit(Txn) ─► queue ─► writer: plan ─► frame ─► write, sync ─► apply to the state ─► completion, watches
//!                                                                        │
//! fetch, peek ◄──────────────── window: the newest frames ◄──────────────┤
//! fetch_cold, read, browse ◄─── segments, by their indexes ◄─────────────┘
//! ```
//!
//! What holds:
//! - One thread writes. A decision ([`Txn`]) is in one frame: whole or absent, across channels.
//! - A completion is called once its frame is durable, as the [`SyncPolicy`] says; readers see a message not before.
//! - What a restart finds is what was applied: frames go through the same function when written and when read again.
//! - A failed sync is final ([`Store::failure`]).
//! - Memory does not grow with what waits.
//!
//! There is no async runtime in here. What may block says so: call it from a thread that may.

mod blocks;
mod channels;
mod checkpoint;
mod cipher;
mod cleaner;
mod disk;
mod error;
mod format;
mod info;
mod keys;
mod message;
mod meters;
mod names;
mod notes;
mod options;
mod read;
mod recover;
mod shared;
mod state;
mod store;
mod tries;
mod txn;
mod verify;
mod writer;

pub use channels::{
    Accountant, Annotations, Atomicity, Browsed, Browser, Channels, ClaimError, Cursor, Extension, Fence, FetchMax,
    LaneRange, Lease,
};
pub use cipher::{KeyError, KeyId, Keyring, MasterKey};
pub use disk::{
    CrashPolicy, Disk, DiskFile, DiskLock, DiskOperation, FaultyDisk, FileEntry, MemoryDisk, Mishap, OpenMode,
    RealDisk, Space,
};
pub use error::{DeclareError, DecodeError, OpenError, ReadError};
pub use info::{ChannelInfo, Fetched, GroupCounts, History, Page, Rest, StoreCounts, SubscriptionInfo, Touched, Try};
pub use message::{DeadNote, EarlierDeath, EncodedMessage, Notes, StoredMessage};
pub use names::{
    Amendment, ChannelKind, ChannelNumber, ChannelSpec, OffsetRun, Offsets, Outcome, Retain, Start, SubscriptionNumber,
    SubscriptionSpec, WhenFull,
};
pub use notes::{End, Ends, Flight, FlightNotes, FlightRegion};
pub use options::{Clock, OnFailure, Options, Random, SyncPolicy};
pub use store::{Store, Watch};
pub use txn::{
    CommitError, Committed, Completion, KeyClaim, LogPlace, Operation, OperationState, Put, PutId, PutResult, Settle,
    Sieve, SieveKey, Sifted, Takes, Touch, Txn,
};
pub use verify::{Finding, Report, verify, verify_with};
