//! Reading the channel: what is in memory at once, what is on disk on a thread that may block.

use super::{RouteEvent, RouteTask};
use crate::tasks::blocking;
use crossdock_store::{Fetched, ReadError, Rest, StoredMessage};

/// Messages up to this size are copied out of the frame they came in, which may be a thousand times larger and would
/// be held by a message that waits. It costs less than a tenth of a microsecond for a usual message.
const COPIED_BYTES_MAX: usize = 64 << 10;

impl RouteTask {
    /// Has each target read what it has room for, once.
    pub(super) fn read(&mut self) {
        if self.held || self.stopping.is_some() || !self.is_free() {
            return;
        }
        for target in 0..self.targets.len() {
            // Targets in step share the work: the second one waits until the first one's messages are evaluated.
            if self.targets.len() > 1 && !self.chunks.is_empty() {
                return;
            }
            self.read_target(target);
        }
    }

    fn read_target(&mut self, at: usize) {
        self.unpark(at);
        let Some(target) = self.targets.get_mut(at) else { return };
        let (messages_max, bytes_max) = target.room(&self.shared.budget);
        if !target.parked.is_empty() || messages_max == 0 || bytes_max == 0 || !target.reading.may_fetch() {
            return;
        }
        let Fetched { messages, rest } = self.shared.store.fetch(target.subscription, messages_max, bytes_max);
        let nothing = messages.is_empty();
        if nothing && rest == Rest::Cold {
            return self.read_cold(at, messages_max, bytes_max);
        }
        target.reading.fetched(rest);
        self.again |= !nothing;
        self.take_in(at, messages);
    }

    fn read_cold(&mut self, at: usize, messages_max: usize, bytes_max: usize) {
        let Some(target) = self.targets.get_mut(at) else { return };
        target.reading.begin_cold();
        self.under_way += 1;
        let (store, subscription, events) =
            (self.shared.store.clone(), target.subscription, self.events_to_self.clone());
        self.shared.tasks.spawn("cold read", async move {
            let fetched = blocking(move || store.fetch_cold(subscription, messages_max, bytes_max)).await;
            drop(events.send(RouteEvent::Cold { target: at, fetched }));
        });
    }

    /// A fetch from disk is through.
    pub(super) fn read_ended(&mut self, at: usize, fetched: Option<Result<Fetched, ReadError>>) {
        self.under_way -= 1;
        let Some(target) = self.targets.get_mut(at) else { return };
        let Fetched { messages, rest } = match fetched {
            Some(Ok(fetched)) => fetched,
            failed => {
                // The cursor stays where it was. The disk may answer again: the store's own writes decide whether the
                // gateway goes on.
                let error = match failed {
                    Some(Err(error)) => error.to_string(),
                    Some(Ok(_)) | None => String::from("the reading thread was lost"),
                };
                tracing::error!(route = %self.evaluator.route().id, error, "cannot read the log");
                target.reading.failed();
                self.retry_reading(at);
                return;
            }
        };
        target.reading.fetched(rest);
        self.again = true;
        self.take_in(at, messages);
    }

    fn retry_reading(&self, at: usize) {
        let Some(target) = self.targets.get(at) else { return };
        let (ring, bell) = (target.reading.ring(), std::sync::Arc::clone(&self.bell));
        self.shared.tasks.spawn("read again", async move {
            tokio::time::sleep(crate::limits::FULL_PAUSE).await;
            ring.ring();
            bell.notify_one();
        });
    }

    /// Parks messages that are not due yet, for a route with a constant delay; evaluates the others.
    fn take_in(&mut self, at: usize, messages: Vec<StoredMessage>) {
        if let (Some(target), Some(last)) = (self.targets.get_mut(at), messages.last()) {
            target.fetched_below = target.fetched_below.max(last.offset + 1);
        }
        let messages = messages.into_iter().map(copied).collect();
        if self.evaluator.route().steps.delay().is_none() {
            self.evaluate(at, messages);
            return;
        }
        if let Some(target) = self.targets.get_mut(at) {
            target.parked.extend(messages);
        }
        self.unpark(at);
    }

    /// Evaluates the parked messages that are due. The head decides: the order of receipt is that of the channel but for
    /// what was redriven, which waits behind the head for at most the delay.
    fn unpark(&mut self, at: usize) {
        let now = self.shared.time.now();
        let Some(target) = self.targets.get_mut(at) else { return };
        let due = |message: &StoredMessage| due(&self.evaluator, message).is_none_or(|due| due <= now);
        let count = target.parked.iter().take_while(|message| due(message)).count();
        if count > 0 {
            let messages = target.parked.drain(..count).collect();
            self.evaluate(at, messages);
        }
    }

    /// When the first parked message of a target is due.
    pub(super) fn parked_until(&self, at: usize) -> Option<crossdock_model::Timestamp> {
        due(&self.evaluator, self.targets.get(at)?.parked.front()?)
    }
}

/// When a message goes on; none if it need not wait, or cannot be read, which is found out when it is evaluated.
fn due(evaluator: &crate::Evaluator, message: &StoredMessage) -> Option<crossdock_model::Timestamp> {
    let delay = evaluator.route().steps.delay()?;
    message.envelope().ok().map(|envelope| envelope.received_at.after(delay))
}

fn copied(message: StoredMessage) -> StoredMessage {
    if message.len() <= COPIED_BYTES_MAX { message.detached() } else { message }
}
