//! The source: a member of a consumer group.

mod context;
mod ledger;
mod mailbox;
mod plan;
mod poller;
mod shared;

use async_trait::async_trait;
use crossdock_connector::{
    Credit, Diagnostics, Event, Receiver, Settlement, Settler, Source, SourceConfig, SourceError, SourceErrorKind,
    StoreTag, Token,
};
use plan::Plan;
use shared::{Phase, Shared};
use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

/// How long the session before may take to say goodbye before the next one begins regardless.
const GOODBYE_MAX: Duration = Duration::from_secs(3);
/// How long it is waited for the group before the source counts as up and says that it waits.
const JOIN_MAX: Duration = Duration::from_secs(30);

/// A route's source.
pub(crate) struct KafkaSource {
    plan: Arc<Plan>,
    sessions: u32,
    /// The session before.
    last: Option<Arc<Shared>>,
}

impl KafkaSource {
    /// A source by its settings; nothing is connected.
    pub(crate) fn new(config: &SourceConfig, store: &StoreTag) -> Result<Self, Diagnostics> {
        Ok(Self { plan: Arc::new(Plan::new(config, store)?), sessions: 0, last: None })
    }
}

#[async_trait]
impl Source for KafkaSource {
    async fn open(&mut self) -> Result<(Box<dyn Receiver>, Box<dyn Settler>), SourceError> {
        if let Some(last) = self.last.take() {
            last.advance(Phase::Stopping);
            last.stopped(Instant::now() + GOODBYE_MAX).await;
        }
        self.sessions += 1;
        let shared = Arc::new(Shared::new(self.sessions));
        self.last = Some(Arc::clone(&shared));
        // If this is given up while it waits, the thread is told.
        let settler = KafkaSettler(Arc::clone(&shared));
        let (plan, thread_shared) = (Arc::clone(&self.plan), Arc::clone(&shared));
        let builder = thread::Builder::new().name(format!("kafka-{}", self.plan.route));
        let spawned = builder.spawn(move || poller::run(&plan, &thread_shared));
        spawned.map_err(|error| SourceError::new(SourceErrorKind::Internal, format!("no thread: {error}")))?;
        // Where no topic matches yet, the group is not joined at all.
        let (most, reason) = match self.plan.is_pattern {
            true => {
                (JOIN_MAX / 6, "no topic matches `pattern` yet, or the group has not let this member in".to_owned())
            }
            false => (JOIN_MAX, format!("group `{}` has not let this member in yet", self.plan.group)),
        };
        if !shared.joined(Instant::now() + most).await? {
            shared.wait_on(reason);
        }
        Ok((Box::new(KafkaReceiver(shared)), Box::new(settler)))
    }
}

struct KafkaReceiver(Arc<Shared>);

#[async_trait]
impl Receiver for KafkaReceiver {
    async fn next(&mut self, credit: Credit) -> Result<Event, SourceError> {
        self.0.next(credit).await
    }
}

impl Drop for KafkaReceiver {
    fn drop(&mut self) {
        self.0.advance(Phase::Settling);
    }
}

struct KafkaSettler(Arc<Shared>);

#[async_trait]
impl Settler for KafkaSettler {
    async fn settle(&mut self, batch: Vec<(Token, Settlement)>) -> Result<(), SourceError> {
        self.0.settle(&batch);
        Ok(())
    }

    async fn released(&mut self, scope: u32) {
        self.0.release(scope);
    }

    async fn close(self: Box<Self>, by: Instant) {
        self.0.advance(Phase::Stopping);
        self.0.stopped(by).await;
    }
}

impl Drop for KafkaSettler {
    fn drop(&mut self) {
        self.0.advance(Phase::Stopping);
    }
}

/// Sources that share a group on one connection share its messages, too, which is seldom meant.
pub(crate) fn check(sources: &[SourceConfig]) -> Diagnostics {
    let mut found = Diagnostics::new();
    let identity = |source: &SourceConfig| {
        let connection = source.connection.as_ref().map(|connection| connection.name.clone());
        (connection, source.settings.text("group").unwrap_or(&source.route).clone())
    };
    for (at, source) in sources.iter().enumerate() {
        if let Some(other) = sources.iter().take(at).find(|other| identity(other) == identity(source)) {
            let message =
                format!("route `{}` reads as the same group: each message goes to one of the two", other.route);
            let at = source.settings.span_of("group");
            let warning = crossdock_connector::Diagnostic::warning("kafka.group_shared", at, message);
            found.push(warning.hint("give each route a group of its own, unless they are to share the work"));
        }
        if let Some(was) = source.was.as_ref().filter(|_| source.settings.text("group").is_none()) {
            let route = &source.route;
            let message =
                format!("the group of `{was}` stays behind: that of `{route}` is new, and reads from its `start`");
            let at = source.settings.span_of("group");
            let warning = crossdock_connector::Diagnostic::warning("kafka.group_renamed", at, message);
            found.push(warning.hint(format!("write `group: {was}` to go on where `{was}` stood")));
        }
    }
    found
}
