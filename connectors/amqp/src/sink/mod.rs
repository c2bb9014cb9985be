//! The sink: a publisher with confirms.
//!
//! ```text
//!  engine ─► submit: a batch becomes a few writes ─► socket ─► server
//!                │ noted first                                   │ return, ack, nack, blocked, close
//!                ▼                                               ▼
//!             Window: what is published and not confirmed ◄──── listener: reads, posts results together
//! ```
//!
//! Invariants
//! - **Success is the server's confirm of exactly this message**, by the number that its channel gave it; one that the
//!   server returned before is unroutable, whatever else is confirmed with it.
//! - **Every message has one result**: it is in the window before its first byte is written, and whoever ends the session
//!   empties the window.
//! - **A message does not harm its neighbours.** What would make the server close the channel is found before it is
//!   published: an exchange that is not there, names and headers that are too long.
//! - While the server blocks, nothing more is published, and nothing times out.

mod flow;
mod listener;
mod plan;
mod sender;
mod shared;
#[cfg(test)]
mod tests;
mod window;

pub use plan::Target;

use crate::{
    link::{CHANNEL, Endpoint, Link, Trouble},
    topology::declare,
    wire::{Method, send},
};
use async_trait::async_trait;
use crossdock_connector::{Completions, Diagnostics, Sender, Sink, SinkConfig};
use crossdock_model::Fault;
use sender::AmqpSender;
use std::sync::Arc;

/// A route's target.
pub struct AmqpSink {
    target: Arc<Target>,
    endpoint: Arc<Endpoint>,
}

impl AmqpSink {
    /// By its settings and its connection's.
    ///
    /// # Errors
    /// Everything about them that the table cannot say.
    pub fn new(config: &SinkConfig, endpoint: Result<Arc<Endpoint>, Diagnostics>) -> Result<Self, Diagnostics> {
        let mut found = Diagnostics::new();
        match (found.take(Target::new(config)), found.take(endpoint)) {
            (Some(target), Some(endpoint)) if !found.has_errors() => Ok(Self { target: Arc::new(target), endpoint }),
            _ => Err(found),
        }
    }

    async fn publisher(&self) -> Result<Link, Fault> {
        let link = Link::open(&self.endpoint, &self.target.role).await;
        let mut link = link.map_err(|trouble| trouble.before_sending())?;
        self.prepare(&mut link).await.map_err(|trouble| trouble.of_target())?;
        Ok(link)
    }

    /// Has the server make and look up what the target names, and confirm what is published.
    async fn prepare(&self, link: &mut Link) -> Result<(), Trouble> {
        declare(link, &self.target.steps).await?;
        if let Some(name) = self.target.fixed_exchange() {
            // Published to, an exchange that is not there would end the channel for all that is in flight.
            let there = |answer: &Method| *answer == Method::ExchangeDeclareOk;
            link.ask(|out| send::exchange_exists(out, CHANNEL, name.as_bytes()), there).await?;
        }
        link.ask(|out| send::confirm_select(out, CHANNEL), |answer| *answer == Method::ConfirmSelectOk).await?;
        Ok(())
    }
}

#[async_trait]
impl Sink for AmqpSink {
    async fn open(&mut self, done: Completions) -> Result<Box<dyn Sender>, Fault> {
        let link = self.publisher().await?;
        Ok(Box::new(AmqpSender::new(link, Arc::clone(&self.target), done)))
    }
}
