//! What the gateway's handle knows of a route: where to ask, and what to count.

use crate::{
    Counts, RouteState, RouteView, TargetState, TargetView,
    account::Account,
    metrics::Histogram,
    route::{RouteEvent, RouteReport},
    shared::Shared,
    source::{Board, DoorPlan},
};
use crossdock_config::{Route, Target};
use crossdock_model::Text;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};

/// A route of the plan at work.
pub(crate) struct RouteHandle {
    /// What was planned.
    pub route: Arc<Route>,
    /// Its account.
    pub account: Account,
    /// What is shown of its connector source.
    pub source: Option<Arc<Board>>,
    /// What its source's messages go through.
    pub door: Option<Arc<DoorPlan>>,
    /// Its task, if it reads a channel.
    pub events: Option<mpsc::UnboundedSender<RouteEvent>>,
    /// Whether it was told not to deliver.
    pub paused: watch::Sender<bool>,
    /// How long `accept` took.
    pub accept_seconds: Arc<Histogram>,
    /// How long `steps` took.
    pub step_seconds: Arc<Histogram>,
    /// From receipt to confirmation, by target.
    pub deliveries: Vec<(Text, Arc<Histogram>)>,
    /// The targets of a route that has no task: channels, appended to at the door.
    pub direct: Vec<DirectTarget>,
}

/// A channel that is appended to at the door.
pub(crate) struct DirectTarget {
    name: Text,
}

impl DirectTarget {
    /// A target of a route without steps.
    pub fn new(target: &Target) -> Self {
        Self { name: target.name.clone() }
    }
}

impl RouteHandle {
    /// What its task says of itself; none if it has none, or it ended.
    pub async fn report(&self) -> Option<RouteReport> {
        let (answer, reported) = oneshot::channel();
        self.events.as_ref()?.send(RouteEvent::Report(answer)).ok()?;
        reported.await.ok()
    }

    /// Its account now.
    pub fn counts(&self, shared: &Shared) -> Counts {
        self.account.counts(&*shared.channels)
    }

    /// What is shown of it.
    pub async fn view(&self, shared: &Shared) -> RouteView {
        let report = self.report().await;
        self.view_of(report.as_ref(), shared)
    }

    /// What is shown of it, given what its task says.
    pub fn view_of(&self, report: Option<&RouteReport>, shared: &Shared) -> RouteView {
        let state = match report {
            Some(report) => report.state,
            None if self.events.is_some() || shared.is_stopping() => RouteState::Stopped,
            None if *self.paused.borrow() => RouteState::Paused,
            None => RouteState::Running,
        };
        let targets = match report {
            Some(report) => report.targets.iter().map(|target| target.view.clone()).collect(),
            None => self.direct.iter().map(|target| target.view(shared)).collect(),
        };
        RouteView {
            id: self.route.id.clone(),
            state,
            reason: report.and_then(|report| report.reason.clone()),
            sources: self.source.iter().map(|source| source.view()).collect(),
            targets,
            counts: self.counts(shared),
        }
    }
}

impl DirectTarget {
    /// It is always up: what finds no room is told at the door.
    fn view(&self, shared: &Shared) -> TargetView {
        TargetView {
            name: self.name.clone(),
            state: TargetState::Up,
            since: shared.started_at,
            reason: None,
            next_probe: None,
            suspects: 0,
            ready: 0,
            in_flight: 0,
            scheduled: 0,
            connector: false,
        }
    }
}
