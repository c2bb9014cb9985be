//! The thread that owns a session's consumer: connects, polls, converts, hands over, stores offsets, says goodbye.
//!
//! It never waits for the engine longer than [`PATIENCE`] without answering the group: partitions are paused then, and
//! polling goes on for the sake of the group alone. Pausing throws away what was fetched ahead, so a short wait comes
//! first; a source that is merely faster than the engine never pauses.

use super::{
    context::Context,
    plan::Plan,
    shared::{Phase, Shared, Wanted},
};
use crate::{
    client::Troubles,
    convert::{self, Arena, Lane},
    fault, probe,
};
use crossdock_connector::{Claim, Event, Received, SourceError, SourceErrorKind, Token};
use crossdock_model::{Refusal, Timestamp};
use rdkafka::{
    Message,
    config::FromClientConfigAndContext,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
    message::BorrowedMessage,
    types::RDKafkaErrorCode,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// How long the mailbox may be full before partitions are paused.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a poll waits where nothing is there.
const POLL: Duration = Duration::from_millis(100);
/// How often offsets are stored for committing.
const STORE_EVERY: Duration = Duration::from_millis(100);
/// Most messages that are handed over at once.
const BATCH_MESSAGES_MAX: usize = 256;
/// Bytes of payload after which a batch takes no more.
const BATCH_BYTES_MAX: usize = 256 << 10;
/// How long seeking may take.
const SEEK_MAX: Duration = Duration::from_secs(5);
/// How often topics that were not there are looked for; librdkafka itself finds them as often.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How long that may keep from polling.
const LOOK_MAX: Duration = Duration::from_secs(2);
/// For how long a record is known again by its place. Between a record's being stored and its offset's being committed
/// lies half a second; this leaves time for a crash, and lets a group be set back on purpose.
const CLAIM_WINDOW: Duration = Duration::from_secs(600);

/// Works until the session ends; whatever happens, it is told that the thread has stopped.
pub(super) fn run(plan: &Arc<Plan>, shared: &Arc<Shared>) {
    let end = Ended(shared);
    match connect(plan, shared) {
        Ok((consumer, missing)) => Poller::new(&consumer, plan, shared, missing).run(),
        Err(error) => shared.fail(error),
    }
    drop(end);
}

/// Tells that the thread is gone, also where it panicked.
struct Ended<'a>(&'a Shared);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.fail(SourceError::new(SourceErrorKind::Internal, "the consumer ended unasked: report this"));
        self.0.advance(Phase::Stopped);
    }
}

type KafkaConsumer = BaseConsumer<Context>;

/// A record that can be no message: its scope, its offset, and why.
type NoMessage = (u32, i64, Box<Refusal>);

/// The consumer, and what it says of topics that are not there.
fn connect(plan: &Arc<Plan>, shared: &Arc<Shared>) -> Result<(KafkaConsumer, Option<String>), SourceError> {
    let context = Context {
        shared: Arc::clone(shared),
        troubles: Troubles::default(),
        plan: Arc::clone(plan),
        epoch: AtomicU32::new(0),
    };
    let internal = |error: KafkaError| SourceError::new(SourceErrorKind::Internal, error.to_string());
    let consumer: KafkaConsumer =
        FromClientConfigAndContext::from_config_and_context(&plan.config(), context).map_err(internal)?;
    let troubles = &consumer.context().troubles;
    let topic = plan.topics.first().filter(|_| !plan.is_pattern).map(|topic| &**topic);
    let asked = (&*plan.connection.brokers, topic);
    probe::ask(consumer.client(), troubles, asked, || drop(consumer.poll(probe::TELL))).map_err(|why| {
        let denied = why.code.is_some_and(fault::is_denied);
        SourceError::new(if denied { SourceErrorKind::Denied } else { SourceErrorKind::Connection }, why.text)
    })?;
    let missing = look_for_topics(&consumer, plan, probe::ANSWER_MAX)?;
    if let Some(text) = &missing {
        shared.tell(Event::Blocked(text.clone()));
    }
    let topics: Vec<&str> = plan.topics.iter().map(|topic| &**topic).collect();
    consumer.subscribe(&topics).map_err(internal)?;
    Ok((consumer, missing))
}

/// A source whose topics are all missing is down; if only some are, the others are read, and this is what is said of them.
/// Those of a pattern come and go.
fn look_for_topics(consumer: &KafkaConsumer, plan: &Plan, within: Duration) -> Result<Option<String>, SourceError> {
    if plan.is_pattern {
        return Ok(None);
    }
    let mut missing = Vec::new();
    for topic in &plan.topics {
        let code = match consumer.fetch_metadata(Some(topic), within) {
            Ok(metadata) => {
                metadata.topics().first().and_then(rdkafka::metadata::MetadataTopic::error).map(RDKafkaErrorCode::from)
            }
            Err(error) => error.rdkafka_error_code(),
        };
        match code {
            None => {}
            Some(code) if fault::is_denied(code) => {
                let text = format!("the brokers do not let us read topic `{topic}`");
                return Err(SourceError::new(SourceErrorKind::Denied, text));
            }
            Some(code) if fault::is_missing(code) => missing.push(format!("`{topic}`")),
            Some(RDKafkaErrorCode::LeaderNotAvailable) => {}
            Some(code) => {
                return Err(SourceError::new(SourceErrorKind::Connection, format!("topic `{topic}`: {code}")));
            }
        }
    }
    let text = match missing.as_slice() {
        [] => return Ok(None),
        [one] => format!("topic {one} is not there: create it, or mend `topics`"),
        several => format!("topics {} are not there: create them, or mend `topics`", several.join(", ")),
    };
    if missing.len() == plan.topics.len() {
        return Err(SourceError::new(SourceErrorKind::Missing, text));
    }
    Ok(Some(text))
}

struct Poller<'a> {
    consumer: &'a KafkaConsumer,
    context: Arc<Context>,
    plan: &'a Plan,
    shared: &'a Shared,
    lanes: Vec<Lane>,
    /// The lane of the message before.
    lane: usize,
    epoch: u32,
    arena: Arena,
    /// How many messages the batch before had.
    batch: usize,
    stored_at: Instant,
    /// What was told of topics that are not there.
    missing: Option<String>,
    /// When to look for topics again.
    look_at: Option<Instant>,
}

impl<'a> Poller<'a> {
    fn new(consumer: &'a KafkaConsumer, plan: &'a Plan, shared: &'a Shared, missing: Option<String>) -> Self {
        let context = Arc::clone(consumer.context());
        Self {
            consumer,
            context,
            plan,
            shared,
            lanes: Vec::new(),
            lane: 0,
            epoch: 0,
            arena: Arena::default(),
            batch: 0,
            stored_at: Instant::now(),
            look_at: missing.is_some().then(|| Instant::now() + LOOK_EVERY),
            missing,
        }
    }

    fn run(&mut self) {
        loop {
            match self.shared.wanted(PATIENCE) {
                Wanted::Messages => self.turn(),
                Wanted::Patience => self.wait(),
                Wanted::End => break,
            }
            self.look_after();
        }
        self.context.store(self.consumer);
    }

    /// Polls until nothing is there or a batch is full, and hands it over.
    fn turn(&mut self) {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        let mut received_at = None;
        let mut patience = POLL;
        while batch.len() < BATCH_MESSAGES_MAX && bytes < BATCH_BYTES_MAX {
            let message = match self.consumer.poll(patience) {
                Some(Ok(message)) => message,
                Some(Err(error)) => {
                    self.trouble(&error);
                    break;
                }
                None => break,
            };
            patience = Duration::ZERO;
            bytes += message.payload_len();
            let received_at = *received_at.get_or_insert_with(now);
            match self.convert(&message, received_at) {
                Some(Ok(received)) => {
                    if batch.capacity() == 0 {
                        batch.reserve(self.batch);
                    }
                    batch.push(received);
                }
                Some(Err(refused)) => {
                    // Numbers are given in the order of receipt.
                    self.shared.hand_over(std::mem::take(&mut batch));
                    self.refuse(refused);
                }
                None => {}
            }
        }
        if !batch.is_empty() {
            self.batch = batch.len();
            self.shared.hand_over(batch);
        }
    }

    /// The engine takes nothing: the group is answered, nothing is fetched.
    fn wait(&mut self) {
        let mut paused_at = self.context.epoch.load(Ordering::Relaxed).wrapping_sub(1);
        tracing::debug!(route = %self.plan.route, "partitions are paused: the gateway takes no more for now");
        while self.shared.wanted(Duration::ZERO) == Wanted::Patience {
            // Partitions that were assigned since are not paused yet.
            let epoch = self.context.epoch.load(Ordering::Relaxed);
            if epoch != paused_at {
                self.all(Consumer::pause);
                paused_at = epoch;
            }
            match self.consumer.poll(POLL) {
                Some(Ok(message)) => {
                    // It was on its way when the partition was paused.
                    match self.convert(&message, now()) {
                        Some(Ok(received)) => self.shared.hand_over(vec![received]),
                        Some(Err(refused)) => self.refuse(refused),
                        None => {}
                    }
                }
                Some(Err(error)) => self.trouble(&error),
                None => {}
            }
            self.look_after();
        }
        self.all(Consumer::resume);
    }

    fn all(&self, act: impl Fn(&KafkaConsumer, &rdkafka::TopicPartitionList) -> Result<(), KafkaError>) {
        let result = self.consumer.assignment().and_then(|assignment| act(self.consumer, &assignment));
        if let Err(error) = result {
            tracing::debug!(%error, "pausing or resuming failed");
        }
    }

    /// None for a message of a partition that was taken away.
    fn convert(
        &mut self,
        message: &BorrowedMessage<'_>,
        received_at: Timestamp,
    ) -> Option<Result<Received, NoMessage>> {
        self.find_lane(message)?;
        let lane = self.lanes.get_mut(self.lane)?;
        let place = lane.place(message.offset());
        let made = convert::envelope(message, lane, &mut self.arena, received_at);
        Some(match made {
            Ok((envelope, key)) => {
                let envelope = Arc::new(envelope);
                // The number within the scope is given when it is handed over.
                let token = Token { session: 0, scope: lane.scope, seq: 0 };
                let claim = Claim { key, body: key, window: CLAIM_WINDOW, place: Some(place) };
                Ok(Received { token, envelope, claim: Some(claim) })
            }
            Err(refusal) => Err((lane.scope, message.offset(), refusal)),
        })
    }

    fn find_lane(&mut self, message: &BorrowedMessage<'_>) -> Option<()> {
        let epoch = self.context.epoch.load(Ordering::Relaxed);
        if epoch != self.epoch {
            self.epoch = epoch;
            self.lanes = self.shared.ledger(|ledger| {
                let lane = |scope: &super::ledger::Scope| {
                    let lane = Lane::new(&self.plan.connection.name, &scope.topic, scope.partition, scope.number);
                    lane.following(self.lanes.iter().find(|lane| lane.scope == scope.number))
                };
                ledger.scopes().iter().map(lane).collect()
            });
        }
        if !self.lanes.get(self.lane).is_some_and(|lane| lane.is_of(message)) {
            self.lane = self.lanes.iter().position(|lane| lane.is_of(message))?;
        }
        Some(())
    }

    /// Tells the engine of a record that can be no message.
    fn refuse(&self, (scope, offset, refusal): NoMessage) {
        tracing::warn!(route = %self.plan.route, offset, text = %refusal.fault.text, "a record can be no message");
        if let Some(token) = self.shared.ledger(|ledger| ledger.receive(scope, offset)) {
            self.shared.tell(Event::Refused(vec![(token, *refusal)]));
        }
    }

    fn trouble(&mut self, error: &KafkaError) {
        let code = error.rdkafka_error_code();
        // It does not say which, and the others are read all the same.
        if code.is_some_and(fault::is_missing) && (self.plan.is_pattern || self.plan.topics.len() > 1) {
            self.look_for_topics();
            // Not all brokers know at once what one of them told of.
            self.look_at.get_or_insert_with(|| Instant::now() + LOOK_EVERY);
            return;
        }
        let said = self.context.troubles.last().map(|(_, text)| text);
        let reason = match code {
            Some(code) if fault::is_missing(code) => {
                let topic = self.plan.topics.first().map_or("", |topic| &**topic);
                Some(format!("topic `{topic}` is not there any more: create it, or mend `topics`"))
            }
            Some(RDKafkaErrorCode::AllBrokersDown) => {
                let said = said.unwrap_or_else(|| "all connections are gone".to_owned());
                Some(format!("no broker can be reached ({}): {said}", self.plan.connection.brokers))
            }
            Some(RDKafkaErrorCode::FencedInstanceId | RDKafkaErrorCode::Fenced) => Some(format!(
                "another process is the member of group `{}` that this gateway is: does a copy of its data folder run?",
                self.plan.group
            )),
            Some(_) | None => said,
        };
        if let Some(error) = fault::of_source(error, reason) {
            self.shared.fail(error);
        }
    }

    /// Tells which topics are not there, and when all are again; without any the session ends.
    fn look_for_topics(&mut self) {
        self.look_at = Some(Instant::now() + LOOK_EVERY);
        let missing = match look_for_topics(self.consumer, self.plan, LOOK_MAX) {
            Ok(missing) => missing,
            Err(error) if error.kind == SourceErrorKind::Connection => {
                // Of brokers that are away the poll tells; they are asked again.
                return tracing::debug!(text = %error.text, "topics could not be looked for");
            }
            Err(error) => return self.shared.fail(error),
        };
        self.look_at = self.look_at.filter(|_| missing.is_some());
        if missing != self.missing {
            self.shared.tell(missing.clone().map_or(Event::Unblocked, Event::Blocked));
            self.missing = missing;
        }
    }

    /// What is due: topics to be looked for, offsets to be stored, messages that were given back.
    fn look_after(&mut self) {
        if self.look_at.is_some_and(|at| at <= Instant::now()) {
            self.look_for_topics();
        }
        if self.stored_at.elapsed() < STORE_EVERY {
            return;
        }
        self.stored_at = Instant::now();
        self.context.store(self.consumer);
        if self.shared.ledger(|ledger| ledger.wants_rewind()) {
            self.rewind();
        }
    }

    /// Reads again from the first message that is not settled, in a scope of its own.
    fn rewind(&mut self) {
        let rewinds = self.shared.ledger(super::ledger::Ledger::take_rewinds);
        let ended: Vec<u32> = rewinds.iter().map(|(scope, _)| scope.number).collect();
        self.shared.forget(&ended);
        for (scope, from) in rewinds {
            let to = rdkafka::Offset::Offset(from);
            if let Err(error) = self.consumer.seek(&scope.topic, scope.partition, to, SEEK_MAX) {
                let text =
                    format!("going back to offset {from} of {}/{} failed: {error}", scope.topic, scope.partition);
                return self.shared.fail(SourceError::new(SourceErrorKind::Connection, text));
            }
            self.shared.ledger(|ledger| ledger.begin(&scope.topic, scope.partition));
        }
        self.context.epoch.fetch_add(1, Ordering::Relaxed);
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
