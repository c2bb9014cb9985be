//! A source that makes its messages itself: for demonstrations, load and tests.
//!
//! Invariants
//! - The n-th message of a seed has the same payload on every machine and in every run: the input of the expression holds
//!   nothing but [`Input`].
//! - Every sequence number is given until it is settled, also over a session that ended, and under one id.
//! - One whose payload cannot be made is told as refused, counts as one of `count`, and the next one follows.
//! - A start of the gateway begins anew at 0, with other ids: nothing is remembered between runs.

mod input;
mod pace;
mod source;

pub use input::Input;

use async_trait::async_trait;
use crossdock_connector::{
    ConnectionConfig, Connector, Description, Diagnostic, Diagnostics, Field, GatewayConfig, Kind, OnRefused, Returns,
    Sink, SinkConfig, Source, SourceConfig, StartError,
};
use crossdock_model::Fault;
use std::time::Instant;

/// What the connector says of itself.
pub static DESCRIPTION: Description = Description {
    name: "generate",
    about: "makes messages by an expression, for demonstrations and load",
    connection: None,
    source: Some(SOURCE),
    target: None,
    address: &[],
    on_refused: OnRefused::DeadLetter,
};

const SOURCE: &[Field] = &[
    Field::required(
        "payload",
        Kind::Expression(Returns::Value),
        "gives the payload from `.sequence`, which counts from 0, and `.random`, a whole number below 2^53 drawn from the \
         seed; a string leaves as text, anything else as JSON",
    ),
    Field::optional("count", Kind::COUNT, "how many messages; without it there is no end"),
    Field::optional("rate", Kind::Rate, "how many in a time; without it as many as the gateway takes"),
    Field::default("seed", Kind::COUNT, "0", "what `.random` is drawn from"),
    Field::optional("content_type", Kind::Text, "the media type; without it `text/plain` or `application/json`"),
];

/// The `generate` connector.
#[derive(Debug, Default)]
pub struct Generate;

impl Generate {
    /// The connector of a gateway.
    #[must_use]
    pub const fn new(_: &GatewayConfig) -> Self {
        Self
    }
}

#[async_trait]
impl Connector for Generate {
    fn description(&self) -> &'static Description {
        &DESCRIPTION
    }

    fn source(&self, config: &SourceConfig) -> Result<Box<dyn Source>, Diagnostics> {
        Ok(Box::new(source::GenerateSource::new(config)?))
    }

    fn sink(&self, config: &SinkConfig) -> Result<Box<dyn Sink>, Diagnostics> {
        Err(Diagnostic::error("target.unknown", config.settings.span, "`generate` is a source, not a target").into())
    }

    fn check(&self, _: &[SourceConfig]) -> Diagnostics {
        Diagnostics::new()
    }

    async fn probe(&self, _: &ConnectionConfig) -> Result<(), Fault> {
        Ok(())
    }

    async fn start(&self) -> Result<(), StartError> {
        Ok(())
    }

    async fn stop(&self, _: Instant) {}
}
