//! Starting what the schedulers say: to sinks, to channels ([`super::moves`]), or to be read again first.

use super::{
    RouteEvent, RouteTask,
    fetch::copied,
    intake::evaluate,
    live::{Loaded, Stage},
    target::Way,
};
use crate::{crash::Permit, tasks::blocking};
use crossdock_connector::{Outgoing, Ticket};
use crossdock_delivery::Start;
use crossdock_model::{Answer, Fault, FaultClass, Text, Timestamp};
use crossdock_store::{Outcome, ReadError, StoredMessage};
use std::{sync::Arc, time::Duration};

impl RouteTask {
    /// Starts what may start, and submits it.
    pub(super) fn start(&mut self) {
        let mut starts = Vec::new();
        for at in 0..self.targets.len() {
            let (moment, now) = (self.shared.time.moment(), self.shared.time.now());
            let Some(target) = self.targets.get_mut(at) else { return };
            if self.permit == Permit::Suspect && !target.wants_alone(moment) {
                continue;
            }
            if !target.is_waiting_for_room() {
                target.poll(moment, &mut starts);
            }
            if target.is_noted(&starts) {
                self.note(at, std::iter::empty());
            }
            for start in starts.drain(..) {
                self.start_one(at, &start, now);
            }
            self.recall(at);
            self.move_on(at);
            if self.permit == Permit::Suspect && self.targets.get(at).is_none_or(|target| target.busy() > 0) {
                return;
            }
        }
    }

    fn start_one(&mut self, at: usize, start: &Start, now: Timestamp) {
        let Some(target) = self.targets.get_mut(at) else { return };
        let Start { offset, attempt, .. } = *start;
        let Some(live) = target.live.get_mut(&offset) else {
            // It was settled and the scheduler did not know: a bug that must not keep a place for ever.
            tracing::error!(offset, "a message was started that the route does not have");
            target.unsent(offset);
            target.scheduler.forget(offset);
            return;
        };
        if live.deadline.is_some_and(|deadline| deadline <= now) {
            target.unsent(offset);
            return self.settle(at, offset, Outcome::Expired);
        }
        let Some(loaded) = &live.loaded else {
            live.stage = Stage::Recalling { attempt };
            target.recalls.push(offset);
            return;
        };
        match &mut target.way {
            Way::Sink(sink) => {
                live.stage = Stage::Sending { session: sink.session(), attempt };
                let outgoing = outgoing(loaded, offset, attempt, start.new_connection, target.per_redrive);
                sink.push(outgoing);
            }
            Way::Channel(way) => {
                live.stage = Stage::Sending { session: 0, attempt };
                way.push(offset);
            }
        }
    }

    /// Reads messages again whose payload was let go: from memory at once, else on a thread.
    fn recall(&mut self, at: usize) {
        let Some(target) = self.targets.get_mut(at) else { return };
        let offsets = std::mem::take(&mut target.recalls);
        if offsets.is_empty() {
            return;
        }
        let (mut cold, claimed) = (Vec::new(), target.claimed.clone());
        for offset in offsets {
            match self.shared.channels.read(&claimed.fence, offset, Duration::ZERO) {
                Ok(Some(stored)) => self.recalled_one(at, offset, Ok(stored)),
                Ok(None) => cold.push(offset),
                Err(error) => self.recalled_one(at, offset, Err(error)),
            }
        }
        if cold.is_empty() {
            return;
        }
        self.under_way += 1;
        let (channels, events) = (Arc::clone(&self.shared.channels), self.events_to_self.clone());
        self.shared.tasks.spawn("recall", async move {
            let lost = cold.clone();
            let read = move || cold.into_iter().map(|offset| (offset, claimed.read(&*channels, offset))).collect();
            let messages: Vec<_> = blocking(read).await.unwrap_or_else(|| lost.into_iter().map(unread).collect());
            drop(events.send(RouteEvent::Recalled { target: at, messages }));
        });
    }

    /// Messages were read again.
    pub(super) fn recalled(&mut self, at: usize, messages: Vec<(u64, Result<StoredMessage, ReadError>)>) {
        self.under_way -= 1;
        for (offset, read) in messages {
            self.recalled_one(at, offset, read);
        }
        self.again = true;
    }

    fn recalled_one(&mut self, at: usize, offset: u64, read: Result<StoredMessage, ReadError>) {
        let Some(target) = self.targets.get_mut(at) else { return };
        let attempt = match target.live.get(&offset).map(|live| live.stage) {
            Some(Stage::Recalling { attempt }) => attempt,
            // Settled meanwhile, by another target that met it: the scheduler still awaits an answer.
            None => return target.unsent(offset),
            Some(Stage::Waiting | Stage::Sending { .. }) => return,
        };
        let stored = match read {
            Ok(stored) => copied(stored),
            Err(error) => return self.unreadable(at, offset, &error),
        };
        let Some((loaded, deadline)) = self.load_again(at, stored) else { return };
        if self.is_cleared(at, offset) {
            return self.fetch_in_turn(at, offset);
        }
        let Some(target) = self.targets.get_mut(at) else { return };
        target.load(loaded.bytes(), &self.shared.budget);
        if let Some(live) = target.live.get_mut(&offset) {
            live.loaded = Some(loaded);
            live.deadline = deadline;
        }
        let alone = target.scheduler.alone() == Some(offset);
        let start = Start { offset, attempt, new_connection: attempt > 1, alone };
        if alone {
            // The rules did it no harm: what comes now is the sending.
            self.note(at, std::iter::empty());
        }
        let Some(target) = self.targets.get_mut(at) else { return };
        // It may have been told to hold, or to stop, since the reading began.
        if self.held {
            target.unsent(offset);
        } else {
            self.start_one(at, &start, self.shared.time.now());
        }
    }

    /// What the rules make of a message that was read again; none if it is not to be sent, and then it was dealt with.
    fn load_again(&mut self, at: usize, stored: StoredMessage) -> Option<(Loaded, Option<Timestamp>)> {
        let offset = stored.offset;
        let evaluated = evaluate(&self.evaluator, stored, self.shared.time.now());
        if let Some(target) = self.targets.get_mut(at)
            && !evaluated.is_routed_to(at)
        {
            target.unsent(offset);
        }
        self.readmit(at, evaluated)
    }

    fn unreadable(&mut self, at: usize, offset: u64, error: &ReadError) {
        let Some(target) = self.targets.get_mut(at) else { return };
        match error {
            // Settled, or settled as dead by the store: nothing is left to do.
            ReadError::Gone | ReadError::Damaged => {
                target.unsent(offset);
                target.scheduler.forget(offset);
                target.remove(offset, &self.shared.budget);
            }
            ReadError::Io(_) | ReadError::Fenced | ReadError::Cursor => {
                tracing::error!(route = %self.evaluator.route().id, offset, %error, "cannot read a message again");
                let fault = Fault::new(FaultClass::Busy, "store.read", error.to_string()).answered_by(Answer::Nobody);
                self.finish(at, vec![(offset, Err(fault))]);
            }
        }
    }
}

fn unread(offset: u64) -> (u64, Result<StoredMessage, ReadError>) {
    (offset, Err(ReadError::Io(std::io::Error::other("the reading thread was lost"))))
}

fn outgoing(loaded: &Loaded, offset: u64, attempt: u32, new_connection: bool, per_redrive: bool) -> Outgoing {
    let id = loaded.envelope.id;
    let redrives = if per_redrive { loaded.stored.notes().map_or(0, |notes| notes.redrives) } else { 0 };
    let idempotency_key = if redrives == 0 { id.to_string() } else { format!("{id}-{redrives}") };
    Outgoing {
        ticket: Ticket(offset),
        envelope: loaded.envelope.clone(),
        rendered: loaded.rendered.clone(),
        idempotency_key: Text::from(idempotency_key),
        // A connector takes a new connection for what is not a first try.
        attempt: if new_connection { attempt.max(2) } else { attempt },
    }
}
