//! What the gateway's handle knows of a queue that no route reads, and what consumers ask of it.

use super::{QueueEvent, token::Token};
use crate::{
    Gateway, MessageState, MessageView, RequestError,
    account::Account,
    gateway::{Inner, no_channel},
};
use crossdock_model::Text;
use crossdock_store::StoredMessage;
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::sync::{mpsc, oneshot};

/// A queue that no route reads.
pub(crate) struct QueueHandle {
    /// Its account.
    pub account: Account,
    /// Its task.
    pub events: mpsc::UnboundedSender<QueueEvent>,
    /// What its task counts.
    pub board: Arc<Board>,
}

/// What a queue's task shows.
#[derive(Default, Debug)]
pub(crate) struct Board {
    in_flight: AtomicUsize,
    scheduled: AtomicUsize,
}

/// A message that is given to a consumer.
#[derive(Debug)]
pub(crate) struct Leased {
    /// The message.
    pub message: StoredMessage,
    /// The lease.
    pub token: Token,
}

/// What a consumer asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Receive {
    /// Most messages: at least 1.
    pub messages_max: usize,
    /// How long it waits for the first one.
    pub wait: Duration,
    /// How long the messages are its own.
    pub lease: Duration,
}

/// A message that a consumer was given.
#[derive(Clone, PartialEq, Debug)]
pub struct Delivery {
    /// The message.
    pub message: MessageView,
    /// Names the lease to [`Gateway::acknowledge`] and [`Gateway::give_back`].
    pub lease: Text,
}

impl Board {
    /// Shows how many messages consumers have, and how many were put off.
    pub fn show(&self, in_flight: usize, scheduled: usize) {
        self.in_flight.store(in_flight, Relaxed);
        self.scheduled.store(scheduled, Relaxed);
    }

    /// Messages that consumers have, and that were put off.
    pub fn read(&self) -> (u64, u64) {
        (self.in_flight.load(Relaxed) as u64, self.scheduled.load(Relaxed) as u64)
    }
}

impl Gateway {
    /// Gives a consumer messages of a queue that no route reads, oldest first. They are its own until the lease runs out;
    /// none if none came in time.
    ///
    /// # Errors
    /// There is no such queue, a route reads it, or too many consumers wait.
    pub async fn receive(&self, queue: &str, asked: Receive) -> Result<Vec<Delivery>, RequestError> {
        let (handle, info) = (self.0.queue(queue)?, self.0.channel_info(queue).ok_or_else(|| no_channel(queue))?);
        let Receive { messages_max, wait, lease } = asked;
        let leased = handle.ask(|answer| QueueEvent::Receive { messages_max, wait, lease, answer }).await?;
        let tokens: HashMap<u64, Text> =
            leased.iter().map(|leased| (leased.message.offset, leased.token.text())).collect();
        let messages: Vec<_> = leased.into_iter().map(|leased| leased.message).collect();
        let states = vec![MessageState::InFlight; messages.len()];
        let views = self.0.views_of(&info, None, messages, states).await?;
        let given = views.into_iter().filter_map(|message| {
            let lease = tokens.get(&message.offset)?.clone();
            Some(Delivery { message, lease })
        });
        Ok(given.collect())
    }

    /// A consumer is done with messages; returns when that is durable, with the leases that are stale: they ran out, were
    /// used before, or were given out by another process. The others count.
    ///
    /// # Errors
    /// As for [`Gateway::receive`], or the store cannot write.
    pub async fn acknowledge(&self, queue: &str, leases: &[String]) -> Result<Vec<Text>, RequestError> {
        let (tokens, unknown) = read(leases);
        let stale = self.0.queue(queue)?.ask(|answer| QueueEvent::Acknowledge(tokens, answer)).await?;
        Ok(told(unknown, stale))
    }

    /// A consumer gives messages back: they are given out again after `delay`, and charged nothing. Returns the leases
    /// that are stale; the others count.
    ///
    /// # Errors
    /// As for [`Gateway::acknowledge`].
    pub async fn give_back(&self, queue: &str, leases: &[String], delay: Duration) -> Result<Vec<Text>, RequestError> {
        let (tokens, unknown) = read(leases);
        let stale = self.0.queue(queue)?.ask(|answer| QueueEvent::GiveBack(tokens, delay, answer)).await?;
        Ok(told(unknown, stale))
    }
}

/// The tokens among the texts, and the texts that are none.
fn read(leases: &[String]) -> (Vec<Token>, Vec<Text>) {
    let (mut tokens, mut unknown) = (Vec::with_capacity(leases.len()), Vec::new());
    for lease in leases {
        match Token::parse(lease) {
            Some(token) => tokens.push(token),
            None => unknown.push(Text::from(lease.as_str())),
        }
    }
    (tokens, unknown)
}

fn told(mut unknown: Vec<Text>, stale: Vec<Token>) -> Vec<Text> {
    unknown.extend(stale.into_iter().map(Token::text));
    unknown
}

impl QueueHandle {
    async fn ask<T>(
        &self,
        event: impl FnOnce(oneshot::Sender<Result<T, RequestError>>) -> QueueEvent,
    ) -> Result<T, RequestError> {
        let (answer, answered) = oneshot::channel();
        self.events.send(event(answer)).map_err(|_| stopping())?;
        answered.await.unwrap_or_else(|_| Err(stopping()))
    }
}

impl Inner {
    /// A queue that consumers may read.
    fn queue(&self, name: &str) -> Result<&QueueHandle, RequestError> {
        let channel = self.channels.get(name).ok_or_else(|| no_channel(name))?;
        if let Some(handle) = self.queue_of(channel.number) {
            return Ok(handle);
        }
        let readers = self
            .routes
            .iter()
            .filter(|handle| handle.account.group.as_ref().is_some_and(|group| group.channel.number == channel.number));
        let readers: Vec<&str> = readers.map(|handle| &*handle.route.id).collect();
        let is_topic = self.shared.plan.channels().iter().any(|planned| planned.name == *name && !planned.is_queue());
        Err(RequestError::Conflict(if is_topic {
            format!("`{name}` is a topic: let a route read it into a queue, and receive from that")
        } else {
            format!("the queue `{name}` is read by the route `{}`: a queue has one reader", readers.join("`, `"))
        }))
    }

    /// A message of a channel was settled for all who read it. Who stops needs not know.
    pub fn tell_gone(&self, channel: crossdock_store::ChannelNumber, offset: u64) {
        if let Some(queue) = self.queue_of(channel) {
            drop(queue.events.send(QueueEvent::Gone(offset)));
        }
    }

    /// The queue without a route of a channel; none if a route reads it or it is a topic.
    pub fn queue_of(&self, channel: crossdock_store::ChannelNumber) -> Option<&QueueHandle> {
        self.queues
            .iter()
            .find(|handle| handle.account.group.as_ref().is_some_and(|group| group.channel.number == channel))
    }
}

pub(super) fn stopping() -> RequestError {
    RequestError::Unavailable(String::from("the gateway stops"))
}
