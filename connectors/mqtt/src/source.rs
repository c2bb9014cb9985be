//! The source: subscribes, and acknowledges what is stored.

mod answers;
mod inbox;
mod recorded;
mod session;
mod subscriptions;

use crate::{
    broker::Broker,
    convert::inbound,
    link::{self, Ended, Link, Opened, Wish},
    packet::{self, QoS, qos},
    topic,
};
use answers::{Answers, Subscribe};
use async_trait::async_trait;
use bytes::BytesMut;
use crossdock_connector::{Diagnostic, Diagnostics, Receiver, Settler, Source, SourceConfig, SourceError};
use crossdock_model::Text;
use inbox::{Inbox, Terms};
use recorded::Recorded;
use session::{MqttReceiver, MqttSettler};
use std::{path::Path, sync::Arc};
use subscriptions::Subscriptions;

const RECEIVE_MAXIMUM: u16 = 1000;
const BODY_BYTES_MAX: u64 = 16 << 20;
/// A source publishes nothing, so these packet ids are free.
const SUBSCRIBE_ID: u16 = 1;
const UNSUBSCRIBE_ID: u16 = 2;

/// A route's subscription.
#[derive(Debug)]
pub(crate) struct MqttSource {
    broker: Broker,
    client_id: String,
    connection: Text,
    filters: Arc<[String]>,
    qos: QoS,
    receive_maximum: u16,
    body_bytes_max: u64,
    subscriptions: Arc<Subscriptions>,
    recorded: Arc<Recorded>,
    /// Counts the connections, from 1.
    epoch: u32,
}

impl MqttSource {
    /// A source by its settings.
    pub(crate) fn new(config: &SourceConfig, store: &str, state_folder: &Path) -> Result<Self, Diagnostics> {
        let (settings, mut found) = (&config.settings, Diagnostics::new());
        let connection = config.connection()?;
        let qos = qos(settings.integer("qos").unwrap_or(1));
        let broker = found.take(Broker::new(connection, &config.folder, store));
        let filters = found.take(filters(config));
        let (Some(broker), Some(filters)) = (broker, filters) else { return Err(found) };
        let client_id = broker.source_client(&config.route);
        let receive_maximum = settings.integer("receive_maximum").and_then(|most| u16::try_from(most).ok());
        Ok(Self {
            subscriptions: Arc::new(Subscriptions::new(state_folder, &broker.address(), &client_id)),
            client_id,
            broker,
            connection: connection.name.clone(),
            filters: filters.into(),
            qos,
            receive_maximum: receive_maximum.unwrap_or(RECEIVE_MAXIMUM),
            body_bytes_max: settings.size("max_body").unwrap_or(BODY_BYTES_MAX),
            recorded: Arc::default(),
            epoch: 0,
        })
    }

    /// Where its client is, and what it is called.
    pub(crate) fn client(&self) -> (String, &str) {
        (self.broker.address(), &self.client_id)
    }

    async fn connect(&mut self) -> Result<(MqttReceiver, MqttSettler), Ended> {
        let wish = Wish {
            client_id: &self.client_id,
            clean: self.broker.clean_start,
            lasting: true,
            receive_maximum: self.receive_maximum,
            publish_bytes_max: inbound::publish_bytes_max(self.body_bytes_max, self.qos),
            will: true,
        };
        let opened = link::open(&self.broker, wish).await?;
        self.epoch = self.epoch.wrapping_add(1);
        if !opened.session_present {
            self.recorded.clear();
        }
        let shortened = self.shortened(opened.limits.session_expiry);
        if let Some(text) = &shortened {
            tracing::warn!(client_id = self.client_id, "{text}");
        }
        let (out, answers) = self.ask(&opened).await?;
        let terms = Terms {
            epoch: self.epoch,
            version: self.broker.version,
            connection: self.connection.clone(),
            receive_maximum: usize::from(self.receive_maximum),
            body_bytes_max: self.body_bytes_max,
            recorded: Arc::clone(&self.recorded),
        };
        let (link, driver) = Link::start(opened, Inbox::new(terms, answers), out);
        session::subscribed(&link).await?;
        if link.lock().role.is_subscribed() {
            self.remember(Vec::new()).await;
        }
        Ok(session::halves(link, driver, shortened))
    }

    /// What to say of a broker that keeps the session for a shorter time than it was asked for (§3.2.2.3.2); none where each
    /// session begins anew anyway.
    fn shortened(&self, granted: Option<u32>) -> Option<String> {
        let asked = self.broker.session_expiry;
        let granted = granted.filter(|granted| *granted < asked && !self.broker.clean_start)?;
        let asked = if asked == u32::MAX { "for ever".to_owned() } else { format!("for {asked}s") };
        Some(format!(
            "the broker keeps the session for {granted}s after a connection ends, not {asked} as `session_expiry` says: when the \
             gateway is away for longer, what waits there is lost"
        ))
    }

    /// What is to be asked of the broker, and which answers are then awaited.
    async fn ask(&self, opened: &Opened) -> Result<(BytesMut, Answers), Ended> {
        let (subscriptions, filters) = (Arc::clone(&self.subscriptions), Arc::clone(&self.filters));
        let unwanted = match opened.session_present {
            true => tokio::task::spawn_blocking(move || subscriptions.unwanted(&filters)).await.unwrap_or_default(),
            false => Vec::new(),
        };
        let (version, mut out) = (self.broker.version, BytesMut::new());
        if !unwanted.is_empty() {
            packet::unsubscribe(version, UNSUBSCRIBE_ID, &unwanted, &mut out).map_err(Ended::protocol)?;
        }
        packet::subscribe(version, SUBSCRIBE_ID, &self.filters, self.qos, &mut out).map_err(Ended::protocol)?;
        let subscribe = Subscribe { id: SUBSCRIBE_ID, filters: Arc::clone(&self.filters), qos: self.qos };
        let unsubscribe = !unwanted.is_empty();
        self.remember(unwanted).await;
        Ok((out, Answers::new(subscribe, unsubscribe, self.broker.connect_timeout)))
    }

    /// Writes down what the session may be subscribed to: what is wanted, and what may be left of earlier times.
    async fn remember(&self, unwanted: Vec<String>) {
        let (subscriptions, filters) = (Arc::clone(&self.subscriptions), Arc::clone(&self.filters));
        let written = tokio::task::spawn_blocking(move || subscriptions.write(&filters, &unwanted)).await;
        if let Ok(Err(error)) = written {
            // Messages flow all the same; a filter that is taken out later may go on being delivered.
            tracing::warn!(client_id = self.client_id, %error, "cannot remember what the session is subscribed to");
        }
    }
}

#[async_trait]
impl Source for MqttSource {
    async fn open(&mut self) -> Result<(Box<dyn Receiver>, Box<dyn Settler>), SourceError> {
        let (receiver, settler) = self.connect().await.map_err(|ended| ended.source_error())?;
        Ok((Box::new(receiver), Box::new(settler)))
    }
}

/// The filters of a section, each looked at.
fn filters(config: &SourceConfig) -> Result<Vec<String>, Diagnostics> {
    let (list, mut found) = (config.settings.list("topics"), Diagnostics::new());
    if list.is_empty() {
        let error = config.settings.error("topics", "mqtt.topics", "there is no topic to subscribe to");
        return Err(error.hint("name at least one filter, such as plant/+/temp").into());
    }
    let mut filters: Vec<String> = Vec::with_capacity(list.len());
    for item in list {
        let filter = item.value.as_text().map_or("", |text| text);
        if let Err(wrong) = topic::check_filter(filter) {
            found.push(Diagnostic::error("mqtt.filter", item.span, wrong.text).hint(wrong.hint));
        } else if filters.iter().any(|earlier| earlier == filter) {
            let error = Diagnostic::error("mqtt.filter_twice", item.span, format!("`{filter}` is in the list twice"));
            found.push(error.hint("leave one of them out"));
        }
        filters.push(filter.to_owned());
    }
    if found.has_errors() { Err(found) } else { Ok(filters) }
}
