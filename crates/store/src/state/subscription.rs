//! A subscription in memory.

use super::{
    segments::Place,
    settled::{Outcomes, Settled},
    touches::Touches,
};
use crate::{History, Touch, Watch};
use crossdock_model::{Text, Timestamp};
use std::fmt;

/// A reader of a channel.
#[derive(Clone)]
pub struct Subscription {
    pub name: Text,
    pub channel: u32,
    pub group: Text,
    /// The first offset that it reads; what is below is nothing to it.
    pub start: u64,
    pub settled: Settled,
    /// How they were settled, where the group has other members.
    pub outcomes: Outcomes,
    /// How many messages it has not settled.
    pub pending: u64,
    /// The next offset that a fetch looks at.
    pub cursor: u64,
    /// What is not settled and has tries on record.
    pub touched: Touches,
    pub watch: Option<Watch>,
    /// The subscription that it follows: it reads only what that one has settled, with all before.
    pub behind: Option<u32>,
    /// Those that follow it.
    pub followers: Vec<u32>,
}

/// What is known about a message with tries on record.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TouchedMessage {
    pub tries: u32,
    pub charges: u32,
    pub due: Option<Timestamp>,
    /// The tries whose records are kept: number and place, in order.
    pub history: Vec<(u32, Place)>,
}

impl TouchedMessage {
    /// Takes in what is new; returns the place that is no longer needed, and whether the new one is.
    pub fn update(&mut self, touch: &Touch, place: Place) -> Update {
        let is_try = touch.tries > self.tries;
        (self.tries, self.charges, self.due) = (touch.tries, touch.charges, touch.due);
        if !is_try {
            return Update::Noted;
        }
        self.history.push((touch.tries, place));
        if self.history.len() > History::FIRST + History::LAST {
            let (_, dropped) = self.history.remove(History::FIRST);
            return Update::Replaces(dropped);
        }
        Update::Kept
    }
}

/// What an update did to the history.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Update {
    /// Nothing.
    Noted,
    /// The record is kept.
    Kept,
    /// The record is kept, and another one no longer.
    Replaces(Place),
}

impl Subscription {
    /// What a fetch looks at next: not settled, without tries on record.
    pub fn next_fresh(&self, from: u64) -> u64 {
        let mut at = self.settled.next_open(from);
        while self.touched.has(at) {
            at = self.settled.next_open(at + 1);
        }
        at
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("name", &self.name)
            .field("floor", &self.settled.floor())
            .field("pending", &self.pending)
            .finish_non_exhaustive()
    }
}
