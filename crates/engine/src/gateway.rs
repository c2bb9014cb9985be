//! The handle to a running gateway: starting, stopping, and what does not need a module of its own.

use crate::{
    Options, RequestError,
    account::Channel,
    claims::commit,
    crash::Crash,
    handle::RouteHandle,
    operation::{Operations, Renames},
    queue::QueueHandle,
    shared::{Phase, Shared},
    start::{Declared, build, declare},
    tasks::blocking,
};
use crossdock_config::{From as Origin, Plan};
use crossdock_connector::Connector;
use crossdock_model::Text;
use crossdock_store::{Atomicity, Channels, ClaimError, CommitError, Committed, Txn};
use std::{
    collections::HashMap,
    future::poll_fn,
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};
use tokio::{
    sync::{Mutex, mpsc, oneshot},
    task::JoinSet,
};

/// A running gateway; clones are handles to the same one. It goes on without handles until [`Gateway::shutdown`].
#[derive(Clone)]
pub struct Gateway(pub(crate) Arc<Inner>);

/// What all handles share.
pub(crate) struct Inner {
    pub shared: Arc<Shared>,
    pub routes: Vec<RouteHandle>,
    /// The queues that no route reads.
    pub queues: Vec<QueueHandle>,
    pub channels: HashMap<Text, Arc<Channel>>,
    pub operations: Operations,
    pub renames: Arc<Renames>,
    /// All connectors, to say what they would send.
    pub protocols: Vec<Arc<dyn Connector>>,
    /// Those that were started.
    connectors: Vec<Arc<dyn Connector>>,
    closed: Mutex<bool>,
}

/// Why a gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// What a connector's sources share cannot be made ready: a port in use.
    #[error(transparent)]
    Connector(#[from] crossdock_connector::StartError),
    /// The store contradicts the plan (a channel that was a topic), or cannot write.
    #[error(transparent)]
    Declare(#[from] crossdock_store::DeclareError),
    /// Somebody else has what the plan needs.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// The channels cannot do what a route needs.
    #[error("route `{route}`: `dedupe` among its `steps` needs channels that take a decision whole: do it in `accept`")]
    Atomicity {
        /// The route.
        route: Text,
    },
    /// A source or sink cannot be made from settings that were checked before.
    #[error("route `{route}`: {message}")]
    Settings {
        /// The route.
        route: Text,
        /// What the connector says.
        message: String,
    },
    /// Something inside went wrong.
    #[error("{0}")]
    Internal(String),
}

impl Gateway {
    /// Declares what the plan needs in the store, has the connectors make ready what their sources share, and starts all
    /// routes. Connectors are known by the name in their description. It returns when whoever sends to a source that
    /// answers (HTTP) is let in; for a broker, which may be away, nobody waits.
    ///
    /// # Errors
    /// See [`StartError`]; nothing runs then.
    pub async fn start(
        plan: Arc<Plan>,
        connectors: Vec<Arc<dyn Connector>>,
        channels: Arc<dyn Channels>,
        options: Options,
    ) -> Result<Self, StartError> {
        check_atomicity(&plan, channels.atomicity())?;
        let declaring = (Arc::clone(&plan), Arc::clone(&channels));
        let declared = blocking(move || declare(&declaring.0, &*declaring.1)).await;
        let lost = || StartError::Internal(String::from("the thread that declares channels was lost: report this"));
        let (declared, claims) = declared.ok_or_else(lost)??;
        let crash = Crash::read(&channels, options.boot).await;
        let shared = Arc::new(Shared::new(plan, (channels, claims), options, crash));
        let operations = Operations::load(&*shared.channels);
        operations.pass_pauses_on(&shared).await;
        let built = build(&shared, &declared, &connectors, &operations.paused_routes())?;
        let renames = Arc::new(Renames::open(&shared, &declared.moved).await);
        let protocols = connectors.clone();
        let connectors = with_sources(&shared.plan, connectors);
        start_connectors(&connectors).await?;
        let Declared { channels, .. } = declared;
        let (routes, queues, closed) = (built.routes, built.queues, Mutex::new(false));
        let inner =
            Arc::new(Inner { shared, routes, queues, channels, operations, renames, protocols, connectors, closed });
        for (name, task) in built.route_tasks {
            inner.shared.tasks.spawn(name, task.run());
        }
        for (name, task) in built.queue_tasks {
            inner.shared.tasks.spawn(name, task.run());
        }
        for (name, task) in built.source_tasks {
            inner.shared.tasks.spawn(name, task.run());
        }
        for door in built.doors {
            // An error, too, says that the try has ended.
            let _ = door.await;
        }
        let gateway = Self(inner);
        gateway.resume_operations();
        Ok(gateway)
    }

    /// What runs.
    #[must_use]
    pub fn plan(&self) -> &Arc<Plan> {
        &self.0.shared.plan
    }

    /// Whether messages are taken: no if the store failed or the gateway stops. A target that is down does not count.
    ///
    /// # Errors
    /// Why not.
    pub fn ready(&self) -> Result<(), Text> {
        if let Some(failure) = self.0.shared.signals.failure() {
            return Err(failure);
        }
        if let Some(failure) = self.0.shared.channels.failure() {
            return Err(Text::from(format!("the store stopped: {failure}")));
        }
        if self.0.shared.is_stopping() { Err(Text::from_static("the gateway stops")) } else { Ok(()) }
    }

    /// Resolves when the gateway cannot go on (the store failed, a task panicked), with the reason: the process must
    /// then end with a status that is not 0.
    pub async fn failed(&self) -> Text {
        self.0.shared.signals.failed().await
    }

    /// Takes nothing new, settles what was received, lets what is on its way to targets end until `by`, and closes the
    /// store. Queues are not emptied.
    ///
    /// # Errors
    /// If the store could not be closed; what was acknowledged is safe all the same.
    pub async fn shutdown(&self, by: Instant) -> Result<(), CommitError> {
        let mut closed = self.0.closed.lock().await;
        if std::mem::replace(&mut *closed, true) {
            return Ok(());
        }
        let until = tokio::time::Instant::from_std(by);
        let shared = &self.0.shared;
        shared.crash.close().await;
        let mut stops = begin_stops(&self.0.connectors, by).await;
        shared.phase.send_replace(Phase::Draining { by: until });
        // A connector that overstays is left behind: the process ends.
        drop(tokio::time::timeout_at(until, async { while stops.join_next().await.is_some() {} }).await);
        shared.phase.send_replace(Phase::Closing { by: until });
        // Each task keeps to `by` by itself; a little more lets the last commits be answered.
        if tokio::time::timeout_at(until + GRACE, shared.tasks.join()).await.is_err() {
            tracing::warn!("some tasks did not end in time");
            shared.tasks.abort();
        }
        close(&self.0.connectors).await;
        let channels = Arc::clone(&shared.channels);
        blocking(move || channels.close()).await.unwrap_or(Err(CommitError::Closed))
    }

    /// Starts no delivery of the route from now on; what is on its way ends. Lasts over restarts.
    ///
    /// # Errors
    /// There is no such route, or the store cannot note it.
    pub async fn pause(&self, route: &str) -> Result<(), RequestError> {
        self.set_paused(route, true).await
    }

    /// Goes on after [`Gateway::pause`].
    ///
    /// # Errors
    /// There is no such route, or the store cannot note it.
    pub async fn resume(&self, route: &str) -> Result<(), RequestError> {
        self.set_paused(route, false).await
    }

    async fn set_paused(&self, route: &str, paused: bool) -> Result<(), RequestError> {
        let handle = self.0.route(route).ok_or_else(|| no_route(route))?;
        if *handle.paused.borrow() == paused {
            return Ok(());
        }
        let operation = self.0.operations.pause(&handle.route.id, paused, self.0.shared.random());
        self.0.commit(Txn { operations: vec![operation], ..Txn::default() }).await?;
        handle.paused.send_replace(paused);
        if let Some(events) = &handle.events {
            let (answer, obeyed) = oneshot::channel();
            drop(events.send(crate::route::RouteEvent::Pause(paused, answer)));
            // A task that has ended delivers nothing anyhow.
            drop(obeyed.await);
        }
        Ok(())
    }
}

/// What tasks may take beyond the time that they were told, to write down what they were answered last.
const GRACE: Duration = Duration::from_secs(1);

impl Inner {
    /// A route of the plan.
    pub fn route(&self, id: &str) -> Option<&RouteHandle> {
        self.routes.iter().find(|handle| handle.route.id == id)
    }

    /// Submits a decision and waits for the answer, without holding a thread.
    pub async fn commit(&self, txn: Txn) -> Result<Committed, RequestError> {
        commit(&self.shared, &[], txn).await.map_err(|error| RequestError::Unavailable(error.to_string()))
    }
}

/// A gate notes keys and settles in one decision, and what remembered the key without the settlement would take the message
/// for a repetition of itself.
fn check_atomicity(plan: &Plan, atomicity: Atomicity) -> Result<(), StartError> {
    let gate = plan.routes().iter().find(|route| route.steps.claims());
    match (atomicity, gate) {
        (Atomicity::Repeatable, Some(route)) => Err(StartError::Atomicity { route: route.id.clone() }),
        (Atomicity::Repeatable, None) | (Atomicity::Frame, _) => Ok(()),
    }
}

/// The connectors that have a source: the others share nothing that must be made ready, and a port that no route
/// listens on is left alone.
fn with_sources(plan: &Plan, mut connectors: Vec<Arc<dyn Connector>>) -> Vec<Arc<dyn Connector>> {
    let has_source = |name: &str| {
        plan.routes().iter().any(|route| match &route.from {
            Origin::Connector(source) => source.connector == name,
            Origin::Queue(_) | Origin::Topic { .. } => false,
        })
    };
    connectors.retain(|connector| has_source(connector.description().name));
    connectors
}

async fn start_connectors(connectors: &[Arc<dyn Connector>]) -> Result<(), StartError> {
    for (started, connector) in connectors.iter().enumerate() {
        if let Err(error) = connector.start().await {
            for other in connectors.iter().take(started) {
                other.stop(Instant::now()).await;
                other.close().await;
            }
            return Err(error.into());
        }
    }
    Ok(())
}

/// Has every connector close, each in a task of its own as in [`begin_stops`]. One that overstays is left behind.
async fn close(connectors: &[Arc<dyn Connector>]) {
    let close = |connector: Arc<dyn Connector>| async move { connector.close().await };
    let mut closing: JoinSet<()> = connectors.iter().map(Arc::clone).map(close).collect();
    drop(tokio::time::timeout(GRACE, async { while closing.join_next().await.is_some() {} }).await);
}

/// Has every connector stop, and waits until each has begun to: only then may the sources go, or whoever sends meanwhile hears
/// that there is no such path (404) instead of that he should come again (503). Each has a task of its own, so that a panic
/// is no more than that.
async fn begin_stops(connectors: &[Arc<dyn Connector>], by: Instant) -> JoinSet<()> {
    let mut stops = JoinSet::new();
    // Nothing is ever sent: it is closed when the last one has begun.
    let (beginning, mut begun) = mpsc::channel::<()>(1);
    for connector in connectors {
        let (connector, beginning) = (Arc::clone(connector), beginning.clone());
        stops.spawn(async move {
            let mut stop = connector.stop(by);
            let has_ended = poll_fn(|context| Poll::Ready(stop.as_mut().poll(context).is_ready())).await;
            drop(beginning);
            if !has_ended {
                stop.await;
            }
        });
    }
    drop(beginning);
    let _closed = begun.recv().await;
    stops
}

pub(crate) fn no_route(id: &str) -> RequestError {
    RequestError::NotFound(format!("there is no route `{id}`"))
}

pub(crate) fn no_channel(name: &str) -> RequestError {
    RequestError::NotFound(format!("there is no channel `{name}`"))
}
