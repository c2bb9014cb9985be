//! Giving messages out: what was given back comes first, then what is next in the queue.

use super::{QueueEvent, QueueTask, handle::Leased, handle::stopping, table::Returned, token::Token};
use crate::{
    RequestError,
    claims::{Claimed, READ_WAIT},
    limits,
    tasks::blocking,
};
use crossdock_model::{Moment, Timestamp};
use crossdock_store::{Channels, FetchMax, Fetched, Outcome, ReadError, Rest, StoredMessage};
use std::{sync::Arc, time::Duration};
use tokio::sync::oneshot;

/// A consumer who has no answer yet.
pub(super) struct Waiter {
    messages_max: usize,
    until: Moment,
    lease: Duration,
    answer: oneshot::Sender<Result<Vec<Leased>, RequestError>>,
    /// What was gathered for it.
    got: Vec<(StoredMessage, Option<Timestamp>)>,
    bytes: usize,
}

/// How gathering ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Gathered {
    /// The consumer gets as much as it may.
    Enough,
    /// There is nothing more to be given out now.
    Dry,
    /// A thread reads.
    Busy,
}

impl Waiter {
    /// How many messages it may still get, and how many bytes.
    fn room(&self) -> (usize, usize) {
        let messages = self.messages_max.saturating_sub(self.got.len());
        let bytes = limits::ANSWER_BYTES_MAX.saturating_sub(self.bytes);
        if self.got.is_empty() || bytes > 0 { (messages, bytes) } else { (0, 0) }
    }
}

impl QueueTask {
    /// A consumer wants messages.
    pub(super) fn receive(
        &mut self,
        messages_max: usize,
        wait: Duration,
        lease: Duration,
        answer: oneshot::Sender<Result<Vec<Leased>, RequestError>>,
    ) {
        let refused = if self.stopping {
            Some(stopping())
        } else if self.waiters.len() >= limits::WAITERS_MAX {
            Some(RequestError::Unavailable(format!("{} consumers wait for messages already", limits::WAITERS_MAX)))
        } else {
            None
        };
        if let Some(refused) = refused {
            // Who asked may have gone.
            return drop(answer.send(Err(refused)));
        }
        let until = self.shared.time.moment().after(wait);
        self.waiters.push_back(Waiter { messages_max, until, lease, answer, got: Vec::new(), bytes: 0 });
    }

    /// Answers everybody who can be answered now.
    pub(super) fn serve(&mut self) {
        while let Some(waiter) = self.waiters.front() {
            if waiter.answer.is_closed() {
                self.turn_away();
                continue;
            }
            match self.gather() {
                Gathered::Busy => return,
                Gathered::Dry if self.waiters.front().is_some_and(|waiter| waiter.got.is_empty()) => break,
                Gathered::Dry | Gathered::Enough => self.answer(),
            }
        }
        let now = self.shared.time.moment();
        for waiter in std::mem::take(&mut self.waiters) {
            if waiter.answer.is_closed() {
                continue;
            }
            if self.stopping || waiter.until <= now {
                drop(waiter.answer.send(Ok(Vec::new())));
            } else {
                self.waiters.push_back(waiter);
            }
        }
    }

    /// When the first of those who wait gives up.
    pub(super) fn gives_up_at(&self) -> Option<Moment> {
        // While a thread reads, nobody is told that there is nothing: its answer wakes the task.
        let busy = self.recalling || self.reading.is_cold();
        self.waiters.iter().map(|waiter| waiter.until).min().filter(|_| !busy)
    }

    /// Gathers for the first of those who wait.
    fn gather(&mut self) -> Gathered {
        loop {
            let Some((messages_max, bytes_max)) = self.waiters.front().map(Waiter::room) else {
                return Gathered::Dry;
            };
            if messages_max == 0 {
                return Gathered::Enough;
            }
            if self.recalling || self.reading.is_cold() {
                return Gathered::Busy;
            }
            if self.stopping || self.retry_at.is_some() {
                return Gathered::Dry;
            }
            let bytes_max = self.shared.budget.grant(bytes_max, 0);
            let ready = self.table.ready(messages_max);
            if !ready.is_empty() {
                let peek = |offset: &u64| self.shared.channels.read(&self.claimed.fence, *offset, Duration::ZERO);
                match ready.first().map(peek) {
                    Some(Ok(Some(message))) => self.gathered(message),
                    // Why it cannot be read is told to the thread as well.
                    Some(Ok(None) | Err(_)) | None => {
                        self.recall(ready, bytes_max);
                        return Gathered::Busy;
                    }
                }
                continue;
            }
            let room = limits::LEASED_MAX.saturating_sub(self.table.len()).min(messages_max);
            if room == 0 || bytes_max == 0 || !self.reading.may_fetch() {
                return Gathered::Dry;
            }
            let max = FetchMax { messages: room, bytes: bytes_max };
            match self.shared.channels.fetch(&self.claimed.fence, max, Duration::ZERO) {
                Ok(fetched) if fetched.messages.is_empty() && fetched.rest == Rest::Cold => {
                    self.read_cold(max);
                    return Gathered::Busy;
                }
                Ok(fetched) => self.fetched(fetched),
                Err(error) => {
                    self.reading.failed();
                    self.cannot_read(&error.to_string());
                }
            }
        }
    }

    /// What a lease that ran out has brought a second time is where it is.
    fn fetched(&mut self, Fetched { messages, rest, lease }: Fetched) {
        self.reading.fetched(rest);
        self.reading.leases.keep(lease, self.shared.time.moment());
        for message in messages {
            if !self.table.has(message.offset) {
                self.gathered(message);
            }
        }
    }

    /// A message was read for the first of those who wait. If none does any more, or another one who wants fewer by now, it
    /// is the next to be given out.
    fn gathered(&mut self, message: StoredMessage) {
        let offset = message.offset;
        let Ok(deadline) = deadline(&message, self.expire_after) else {
            tracing::error!(queue = %self.channel.name, offset, "a stored message cannot be decoded: dead");
            self.table.forget(offset);
            return self.outbox.settle(self.claimed.subscription, Outcome::Dead, offset);
        };
        if deadline.is_some_and(|deadline| deadline <= self.shared.time.now()) {
            self.table.forget(offset);
            return self.outbox.settle(self.claimed.subscription, Outcome::Expired, offset);
        }
        match self.waiters.front_mut().filter(|waiter| waiter.room().0 > 0) {
            Some(waiter) => {
                self.table.gather(offset);
                waiter.bytes += message.len();
                self.shared.budget.take(message.len());
                waiter.got.push((message, deadline));
            }
            None => self.table.put_back(offset, None),
        }
    }

    /// Gives the first of those who wait what was gathered for it.
    fn answer(&mut self) {
        let Some(waiter) = self.waiters.pop_front() else { return };
        self.shared.budget.give(waiter.bytes);
        let until = self.shared.time.moment_in(waiter.lease);
        let deadlines: Vec<_> = waiter
            .got
            .iter()
            .map(|(message, deadline)| Returned { offset: message.offset, deadline: *deadline })
            .collect();
        let mut leased = Vec::with_capacity(waiter.got.len());
        for (message, deadline) in waiter.got {
            let delivery = self.table.lease(message.offset, until, deadline);
            let token = Token { incarnation: self.incarnation, offset: message.offset, delivery };
            leased.push(Leased { message, token });
        }
        if waiter.answer.send(Ok(leased)).is_err() {
            deadlines.into_iter().for_each(|returned| self.put_back(returned, Duration::ZERO));
        }
    }

    /// The first of those who waited has gone: what was gathered for it goes back.
    fn turn_away(&mut self) {
        let Some(waiter) = self.waiters.pop_front() else { return };
        self.shared.budget.give(waiter.bytes);
        for (message, deadline) in waiter.got {
            self.put_back(Returned { offset: message.offset, deadline }, Duration::ZERO);
        }
    }

    fn read_cold(&mut self, max: FetchMax) {
        self.reading.begin_cold();
        let (channels, fence) = (Arc::clone(&self.shared.channels), self.claimed.fence.clone());
        let events = self.events_to_self.clone();
        self.shared.tasks.spawn("cold read of a queue", async move {
            let fetched = blocking(move || channels.fetch(&fence, max, READ_WAIT)).await;
            drop(events.send(QueueEvent::Cold(fetched)));
        });
    }

    /// A fetch from disk is through.
    pub(super) fn read_ended(&mut self, fetched: Option<Result<Fetched, ReadError>>) {
        match fetched {
            Some(Ok(fetched)) => self.fetched(fetched),
            Some(Err(error)) => {
                self.reading.failed();
                self.cannot_read(&error.to_string());
            }
            None => {
                self.reading.failed();
                self.cannot_read("the reading thread was lost");
            }
        }
    }

    /// Reads messages again that were given back, on a thread that may block.
    fn recall(&mut self, offsets: Vec<u64>, bytes_max: usize) {
        self.recalling = true;
        let (channels, claimed) = (Arc::clone(&self.shared.channels), self.claimed.clone());
        let events = self.events_to_self.clone();
        self.shared.tasks.spawn("second read of a queue", async move {
            let read = blocking(move || read_again(&*channels, &claimed, &offsets, bytes_max)).await;
            drop(events.send(QueueEvent::Recalled(read)));
        });
    }

    /// Messages that were given back are read again.
    pub(super) fn recalled(&mut self, read: Option<Vec<(u64, Result<StoredMessage, ReadError>)>>) {
        self.recalling = false;
        let Some(read) = read else { return self.cannot_read("the reading thread was lost") };
        for (offset, result) in read {
            match result {
                // It may have expired while it was read; then it is settled already, and is settled again for nothing.
                Ok(message) => self.gathered(message),
                // What is damaged was settled as dead by the store; what is gone was settled by somebody else: dropped
                // from a full queue, redriven.
                Err(ReadError::Gone | ReadError::Damaged) => self.table.forget(offset),
                Err(error @ (ReadError::Io(_) | ReadError::Fenced | ReadError::Cursor)) => {
                    self.cannot_read(&error.to_string())
                }
            }
        }
    }

    /// The disk may answer again: the store's own writes decide whether the gateway goes on.
    fn cannot_read(&mut self, error: &str) {
        tracing::error!(queue = %self.channel.name, error, "cannot read the log");
        self.retry_at = Some(self.shared.time.moment().after(limits::FULL_PAUSE));
    }
}

/// Reads messages one by one, until they have so many bytes.
fn read_again(
    channels: &dyn Channels,
    claimed: &Claimed,
    offsets: &[u64],
    bytes_max: usize,
) -> Vec<(u64, Result<StoredMessage, ReadError>)> {
    let (mut read, mut bytes) = (Vec::new(), 0);
    for offset in offsets {
        let result = claimed.read(channels, *offset);
        bytes += result.as_ref().map_or(0, StoredMessage::len);
        read.push((*offset, result));
        if bytes >= bytes_max {
            break;
        }
    }
    read
}

/// When nobody wants a message any more: what it says itself, and what the queue says. A dead letter stays whatever the message
/// said: somebody has to look at it; only the queue may say how long.
pub(super) fn deadline(
    message: &StoredMessage,
    expire_after: Option<Duration>,
) -> Result<Option<Timestamp>, crossdock_store::DecodeError> {
    let own = message.expires_at()?;
    if own.is_none() && expire_after.is_none() {
        return Ok(None);
    }
    let dead_since = message.dead_note()?.map(|note| note.dead_since);
    let own = own.filter(|_| dead_since.is_none());
    let queue = expire_after.map(|after| dead_since.unwrap_or(message.appended_at).after(after));
    Ok(own.into_iter().chain(queue).min())
}
