//! Dead letters: a message leaves the route's channel in the frame in which its dead letter is there.
//!
//! ```text
//!  bury ─► original and tries known? ─yes─► put + settle, one frame ─► done
//!               │ no                             │ no room
//!               ▼                                ▼
//!          read on a thread ──────────────► the route holds, and tries again
//! ```
//!
//! A message that waits here is not settled: a crash gives it back to the route. While its dead letter finds no room the
//! route sends nothing, so that the dead letters it would make next are not lost track of either.

use super::{
    RouteEvent, RouteTask,
    fetch::copied,
    grave::{Exhumed, Letter, Tries},
};
use crate::{
    claims::Claimed,
    limits::{self, Fill},
    tasks::blocking,
};
use crossdock_model::{Fault, Text, Timestamp};
use crossdock_store::{
    Channels, CommitError, Committed, DeadNote, EncodedMessage, Notes, Offsets, Outcome, PutResult, ReadError, Settle,
    StoredMessage, SubscriptionNumber, Try, Txn,
};
use std::sync::Arc;
use tokio::time::Instant;

/// Letters whose originals and tries are read at once.
const LETTERS_READ: usize = 256;
/// What a note takes beside the original, most of the time.
const NOTE_BYTES: usize = 4 << 10;

impl RouteTask {
    /// A message is dead.
    pub(super) fn bury(&mut self, mut letter: Letter) {
        let died_at = self.shared.time.now();
        letter.died_at = Some(died_at);
        self.grave.expect(&letter, &self.shared.budget);
        if let Tries::Stored { total: total @ ..=1, last: true, .. } = letter.tries
            && letter.stored.is_some()
        {
            letter.tries = Tries::Known { total, kept: vec![last_try(&letter.fault, total, died_at)] };
        }
        match (&letter.tries, &letter.stored) {
            (Tries::Known { .. }, Some(_)) => self.grave.ready.push(letter),
            (Tries::Known { .. } | Tries::Stored { .. }, _) => self.grave.unread.push(letter),
        }
    }

    /// Reads and stores what can be, at the end of a turn.
    pub(super) fn dig(&mut self) {
        // What was noted in this turn, or before, is in the store when the last flush is answered.
        let flush = self.flushes.0;
        for letter in &mut self.grave.unread {
            if let Tries::Stored { after: after @ None, .. } = &mut letter.tries {
                *after = Some(flush);
            }
        }
        let now = Instant::now();
        if self.grave.retry_at.is_some_and(|at| at > now) {
            return;
        }
        self.exhume();
        if self.grave.ready.is_empty() {
            self.grave.retry_at = None;
            return;
        }
        let letters = std::mem::take(&mut self.grave.ready);
        let stuck = self.grave.retry_at.take().is_some();
        let mut letters = letters.into_iter().peekable();
        while letters.peek().is_some() {
            let mut fill = Fill::new(self.shared.plan.gateway().store.segment_bytes);
            let mut taken = 0;
            let mut takes = |letter: &Letter| {
                taken += 1;
                let bytes = letter.stored.as_ref().map_or(0, StoredMessage::len);
                // One by one while there may be room for some of them only.
                (taken == 1 || !stuck)
                    && fill.takes(bytes + NOTE_BYTES, 2 + self.targets.len() + self.dead_letters.closed.len())
            };
            let some = std::iter::from_fn(|| letters.next_if(&mut takes)).collect();
            self.inter(some);
        }
    }

    fn exhume(&mut self) {
        let answered = self.flushes.1;
        let ready = |letter: &mut Letter| match letter.tries {
            Tries::Known { .. } => true,
            Tries::Stored { after, .. } => after.is_some_and(|after| after <= answered),
        };
        // The others are read when what is under way is through.
        let count = if self.grave.is_full() && self.grave.under_way > 0 { 0 } else { LETTERS_READ };
        let letters: Vec<_> = self.grave.unread.extract_if(.., ready).take(count).collect();
        if letters.is_empty() {
            return;
        }
        self.grave.under_way += 1;
        let (channels, events) = (Arc::clone(&self.shared.channels), self.events_to_self.clone());
        let signals = Arc::clone(&self.shared.signals);
        let targets: Vec<_> = self.targets.iter().map(|target| (target.claimed.clone(), target.name.clone())).collect();
        self.shared.tasks.spawn("dead letters", async move {
            let read = move || {
                let read = |letter: Letter| {
                    let read = read(&*channels, &letter, &targets);
                    (letter, read)
                };
                letters.into_iter().map(read).collect()
            };
            match blocking(read).await {
                Some(read) => drop(events.send(RouteEvent::Exhumed(read))),
                // The messages are not settled: the next process meets them again.
                None => signals.fail("a thread that read dead messages was lost: report this"),
            }
        });
    }

    /// Originals and tries were read.
    pub(super) fn exhumed(&mut self, letters: Vec<(Letter, Exhumed)>) {
        self.grave.under_way -= 1;
        for (mut letter, read) in letters {
            match read {
                Ok((stored, mut kept)) => {
                    let stored = copied(stored);
                    let died_at = letter.died_at.unwrap_or_else(|| self.shared.time.now());
                    let total = match letter.tries {
                        Tries::Known { total, .. } => total,
                        Tries::Stored { total, last: true, .. } => {
                            kept.push(last_try(&letter.fault, total, died_at));
                            total
                        }
                        Tries::Stored { total, last: false, .. } => total,
                    };
                    letter.tries = Tries::Known { total, kept };
                    if letter.stored.is_none() {
                        self.grave.load(&stored, &self.shared.budget);
                    }
                    letter.stored = Some(stored);
                    self.grave.ready.push(letter);
                }
                // Settled by somebody else, or dead already because its bytes are damaged.
                Err(ReadError::Gone | ReadError::Damaged) => {
                    self.grave.remove(&letter, &self.shared.budget);
                    self.release_lane(&letter);
                }
                Err(error @ (ReadError::Io(_) | ReadError::Fenced | ReadError::Cursor)) => {
                    self.stuck(error.to_string());
                    self.grave.unread.push(letter);
                }
            }
        }
    }

    fn inter(&mut self, letters: Vec<Letter>) {
        let mut txn = Txn::default();
        let dead_letters = &self.dead_letters;
        for (bundle, letter) in letters.iter().enumerate() {
            let subscriptions = self.subscriptions_of(letter);
            match self.encode(letter) {
                Some(message) => {
                    let mut put = dead_letters.put(message, u32::try_from(bundle).unwrap_or(u32::MAX));
                    put.use_reserve = true;
                    if let Some(first) = subscriptions.first() {
                        put = put.in_place_of(*first, letter.offset);
                    }
                    txn.puts.push(put);
                }
                None => tracing::error!(offset = letter.offset, "a dead message cannot be decoded: no dead letter"),
            }
            for subscription in subscriptions {
                let settle = Settle { subscription, outcome: Outcome::Dead, offsets: Offsets::one(letter.offset) };
                txn.settles.push(settle);
            }
        }
        self.grave.under_way += 1;
        let events = self.events_to_self.clone();
        let completion = move |result| drop(events.send(RouteEvent::Buried { letters, result }));
        self.shared.channels.commit(&self.fences, txn, Box::new(completion));
    }

    fn subscriptions_of(&self, letter: &Letter) -> Vec<SubscriptionNumber> {
        let of = |at: usize| letter.target.is_none_or(|target| target == at);
        let targets = self.targets.iter().enumerate();
        let targets = targets.filter(|(at, _)| of(*at)).map(|(_, target)| target.claimed.subscription);
        // What is the message's own fault is done at the gate as well.
        let gate = self.gate.as_ref().filter(|_| letter.target.is_none()).map(|gate| gate.claimed.subscription);
        targets.chain(gate).collect()
    }

    /// The original with its note. A note that would make the message larger than one may be is shortened.
    fn encode(&self, letter: &Letter) -> Option<EncodedMessage> {
        let stored = letter.stored.as_ref()?;
        let (envelope, notes) = (stored.envelope().ok()?, stored.notes().unwrap_or_default());
        let target = letter.target.and_then(|at| self.targets.get(at)).map(|target| target.name.clone());
        let (total, kept) = match &letter.tries {
            Tries::Known { total, kept } => (*total, kept.as_slice()),
            Tries::Stored { total, .. } => (*total, [].as_slice()),
        };
        let named = |tried: &Try| Try { target: tried.target.clone().or_else(|| target.clone()), ..tried.clone() };
        let note = DeadNote {
            cause: letter.fault.clone(),
            route: self.evaluator.route().id.clone(),
            target: target.clone(),
            dead_since: letter.died_at.unwrap_or_else(|| self.shared.time.now()),
            source: Some(self.channel.name.clone()),
            tries_total: total,
            tries: kept.iter().map(named).collect(),
        };
        let notes = Notes { dead: Some(note), ..notes };
        let message = EncodedMessage::with_notes(&envelope, &notes);
        if message.len() as u64 <= self.shared.plan.gateway().store.message_bytes_max() {
            return Some(message);
        }
        let notes = notes.without_earlier();
        let dead = notes.dead.map(|note| DeadNote { cause: brief(&note.cause), tries: Vec::new(), ..note });
        Some(EncodedMessage::with_notes(&envelope, &Notes { dead, ..notes }))
    }

    /// The store answered.
    pub(super) fn buried(&mut self, letters: Vec<Letter>, result: Result<Committed, CommitError>) {
        self.grave.under_way -= 1;
        match result {
            Ok(committed) => {
                let stored = committed.puts.iter().filter(|put| matches!(put, PutResult::Stored { .. })).count();
                self.dead_letters.count_appended(stored as u64);
                if !self.grave.is_stuck() && self.trouble.take().is_some() {
                    tracing::info!(route = %self.evaluator.route().id, "the route goes on");
                }
                for letter in &letters {
                    self.grave.remove(letter, &self.shared.budget);
                    self.ended.settled(letter.offset);
                    self.release_lane(letter);
                    let route = &self.evaluator.route().id;
                    tracing::warn!(%route, offset = letter.offset, fault = %letter.fault, "a message is dead");
                }
            }
            Err(error @ (CommitError::Failed(_) | CommitError::Closed | CommitError::Fenced)) => {
                self.shared.store_failed(&error)
            }
            Err(error @ (CommitError::NoSpace | CommitError::Full { .. } | CommitError::Invalid(_))) => {
                self.stuck(match error {
                    CommitError::Full { .. } => format!("the dead-letter queue `{}` is full", self.dead_letters.name),
                    CommitError::NoSpace
                    | CommitError::Invalid(_)
                    | CommitError::Failed(_)
                    | CommitError::Closed
                    | CommitError::Fenced => format!("a dead letter cannot be stored: {error}"),
                });
                self.grave.ready.extend(letters);
            }
        }
    }

    /// What is dead no longer holds up what comes behind it.
    fn release_lane(&mut self, letter: &Letter) {
        if let Some(target) = letter.target.and_then(|at| self.targets.get_mut(at)) {
            target.scheduler.buried(letter.offset);
        }
    }

    fn stuck(&mut self, reason: String) {
        if self.trouble.as_deref() != Some(reason.as_str()) {
            tracing::warn!(route = %self.evaluator.route().id, reason, "the route holds");
        }
        self.trouble = Some(Text::from(reason));
        self.grave.retry_at = Some(Instant::now() + limits::FULL_PAUSE);
    }
}

fn read(channels: &dyn Channels, letter: &Letter, targets: &[(Claimed, Text)]) -> Exhumed {
    let dead_for = |(at, _): &(usize, &(Claimed, Text))| letter.target.is_none_or(|target| target == *at);
    let mut dead_for = targets.iter().enumerate().filter(dead_for).map(|(_, target)| target).peekable();
    let stored = match (&letter.stored, dead_for.peek()) {
        (Some(stored), _) => stored.clone(),
        (None, Some((claimed, _))) => claimed.read(channels, letter.offset)?,
        (None, None) => return Err(ReadError::Gone),
    };
    let mut kept = Vec::new();
    for (claimed, name) in dead_for {
        let tries = channels.history(claimed.subscription, letter.offset)?.kept.into_iter();
        kept.extend(tries.map(|tried| Try { target: Some(name.clone()), ..tried }));
    }
    Ok((stored, kept))
}

/// The last try, which is noted in the dead letter alone.
fn last_try(fault: &Fault, number: u32, at: Timestamp) -> Try {
    Try { number, at, target: None, fault: Some(fault.clone()) }
}

fn brief(fault: &Fault) -> Fault {
    let text: String = fault.text.chars().take(200).collect();
    let mut brief = fault.clone();
    brief.text = Text::from(text);
    brief
}
