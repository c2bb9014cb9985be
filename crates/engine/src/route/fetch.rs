//! Reading the channel: what is in memory at once, what is on disk on a thread that may block.

use super::{
    Reader, RouteEvent, RouteTask,
    reading::{Reading, Ring},
};
use crate::tasks::blocking;
use crossdock_model::Timestamp;
use crossdock_store::{Fetched, ReadError, Rest, StoredMessage, SubscriptionNumber};

/// Messages up to this size are copied out of the frame they came in, which may be a thousand times larger and would
/// be held by a message that waits. It costs less than a tenth of a microsecond for a usual message.
const COPIED_BYTES_MAX: usize = 64 << 10;

impl RouteTask {
    /// Has each target read what it has room for, once, and then the gate.
    pub(super) fn read(&mut self) {
        self.read_targets();
        if let Some((messages_max, bytes_max)) = self.gate_room() {
            self.fetch(Reader::Gate, messages_max, bytes_max);
        }
    }

    fn read_targets(&mut self) {
        if self.held || self.stopping.is_some() || !self.is_free() {
            return;
        }
        for target in 0..self.targets.len() {
            // Targets in step share the work: the second one waits until the first one's messages are evaluated.
            if self.targets.len() > 1 && self.chunks.iter().any(|chunk| chunk.reader != Reader::Gate) {
                return;
            }
            self.read_target(target);
        }
    }

    fn read_target(&mut self, at: usize) {
        self.unpark(at);
        let Some(target) = self.targets.get_mut(at) else { return };
        let (messages_max, bytes_max) = target.room(&self.shared.budget);
        if target.parked.is_empty() && messages_max > 0 && bytes_max > 0 {
            self.fetch(Reader::Target(at), messages_max, bytes_max);
        }
    }

    fn reading_of(&mut self, reader: Reader) -> Option<(&mut Reading, SubscriptionNumber)> {
        match reader {
            Reader::Gate => self.gate.as_mut().map(|gate| (&mut gate.reading, gate.subscription)),
            Reader::Target(at) => self.targets.get_mut(at).map(|target| (&mut target.reading, target.subscription)),
        }
    }

    fn fetch(&mut self, reader: Reader, messages_max: usize, bytes_max: usize) {
        let store = self.shared.store.clone();
        let Some((reading, subscription)) = self.reading_of(reader) else { return };
        if !reading.may_fetch() {
            return;
        }
        let Fetched { messages, rest } = store.fetch(subscription, messages_max, bytes_max);
        let nothing = messages.is_empty();
        if nothing && rest == Rest::Cold {
            return self.fetch_cold(reader, messages_max, bytes_max);
        }
        reading.fetched(rest);
        self.again |= !nothing;
        self.take_in(reader, messages);
    }

    fn fetch_cold(&mut self, reader: Reader, messages_max: usize, bytes_max: usize) {
        let Some((reading, subscription)) = self.reading_of(reader) else { return };
        reading.begin_cold();
        self.under_way += 1;
        let (store, events) = (self.shared.store.clone(), self.events_to_self.clone());
        self.shared.tasks.spawn("cold read", async move {
            let fetched = blocking(move || store.fetch_cold(subscription, messages_max, bytes_max)).await;
            drop(events.send(RouteEvent::Cold { reader, fetched }));
        });
    }

    /// A fetch from disk is through.
    pub(super) fn read_ended(&mut self, reader: Reader, fetched: Option<Result<Fetched, ReadError>>) {
        self.under_way -= 1;
        let route = self.evaluator.route().id.clone();
        let Some((reading, _)) = self.reading_of(reader) else { return };
        let Fetched { messages, rest } = match fetched {
            Some(Ok(fetched)) => fetched,
            failed => {
                // The cursor stays where it was. The disk may answer again: the store's own writes decide whether the
                // gateway goes on.
                let error = match failed {
                    Some(Err(error)) => error.to_string(),
                    Some(Ok(_)) | None => String::from("the reading thread was lost"),
                };
                tracing::error!(%route, error, "cannot read the log");
                reading.failed();
                let ring = reading.ring();
                return self.retry_reading(ring);
            }
        };
        reading.fetched(rest);
        self.again = true;
        self.take_in(reader, messages);
    }

    fn retry_reading(&self, ring: Ring) {
        let bell = std::sync::Arc::clone(&self.bell);
        self.shared.tasks.spawn("read again", async move {
            tokio::time::sleep(crate::limits::FULL_PAUSE).await;
            ring.ring();
            bell.notify_one();
        });
    }

    /// Parks messages that are not due yet, for a route with a constant delay; evaluates the others, and all that are at
    /// the gate.
    fn take_in(&mut self, reader: Reader, messages: Vec<StoredMessage>) {
        let end = messages.last().map_or(0, |last| last.offset + 1);
        let messages = messages.into_iter().map(copied).collect();
        match reader {
            Reader::Gate => {
                if let Some(gate) = &mut self.gate {
                    gate.fetched_below = gate.fetched_below.max(end);
                }
                self.evaluate(reader, messages);
            }
            Reader::Target(at) => {
                let Some(target) = self.targets.get_mut(at) else { return };
                target.fetched_below = target.fetched_below.max(end);
                if self.evaluator.route().steps.delay().is_none() {
                    return self.evaluate(reader, messages);
                }
                target.parked.extend(messages);
                self.unpark(at);
            }
        }
    }

    /// Evaluates the parked messages that are due. The head decides: the order of receipt is that of the channel but for
    /// what was redriven, which waits behind the head for at most the delay.
    fn unpark(&mut self, at: usize) {
        let now = self.shared.time.now();
        let Some(target) = self.targets.get_mut(at) else { return };
        let due = |message: &StoredMessage| due(&self.evaluator, message, now).is_none_or(|due| due <= now);
        let count = target.parked.iter().take_while(|message| due(message)).count();
        if count > 0 {
            let messages = target.parked.drain(..count).collect();
            self.evaluate(Reader::Target(at), messages);
        }
    }

    /// When the first parked message of a target is due.
    pub(super) fn parked_until(&self, at: usize) -> Option<Timestamp> {
        due(&self.evaluator, self.targets.get(at)?.parked.front()?, self.shared.time.now())
    }
}

/// When a message goes on; none if it need not wait, or cannot be read, which is found out when it is evaluated. One that
/// was received long after now, because the calendar went back, waits no longer: nobody knows how long it has.
fn due(evaluator: &crate::Evaluator, message: &StoredMessage, now: Timestamp) -> Option<Timestamp> {
    let delay = evaluator.route().steps.delay()?;
    let received_at = message.envelope().ok()?.received_at;
    (received_at <= now.after(delay)).then(|| received_at.after(delay))
}

fn copied(message: StoredMessage) -> StoredMessage {
    if message.len() <= COPIED_BYTES_MAX { message.detached() } else { message }
}
