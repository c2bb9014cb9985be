//! Making a route's task from what was planned, declared and made for it.

use super::{
    RouteEvent, RouteTask, SharedLink,
    cache::Cache,
    gate::Gate,
    grave::Grave,
    moves::ChannelWay,
    notes::Noted,
    outbox::Outbox,
    reading::Reading,
    sink::SinkWay,
    standing::Standing,
    target::{Target, Way},
};
use crate::{Evaluator, account::Channel, claims::Claimed, limits, metrics::Histogram, shared::Shared};
use crossdock_config::{ChannelKind, OnFailure, Route, WhenFull};
use crossdock_connector::Sink;
use crossdock_delivery::{Order, Policy, Retry, Scheduler};
use crossdock_model::Text;
use std::{collections::VecDeque, sync::Arc};
use tokio::sync::{Notify, mpsc};

/// What a route's task is made from.
pub(crate) struct RoutePlan {
    /// The gateway.
    pub shared: Arc<Shared>,
    /// The rules.
    pub evaluator: Evaluator,
    /// The channel that it reads.
    pub channel: Arc<Channel>,
    /// Where its dead letters go.
    pub dead_letters: Arc<Channel>,
    /// Its gate's place in the channel, if it has one.
    pub gate: Option<Claimed>,
    /// Its targets in the order of the file.
    pub targets: Vec<TargetPlan>,
    /// How long `steps` took.
    pub step_seconds: Arc<Histogram>,
    /// Whether it was told not to deliver.
    pub paused: bool,
}

/// What a target is made from.
pub(crate) struct TargetPlan {
    /// Its identity within the route.
    pub name: Text,
    /// Its place in the channel.
    pub claimed: Claimed,
    /// Where it sends to.
    pub destination: Destination,
    /// Its connection's reachability.
    pub link: Arc<SharedLink>,
    /// Whether the idempotency key tells redrives apart.
    pub per_redrive: bool,
    /// From receipt to confirmation.
    pub delivery_seconds: Arc<Histogram>,
}

/// Where a target sends to.
pub(crate) enum Destination {
    /// Through a connector.
    Sink {
        /// The connector's part.
        sink: Box<dyn Sink>,
        /// Most sends under way.
        in_flight_max: usize,
    },
    /// To a channel.
    Channel(Arc<Channel>),
}

impl RouteTask {
    /// A task that has not begun, and where to post events to it.
    pub fn new(plan: RoutePlan) -> (Self, mpsc::UnboundedSender<RouteEvent>) {
        let RoutePlan { shared, evaluator, channel, dead_letters, gate, targets, step_seconds, paused } = plan;
        let (events_to_self, events) = mpsc::unbounded_channel();
        let bell = Arc::new(Notify::new());
        let route = Arc::clone(evaluator.route());
        let targets = targets.into_iter().enumerate();
        let expiry_bell = Arc::new(Notify::new());
        let bells = [Arc::clone(&bell), Arc::clone(&expiry_bell)];
        let targets: Vec<Target> =
            targets.map(|(at, plan)| target(at, plan, &route, &shared, &events_to_self, &bells)).collect();
        let gate = gate.map(|claimed| {
            let gate = Gate::new(claimed);
            let followed = gate.claimed.subscription;
            targets.iter().for_each(|target| shared.channels.follow(&target.claimed.fence, followed));
            let (ring, bell) = (gate.reading.ring(), Arc::clone(&bell));
            let watch = move || {
                ring.ring();
                bell.notify_one();
            };
            shared.channels.watch(&gate.claimed.fence, Arc::new(watch));
            gate
        });
        let fences = targets.iter().map(|target| &target.claimed).chain(gate.as_ref().map(|gate: &Gate| &gate.claimed));
        let fences = fences.map(|claimed| claimed.fence.clone()).collect();
        let place = shared.crash.turns.join(Arc::clone(&bell));
        let drops = shared.plan.channel(&channel.name).is_some_and(|planned| match &planned.kind {
            ChannelKind::Queue(limits) => matches!(limits.when_full, WhenFull::DropOldest { .. }),
            ChannelKind::Topic(_) => false,
        });
        let task = Self {
            shared,
            evaluator,
            channel,
            dead_letters,
            events_to_self: events_to_self.clone(),
            events,
            bell,
            expiry_bell,
            targets,
            cache: Cache::default(),
            chunks: VecDeque::new(),
            ended: super::ended::Ended::default(),
            gate,
            fences,
            outbox: Outbox::default(),
            grave: Grave::default(),
            flushes: (0, 0),
            under_way: 0,
            step_seconds,
            paused,
            trouble: None,
            drops,
            held: false,
            stopping: None,
            place,
            permit: crate::crash::Permit::Nothing,
            again: false,
        };
        (task, events_to_self)
    }
}

fn target(
    at: usize,
    plan: TargetPlan,
    route: &Route,
    shared: &Shared,
    events: &mpsc::UnboundedSender<RouteEvent>,
    bells: &[Arc<Notify>; 2],
) -> Target {
    let (in_flight_max, way) = match plan.destination {
        Destination::Sink { sink, in_flight_max } => (in_flight_max, Way::Sink(SinkWay::new(at, sink, events.clone()))),
        Destination::Channel(channel) => (limits::CHANNEL_IN_FLIGHT_MAX, Way::Channel(ChannelWay::new(channel))),
    };
    let reading = Reading::new();
    let (ring, bells_of_store) = (reading.ring(), bells.clone());
    let watch = move || {
        ring.ring();
        bells_of_store.iter().for_each(|bell| bell.notify_one());
    };
    shared.channels.watch(&plan.claimed.fence, Arc::new(watch));
    let [bell, _] = bells;
    plan.link.join(Arc::clone(bell));
    Target {
        name: plan.name,
        noted: Noted::new(shared, plan.claimed.subscription),
        claimed: plan.claimed,
        scheduler: Scheduler::new(policy(route, in_flight_max), shared.random()),
        link: plan.link,
        way,
        per_redrive: plan.per_redrive,
        delivery_seconds: plan.delivery_seconds,
        live: super::live::LiveMap::default(),
        loaded_bytes: 0,
        evaluating: 0,
        parked: VecDeque::new(),
        deadlines: super::deadlines::Deadlines::default(),
        apart: Vec::new(),
        floor: 0,
        fetched_below: 0,
        reading,
        recalls: Vec::new(),
        standing: Standing::new(shared.time.now()),
    }
}

fn policy(route: &Route, max_in_flight: usize) -> Policy {
    let retry = &route.retry;
    let order = match (&route.order_by, route.on_failure) {
        (None, _) => Order::None,
        (Some(_), OnFailure::BlockKey) => Order::BlockKey,
        (Some(_), OnFailure::Skip) => Order::Skip,
    };
    Policy {
        retry: Retry {
            attempts: retry.attempts,
            initial: retry.initial,
            factor: retry.factor,
            max: retry.max,
            jitter: retry.jitter,
            alone_limit: retry.alone_limit,
        },
        order,
        max_in_flight,
        window: limits::WINDOW_MESSAGES_MAX + max_in_flight,
        ..Policy::default()
    }
}
