//! Settling: one acknowledgement for many messages, in the order of receipt.

use crate::{
    link::{CHANNEL, Reader, Trouble, TroubleKind, Writer, goodbye},
    wire::send,
};
use async_trait::async_trait;
use bytes::BytesMut;
use crossdock_connector::{Settlement, Settler, SourceError, Token, Tracker};
use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::time::timeout_at;

/// What the engine has of a session, by the order of receipt.
#[derive(Default)]
pub struct Unsettled {
    tracker: Tracker<u64>,
    /// The reading half, once nobody receives any more: it is needed to say goodbye.
    pub left: Option<Reader>,
    /// Delivery tags that were rejected and lie above what is acknowledged. RabbitMQ closes the channel over an
    /// acknowledgement that names one.
    rejected: HashSet<u64>,
}

impl Unsettled {
    /// Notes a delivery; its number.
    pub fn receive(&mut self, tag: u64) -> u64 {
        self.tracker.receive(tag)
    }

    /// Notes what became of messages, and writes what the server is to hear of it.
    fn settle(&mut self, batch: &[(Token, Settlement)], out: &mut BytesMut) {
        let mut up_to = None;
        for (token, settlement) in batch {
            let is_refused = match settlement {
                Settlement::Refused(_) => true,
                Settlement::Stored { .. } | Settlement::Filtered => false,
                // The engine tells `Again` only to who can pass it on, and keeps what it has no room for itself. Told all the
                // same, the message stays the server's, which gives it again in the next session: requeued in this one it
                // would come at once, over and over. There is nobody who waits for a reply.
                Settlement::Again { .. } | Settlement::Reply(_) => continue,
            };
            let Self { tracker, rejected, .. } = self;
            if is_refused
                && let Some(tag) = tracker.tag(token.seq)
                && rejected.insert(*tag)
            {
                send::reject(out, CHANNEL, *tag);
            }
            tracker.settle(token.seq, |tag| {
                if !rejected.remove(&tag) {
                    up_to = Some(tag);
                }
            });
        }
        if let Some(tag) = up_to {
            send::ack_up_to(out, CHANNEL, tag);
        }
    }
}

/// What is shared between the halves, whatever became of the other one.
pub fn lock(unsettled: &Mutex<Unsettled>) -> MutexGuard<'_, Unsettled> {
    unsettled.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The settling half of a consumer.
pub struct AckSettler {
    writer: Writer,
    timeout: Duration,
    session: u32,
    unsettled: Arc<Mutex<Unsettled>>,
}

impl AckSettler {
    /// Of a link on which a consumer is there.
    pub const fn new(writer: Writer, timeout: Duration, session: u32, unsettled: Arc<Mutex<Unsettled>>) -> Self {
        Self { writer, timeout, session, unsettled }
    }

    async fn say(&self, out: BytesMut, by: Instant) -> Result<(), SourceError> {
        let said = timeout_at(by.into(), self.writer.send(out)).await;
        let late = |_| Trouble::new(TroubleKind::Broken, "the server takes no acknowledgements");
        said.map_err(late).flatten().map_err(Trouble::into_source_error)
    }
}

#[async_trait]
impl Settler for AckSettler {
    async fn settle(&mut self, mut batch: Vec<(Token, Settlement)>) -> Result<(), SourceError> {
        batch.retain(|(token, _)| token.session == self.session);
        let mut out = BytesMut::new();
        lock(&self.unsettled).settle(&batch, &mut out);
        if out.is_empty() { Ok(()) } else { self.say(out, Instant::now() + self.timeout).await }
    }

    async fn released(&mut self, _: u32) {}

    /// What was not acknowledged goes back to the queue with the connection. That the server has heard of what was is
    /// awaited: a socket that is closed with something unread in it takes back what is on its way.
    async fn close(self: Box<Self>, by: Instant) {
        let left = lock(&self.unsettled).left.take();
        if let Some(mut reader) = left {
            goodbye(&mut reader, &self.writer, by.into()).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossdock_model::{Fault, MessageId, Refusal, RefusalKind};

    fn settlements(told: &[(u64, char)]) -> Vec<(Token, Settlement)> {
        let settlement = |what| match what {
            's' => Settlement::Stored { id: MessageId::from_bytes([0; 16]), duplicate: false },
            'f' => Settlement::Filtered,
            'a' => Settlement::Again { after: None },
            _ => Settlement::Refused(Refusal {
                kind: RefusalKind::Invalid,
                fault: Fault::rejected("x", "x"),
                violations: Vec::new(),
            }),
        };
        told.iter().map(|(seq, what)| (Token { session: 1, scope: 0, seq: *seq }, settlement(*what))).collect()
    }

    /// What the server hears, in short: `a7` for an ack of all up to 7, `r5` for a reject of 5.
    fn heard(out: BytesMut) -> String {
        let mut words = Vec::new();
        for frame in out[..].split(|byte| *byte == 0xCE).filter(|frame| !frame.is_empty()) {
            let (method, tag) = (frame[10], frame[18]);
            words.push(format!("{}{tag}", if method == 80 { 'a' } else { 'r' }));
        }
        words.join(" ")
    }

    #[test]
    fn acknowledges_far_and_never_over_a_hole_nor_what_was_rejected() {
        let mut unsettled = Unsettled::default();
        for tag in 1..=9 {
            unsettled.receive(tag);
        }
        for (told, expected) in [
            (&[(0, 's'), (1, 'f')][..], "a2"),
            (&[(3, 's'), (4, 'r')], "r5"),
            (&[(4, 'r')], ""),
            (&[(2, 'a')], ""),
            (&[(2, 's')], "a4"),
            (&[(5, 'r')], "r6"),
            (&[(6, 'r'), (8, 's')], "r7"),
            (&[(7, 's'), (99, 's')], "a9"),
        ] {
            let mut out = BytesMut::new();
            unsettled.settle(&settlements(told), &mut out);
            assert_eq!(heard(out), expected, "after {told:?}");
        }
        assert!(unsettled.rejected.is_empty());
    }
}
