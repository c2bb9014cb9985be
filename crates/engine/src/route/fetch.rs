//! Reading the channel: what is in memory at once, what is on disk on a thread that may block.

use super::{
    Reader, RouteEvent, RouteTask,
    reading::{Reading, Ring},
};
use crate::{claims::READ_WAIT, tasks::blocking};
use crossdock_model::Timestamp;
use crossdock_store::{Fence, FetchMax, Fetched, ReadError, Rest, StoredMessage};
use std::{sync::Arc, time::Duration};

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
        if self.held || self.stopping.is_some() || !self.is_free() || self.grave.is_full() {
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

    fn reading_of(&mut self, reader: Reader) -> Option<(&mut Reading, &Fence)> {
        match reader {
            Reader::Gate => self.gate.as_mut().map(|gate| (&mut gate.reading, &gate.claimed.fence)),
            Reader::Target(at) => self.targets.get_mut(at).map(|target| (&mut target.reading, &target.claimed.fence)),
        }
    }

    fn fetch(&mut self, reader: Reader, messages: usize, bytes: usize) {
        let (channels, max) = (Arc::clone(&self.shared.channels), FetchMax { messages, bytes });
        let Some((reading, fence)) = self.reading_of(reader) else { return };
        if !reading.may_fetch() {
            return;
        }
        match channels.fetch(fence, max, Duration::ZERO) {
            Ok(fetched) if fetched.messages.is_empty() && fetched.rest == Rest::Cold => self.fetch_cold(reader, max),
            Ok(fetched) => {
                self.again |= !fetched.messages.is_empty();
                self.fetched(reader, fetched);
            }
            Err(error) => self.cannot_fetch(reader, &error.to_string()),
        }
    }

    fn fetch_cold(&mut self, reader: Reader, max: FetchMax) {
        let Some((reading, fence)) = self.reading_of(reader) else { return };
        reading.begin_cold();
        let fence = fence.clone();
        self.under_way += 1;
        let (channels, events) = (Arc::clone(&self.shared.channels), self.events_to_self.clone());
        self.shared.tasks.spawn("cold read", async move {
            let fetched = blocking(move || channels.fetch(&fence, max, READ_WAIT)).await;
            drop(events.send(RouteEvent::Cold { reader, fetched }));
        });
    }

    /// A fetch by a thread is through.
    pub(super) fn read_ended(&mut self, reader: Reader, fetched: Option<Result<Fetched, ReadError>>) {
        self.under_way -= 1;
        match fetched {
            Some(Ok(fetched)) => {
                self.again = true;
                self.fetched(reader, fetched);
            }
            Some(Err(error)) => self.cannot_fetch(reader, &error.to_string()),
            None => self.cannot_fetch(reader, "the reading thread was lost"),
        }
    }

    fn fetched(&mut self, reader: Reader, Fetched { messages, rest, lease }: Fetched) {
        let now = self.shared.time.moment();
        let Some((reading, _)) = self.reading_of(reader) else { return };
        reading.fetched(rest);
        reading.leases.keep(lease, now);
        self.take_in(reader, messages);
    }

    /// The place stayed where it was. The disk may answer again: what is written decides whether the gateway goes on.
    fn cannot_fetch(&mut self, reader: Reader, error: &str) {
        tracing::error!(route = %self.evaluator.route().id, error, "cannot read the log");
        let Some((reading, _)) = self.reading_of(reader) else { return };
        reading.failed();
        let ring = reading.ring();
        self.retry_reading(ring);
    }

    fn retry_reading(&self, ring: Ring) {
        let bell = Arc::clone(&self.bell);
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

/// A message that is kept without the frame it came in, if it is small.
pub(super) fn copied(message: StoredMessage) -> StoredMessage {
    if message.len() <= COPIED_BYTES_MAX { message.detached() } else { message }
}
