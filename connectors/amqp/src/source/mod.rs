//! The source: a consumer of a queue.
//!
//! ```text
//!  queue ─► at most `prefetch` unacknowledged ─► socket ─► Receiver: as many as the engine takes ─► engine
//!    ▲                                                                                                │
//!    └──── ack of all up to a message, reject of one ◄──── Settler: the contiguous tracker ◄── stored ┘
//! ```
//!
//! Invariants
//! - **A message is acknowledged when it is settled and all before it are**, never from receiving it.
//! - **Nothing is buffered beyond one read of the socket**: while the engine takes nothing, nothing is read.
//! - A message that is not settled, for want of room, stays unacknowledged: it is neither requeued nor rejected.

mod plan;
mod receiver;
mod settler;

pub use plan::{Plan, check};

use crate::link::{CHANNEL, Endpoint, Link, Trouble};
use crate::topology::declare;
use crate::wire::{Method, send};
use async_trait::async_trait;
use crossdock_connector::{Diagnostics, Receiver, Settler, Source, SourceConfig, SourceError};
use receiver::QueueReceiver;
use settler::AckSettler;
use std::sync::{Arc, Mutex};

/// A route's source.
pub struct AmqpSource {
    plan: Plan,
    endpoint: Arc<Endpoint>,
    /// Counts the sessions.
    session: u32,
}

impl AmqpSource {
    /// By its settings and its connection's.
    ///
    /// # Errors
    /// Everything about them that the table cannot say.
    pub fn new(config: &SourceConfig, endpoint: Result<Arc<Endpoint>, Diagnostics>) -> Result<Self, Diagnostics> {
        let mut found = Diagnostics::new();
        match (found.take(Plan::new(config)), found.take(endpoint)) {
            (Some(plan), Some(endpoint)) if !found.has_errors() => Ok(Self { plan, endpoint, session: 0 }),
            _ => Err(found),
        }
    }

    async fn consume(&self) -> Result<Link, Trouble> {
        let plan = &self.plan;
        let mut link = Link::open(&self.endpoint, &plan.route).await?;
        declare(&mut link, &plan.steps).await?;
        link.ask(|out| send::qos(out, CHANNEL, plan.prefetch), |answer| *answer == Method::QosOk).await?;
        let consume =
            |out: &mut _| send::consume(out, CHANNEL, &plan.queue, plan.is_exclusive, &plan.consumer_arguments);
        link.ask(consume, |answer| *answer == Method::ConsumeOk).await?;
        Ok(link)
    }
}

#[async_trait]
impl Source for AmqpSource {
    async fn open(&mut self) -> Result<(Box<dyn Receiver>, Box<dyn Settler>), SourceError> {
        self.session = self.session.wrapping_add(1);
        let link = self.consume().await.map_err(Trouble::into_source_error)?;
        let unsettled = Arc::new(Mutex::default());
        let Link { reader, writer, timeout } = link;
        let receiver = QueueReceiver::new(
            (reader, writer.clone()),
            self.session,
            self.plan.inbound(&self.endpoint),
            Arc::clone(&unsettled),
        );
        Ok((Box::new(receiver), Box::new(AckSettler::new(writer, timeout, self.session, unsettled))))
    }
}
