//! What consumers say of the messages that they have, and what is written of it.

use super::{QueueTask, event::Answer, event::QueueEvent, table::Returned, token::Token};
use crate::{RequestError, route::Parcel};
use crossdock_store::{CommitError, Committed, Outcome, Touch};
use std::{collections::HashSet, time::Duration};
use tokio::time::Instant;

/// A request that is answered when a flush is committed.
pub(super) struct Pending {
    /// The flush; the one to come is one beyond those submitted.
    sequence: u64,
    /// The leases that it takes messages with, unless somebody else settles these before the flush does.
    taken: Vec<Token>,
    stale: Vec<Token>,
    answer: Answer,
    /// Whether somebody waits for it to be synced, so that it does not wait for company.
    urgent: bool,
}

impl QueueTask {
    /// A consumer is done with messages.
    pub(super) fn acknowledge(&mut self, tokens: Vec<Token>, answer: Answer) {
        let mut named = tokens.clone();
        let (taken, stale) = self.take(tokens);
        for returned in &taken {
            self.tried.remove(&returned.offset);
            self.outbox.settle(self.claimed.subscription, Outcome::Delivered, returned.offset);
        }
        let mut once = HashSet::new();
        named.retain(|token| once.insert(*token) && !stale.contains(token));
        self.answer_when_flushed(named, stale, answer, true);
    }

    /// A consumer gives messages back.
    pub(super) fn give_back(&mut self, tokens: Vec<Token>, delay: Duration, answer: Answer) {
        let (taken, stale) = self.take(tokens);
        taken.into_iter().for_each(|returned| self.put_back(returned, delay));
        self.answer_when_flushed(Vec::new(), stale, answer, false);
    }

    /// Takes messages from the holders of leases; the leases that are stale. So is one of a message that somebody else
    /// settled meanwhile: a full queue dropped it, or it was redriven or deleted as a dead letter.
    fn take(&mut self, tokens: Vec<Token>) -> (Vec<Returned>, Vec<Token>) {
        let now = self.shared.time.moment();
        let (mut taken, mut stale, mut named) = (Vec::with_capacity(tokens.len()), Vec::new(), HashSet::new());
        // A lease that is named twice in a request is meant once.
        for token in tokens.into_iter().filter(|token| named.insert(*token)) {
            let ours = token.incarnation == self.incarnation;
            match ours.then(|| self.table.take(token.offset, token.delivery, now)).flatten() {
                Some(returned) if self.is_there(returned.offset) => taken.push(returned),
                Some(_) | None => stale.push(token),
            }
        }
        (taken, stale)
    }

    fn is_there(&self, offset: u64) -> bool {
        self.shared.channels.is_pending(self.claimed.subscription, offset)
    }

    /// Somebody else settled a message: whoever has it has nothing.
    pub(super) fn gone(&mut self, offset: u64) {
        if !self.is_there(offset) {
            self.table.forget(offset);
            self.tried.remove(&offset);
        }
    }

    /// A full queue drops its oldest messages, whoever has them.
    pub(super) fn forget_dropped(&mut self) {
        if self.table.len() == 0 {
            return;
        }
        if let Some(info) = self.shared.channels.subscription(self.claimed.subscription) {
            self.table.forget_below(info.floor);
            self.tried = self.tried.split_off(&info.floor);
        }
    }

    /// A message came back from a consumer: it is given out again after `delay`, or it has expired meanwhile.
    pub(super) fn put_back(&mut self, returned: Returned, delay: Duration) {
        let Returned { offset, deadline } = returned;
        let time = self.shared.time.now();
        if deadline.is_some_and(|deadline| deadline <= time) {
            self.table.forget(offset);
            return self.outbox.settle(self.claimed.subscription, Outcome::Expired, offset);
        }
        if delay.is_zero() {
            return self.table.put_back(offset, None);
        }
        self.table.put_back(offset, Some(self.shared.time.moment_in(delay)));
        let (tries, charges) = self.tried.get(&offset).copied().unwrap_or_default();
        let (subscription, due) = (self.claimed.subscription, Some(time.after(delay)));
        self.outbox.touch(Touch { subscription, offset, tries, charges, due, at: time, fault: None });
    }

    /// What nobody wants any more goes, unless a consumer has it.
    pub(super) fn expired(&mut self, offsets: Vec<u64>) {
        for offset in offsets {
            if self.table.expire(offset) {
                self.outbox.settle(self.claimed.subscription, Outcome::Expired, offset);
            }
        }
    }

    /// What ran out goes back.
    pub(super) fn run_out(&mut self) {
        let now = self.shared.time.moment();
        for returned in self.table.run_out(now) {
            self.put_back(returned, Duration::ZERO);
        }
    }

    fn answer_when_flushed(&mut self, taken: Vec<Token>, stale: Vec<Token>, answer: Answer, urgent: bool) {
        if self.outbox.is_empty() {
            // Who asked may have gone.
            return drop(answer.send(Ok(stale)));
        }
        self.pending.push_back(Pending { sequence: self.flushes.0 + 1, taken, stale, answer, urgent });
    }

    /// Commits what the turn gathered. What nobody waits for rides a frame that is written anyway.
    pub(super) fn flush(&mut self) {
        let segment_bytes = self.shared.plan.gateway().store.segment_bytes;
        self.outbox.retry(Instant::now());
        let first = self.flushes.0 + 1;
        let urgent = self.stopping || self.pending.iter().any(|pending| pending.sequence >= first && pending.urgent);
        while let Some(parcel) = self.outbox.take(segment_bytes) {
            self.flushes.0 += 1;
            let (sequence, events, kept) = (self.flushes.0, self.events_to_self.clone(), parcel.clone());
            let completion = move |result| drop(events.send(QueueEvent::Flushed { sequence, parcel: kept, result }));
            let fences = std::slice::from_ref(&self.claimed.fence);
            parcel.submit(&*self.shared.channels, fences, !urgent, Box::new(completion));
        }
        // It may have taken several decisions: the requests of this turn are done with the last.
        let last = self.flushes.0;
        for pending in self.pending.iter_mut().filter(|pending| pending.sequence >= first) {
            pending.sequence = last;
        }
    }

    /// A flush is committed, or it is not. What the volume has no room for is kept, but its consumer is not told that it is
    /// stored: it hears that it may say so again.
    pub(super) fn flushed(&mut self, sequence: u64, parcel: Parcel, result: Result<Committed, CommitError>) {
        self.flushes.1 = self.flushes.1.max(sequence);
        let error = match result {
            Ok(committed) => {
                self.outbox.stored(&parcel);
                self.late.extend(committed.late);
                None
            }
            Err(error) => Some(error),
        };
        match &error {
            None => {}
            Some(CommitError::NoSpace) => self.outbox.refuse(parcel),
            Some(error) => self.shared.settlements_failed(error),
        }
        while let Some(pending) = self.pending.pop_front_if(|pending| pending.sequence <= sequence) {
            let result = match &error {
                None => {
                    let late = pending.taken.into_iter().filter(|token| self.late.contains(&token.offset));
                    Ok(pending.stale.into_iter().chain(late).collect())
                }
                Some(error) => Err(RequestError::Unavailable(error.to_string())),
            };
            // Who asked may have gone.
            drop(pending.answer.send(result));
        }
        if self.pending.is_empty() {
            self.late.clear();
        }
    }
}
