//! A disk in memory.

/// A disk in memory that knows what would survive a loss of power.
#[derive(Debug)]
pub struct MemoryDisk;

/// What a loss of power does to what was not synced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CrashPolicy {
    /// All of it is gone.
    Lose,
}
