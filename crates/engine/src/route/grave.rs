//! Dead letters that are not stored yet.

use crate::limits;
use crossdock_model::{Fault, Timestamp};
use crossdock_store::{ReadError, StoredMessage, Try};
use tokio::time::Instant;

/// A message that is dead, and what is known of it.
pub(crate) struct Letter {
    pub offset: u64,
    /// The target whose message it is; none if it is the message's own fault, for all targets.
    pub target: Option<usize>,
    pub fault: Fault,
    pub died_at: Option<Timestamp>,
    pub stored: Option<StoredMessage>,
    pub tries: Tries,
}

/// What the store has of a dead message: the original, and the tries that are noted.
pub(crate) type Exhumed = Result<(StoredMessage, Vec<Try>), ReadError>;

/// What is known of the tries.
pub(crate) enum Tries {
    /// All of them.
    Known {
        /// How many there were.
        total: u32,
        /// The first and the last.
        kept: Vec<Try>,
    },
    /// Earlier ones are in the store.
    Stored {
        /// How many there were, with the last.
        total: u32,
        /// Whether the last one is not in the store.
        last: bool,
        /// The flush with which all others are; none until this turn's.
        after: Option<u64>,
    },
}

/// Dead letters that are not stored yet.
#[derive(Default)]
pub(crate) struct Grave {
    /// Original and tries are to be read.
    pub unread: Vec<Letter>,
    /// Ready to be stored.
    pub ready: Vec<Letter>,
    /// Being read or stored.
    pub under_way: usize,
    /// Letters in all, and the bytes of those whose original is in memory.
    letters: usize,
    bytes: usize,
    /// When what found no room is tried again.
    pub retry_at: Option<Instant>,
}

impl Letter {
    /// A message that is at fault itself.
    pub fn of_message(stored: StoredMessage, fault: Fault) -> Self {
        let tries = Tries::Known { total: 0, kept: Vec::new() };
        Self { offset: stored.offset, target: None, fault, died_at: None, stored: Some(stored), tries }
    }

    /// A message that could not be made ready for a target.
    pub fn of_target(target: usize, stored: StoredMessage, fault: Fault) -> Self {
        Self { target: Some(target), ..Self::of_message(stored, fault) }
    }

    /// A message that a target refused, or that was charged too often; `last` if the last try is not noted yet.
    pub fn of_tries(
        target: usize,
        offset: u64,
        stored: Option<StoredMessage>,
        fault: Fault,
        total: u32,
        last: bool,
    ) -> Self {
        let tries = Tries::Stored { total, last, after: None };
        Self { offset, target: Some(target), fault, died_at: None, stored, tries }
    }
}

impl Grave {
    /// Whether every dead letter is stored.
    pub fn is_empty(&self) -> bool {
        self.unread.is_empty() && self.ready.is_empty() && self.under_way == 0
    }

    /// Whether so many wait to be stored that none are to be added, as far as that can be helped.
    pub const fn is_full(&self) -> bool {
        self.letters >= limits::LETTERS_MAX || self.bytes >= limits::LETTERS_BYTES_MAX
    }

    /// A letter is to be stored.
    pub fn expect(&mut self, letter: &Letter, budget: &limits::Budget) {
        self.letters += 1;
        if let Some(stored) = &letter.stored {
            self.load(stored, budget);
        }
    }

    /// An original is in memory.
    pub fn load(&mut self, stored: &StoredMessage, budget: &limits::Budget) {
        self.bytes += stored.len();
        budget.take(stored.len());
    }

    /// A letter is stored, or is none.
    pub fn remove(&mut self, letter: &Letter, budget: &limits::Budget) {
        let bytes = letter.stored.as_ref().map_or(0, StoredMessage::len);
        self.letters = self.letters.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
        budget.give(bytes);
    }

    /// Whether dead letters find no room.
    pub const fn is_stuck(&self) -> bool {
        self.retry_at.is_some()
    }

    /// When to try again.
    pub const fn retry_at(&self) -> Option<Instant> {
        self.retry_at
    }
}
