//! The source: makes messages as the pace and the engine's credit allow, and keeps those that are not settled.

use crate::{Input, pace::Pace};
use async_trait::async_trait;
use crossdock_connector::{
    Credit, Diagnostics, Evaluated, Event, Formulas, Rate, Received, Receiver, Settlement, Settler, Slot, Source,
    SourceConfig, SourceError, SourceErrorKind, Token,
};
use crossdock_model::{Digest, DigestBuilder, Envelope, Fault, MessageId, Refusal, RefusalKind, Text, Timestamp};
use std::{
    collections::{BTreeSet, HashMap},
    hash::{BuildHasher as _, RandomState},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant as StdInstant, SystemTime, UNIX_EPOCH},
};
use tokio::{sync::Notify, time::Instant};

/// Most messages made at once.
const BATCH_MESSAGES_MAX: usize = 256;
/// How long what could not be stored waits, where nothing else is said.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// What a source makes.
#[derive(Debug)]
struct Plan {
    route: Text,
    slot: Slot,
    formulas: Formulas,
    content_type: Option<Text>,
    count: Option<u64>,
    rate: Option<Rate>,
    seed: u64,
    /// Drawn at every start, so that a restart's messages are not taken for those of the last run.
    run: Digest,
}

/// A route's source.
#[derive(Debug)]
pub struct GenerateSource {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    plan: Plan,
    state: Mutex<State>,
    /// Something was settled.
    settled: Notify,
}

/// How far it is; outlives sessions.
#[derive(Debug, Default)]
struct State {
    session: u32,
    next_token: u64,
    /// The first sequence number that was never given.
    next_sequence: u64,
    in_flight: HashMap<u64, u64>,
    /// Sequence numbers to give again, by when they are due.
    again: BTreeSet<(Instant, u64)>,
    pace: Option<Pace>,
    /// Payloads that could not be made.
    refused: u64,
}

impl GenerateSource {
    /// A source from its settings.
    ///
    /// # Errors
    /// There is no `payload`.
    pub fn new(config: &SourceConfig) -> Result<Self, Diagnostics> {
        let settings = &config.settings;
        let whole = |name| settings.integer(name).and_then(|n| u64::try_from(n).ok());
        let plan = Plan {
            route: config.route.clone(),
            slot: settings.slot("payload").ok_or_else(|| settings.missing("payload"))?,
            formulas: config.formulas.clone(),
            content_type: settings.text("content_type").cloned(),
            count: whole("count"),
            rate: settings.rate("rate"),
            seed: whole("seed").unwrap_or(0),
            run: draw_run(),
        };
        Ok(Self { shared: Arc::new(Shared { plan, state: Mutex::default(), settled: Notify::new() }) })
    }
}

/// A number that no other run has: the time, the process, and the random keys of a hash map.
fn draw_run() -> Digest {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    DigestBuilder::new("crossdock.generate.run")
        .part(&nanos.to_le_bytes())
        .part(&std::process::id().to_le_bytes())
        .part(&RandomState::new().hash_one(nanos).to_le_bytes())
        .finish()
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Source for GenerateSource {
    async fn open(&mut self) -> Result<(Box<dyn Receiver>, Box<dyn Settler>), SourceError> {
        let now = Instant::now();
        let session = {
            let mut state = self.shared.state();
            state.session += 1;
            state.next_token = 0;
            // What the last session gave and nobody settled is given again.
            let lost: Vec<u64> = state.in_flight.drain().map(|(_, sequence)| sequence).collect();
            state.again.extend(lost.into_iter().map(|sequence| (now, sequence)));
            if state.pace.is_none() {
                state.pace = self.shared.plan.rate.map(|rate| Pace::new(rate, now));
            }
            state.session
        };
        let receiver = GenerateReceiver { shared: Arc::clone(&self.shared), session };
        let settler = GenerateSettler { shared: Arc::clone(&self.shared), session };
        Ok((Box::new(receiver), Box::new(settler)))
    }
}

struct GenerateReceiver {
    shared: Arc<Shared>,
    session: u32,
}

/// What the receiver does next.
enum Turn {
    /// Makes the message of this number.
    Make(u64),
    /// Waits: until then, or until something is settled.
    Wait(Option<Instant>),
    /// All are made and settled.
    End,
}

impl State {
    fn turn(&self, now: Instant, count: Option<u64>) -> Turn {
        let again = self.again.first().copied();
        if let Some((_, sequence)) = again.filter(|(due, _)| *due <= now) {
            return Turn::Make(sequence);
        }
        let again_at = again.map(|(due, _)| due);
        if count.is_some_and(|count| self.next_sequence >= count) {
            let is_over = self.in_flight.is_empty() && self.again.is_empty();
            return if is_over { Turn::End } else { Turn::Wait(again_at) };
        }
        match self.pace.map(|pace| pace.next()).filter(|next| *next > now) {
            None => Turn::Make(self.next_sequence),
            Some(next) => Turn::Wait(Some(again_at.map_or(next, |again| again.min(next)))),
        }
    }

    /// The message of this number is given out.
    fn made(&mut self, sequence: u64, now: Instant) -> Token {
        if sequence == self.next_sequence {
            self.next_sequence += 1;
            if let Some(pace) = &mut self.pace {
                pace.made(now);
            }
        } else {
            self.again.retain(|(_, other)| *other != sequence);
        }
        let token = Token { session: self.session, scope: 0, seq: self.next_token };
        self.next_token += 1;
        self.in_flight.insert(token.seq, sequence);
        token
    }
}

#[async_trait]
impl Receiver for GenerateReceiver {
    async fn next(&mut self, credit: Credit) -> Result<Event, SourceError> {
        loop {
            // Made before it is looked at, so that a settlement in between is not missed.
            let settled = self.shared.settled.notified();
            let (mut messages, mut bytes) = (Vec::new(), 0);
            let now = Instant::now();
            let wait = loop {
                if messages.len() >= credit.messages.clamp(1, BATCH_MESSAGES_MAX) {
                    break None;
                }
                let turn = {
                    let state = self.shared.state();
                    if state.session != self.session {
                        return Err(SourceError::new(SourceErrorKind::Internal, "the session is over"));
                    }
                    state.turn(now, self.shared.plan.count)
                };
                let sequence = match turn {
                    Turn::Make(sequence) => sequence,
                    Turn::Wait(until) => break until,
                    Turn::End if messages.is_empty() => return Ok(Event::End),
                    Turn::End => break None,
                };
                let envelope = match self.shared.plan.make(sequence) {
                    Ok(envelope) => envelope,
                    // What was made before goes out first; the fault is met again at the next call.
                    Err(_) if !messages.is_empty() => break None,
                    Err(fault) => {
                        // A refusal is settled at once: where every payload fails, nothing else would ever make the task wait.
                        tokio::task::yield_now().await;
                        let mut state = self.shared.state();
                        let token = state.made(sequence, now);
                        state.refused += 1;
                        // Each would flood the log where all fail: the first, and then ever more seldom.
                        if state.refused.is_power_of_two() {
                            let (route, refused) = (&self.shared.plan.route, state.refused);
                            tracing::warn!(%route, sequence, refused, %fault, "a payload could not be made");
                        }
                        return Ok(Event::Refused(vec![(token, refusal(sequence, &fault))]));
                    }
                };
                if !messages.is_empty() && bytes + envelope.bytes().len() > credit.bytes {
                    break None;
                }
                bytes += envelope.bytes().len();
                let token = self.shared.state().made(sequence, now);
                messages.push(Received { token, envelope: Arc::new(envelope), claim: None });
            };
            if !messages.is_empty() {
                return Ok(Event::Messages(messages));
            }
            match wait {
                None => settled.await,
                Some(until) => tokio::select! {
                    () = tokio::time::sleep_until(until) => {}
                    () = settled => {}
                },
            }
        }
    }
}

/// A payload that cannot be made: the same sequence number fails again whenever it is tried.
fn refusal(sequence: u64, fault: &Fault) -> Refusal {
    let text = format!("`payload` failed for sequence {sequence}: {}", fault.text);
    Refusal { kind: RefusalKind::Invalid, fault: Fault::rejected(fault.code.clone(), text), violations: Vec::new() }
}

impl Plan {
    fn make(&self, sequence: u64) -> Result<Envelope, Fault> {
        let key = DigestBuilder::new("crossdock.generate.message")
            .part(self.route.as_bytes())
            .part(&self.run.0)
            .part(&sequence.to_le_bytes())
            .finish();
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
        let mut envelope = Envelope::new(MessageId::from_digest(key), now, Input::new(self.seed, sequence).to_json());
        envelope.properties.content_type = Some(Text::from_static("application/json"));
        envelope.origin.protocol = Text::from_static("generate");
        envelope.origin.address = self.route.clone();
        envelope.origin.offset = i64::try_from(sequence).ok();
        // A panic would end the session, and the next one would meet it again.
        let evaluated = catch_unwind(AssertUnwindSafe(|| self.formulas.evaluate(self.slot, &envelope)));
        let panicked = |_| Fault::rejected("internal.panic", "the expression panicked: report this");
        let (payload, told) = match evaluated.map_err(panicked)?? {
            Evaluated::Text(bytes) => (bytes, "text/plain"),
            Evaluated::Json(bytes) => (bytes, "application/json"),
        };
        envelope.payload = Some(payload);
        envelope.properties.content_type = Some(self.content_type.clone().unwrap_or(Text::from_static(told)));
        Ok(envelope)
    }
}

struct GenerateSettler {
    shared: Arc<Shared>,
    session: u32,
}

#[async_trait]
impl Settler for GenerateSettler {
    async fn settle(&mut self, batch: Vec<(Token, Settlement)>) -> Result<(), SourceError> {
        {
            let (mut state, now) = (self.shared.state(), Instant::now());
            for (token, settlement) in batch.into_iter().filter(|(token, _)| token.session == self.session) {
                if state.session != self.session || matches!(settlement, Settlement::Reply(_)) {
                    continue;
                }
                let sequence = state.in_flight.remove(&token.seq);
                if let (Settlement::Again { after }, Some(sequence)) = (settlement, sequence) {
                    state.again.insert((now + after.unwrap_or(AGAIN_AFTER), sequence));
                }
            }
        }
        self.shared.settled.notify_one();
        Ok(())
    }

    async fn released(&mut self, _: u32) {}

    async fn close(self: Box<Self>, _: StdInstant) {}
}
