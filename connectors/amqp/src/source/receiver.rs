//! Receiving: what is there, up to the credit, in one go.

use super::settler::{Unsettled, lock};
use crate::{
    convert::{Arrival, Inbound},
    link::{Delivery, Heard, Reader, Trouble, TroubleKind, Writer},
    wire::{Malformed, Method, Told},
};
use async_trait::async_trait;
use crossdock_connector::{Credit, Event, Received, Receiver, SourceError, Token};
use crossdock_model::{Fault, HEADERS_MAX, MessageId, Refusal, RefusalKind, Timestamp};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::{SystemTime, UNIX_EPOCH},
};

/// The receiving half of a consumer.
pub struct QueueReceiver {
    /// There until it is dropped.
    reader: Option<Reader>,
    writer: Writer,
    inbound: Inbound,
    session: u32,
    unsettled: Arc<Mutex<Unsettled>>,
    /// What ended the messages of the last call, and is to be told next.
    next: VecDeque<Event>,
    /// Why the session ends, once what came before is told.
    end: Option<Trouble>,
}

/// Messages of one call.
#[derive(Default)]
struct Batch {
    messages: Vec<Received>,
    bytes: usize,
}

impl QueueReceiver {
    /// Of a link on which a consumer is there.
    pub fn new(
        (reader, writer): (Reader, Writer),
        session: u32,
        inbound: Inbound,
        unsettled: Arc<Mutex<Unsettled>>,
    ) -> Self {
        Self { reader: Some(reader), writer, inbound, session, unsettled, next: VecDeque::new(), end: None }
    }

    /// Takes what was received, until the credit is used up or something else than a message comes.
    fn take(&mut self, credit: Credit, batch: &mut Batch) -> Result<(), Trouble> {
        let now = now();
        while batch.messages.len() < credit.messages.max(1) {
            let Some(reader) = &mut self.reader else { return Ok(()) };
            let Some(heard) = reader.heard(&self.writer)? else { return Ok(()) };
            match heard {
                Heard::Delivery(delivery) if delivery.properties.headers.len() > HEADERS_MAX => {
                    self.next.extend(self.refused_for_headers(*delivery));
                    return Ok(());
                }
                Heard::Delivery(delivery) => {
                    let Some(received) = self.received(*delivery, now) else { continue };
                    if let Some(received) = batch.add(received, credit) {
                        self.next.push_back(Event::Messages(vec![received]));
                        return Ok(());
                    }
                }
                Heard::Broken(broken) => {
                    self.next.extend(self.refused(broken.0, broken.1));
                    return Ok(());
                }
                Heard::Method { method: Method::Told(told), .. } => {
                    if let Some(event) = self.told(told)? {
                        self.next.push_back(event);
                        return Ok(());
                    }
                }
                // No answer is awaited any more.
                Heard::Method { .. } => {}
            }
        }
        Ok(())
    }

    fn received(&self, delivery: Delivery, now: Timestamp) -> Option<Received> {
        let Delivery { method: Method::Deliver { tag, redelivered, exchange, routing_key }, properties, payload } =
            delivery
        else {
            return None;
        };
        let arrival = Arrival { redelivered, exchange, routing_key };
        let envelope = self.inbound.envelope((arrival, properties, payload), now, || fresh_id(now));
        Some(Received { token: self.token(tag), envelope: Arc::new(envelope), claim: None })
    }

    fn token(&self, tag: u64) -> Token {
        let seq = lock(&self.unsettled).receive(tag);
        Token { session: self.session, scope: 0, seq }
    }

    /// A message whose properties cannot be read can be no message: it is rejected, so that it does not come again.
    fn refused(&self, method: Method, error: Malformed) -> Option<Event> {
        let text = format!("the properties of the message cannot be read: {error}");
        self.refuse(method, RefusalKind::Undecodable, Fault::rejected("amqp.properties", text))
    }

    /// A message has at most so many headers, whoever sends it.
    fn refused_for_headers(&self, delivery: Delivery) -> Option<Event> {
        let count = delivery.properties.headers.len();
        let text = format!("a message has at most {HEADERS_MAX} headers, this one has {count}");
        self.refuse(delivery.method, RefusalKind::TooLarge, Fault::rejected("headers.too_many", text))
    }

    fn refuse(&self, method: Method, kind: RefusalKind, fault: Fault) -> Option<Event> {
        let Method::Deliver { tag, .. } = method else { return None };
        let refusal = Refusal { kind, fault, violations: Vec::new() };
        Some(Event::Refused(vec![(self.token(tag), refusal)]))
    }

    /// What something means that brings no message.
    fn told(&self, told: Told) -> Result<Option<Event>, Trouble> {
        match told {
            Told::Cancel => {
                let queue = &self.inbound.queue;
                let text = format!("the server ended the consumer: the queue `{queue}` was deleted, or has moved");
                Err(Trouble::new(TroubleKind::Missing, text))
            }
            Told::Blocked(reason) => Ok(Some(Event::Blocked(format!("the server blocks: {reason}")))),
            Told::Unblocked => Ok(Some(Event::Unblocked)),
            // Of publishers.
            Told::Ack { .. } | Told::Nack { .. } | Told::Flow(_) => Ok(None),
        }
    }
}

impl Batch {
    /// Adds a message; one that is beyond the credit, and is not the first, comes back.
    fn add(&mut self, received: Received, credit: Credit) -> Option<Received> {
        let bytes = self.bytes.saturating_add(received.envelope.bytes().len());
        if !self.messages.is_empty() && bytes > credit.bytes {
            return Some(received);
        }
        self.bytes = bytes;
        self.messages.push(received);
        None
    }
}

#[async_trait]
impl Receiver for QueueReceiver {
    async fn next(&mut self, credit: Credit) -> Result<Event, SourceError> {
        loop {
            if let Some(event) = self.next.pop_front() {
                return Ok(event);
            }
            if let Some(trouble) = self.end.take() {
                return Err(trouble.into_source_error());
            }
            let mut batch = Batch::default();
            // What came before the end of the session is told first; the server gives it again all the same.
            if let Err(trouble) = self.take(credit, &mut batch) {
                self.end = Some(trouble);
            }
            if !batch.messages.is_empty() {
                return Ok(Event::Messages(batch.messages));
            }
            if let (None, true, Some(reader)) = (&self.end, self.next.is_empty(), &mut self.reader) {
                reader.fill().await.map_err(Trouble::into_source_error)?;
            }
        }
    }
}

impl Drop for QueueReceiver {
    fn drop(&mut self) {
        lock(&self.unsettled).left = self.reader.take();
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

fn fresh_id(now: Timestamp) -> MessageId {
    let mut random = [0; 10];
    fastrand::fill(&mut random);
    MessageId::from_time_and_random(u64::try_from(now.millis()).unwrap_or(0), &random)
}
