//! What has come and is not acknowledged: the driver puts it here, the receiver takes it, the settler settles it.
//!
//! ```text
//!  QoS 1: PUBLISH ─► ready ─► engine ─► settled ─► PUBACK
//!  QoS 2: PUBLISH ─► ready ─► engine ─► settled (the id is recorded) ─► PUBREC ─► PUBREL ─► PUBCOMP (forgotten)
//! ```
//!
//! A message of QoS 2 that comes again while it is recorded was stored: it is confirmed again and not given to the engine
//! ([`super::recorded`]). One that comes again on the same connection before it is settled is on its way already, and is
//! left out: some brokers of 3.1.1 repeat what is not acknowledged for a while, and an acknowledgement too many would be taken for
//! that of the next message under the id.

use super::{
    answers::Answers,
    recorded::{Ids, Look, Recorded},
};
use crate::{
    convert::{inbound, now},
    link::{Ended, Out, Role},
    packet::{Delivery, Incoming, Publish, QoS, Step, Version, acknowledge},
};
use crossdock_connector::{Credit, Event, Received, Settlement, Token, Tracker};
use crossdock_model::{Refusal, RefusalKind, Text, Timestamp};
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

/// Messages that wait for the engine before reading stops.
const READY_MESSAGES_MAX: usize = 1024;
/// Bytes of them, with what each has beside its payload: a topic alone may have 64 KiB.
const READY_BYTES_MAX: usize = 1 << 20;
/// How long a message rests that was given back, if nobody says.
const AGAIN_PAUSE: Duration = Duration::from_secs(1);

/// What does not change during a connection.
#[derive(Debug)]
pub(super) struct Terms {
    pub(super) epoch: u32,
    pub(super) version: Version,
    pub(super) connection: Text,
    pub(super) receive_maximum: usize,
    pub(super) body_bytes_max: u64,
    pub(super) recorded: Arc<Recorded>,
}

/// The source's side of a connection.
#[derive(Debug)]
pub(super) struct Inbox {
    terms: Terms,
    ready: VecDeque<Arrived>,
    ready_bytes: usize,
    tracker: Tracker<Due>,
    /// Settled as refused, and not acknowledged yet.
    refused: Vec<(u64, u8)>,
    /// Ids whose message is not acknowledged.
    unsettled: Ids,
    /// Those of QoS 2 by their place, and how they look, while they are not settled.
    places: HashMap<u64, (u16, Look)>,
    answers: Answers,
    /// The broker is in the middle of a packet.
    midway: bool,
    /// When the time is read once for all that came together.
    batch_at: Option<Timestamp>,
    /// A message was given back: then the session ends, so that the broker offers it again.
    offer_again_at: Option<Instant>,
}

/// A message that waits for the engine.
#[derive(Debug)]
enum Arrived {
    /// And its bytes.
    Message(Received, QoS, usize),
    Refused(Token, QoS, Box<Refusal>),
}

/// What acknowledging a message takes.
#[derive(Clone, Copy, Debug)]
struct Due {
    qos: QoS,
    id: u16,
    seq: u64,
}

impl Inbox {
    pub(super) fn new(terms: Terms, answers: Answers) -> Self {
        Self {
            terms,
            ready: VecDeque::new(),
            ready_bytes: 0,
            tracker: Tracker::new(),
            refused: Vec::new(),
            unsettled: Ids::new(),
            places: HashMap::new(),
            answers,
            midway: false,
            batch_at: None,
            offer_again_at: None,
        }
    }

    /// Whether the broker has answered what it was asked at the start.
    pub(super) const fn is_subscribed(&self) -> bool {
        self.answers.are_complete()
    }

    /// Takes what is ready, of at most the credit; none if nothing is.
    pub(super) fn next(&mut self, credit: Credit) -> Option<Event> {
        if let Some(Arrived::Refused(..)) = self.ready.front() {
            let mut refused = Vec::new();
            while let Some(Arrived::Refused(token, _, refusal)) =
                self.ready.pop_front_if(|front| matches!(front, Arrived::Refused(..)))
            {
                refused.push((token, *refusal));
            }
            return Some(Event::Refused(refused));
        }
        let mut messages = Vec::with_capacity(self.ready.len().min(credit.messages));
        let (mut payload_bytes, mut bytes) = (0, 0);
        while messages.len() < credit.messages {
            let fits = |front: &mut Arrived| match front {
                Arrived::Message(received, ..) => {
                    messages.is_empty() || payload_bytes + received.envelope.bytes().len() <= credit.bytes
                }
                Arrived::Refused(..) => false,
            };
            let Some(Arrived::Message(received, _, of_it)) = self.ready.pop_front_if(fits) else { break };
            payload_bytes += received.envelope.bytes().len();
            bytes += of_it;
            messages.push(received);
        }
        self.ready_bytes -= bytes;
        (!messages.is_empty()).then_some(Event::Messages(messages))
    }

    /// Notes what became of a message; acknowledgements that are due go to `out`.
    pub(super) fn settle(&mut self, token: Token, settlement: &Settlement, out: &mut Out) {
        if token.session != self.terms.epoch {
            return;
        }
        match settlement {
            Settlement::Stored { .. } | Settlement::Filtered => self.record(token.seq),
            Settlement::Refused(refusal) if self.terms.version == Version::V5 => {
                self.refused.push((token.seq, reason_code(refusal.kind)));
                // A refusal ends the exchange, so there is nothing to record.
                self.places.remove(&token.seq);
            }
            Settlement::Refused(_) => self.record(token.seq),
            Settlement::Again { after } => {
                let at = Instant::now() + after.unwrap_or(AGAIN_PAUSE);
                self.offer_again_at = Some(self.offer_again_at.map_or(at, |earlier| earlier.min(at)));
                return;
            }
            // MQTT answers in messages of their own.
            Settlement::Reply(_) => return,
        }
        self.settled(token.seq, out);
    }

    /// It is done with: known from here on if it comes again, whenever it is acknowledged.
    fn record(&mut self, seq: u64) {
        if let Some((id, look)) = self.places.remove(&seq) {
            self.terms.recorded.add(id, look);
        }
    }

    fn settled(&mut self, seq: u64, out: &mut Out) {
        let Self { tracker, refused, unsettled, .. } = self;
        tracker.settle(seq, |due| {
            let at = refused.iter().position(|(seq, _)| *seq == due.seq);
            let reason = at.map_or(0, |at| refused.swap_remove(at).1);
            let step = match due.qos {
                QoS::AtMostOnce => return,
                QoS::AtLeastOnce => Step::Acknowledged,
                QoS::ExactlyOnce => Step::Recorded,
            };
            unsettled.remove(due.id);
            acknowledge(step, due.id, reason, &mut out.bytes);
        });
    }

    fn token(&mut self, delivery: Delivery) -> Token {
        let Delivery { qos, id, .. } = delivery;
        // The tracker numbers what it gets from 0, so the number is known before.
        let seq = self.tracker.watermark() + self.tracker.outstanding() as u64;
        self.tracker.receive(Due { qos, id, seq });
        Token { session: self.terms.epoch, scope: 0, seq }
    }

    /// Begins to track a message; none if it is on its way already, or was stored before and is confirmed again. One that is
    /// refused unread has no look, and is refused again if it comes again.
    fn begin(&mut self, delivery: Delivery, look: Option<Look>, out: &mut Out) -> Result<Option<Token>, Ended> {
        let Delivery { dup, qos, id } = delivery;
        if qos == QoS::AtMostOnce {
            return Ok(Some(self.token(delivery)));
        }
        if self.unsettled.contains(id) {
            if dup {
                return Ok(None);
            }
            if qos == QoS::ExactlyOnce {
                return Err(Ended::protocol(format!("the broker sent packet {id} twice on one connection")));
            }
        }
        if self.terms.recorded.has(delivery, look) {
            let token = self.token(delivery);
            self.settled(token.seq, out);
            return Ok(None);
        }
        self.unsettled.insert(id);
        let token = self.token(delivery);
        if let Some(look) = look {
            self.places.insert(token.seq, (id, look));
        }
        Ok(Some(token))
    }

    fn publish(&mut self, publish: Publish, out: &mut Out) -> Result<(), Ended> {
        let (qos, payload_bytes, bytes) = (publish.qos, publish.payload.len(), publish.bytes());
        let look = self.terms.recorded.look(&publish);
        let Some(token) = self.begin(publish.delivery(), look, out)? else { return Ok(()) };
        if payload_bytes as u64 > self.terms.body_bytes_max {
            let refusal = inbound::too_large(payload_bytes, self.terms.body_bytes_max);
            self.ready.push_back(Arrived::Refused(token, qos, refusal));
            return Ok(());
        }
        let received_at = *self.batch_at.get_or_insert_with(now);
        match inbound::envelope(publish, &self.terms.connection, received_at) {
            Ok(envelope) => {
                let envelope = Arc::new(envelope);
                self.ready_bytes += bytes;
                self.ready.push_back(Arrived::Message(Received { token, envelope, claim: None }, qos, bytes));
            }
            Err(refusal) => self.ready.push_back(Arrived::Refused(token, qos, refusal)),
        }
        Ok(())
    }

    fn too_large(&mut self, of: Delivery, topic: &[u8], packet_bytes: usize, out: &mut Out) -> Result<(), Ended> {
        if let Some(token) = self.begin(of, None, out)? {
            let topic = String::from_utf8_lossy(topic);
            tracing::warn!(%topic, packet_bytes, "a message larger than `max_body` is refused");
            let refusal = inbound::too_large(packet_bytes, self.terms.body_bytes_max);
            self.ready.push_back(Arrived::Refused(token, of.qos, refusal));
        }
        Ok(())
    }

    fn malformed(&mut self, of: Delivery, topic: &[u8], why: &str, out: &mut Out) -> Result<(), Ended> {
        if let Some(token) = self.begin(of, None, out)? {
            // Debug: what stands in such a topic is not for a terminal.
            let topic = String::from_utf8_lossy(topic);
            tracing::warn!(?topic, why, "a message that breaks the rules of MQTT is refused");
            self.ready.push_back(Arrived::Refused(token, of.qos, inbound::malformed(why)));
        }
        Ok(())
    }

    fn released(&mut self, id: u16, out: &mut Out) -> Result<(), Ended> {
        if self.unsettled.contains(id) {
            return Err(Ended::protocol(format!("the broker released packet {id}, which was not confirmed")));
        }
        self.terms.recorded.forget(id);
        // One that is not known was released before, on a connection that broke then.
        acknowledge(Step::Complete, id, 0, &mut out.bytes);
        Ok(())
    }
}

impl Role for Inbox {
    fn take(&mut self, packet: Incoming, out: &mut Out) -> Result<(), Ended> {
        self.answers.heard(Instant::now());
        match packet {
            Incoming::Publish(publish) => self.publish(publish, out),
            Incoming::TooLarge { delivery, topic, packet_bytes } => self.too_large(delivery, &topic, packet_bytes, out),
            Incoming::Malformed { delivery, topic, why } => self.malformed(delivery, &topic, &why, out),
            Incoming::PubRel(id) => self.released(id, out),
            Incoming::SubAck(id, results) => self.answers.subscribed(id, results),
            Incoming::UnsubAck => {
                self.answers.unsubscribed();
                Ok(())
            }
            Incoming::PubAck(id, _) | Incoming::PubRec(id, _) | Incoming::PubComp(id) => {
                Err(Ended::protocol(format!("the broker confirmed packet {id}, and nothing was published")))
            }
            Incoming::ConnAck(_) | Incoming::PingResp | Incoming::Disconnect(_) => Ok(()),
        }
    }

    fn wants_more(&self) -> bool {
        self.ready.len() < READY_MESSAGES_MAX
            && self.ready_bytes < READY_BYTES_MAX
            && self.tracker.outstanding() < self.terms.receive_maximum
    }

    fn written(&mut self, _: u64) {}

    fn batch_taken(&mut self, midway: bool) {
        self.batch_at = None;
        self.midway = midway;
    }

    fn tick(&mut self, now: Instant) -> Result<(), Ended> {
        if self.offer_again_at.is_some_and(|at| at <= now) {
            return Err(Ended::broken(
                "a message could not be stored: connecting again, so that the broker offers it again",
            ));
        }
        // The answer stands behind what the session held back, so a broker that sends that is given the time, and so is one that
        // nobody listens to.
        if self.midway || !self.wants_more() {
            self.answers.heard(now);
        }
        self.answers.check(now)
    }

    /// What has a packet id comes again in the next session; only what has none is still given out.
    fn end(&mut self, _: &Ended) {
        self.ready.retain(|arrived| match arrived {
            Arrived::Message(_, qos, _) | Arrived::Refused(_, qos, _) => *qos == QoS::AtMostOnce,
        });
    }
}

/// What MQTT 5 says to a sender's broker of a message that is not taken (§3.4.2.1).
const fn reason_code(kind: RefusalKind) -> u8 {
    match kind {
        RefusalKind::Undecodable | RefusalKind::UnsupportedType | RefusalKind::Invalid => 0x99,
        RefusalKind::Throttled => 0x97,
        RefusalKind::Conflict | RefusalKind::TooLarge => 0x83,
    }
}
