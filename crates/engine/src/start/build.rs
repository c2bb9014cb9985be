//! Making every source, sink and task of a plan, without I/O.

use super::{Declared, gate_name, queue_group, subscription_name};
use crate::{
    Evaluator, StartError,
    account::{Account, Channel, Door, Group},
    claims::Claimed,
    handle::{DirectTarget, RouteHandle},
    limits,
    metrics::Histogram,
    queue::{Board as QueueBoard, QueueHandle, QueueTask},
    route::{Destination as Way, RoutePlan, RouteTask, SharedLink, TargetPlan},
    shared::Shared,
    source::{Board, DoorPlan, SourceTask},
};
use crossdock_config::{Channels, ConnectorSource, Destination, From, Idempotency, Route, Target};
use crossdock_connector::{Connector, Diagnostics, OnRefused};
use crossdock_model::Text;
use std::{collections::HashMap, sync::Arc};
use tokio::sync::{oneshot, watch};

/// Everything that is to run.
pub(crate) struct Built {
    /// What is known of the routes, in the order of the file.
    pub routes: Vec<RouteHandle>,
    /// What is known of the queues that no route reads.
    pub queues: Vec<QueueHandle>,
    /// The routes' tasks.
    pub route_tasks: Vec<(Text, RouteTask)>,
    /// The tasks of queues that no route reads.
    pub queue_tasks: Vec<(Text, QueueTask)>,
    /// The sources' tasks.
    pub source_tasks: Vec<(Text, SourceTask)>,
    /// Each resolves when a source whose senders wait for an answer has been opened, or could not be.
    pub doors: Vec<oneshot::Receiver<()>>,
}

/// What making the parts needs.
pub(crate) struct Builder<'a> {
    pub shared: &'a Arc<Shared>,
    pub declared: &'a Declared,
    pub connectors: &'a [Arc<dyn Connector>],
    /// Routes that were told not to deliver, by an earlier process.
    pub paused: &'a [Text],
    links: HashMap<(&'static str, Text), Arc<SharedLink>>,
}

/// Makes everything of the plan.
pub(crate) fn build(
    shared: &Arc<Shared>,
    declared: &Declared,
    connectors: &[Arc<dyn Connector>],
    paused: &[Text],
) -> Result<Built, StartError> {
    let mut builder = Builder { shared, declared, connectors, paused, links: HashMap::new() };
    let mut built = Built {
        routes: Vec::new(),
        queues: Vec::new(),
        route_tasks: Vec::new(),
        queue_tasks: Vec::new(),
        source_tasks: Vec::new(),
        doors: Vec::new(),
    };
    for route in shared.plan.routes() {
        builder.route(route, &mut built)?;
    }
    for channel in shared.plan.channels() {
        if channel.is_queue() && shared.plan.reader(&channel.name).is_none() {
            builder.queue(&channel.name, &mut built)?;
        }
    }
    Ok(built)
}

impl Builder<'_> {
    fn route(&mut self, route: &Arc<Route>, built: &mut Built) -> Result<(), StartError> {
        let evaluator = Evaluator::new(Arc::clone(route));
        let is_paused = self.paused.contains(&route.id);
        let reads = match route.reads() {
            Channels::Queue(name) | Channels::Topic { name, .. } => Some(self.channel(name)?),
            Channels::None => None,
        };
        let (accept_seconds, step_seconds) = (Arc::new(Histogram::seconds()), Arc::new(Histogram::seconds()));
        let mut handle = RouteHandle {
            route: Arc::clone(route),
            account: Account { name: route.id.clone(), door: None, group: None },
            source: None,
            door: None,
            events: None,
            paused: watch::Sender::new(is_paused),
            accept_seconds: Arc::clone(&accept_seconds),
            step_seconds: Arc::clone(&step_seconds),
            deliveries: Vec::new(),
            direct: Vec::new(),
        };
        if let Some(channel) = &reads {
            handle.account.group = Some(Group::new(route.id.clone(), Arc::clone(channel), &*self.shared.channels));
            let targets = self.targets(route, &mut handle)?;
            let gate = if route.steps.claims() { Some(self.subscription(&gate_name(route))?) } else { None };
            let (task, events) = RouteTask::new(RoutePlan {
                shared: Arc::clone(self.shared),
                evaluator: evaluator.clone(),
                channel: Arc::clone(channel),
                dead_letters: self.channel(&route.dead_letter)?,
                gate,
                targets,
                step_seconds,
                paused: is_paused,
            });
            handle.events = Some(events);
            built.route_tasks.push((Text::from(format!("route {}", route.id)), task));
        }
        if let From::Connector(source) = &route.from {
            let mut task = self.source(route, source, evaluator, reads, &mut handle)?;
            if task.plan.tells {
                let (tried, door) = oneshot::channel();
                task.tried = Some(tried);
                built.doors.push(door);
            }
            built.source_tasks.push((Text::from(format!("source of {}", route.id)), task));
        }
        built.routes.push(handle);
        Ok(())
    }

    /// A queue that no route reads.
    fn queue(&self, name: &Text, built: &mut Built) -> Result<(), StartError> {
        let (group, channel) = (queue_group(name), self.channel(name)?);
        let subscription = self.subscription(&group)?;
        let board = Arc::<QueueBoard>::default();
        let (task, events) = QueueTask::new(self.shared, Arc::clone(&channel), subscription, Arc::clone(&board));
        let account = Account {
            name: group.clone(),
            door: None,
            group: Some(Group::new(group.clone(), channel, &*self.shared.channels)),
        };
        built.queues.push(QueueHandle { account, events, board });
        built.queue_tasks.push((group, task));
        Ok(())
    }

    fn targets(&mut self, route: &Arc<Route>, handle: &mut RouteHandle) -> Result<Vec<TargetPlan>, StartError> {
        let mut targets = Vec::with_capacity(route.targets.len());
        for target in &route.targets {
            let delivery_seconds = Arc::new(Histogram::seconds());
            handle.deliveries.push((target.name.clone(), Arc::clone(&delivery_seconds)));
            let name = subscription_name(route, &target.name);
            let claimed = self.subscription(&name)?;
            let (destination, link) = self.destination(route, target)?;
            targets.push(TargetPlan {
                name: target.name.clone(),
                claimed,
                destination,
                link,
                per_redrive: target.idempotency == Idempotency::PerRedrive,
                delivery_seconds,
            });
        }
        Ok(targets)
    }

    fn destination(&mut self, route: &Route, target: &Target) -> Result<(Way, Arc<SharedLink>), StartError> {
        match &target.to {
            Destination::Channel(name) => Ok((Way::Channel(self.channel(name)?), Arc::new(SharedLink::new()))),
            Destination::Connector { connector, config } => {
                let sink = self.connector(connector)?.sink(config).map_err(|found| settings(route, &found))?;
                let in_flight_max = config.settings.integer("max_in_flight").and_then(|max| usize::try_from(max).ok());
                let in_flight_max = in_flight_max.unwrap_or(limits::CHANNEL_IN_FLIGHT_MAX);
                let link = match &config.connection {
                    Some(connection) => {
                        let key = (*connector, connection.name.clone());
                        Arc::clone(self.links.entry(key).or_insert_with(|| Arc::new(SharedLink::new())))
                    }
                    None => Arc::new(SharedLink::new()),
                };
                Ok((Way::Sink { sink, in_flight_max }, link))
            }
        }
    }

    fn source(
        &self,
        route: &Arc<Route>,
        source: &ConnectorSource,
        evaluator: Evaluator,
        hidden: Option<Arc<Channel>>,
        handle: &mut RouteHandle,
    ) -> Result<SourceTask, StartError> {
        let connector = self.connector(source.connector)?;
        let made = connector.source(&source.config).map_err(|found| settings(route, &found))?;
        let door = Arc::new(Door::default());
        handle.account.door = Some(Arc::clone(&door));
        let is_hidden = hidden.is_some();
        let channels = match hidden {
            Some(hidden) => vec![hidden],
            None => {
                let names = route.targets.iter().filter_map(|target| target.to.channel());
                let channels: Vec<_> = names.map(|name| self.channel(name)).collect::<Result<_, _>>()?;
                handle.direct = route.targets.iter().map(DirectTarget::new).collect();
                channels
            }
        };
        let plan = Arc::new(DoorPlan {
            shared: Arc::clone(self.shared),
            evaluator,
            door,
            channels,
            hidden: is_hidden,
            dead_letters: self.channel(&route.dead_letter)?,
            on_refused: source.on_refused,
            tells: connector.description().on_refused == OnRefused::Tell,
            step_seconds: Arc::clone(&handle.accept_seconds),
            claim_scope: Text::from(format!("door:{}", route.id)),
        });
        let name = match &source.config.connection {
            Some(connection) => Text::from(format!("{} {}", source.connector, connection.name)),
            None => Text::from_static(source.connector),
        };
        let board = Arc::new(Board::new(name, &self.shared.time));
        handle.source = Some(Arc::clone(&board));
        handle.door = Some(Arc::clone(&plan));
        // A route with a queue of its own goes on receiving while it does not deliver.
        let paused = if is_hidden { watch::Sender::new(false).subscribe() } else { handle.paused.subscribe() };
        Ok(SourceTask { plan, source: made, board, paused, tried: None })
    }

    fn channel(&self, name: &Text) -> Result<Arc<Channel>, StartError> {
        self.declared.channels.get(name).cloned().ok_or_else(|| missing(name))
    }

    fn subscription(&self, name: &Text) -> Result<Claimed, StartError> {
        let number = self.declared.subscriptions.get(name);
        number.and_then(|number| self.shared.claims.of(*number)).ok_or_else(|| missing(name))
    }

    fn connector(&self, name: &str) -> Result<&Arc<dyn Connector>, StartError> {
        let found = self.connectors.iter().find(|connector| connector.description().name == name);
        found.ok_or_else(|| StartError::Internal(format!("no connector `{name}` was given: report this")))
    }
}

fn missing(name: &Text) -> StartError {
    StartError::Internal(format!("`{name}` was not declared: report this"))
}

fn settings(route: &Route, found: &Diagnostics) -> StartError {
    let messages: Vec<_> = found.iter().map(|diagnostic| diagnostic.message.clone()).collect();
    StartError::Settings { route: route.id.clone(), message: messages.join("; ") }
}
