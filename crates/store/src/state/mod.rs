//! What the store knows, in memory: the sum of all frames.
//!
//! [`State::apply`] takes a frame in. It is the one way in which anything changes, when a frame was just synced as when it
//! is read again after a crash: so what a restart finds is what was there.

mod account;
mod apply;
mod channel;
mod declare;
mod keys;
mod moved;
mod numbered;
mod offsets;
mod runs;
mod segments;
mod settle;
pub mod settled;
mod subscription;
mod touches;
mod window;

pub use apply::{Applied, AppliedFrame};
pub use channel::{Bounds, Channel, Group, Run};
pub use keys::{Held, KEYS_HELD, Keys};
pub use moved::{Copies, MovedRun, MovedTouch};
pub use numbered::Numbered;
pub use offsets::OffsetSet;
pub use runs::{Made, Pins, Run as TryRun, Spill, count_pins};
pub use segments::{OpenIndex, Place, PlacedRun, Segment, Segments, time_at};
pub use subscription::{Subscription, TouchedMessage};
pub use touches::Touches;
pub use window::{HeldFrame, Slot, Window};

use crate::{OffsetRun, Operation};
use crossdock_model::Text;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Everything that the store knows.
#[derive(Debug, Default)]
pub struct State {
    pub channels: Numbered<Channel>,
    pub subscriptions: Numbered<Subscription>,
    pub channel_numbers: HashMap<Text, u32>,
    pub subscription_numbers: HashMap<Text, u32>,
    pub keys: Keys,
    /// Oldest first.
    pub operations: Vec<Operation>,
    pub segments: Segments,
    /// The files of tries that count, oldest first.
    pub runs: Vec<TryRun>,
    /// Of segments whose index is not on disk.
    pub open_indexes: BTreeMap<u64, OpenIndex>,
    pub window: Window,
    /// Offsets that a later frame shows to have been given, whose message is lost.
    pub missing: Vec<(u32, OffsetRun)>,
    /// Messages found damaged since the store was opened.
    pub damaged: u64,
    /// Those of them whose settlement is on its way to the log.
    pub given_up: HashSet<(u32, u64)>,
}

/// How many background operations that have ended are remembered.
pub const ENDED_OPERATIONS_MAX: usize = 1000;
