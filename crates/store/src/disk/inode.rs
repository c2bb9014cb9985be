//! A file in memory: the bytes that readers see, those that are durable, and the writes in between.

use super::memory::CrashPolicy;
use std::sync::{Arc, Mutex};

/// What reaches the platter as one: a torn write is torn between these.
const SECTOR_BYTES: usize = 512;

/// A file's bytes.
#[derive(Default)]
pub struct Inode {
    pub seen: Vec<u8>,
    durable: Vec<u8>,
    changes: Vec<Change>,
}

/// A write that is not durable yet.
pub enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Length(usize),
}

impl Inode {
    /// A file of these durable bytes.
    pub fn of(bytes: Vec<u8>) -> Self {
        Self { seen: bytes.clone(), durable: bytes, changes: Vec::new() }
    }

    /// Makes it durable as it is.
    pub fn sync(&mut self) {
        for change in self.changes.drain(..) {
            apply(&mut self.durable, &change, |_| true);
        }
    }

    /// Takes in a write.
    pub fn change(&mut self, change: Change) {
        apply(&mut self.seen, &change, |_| true);
        self.changes.push(change);
    }

    /// What a loss of power leaves of it.
    pub fn after_crash(&self, policy: CrashPolicy, dice: &mut Dice) -> Arc<Mutex<Self>> {
        let mut bytes = self.durable.clone();
        for change in &self.changes {
            match policy {
                CrashPolicy::KeepAll => apply(&mut bytes, change, |_| true),
                CrashPolicy::LoseAll => {}
                CrashPolicy::Tear { .. } => match dice.below(3) {
                    0 => apply(&mut bytes, change, |_| true),
                    1 => apply(&mut bytes, change, |_| dice.below(2) == 0),
                    _ => {}
                },
            }
        }
        Arc::new(Mutex::new(Self::of(bytes)))
    }
}

fn apply(to: &mut Vec<u8>, change: &Change, mut sector_survives: impl FnMut(usize) -> bool) {
    match change {
        Change::Length(bytes) => {
            to.truncate(*bytes);
            lengthen(to, *bytes);
        }
        Change::Write { at, bytes } => {
            lengthen(to, at + bytes.len());
            for (sector, piece) in bytes.chunks(SECTOR_BYTES).enumerate() {
                let begin = at + sector * SECTOR_BYTES;
                if sector_survives(sector)
                    && let Some(place) = to.get_mut(begin..begin + piece.len())
                {
                    place.copy_from_slice(piece);
                }
            }
        }
    }
}

/// Makes it that long, or leaves it if it is. Not by `resize`, which goes byte by byte where the compiler is not told to
/// optimise much, and took half the time of the simulator.
fn lengthen(to: &mut Vec<u8>, bytes: usize) {
    to.append(&mut vec![0; bytes.saturating_sub(to.len())]);
}

/// SplitMix64 (Steele, Lea, Flood 2014): small, and the same on every machine.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % sides
    }
}
