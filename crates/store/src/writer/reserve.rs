//! The reserve of a full volume, and how it is shared out.
//!
//! ```text
//!  free on the volume:   what is ordinary │ dead letters, tries │ settlements │ checkpoints │
//!                                         └───────────── the reserve ─────────┴─────────────┘
//!                                        all                   half        a quarter        0
//! ```
//!
//! Settlements give room back, so a part of the reserve is theirs: dead letters would else use up what is needed to get rid
//! of them. Within the reserve nothing is allocated ahead, so that all of it goes to frames.
//!
//! In the part of the settlements a segment holds nothing that lives. What was settled is in the checkpoint, too, so when
//! that part is used up the segment is given back and another is begun: there is no end to it while a checkpoint has room.

use super::{
    Writer,
    draft::Draft,
    log::{Log, Trouble},
};
use crate::Txn;
use crossdock_model::Timestamp;

/// For whom the volume has room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Room {
    /// For everything.
    Ordinary,
    /// For what may use the reserve.
    Letters,
    /// For settlements and the progress of operations.
    Settlements,
}

impl Room {
    /// Whether there is room for a decision of this kind.
    pub fn takes(self, txn: &Txn) -> bool {
        match self {
            Self::Ordinary => true,
            Self::Letters => txn.puts.iter().all(|put| put.use_reserve),
            Self::Settlements => txn.puts.is_empty() && (txn.touches.is_empty() || !txn.settles.is_empty()),
        }
    }
}

/// The reserve: two segments, at most an eighth of the volume.
pub fn reserve_bytes(log: &Log, total: u64) -> u64 {
    (log.segment_bytes * 2).min(total / 8)
}

/// Whether the volume has room for so many bytes more of frames, and a part of the reserve beside.
fn has_room(log: &Log, bytes: u64, part: u64) -> bool {
    let growth = log.growth(bytes);
    match log.disk.space() {
        Ok(space) => growth == 0 || space.free >= growth + reserve_bytes(log, space.total) / part,
        // A volume that cannot say is written to until it refuses.
        Err(_) => true,
    }
}

impl Writer {
    /// For whom there is room if so many bytes wait.
    pub fn room_for(&self, bytes: impl FnOnce() -> u64) -> Room {
        if !self.space.is_low() {
            Room::Ordinary
        } else if has_room(&self.log, bytes(), 2) {
            Room::Letters
        } else {
            Room::Settlements
        }
    }

    /// Makes room for a frame behind the last one: a segment if there is none that holds it, and what the frame takes of the
    /// volume.
    pub fn make_way(&mut self, draft: &Draft, now: Timestamp, may_use_reserve: bool) -> Result<(), Trouble> {
        let fits = self.log.fits(draft);
        if !fits && !self.space.is_low() && !self.space.allows_segment(&self.log, true) {
            if !may_use_reserve {
                return Err(Trouble::NoSpace);
            }
            self.run_low();
        }
        self.log.tight = self.space.is_low();
        if !fits {
            self.roll(now)?;
        }
        if self.log.tight {
            self.squeeze_in(draft.frame_bytes_on_disk(self.log.keys.record_overhead()), now)
        } else {
            Ok(())
        }
    }

    /// Sees to it that the volume has what a frame takes within the reserve.
    fn squeeze_in(&mut self, bytes: u64, now: Timestamp) -> Result<(), Trouble> {
        if has_room(&self.log, bytes, 2) {
            return Ok(());
        }
        if !self.is_active_idle() {
            // What lives would keep the settlements that follow it.
            self.roll(now)?;
        }
        if !has_room(&self.log, bytes, 4) && !self.log.is_begun() {
            self.seal_active()?;
            self.checkpoint_twice(false)?;
            self.roll(now)?;
        }
        if has_room(&self.log, bytes, 4) { Ok(()) } else { Err(Trouble::NoSpace) }
    }

    fn is_active_idle(&self) -> bool {
        let number = self.log.active.as_ref().map(|active| active.number);
        number.is_some_and(|number| self.state().segments.get(number).is_some_and(|segment| segment.is_idle()))
    }
}
