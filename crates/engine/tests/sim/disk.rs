//! The disk of a schedule: what goes wrong soon, and what a crash leaves.

use super::dice::Dice;
use crossdock_store::{CrashPolicy, FaultyDisk, MemoryDisk, Mishap};
use std::sync::Arc;

pub struct Disk {
    pub memory: MemoryDisk,
    /// What a store is opened on.
    pub faulty: FaultyDisk,
}

impl Disk {
    pub fn new() -> Self {
        Self::of(MemoryDisk::new())
    }

    /// A disk with which nothing is wrong.
    pub fn of(memory: MemoryDisk) -> Self {
        Self { faulty: FaultyDisk::new(Arc::new(memory.clone())), memory }
    }

    /// An operation will fail.
    pub fn break_soon(&self, dice: &mut Dice) -> Mishap {
        let mishap = dice.one_of([Mishap::Fails, Mishap::NoSpace, Mishap::Tears, Mishap::Ends]);
        self.faulty.plan(None, self.faulty.total() + 1 + dice.below(30), mishap);
        mishap
    }

    /// What was not synced may be gone, or half there.
    pub fn crash(&mut self, dice: &mut Dice) -> CrashPolicy {
        let torn = CrashPolicy::Tear { seed: dice.next() };
        let policy = dice.one_of([CrashPolicy::KeepAll, CrashPolicy::LoseAll, torn]);
        *self = Self::of(self.memory.after_crash(policy));
        policy
    }
}
