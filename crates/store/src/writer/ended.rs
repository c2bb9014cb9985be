//! What a frame in the making settles in channels that drop their oldest messages: it makes room there, and is not dropped
//! as well. Before, a message that was acknowledged in the frame in which the next one came was a dead letter, too.

use crate::state::{Channel, State};
use hashbrown::HashSet;

/// The messages that the frame settles.
#[derive(Default)]
pub struct Ended {
    /// By reader and offset.
    settled: HashSet<(u32, u64)>,
    /// By channel and offset: nobody has them any more.
    ended: HashSet<(u32, u64)>,
}

impl Ended {
    /// Notes that a reader is done with a message; true if now all are, and one was not before.
    pub fn settle(&mut self, state: &State, (number, channel): (u32, &Channel), reader: u32, offset: u64) -> bool {
        let had = |reader: u32| state.subscriptions.get(reader).is_none_or(|reader| reader.settled.has(offset));
        if had(reader) || !self.settled.insert((reader, offset)) {
            return false;
        }
        let is_done = |reader: &u32| had(*reader) || self.settled.contains(&(*reader, offset));
        channel.subscriptions.iter().all(is_done) && self.ended.insert((number, offset))
    }

    /// Whether the frame settles a message for a reader.
    pub fn was_settled(&self, reader: u32, offset: u64) -> bool {
        self.settled.contains(&(reader, offset))
    }

    /// Whether the frame settles a message for the last that had it.
    pub fn has(&self, channel: u32, offset: u64) -> bool {
        !self.ended.is_empty() && self.ended.contains(&(channel, offset))
    }
}
