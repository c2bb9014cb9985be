//! A source's door: `accept`, and what is to be appended where.

use crate::{
    Acceptance, Evaluator,
    account::{Channel, Door, DoorEnd},
    limits,
    metrics::Histogram,
    shared::Shared,
};
use crossdock_connector::{Claim as SenderClaim, OnRefused, Place, Received, Settlement, Token};
use crossdock_model::{Envelope, Fault, MessageId, Refusal, RefusalKind, Text, Timestamp};
use crossdock_rules::Claim;
use crossdock_store::{DeadNote, EncodedMessage, KeyClaim, LogPlace};
use std::{sync::Arc, time::Instant};

/// What a source's messages go through, and where they go.
pub(crate) struct DoorPlan {
    /// The gateway.
    pub shared: Arc<Shared>,
    /// The rules.
    pub evaluator: Evaluator,
    /// The counters.
    pub door: Arc<Door>,
    /// The channels to which a message is appended: the hidden queue, or all channels that are targets.
    pub channels: Vec<Arc<Channel>>,
    /// Whether the only channel is the hidden queue, so that the message's way goes on.
    pub hidden: bool,
    /// Where dead letters go.
    pub dead_letters: Arc<Channel>,
    /// What becomes of what is refused.
    pub on_refused: OnRefused,
    /// Whether the sender waits for an answer: it hears at once that there is no room. Others keep the message, and
    /// the source tries again without asking for more.
    pub tells: bool,
    /// How long `accept` took.
    pub step_seconds: Arc<Histogram>,
    /// Scopes of keys: the source's own, and those of `dedupe` by step.
    pub claim_scope: Text,
}

/// What the door decided of a message.
pub(crate) struct Judged {
    /// Its name towards the source.
    pub token: Token,
    /// Its bytes, as the source's bound counts them.
    pub bytes: usize,
    /// What is to be done.
    pub decision: Decision,
}

/// What is to be done with a message.
pub(crate) enum Decision {
    /// To be appended to the door's channels.
    Append(Append),
    /// To be appended to the dead letters.
    Bury {
        /// Its id.
        id: MessageId,
        /// With its cause.
        message: EncodedMessage,
    },
    /// Nothing is stored.
    Tell {
        /// What the source hears.
        settlement: Settlement,
        /// Where the message ended.
        end: DoorEnd,
    },
}

/// A message to be appended.
pub(crate) struct Append {
    /// Its id.
    pub id: MessageId,
    /// The message.
    pub message: EncodedMessage,
    /// The sender's own key, which must not have been seen: a repetition is told as stored before.
    pub claim: Option<SenderClaim>,
    /// The keys of `dedupe`, which must not have been seen either; almost always none.
    pub claims: Vec<Claim>,
}

impl DoorPlan {
    /// Judges messages in order.
    pub fn judge(&self, received: Vec<Received>) -> Vec<Judged> {
        let (began, count) = (Instant::now(), received.len() as u64);
        let judged: Vec<_> = received.into_iter().map(|message| self.judge_one(message)).collect();
        if count > 0 && !self.evaluator.route().accept.is_empty() {
            let mean = began.elapsed() / u32::try_from(count).unwrap_or(u32::MAX);
            self.step_seconds.observe_many(mean, count);
        }
        judged
    }

    /// The channels in which a message that found no room wants it.
    pub fn wants_room_in(&self, message: Option<&Judged>) -> &[Arc<Channel>] {
        match message.map(|message| &message.decision) {
            Some(Decision::Bury { .. }) => std::slice::from_ref(&self.dead_letters),
            Some(Decision::Append(_) | Decision::Tell { .. }) | None => &self.channels,
        }
    }

    fn judge_one(&self, Received { token, envelope, claim }: Received) -> Judged {
        Judged { token, bytes: envelope.bytes().len(), decision: self.decide(&envelope, claim) }
    }

    fn decide(&self, original: &Arc<Envelope>, claim: Option<SenderClaim>) -> Decision {
        let (envelope, claims) = match self.evaluator.accept(Arc::clone(original)) {
            Acceptance::Taken { envelope, claims } => (envelope, claims),
            Acceptance::Filtered { .. } => {
                return Decision::Tell { settlement: Settlement::Filtered, end: DoorEnd::Filtered };
            }
            Acceptance::Refused(refusal) => {
                let buries = self.on_refused == OnRefused::DeadLetter;
                let buried = if buries { self.bury(original, refusal.fault.clone()) } else { None };
                return buried.unwrap_or_else(|| self.refuse(refusal));
            }
        };
        let message = EncodedMessage::new(&envelope, None);
        let segment_bytes = self.shared.plan.gateway().store.segment_bytes;
        let bytes_max = limits::message_bytes_max(segment_bytes, self.channels.len());
        if message.len() as u64 > bytes_max {
            return self.turn_away(too_large(message.len(), bytes_max));
        }
        if let Some(why) = self.channels.iter().find_map(|channel| channel.never_holds(message.len())) {
            return self.turn_away(larger_than_may_be(why));
        }
        Decision::Append(Append { id: envelope.id, message, claim, claims })
    }

    fn refuse(&self, refusal: Refusal) -> Decision {
        let settlement = match self.on_refused {
            OnRefused::Drop => Settlement::Filtered,
            // A dead letter that is too large to be one is rejected.
            OnRefused::Tell | OnRefused::Reject | OnRefused::DeadLetter => Settlement::Refused(refusal),
        };
        Decision::Tell { settlement, end: DoorEnd::Refused }
    }

    /// What is larger than the store takes. A sender who hears an answer hears the same of it as of a body that is larger
    /// than his source takes, and neither is received; what a broker gave is.
    fn turn_away(&self, refusal: Refusal) -> Decision {
        if self.tells {
            return Decision::Tell { settlement: Settlement::Refused(refusal), end: DoorEnd::NotReceived };
        }
        self.refuse(refusal)
    }

    /// The keys that a message claims now: its sender's, and those of `dedupe`.
    pub fn keys(&self, now: Timestamp, token: Token, append: &Append) -> Vec<KeyClaim> {
        let own = append.claim.as_ref().map(|claim| KeyClaim {
            scope: self.claim_scope.clone(),
            hash: claim.key,
            body: claim.body,
            until: now.after(claim.window),
            id: append.id,
            keys_max: limits::SENDER_KEYS_MAX,
            place: claim.place.map(|Place { turn, at }| LogPlace { lane: lane(token), turn, at }),
        });
        own.into_iter().chain(self.step_keys(now, append.id, &append.claims)).collect()
    }

    /// The keys that a message claims for `dedupe`.
    pub fn step_keys(&self, now: Timestamp, id: MessageId, claims: &[Claim]) -> impl Iterator<Item = KeyClaim> {
        claims.iter().map(move |claim| KeyClaim {
            scope: Text::from(format!("accept:{}:{}", self.evaluator.route().id, claim.step)),
            hash: claim.key,
            // A `dedupe` compares no bodies: the same for all.
            body: claim.key,
            until: now.after(claim.window),
            id,
            keys_max: claim.keys_max,
            place: None,
        })
    }

    /// A dead letter of `accept`, which goes through `accept` again when it is redriven.
    fn bury(&self, original: &Envelope, fault: Fault) -> Option<Decision> {
        let note = DeadNote {
            cause: fault,
            route: self.evaluator.route().id.clone(),
            target: None,
            dead_since: self.shared.time.now(),
            source: None,
            tries_total: 0,
            tries: Vec::new(),
        };
        let message = EncodedMessage::new(original, Some(&note));
        let fits = message.len() as u64 <= self.shared.plan.gateway().store.message_bytes_max();
        fits.then_some(Decision::Bury { id: original.id, message })
    }
}

/// A log as it is read in one session of the source.
fn lane(Token { session, scope, .. }: Token) -> u64 {
    u64::from(session) << 32 | u64::from(scope)
}

fn too_large(bytes: usize, bytes_max: u64) -> Refusal {
    let text =
        format!("{bytes} bytes are more than the store takes ({bytes_max}): send less, or set `gateway.store.segment`");
    larger_than_may_be(text)
}

fn larger_than_may_be(why: String) -> Refusal {
    Refusal { kind: RefusalKind::TooLarge, fault: Fault::rejected("message.too_large", why), violations: Vec::new() }
}
