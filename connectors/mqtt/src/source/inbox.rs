//! What has come and is not acknowledged: the driver puts it here, the receiver takes it, the settler settles it.
//!
//! ```text
//!  QoS 1: PUBLISH ─► ready ─► engine ─► settled ─► PUBACK
//!  QoS 2: PUBLISH ─► ready ─► engine ─► settled (the id is recorded) ─► PUBREC ─► PUBREL ─► PUBCOMP (forgotten)
//! ```
//!
//! A message of QoS 2 that comes again while its id is recorded was stored: it is confirmed again and not given to the
//! engine. The record outlives the connection, as the session does, but not the process.

use super::recorded::{Mark, Recorded};
use crate::{
    convert::{inbound, now},
    link::{Ended, Out, Role},
    packet::{Incoming, Publish, QoS, Refused, Step, Version, Why, acknowledge},
};
use crossdock_connector::{Credit, Event, Received, Settlement, Token, Tracker};
use crossdock_model::{Refusal, RefusalKind, Text, Timestamp};
use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

/// Messages that wait for the engine before reading stops.
const READY_MESSAGES_MAX: usize = 1024;
/// Bytes of them.
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
    pub(super) recorded: Recorded,
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
    /// Ids of QoS 2 whose message is not acknowledged.
    unsettled: HashSet<u16>,
    /// The same by their place, while they are not settled, with what they are known by.
    places: HashMap<u64, (u16, Mark)>,
    awaited: Awaited,
    /// When the time is read once for all that came together.
    batch_at: Option<Timestamp>,
    /// A message was given back: then the session ends, so that the broker offers it again.
    offer_again_at: Option<Instant>,
}

/// A message that waits for the engine.
#[derive(Debug)]
enum Arrived {
    Message(Received, QoS),
    Refused(Token, QoS, Box<Refusal>),
}

/// What acknowledging a message takes.
#[derive(Clone, Copy, Debug)]
struct Due {
    qos: QoS,
    id: u16,
    seq: u64,
}

/// The answers to SUBSCRIBE and UNSUBSCRIBE that are still to come.
#[derive(Debug, Default)]
pub(super) struct Awaited {
    /// The filters in the order of the SUBSCRIBE with this id, and what was asked for.
    pub(super) suback: Option<(u16, Arc<[String]>, QoS)>,
    pub(super) unsuback: bool,
}

impl Awaited {
    const fn is_over(&self) -> bool {
        self.suback.is_none() && !self.unsuback
    }
}

impl Inbox {
    pub(super) fn new(terms: Terms, awaited: Awaited) -> Self {
        Self {
            terms,
            ready: VecDeque::new(),
            ready_bytes: 0,
            tracker: Tracker::new(),
            refused: Vec::new(),
            unsettled: HashSet::new(),
            places: HashMap::new(),
            awaited,
            batch_at: None,
            offer_again_at: None,
        }
    }

    /// Whether the broker has answered what it was asked at the start.
    pub(super) const fn is_subscribed(&self) -> bool {
        self.awaited.is_over()
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
        let mut bytes = 0;
        while messages.len() < credit.messages {
            let fits = |front: &mut Arrived| match front {
                Arrived::Message(received, _) => {
                    messages.is_empty() || bytes + received.envelope.bytes().len() <= credit.bytes
                }
                Arrived::Refused(..) => false,
            };
            let Some(Arrived::Message(received, _)) = self.ready.pop_front_if(fits) else { break };
            bytes += received.envelope.bytes().len();
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
        if let Some((id, mark)) = self.places.remove(&seq) {
            self.terms.recorded.insert(id, mark);
        }
    }

    fn settled(&mut self, seq: u64, out: &mut Out) {
        let Self { tracker, refused, unsettled, .. } = self;
        tracker.settle(seq, |due| {
            let at = refused.iter().position(|(seq, _)| *seq == due.seq);
            let reason = at.map_or(0, |at| refused.swap_remove(at).1);
            match due.qos {
                QoS::AtMostOnce => {}
                QoS::AtLeastOnce => acknowledge(Step::Acknowledged, due.id, reason, &mut out.bytes),
                QoS::ExactlyOnce => {
                    unsettled.remove(&due.id);
                    acknowledge(Step::Recorded, due.id, reason, &mut out.bytes);
                }
            }
        });
    }

    fn token(&mut self, qos: QoS, id: u16) -> Token {
        // The tracker numbers what it gets from 0, so the number is known before.
        let seq = self.arrived();
        self.tracker.receive(Due { qos, id, seq });
        Token { session: self.terms.epoch, scope: 0, seq }
    }

    /// Begins to track a message.
    fn begin(&mut self, qos: QoS, id: u16) -> Result<Token, Ended> {
        if qos == QoS::ExactlyOnce && !self.unsettled.insert(id) {
            return Err(Ended::protocol(format!("the broker sent packet {id} twice on one connection")));
        }
        Ok(self.token(qos, id))
    }

    /// Begins to track a message that is to be given to the engine; none if it was stored before and is confirmed again.
    fn begin_publish(&mut self, publish: &Publish, out: &mut Out) -> Result<Option<Token>, Ended> {
        let Publish { qos, id, dup, topic, payload, .. } = publish;
        if *qos != QoS::ExactlyOnce {
            return self.begin(*qos, *id).map(Some);
        }
        let mark = Mark::of(topic, payload);
        if self.terms.recorded.has(*id, mark, *dup) {
            let token = self.token(*qos, *id);
            self.settled(token.seq, out);
            return Ok(None);
        }
        let token = self.begin(*qos, *id)?;
        self.places.insert(token.seq, (*id, mark));
        Ok(Some(token))
    }

    fn publish(&mut self, publish: Publish, out: &mut Out) -> Result<(), Ended> {
        let (qos, bytes) = (publish.qos, publish.payload.len());
        let Some(token) = self.begin_publish(&publish, out)? else { return Ok(()) };
        if bytes as u64 > self.terms.body_bytes_max {
            let refusal = inbound::too_large(bytes, self.terms.body_bytes_max);
            self.ready.push_back(Arrived::Refused(token, qos, refusal));
            return Ok(());
        }
        let received_at = *self.batch_at.get_or_insert_with(now);
        match inbound::envelope(publish, &self.terms.connection, received_at) {
            Ok(envelope) => {
                let envelope = Arc::new(envelope);
                self.ready_bytes += bytes;
                self.ready.push_back(Arrived::Message(Received { token, envelope, claim: None }, qos));
            }
            Err(refusal) => self.ready.push_back(Arrived::Refused(token, qos, refusal)),
        }
        Ok(())
    }

    // What is refused is acknowledged, and refused again if it comes again: nobody has to know it by then.

    fn too_large(&mut self, qos: QoS, id: u16, topic: &[u8], packet_bytes: usize) -> Result<(), Ended> {
        let (token, topic) = (self.begin(qos, id)?, String::from_utf8_lossy(topic));
        tracing::warn!(%topic, packet_bytes, "a message larger than `max_body` is refused");
        let refusal = inbound::too_large(packet_bytes, self.terms.body_bytes_max);
        self.ready.push_back(Arrived::Refused(token, qos, refusal));
        Ok(())
    }

    fn malformed(&mut self, qos: QoS, id: u16, topic: &[u8], why: &str) -> Result<(), Ended> {
        // Debug: what stands in such a topic is not for a terminal.
        let (token, topic) = (self.begin(qos, id)?, String::from_utf8_lossy(topic));
        tracing::warn!(?topic, why, "what is no message is refused");
        self.ready.push_back(Arrived::Refused(token, qos, inbound::malformed(why)));
        Ok(())
    }

    /// How many messages came, whatever became of them.
    pub(super) fn arrived(&self) -> u64 {
        self.tracker.watermark() + self.tracker.outstanding() as u64
    }

    fn released(&mut self, id: u16, out: &mut Out) -> Result<(), Ended> {
        if self.unsettled.contains(&id) {
            return Err(Ended::protocol(format!("the broker released packet {id}, which was not confirmed")));
        }
        self.terms.recorded.remove(id);
        // One that is not known was released before, on a connection that broke then.
        acknowledge(Step::Complete, id, 0, &mut out.bytes);
        Ok(())
    }

    fn subscribed(&mut self, id: u16, results: Vec<Result<QoS, Refused>>) -> Result<(), Ended> {
        let Some((_, filters, wanted)) = self.awaited.suback.take_if(|(awaited, ..)| *awaited == id) else {
            return Err(Ended::protocol("the broker answered a SUBSCRIBE that was not sent"));
        };
        if results.len() != filters.len() {
            return Err(Ended::protocol("the broker did not answer for each filter of the SUBSCRIBE"));
        }
        for (filter, result) in filters.iter().zip(results) {
            let refused = match result {
                Ok(granted) if granted as u8 >= wanted as u8 => continue,
                // With less than was asked for, messages could be lost and nobody would know.
                Ok(granted) => {
                    let (granted, wanted) = (granted as u8, wanted as u8);
                    let text = format!("the broker grants QoS {granted} and not {wanted}: set `qos: {granted}`");
                    Refused { why: Why::Unsupported, text }
                }
                Err(refused) => refused,
            };
            let Refused { why, text } = refused;
            // What is not there for us is `missing`, whatever the login was worth.
            let why = if matches!(why, Why::Busy | Why::Denied) { why } else { Why::Unsupported };
            return Err(Ended::refused(Refused { why, text: format!("no subscription to `{filter}`: {text}") }));
        }
        Ok(())
    }
}

impl Role for Inbox {
    fn take(&mut self, packet: Incoming, out: &mut Out) -> Result<(), Ended> {
        match packet {
            Incoming::Publish(publish) => self.publish(publish, out),
            Incoming::TooLarge { qos, id, topic, packet_bytes } => self.too_large(qos, id, &topic, packet_bytes),
            Incoming::Malformed { qos, id, topic, why } => self.malformed(qos, id, &topic, &why),
            Incoming::PubRel(id) => self.released(id, out),
            Incoming::SubAck(id, results) => self.subscribed(id, results),
            Incoming::UnsubAck => {
                self.awaited.unsuback = false;
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

    fn batch_taken(&mut self) {
        self.batch_at = None;
    }

    fn tick(&mut self, now: Instant) -> Result<(), Ended> {
        if self.offer_again_at.is_some_and(|at| at <= now) {
            return Err(Ended::broken(
                "a message could not be stored: connecting again, so that the broker offers it again",
            ));
        }
        Ok(())
    }

    /// What has a packet id comes again in the next session; only what has none is still given out.
    fn end(&mut self, _: &Ended) {
        self.ready.retain(|arrived| match arrived {
            Arrived::Message(_, qos) | Arrived::Refused(_, qos, _) => *qos == QoS::AtMostOnce,
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
