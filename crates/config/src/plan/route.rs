//! Routes: from where, through which steps, to where, and what happens when it goes wrong.

use crate::{Scrubber, words::Words};
use crossdock_connector::{OnRefused, SinkConfig, SourceConfig};
use crossdock_expression::Program;
use crossdock_model::{Text, Timestamp};
use crossdock_rules::{EventDefaults, EventMode, Pipeline, Router};
use std::time::Duration;

/// A route.
#[derive(Debug)]
#[non_exhaustive]
pub struct Route {
    /// Its key under `routes`.
    pub id: Text,
    /// Its name before, whose hidden queue, dead letters and subscriptions it takes over.
    pub was: Option<Text>,
    /// Where its messages come from.
    pub from: From,
    /// The steps at the door; empty where it reads a channel.
    pub accept: Pipeline,
    /// The hidden queue between `accept` and `steps`, `route:NAME`; there if it comes from a connector and has steps, a
    /// connector target, or a target with a condition.
    pub hidden_queue: Option<Text>,
    /// What makes the lanes that are delivered in order; none where there is no order.
    pub order_by: Option<Program>,
    /// What happens to the messages behind one that waits, in its lane.
    pub on_failure: OnFailure,
    /// What divides the circuits of a target (tenants); none where a target has one.
    pub circuit: Option<Program>,
    /// The steps behind the store; they go on decoding as `accept` said.
    pub steps: Pipeline,
    /// Which messages go to which of the targets, and what the targets' templates and expressions give; in the order of
    /// `targets`.
    pub router: Router,
    /// Where the messages go, at least one, in the order of the file.
    pub targets: Vec<Target>,
    /// How often and when it is tried again.
    pub retry: Retry,
    /// The queue of its dead letters.
    pub dead_letter: Text,
    /// Takes what was substituted out of what is told of its messages.
    pub scrubber: Scrubber,
    /// What `explain` says of it.
    pub(crate) words: Words,
}

/// Where a route's messages come from.
#[derive(Debug)]
pub enum From {
    /// A connector.
    Connector(ConnectorSource),
    /// A queue, which it alone reads.
    Queue(Text),
    /// A topic.
    Topic {
        /// The topic.
        name: Text,
        /// Where a new subscription starts.
        start: Start,
        /// The subscription's name; the route's by default.
        subscription: Text,
    },
}

/// A connector's source.
#[derive(Debug)]
#[non_exhaustive]
pub struct ConnectorSource {
    /// The protocol.
    pub connector: &'static str,
    /// What the connector makes the source from.
    pub config: SourceConfig,
    /// What becomes of a message that `accept` refuses.
    pub on_refused: OnRefused,
}

/// Where a new subscription of a topic starts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Start {
    /// With the oldest message that is kept.
    Earliest,
    /// With what is appended from now on.
    Latest,
    /// With the first message appended at this time or later.
    At(Timestamp),
}

/// The channel that a route's steps read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Channels<'a> {
    /// A queue: the one it names, or its hidden one.
    Queue(&'a Text),
    /// A topic.
    Topic {
        /// The topic.
        name: &'a Text,
        /// The subscription.
        subscription: &'a Text,
    },
    /// None: what comes from the connector is appended to the target channels at once.
    None,
}

/// A target.
#[derive(Debug)]
#[non_exhaustive]
pub struct Target {
    /// Its identity within the route: the given `name`, else connection and address.
    pub name: Text,
    /// Where it goes.
    pub to: Destination,
    /// What goes out as the idempotency key.
    pub idempotency: Idempotency,
    /// How it leaves as a CloudEvent; none if it leaves as it is.
    pub event: Option<TargetEvent>,
}

/// How a target's messages leave as CloudEvents.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct TargetEvent {
    /// In the mode that the protocol has headers for.
    pub mode: EventMode,
    /// What is said of an event that does not say it itself.
    pub defaults: EventDefaults,
}

/// Where a target sends to.
#[derive(Debug)]
pub enum Destination {
    /// A peer, through a connector.
    Connector {
        /// The protocol.
        connector: &'static str,
        /// What the connector makes the sink from.
        config: SinkConfig,
    },
    /// A channel, queue or topic.
    Channel(Text),
}

/// What goes out as the idempotency key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Idempotency {
    /// The message's id.
    Id,
    /// The message's id and the number of the redrive, for services that replay their first answer.
    PerRedrive,
}

/// What happens to the messages behind one that waits, in its lane of `order_by`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnFailure {
    /// They wait too.
    BlockKey,
    /// They go on past it.
    Skip,
}

/// How often and when a message is tried again (blame.md).
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct Retry {
    /// Charged attempts after which it is dead, at least 1.
    pub attempts: u32,
    /// Wait after the first failure.
    pub initial: Duration,
    /// What the wait is multiplied by after each further failure, at least 1.
    pub factor: f64,
    /// The longest wait.
    pub max: Duration,
    /// Part of the wait that is random, 0 to 1.
    pub jitter: f64,
    /// How often a message is charged that nothing else can pass.
    pub alone_limit: Duration,
}

impl Route {
    /// The channel that its steps read.
    #[must_use]
    pub const fn reads(&self) -> Channels<'_> {
        match (&self.from, &self.hidden_queue) {
            (From::Queue(name), _) => Channels::Queue(name),
            (From::Topic { name, subscription, .. }, _) => Channels::Topic { name, subscription },
            (From::Connector(_), Some(hidden)) => Channels::Queue(hidden),
            (From::Connector(_), None) => Channels::None,
        }
    }
}

impl Destination {
    /// The channel, if it is one.
    #[must_use]
    pub const fn channel(&self) -> Option<&Text> {
        match self {
            Self::Channel(name) => Some(name),
            Self::Connector { .. } => None,
        }
    }
}
