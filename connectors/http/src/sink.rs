//! The sink: requests to a service.

mod base;
mod client;
mod clients;
mod dial;
mod fault;
mod private;
mod request;
mod sender;

pub(crate) use clients::{Clients, advise, probe};

use async_trait::async_trait;
use client::Client;
use crossdock_connector::{Completions, Diagnostics, Outgoing, Preview, Sender, Sink, SinkConfig};
use crossdock_model::{Fault, Text};
use request::Target;
use std::sync::Arc;

/// A target of a route. Opening it does nothing: HTTP has no session, so each message finds out by itself.
pub(crate) struct HttpSink {
    target: Arc<Target>,
    client: Arc<Client>,
}

impl HttpSink {
    /// A target by its settings, with the client of its connection.
    pub(crate) fn new(config: &SinkConfig, clients: &Clients) -> Result<Self, Diagnostics> {
        let mut found = Diagnostics::new();
        let client = found.take(config.connection().and_then(|connection| clients.of(connection)));
        let target = found.take(Target::new(config));
        match (client, target) {
            (Some(client), Some(target)) if !found.has_errors() => Ok(Self { target: Arc::new(target), client }),
            _ => Err(found),
        }
    }

    /// What would be sent, without credentials.
    pub(crate) fn preview(&self, message: &Outgoing) -> Result<Preview, Fault> {
        let (request, lost) = self.target.request(message, &self.client)?;
        let url = format!("{}{}", self.client.base().origin(), request.uri());
        let headers = request.headers().iter().map(|(name, value)| {
            let value = if self.client.base().is_secret(name) { "***" } else { value.to_str().unwrap_or("") };
            (Text::from(name.as_str()), Text::from(value))
        });
        let headers = headers.collect();
        Ok(Preview { act: Text::from(format!("{} {url}", request.method())), headers, lost })
    }
}

#[async_trait]
impl Sink for HttpSink {
    async fn open(&mut self, done: Completions) -> Result<Box<dyn Sender>, Fault> {
        Ok(Box::new(sender::HttpSender::new(Arc::clone(&self.target), Arc::clone(&self.client), done)))
    }
}
