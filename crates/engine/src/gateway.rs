//! The handle to a running gateway.

use crate::{
    ChannelView, DeadFilter, DeadGroup, DeadLetter, MessageView, OperationView, Options, Page, Redrive, RedriveRequest,
    RequestError, RouteView, Status,
};
use crossdock_config::Plan;
use crossdock_connector::Connector;
use crossdock_model::{Envelope, MessageId, Text};
use crossdock_store::Store;
use std::{sync::Arc, time::Instant};

/// A running gateway; clones are handles to the same one. It goes on without handles until [`Gateway::shutdown`].
#[derive(Clone)]
pub struct Gateway {}

/// Why a gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// What a connector's sources share cannot be made ready: a port in use.
    #[error(transparent)]
    Connector(#[from] crossdock_connector::StartError),
    /// The store contradicts the plan (a channel that was a topic), or cannot write.
    #[error(transparent)]
    Declare(#[from] crossdock_store::DeclareError),
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
    /// routes. Connectors are known by the name in their description.
    ///
    /// # Errors
    /// See [`StartError`]; nothing runs then.
    pub async fn start(
        plan: Arc<Plan>,
        connectors: Vec<Arc<dyn Connector>>,
        store: Store,
        options: Options,
    ) -> Result<Self, StartError> {
        let _ = (plan, connectors, store, options);
        todo!()
    }

    /// What runs.
    #[must_use]
    pub fn plan(&self) -> &Arc<Plan> {
        todo!()
    }

    /// Whether messages are taken: no if the store failed or the gateway stops. A target that is down does not count.
    ///
    /// # Errors
    /// Why not.
    pub fn ready(&self) -> Result<(), Text> {
        todo!()
    }

    /// Resolves when the gateway cannot go on (the store failed, a task panicked), with the reason: the process must
    /// then end with a status that is not 0.
    pub async fn failed(&self) -> Text {
        todo!()
    }

    /// Takes nothing new, settles what was received, lets what is on its way to targets end until `by`, and closes the
    /// store. Queues are not emptied.
    ///
    /// # Errors
    /// If the store could not be closed; what was acknowledged is safe all the same.
    pub async fn shutdown(&self, by: Instant) -> Result<(), crossdock_store::CommitError> {
        let _ = by;
        todo!()
    }

    /// The whole.
    pub async fn status(&self) -> Status {
        todo!()
    }

    /// All routes in the order of the file.
    pub async fn routes(&self) -> Vec<RouteView> {
        todo!()
    }

    /// A route.
    pub async fn route(&self, id: &str) -> Option<RouteView> {
        let _ = id;
        todo!()
    }

    /// Starts no delivery of the route from now on; what is on its way ends. Lasts over restarts.
    ///
    /// # Errors
    /// There is no such route, or the store cannot note it.
    pub async fn pause(&self, route: &str) -> Result<(), RequestError> {
        let _ = route;
        todo!()
    }

    /// Goes on after [`Gateway::pause`].
    ///
    /// # Errors
    /// There is no such route, or the store cannot note it.
    pub async fn resume(&self, route: &str) -> Result<(), RequestError> {
        let _ = route;
        todo!()
    }

    /// All channels of the plan and those others that hold messages.
    pub async fn channels(&self) -> Vec<ChannelView> {
        todo!()
    }

    /// A channel.
    pub async fn channel(&self, name: &str) -> Option<ChannelView> {
        let _ = name;
        todo!()
    }

    /// What stands in a channel, oldest first, without consuming it; `limit` at most 1,000.
    ///
    /// # Errors
    /// There is no such channel, the cursor is none, or the store cannot be read.
    pub async fn browse(
        &self,
        channel: &str,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<MessageView>, RequestError> {
        let _ = (channel, cursor, limit);
        todo!()
    }

    /// The message of an id where it stands now, dead letters included; none if it stands nowhere (any more). Looks
    /// through what is stored.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn message(&self, id: MessageId) -> Result<Option<MessageView>, RequestError> {
        let _ = id;
        todo!()
    }

    /// Appends a message to a channel; answers when it is stored. The caller makes id and origin.
    ///
    /// # Errors
    /// There is no such channel, it is full, or the store cannot take it.
    pub async fn publish(&self, channel: &str, envelope: Envelope) -> Result<MessageId, RequestError> {
        let _ = (channel, envelope);
        todo!()
    }

    /// Dead letters by queue, oldest first; `limit` at most 1,000.
    ///
    /// # Errors
    /// The cursor is none, or the store cannot be read.
    pub async fn dead_letters(
        &self,
        filter: &DeadFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<DeadLetter>, RequestError> {
        let _ = (filter, cursor, limit);
        todo!()
    }

    /// The dead letter of an id; of several the last one.
    ///
    /// # Errors
    /// There is none, or the store cannot be read.
    pub async fn dead_letter(&self, id: MessageId) -> Result<DeadLetter, RequestError> {
        let _ = id;
        todo!()
    }

    /// All dead letters by cause, the largest group first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn dead_groups(&self) -> Result<Vec<DeadGroup>, RequestError> {
        todo!()
    }

    /// Sends dead letters back to where they failed, in the background.
    ///
    /// # Errors
    /// The store cannot be read or cannot note the operation.
    pub async fn redrive(&self, request: RedriveRequest) -> Result<Redrive, RequestError> {
        let _ = request;
        todo!()
    }

    /// Deletes dead letters, in the background; a dry run counts them.
    ///
    /// # Errors
    /// The store cannot be read or cannot note the operation.
    pub async fn delete_dead_letters(&self, filter: DeadFilter, dry_run: bool) -> Result<Redrive, RequestError> {
        let _ = (filter, dry_run);
        todo!()
    }

    /// All operations that run, and the last others, oldest first.
    #[must_use]
    pub fn operations(&self) -> Vec<OperationView> {
        todo!()
    }

    /// An operation.
    #[must_use]
    pub fn operation(&self, id: MessageId) -> Option<OperationView> {
        let _ = id;
        todo!()
    }

    /// Stops an operation; what it has done stays.
    ///
    /// # Errors
    /// There is none of this id, or it has ended.
    pub async fn cancel(&self, id: MessageId) -> Result<OperationView, RequestError> {
        let _ = id;
        todo!()
    }

    /// The metrics in the OpenMetrics text format (contract.md §5).
    pub async fn metrics(&self) -> String {
        todo!()
    }
}
