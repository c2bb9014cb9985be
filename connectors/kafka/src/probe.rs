//! Whether a connection's brokers are there and take the credentials, as `check --connect` asks.

use crate::{
    client::{self, Connection, Troubles},
    fault,
    options::{Options, Side},
};
use crossdock_connector::{ConnectionConfig, Diagnostics};
use crossdock_model::Fault;
use rdkafka::{
    ClientConfig, ClientContext,
    client::Client,
    config::{FromClientConfigAndContext, RDKafkaLogLevel},
    error::KafkaError,
    producer::{BaseProducer, DeliveryResult, Producer, ProducerContext},
    types::RDKafkaErrorCode,
};
use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

/// How long a cluster has to answer at first.
pub(crate) const ANSWER_MAX: Duration = Duration::from_secs(10);
/// How long a client may take to tell what it knows; log lines come before an error.
pub(crate) const TELL: Duration = Duration::from_millis(20);
/// How long the first question waits before it is looked whether trouble was told meanwhile; the next ones wait longer.
const QUESTION: Duration = Duration::from_millis(250);

/// Why a cluster did not answer.
#[derive(Clone, Debug)]
pub(crate) struct NoAnswer {
    /// What librdkafka calls it.
    pub code: Option<RDKafkaErrorCode>,
    /// For people.
    pub text: String,
}

/// Asks the brokers for their names (and of a topic, else of all) until one answers, [`ANSWER_MAX`] has passed, or it is
/// known that none will. `poll` lets the client tell its trouble.
pub(crate) fn ask<C: ClientContext>(
    client: &Client<C>,
    troubles: &Troubles,
    (brokers, topic): (&str, Option<&str>),
    poll: impl Fn(),
) -> Result<(), NoAnswer> {
    troubles.clear();
    let (until, mut question) = (Instant::now() + ANSWER_MAX, QUESTION);
    loop {
        let left = until.saturating_duration_since(Instant::now()).max(QUESTION);
        let answer = client.fetch_metadata(topic, question.min(left));
        question *= 2;
        poll();
        let error = match answer {
            Ok(metadata) if !metadata.brokers().is_empty() => {
                troubles.clear();
                return Ok(());
            }
            Ok(_) => KafkaError::MetadataFetch(RDKafkaErrorCode::BrokerNotAvailable),
            Err(error) => error,
        };
        let last = troubles.last();
        let denied = last.as_ref().is_some_and(|(code, _)| fault::is_denied(*code));
        if denied || troubles.is_down() || Instant::now() >= until {
            let (code, text) = match last {
                Some((code, text)) => (Some(code), text),
                None => (error.rdkafka_error_code(), error.to_string()),
            };
            let what = if denied { "the brokers refuse the credentials" } else { "no broker can be reached" };
            return Err(NoAnswer { code, text: format!("{what} ({brokers}): {text}") });
        }
    }
}

struct Context(Arc<Troubles>);

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        client::log(level, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.note(&error, reason);
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = ();

    fn delivery(&self, _: &DeliveryResult<'_>, (): ()) {}
}

/// Connects, logs in and asks for the brokers.
pub(crate) async fn probe(connection: &ConnectionConfig, folder: &Path) -> Result<(), Fault> {
    let first = |found: Diagnostics| found.iter().next().map(|error| error.message.clone()).unwrap_or_default();
    let connection =
        Connection::new(connection, folder).map_err(|found| Fault::rejected("kafka.config", first(found)))?;
    let config = connection.config(Side::Producer, &[], &Options::new());
    let asked = tokio::task::spawn_blocking(move || connect(&config, &connection.brokers));
    match asked.await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(why)) => Err(fault::unreachable(why.code, &why.text)),
        Err(error) => Err(fault::unreachable(None, &format!("the probe ended early: {error}"))),
    }
}

fn connect(config: &ClientConfig, brokers: &str) -> Result<(), NoAnswer> {
    let troubles = Arc::new(Troubles::default());
    let producer: BaseProducer<Context> =
        FromClientConfigAndContext::from_config_and_context(config, Context(Arc::clone(&troubles)))
            .map_err(|error| NoAnswer { code: error.rdkafka_error_code(), text: error.to_string() })?;
    ask(producer.client(), &troubles, (brokers, None), || producer.poll(TELL))
}
