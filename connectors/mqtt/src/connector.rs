//! The connector: what all sources and targets of a gateway share, which is only who is called how.

use crate::{
    DESCRIPTION,
    broker::Broker,
    carriage,
    link::{self, Wish},
    lock,
    sink::MqttSink,
    source::MqttSource,
};
use async_trait::async_trait;
use crossdock_connector::{
    Column, ConnectionConfig, Connector, Description, Diagnostic, Diagnostics, GatewayConfig, Outgoing, Preview,
    Settings, Sink, SinkConfig, Source, SourceConfig, StartError,
};
use crossdock_model::{Fault, Text};
use std::{path::PathBuf, sync::Mutex, time::Instant};

/// MQTT, made once per gateway.
#[derive(Debug)]
pub struct Mqtt {
    folder: PathBuf,
    state_folder: PathBuf,
    store: Text,
    /// The targets that were made, to find two with one client id.
    targets: Mutex<Vec<Client>>,
}

/// A client as the broker sees it, and whose it is.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Client {
    address: String,
    id: String,
    route: Text,
    /// The target's name; none of a source.
    target: Option<Text>,
}

impl Client {
    fn is_same(&self, other: &Self) -> bool {
        self.address == other.address && self.id == other.id
    }

    fn is_of(&self, other: &Self) -> bool {
        self.route == other.route && self.target == other.target
    }

    /// What to say at `settings` where another client is called the same.
    fn conflict(&self, other: &Self, settings: &Settings) -> Diagnostics {
        let whose = match &other.target {
            Some(target) => format!("the target `{target}` of route `{}`", other.route),
            None => format!("the source of route `{}`", other.route),
        };
        let message =
            format!("{whose} has the client id `{}` at this broker, too: they would throw each other out", self.id);
        let error = settings.error("connection", "mqtt.client_id_taken", message);
        error.hint("give one of the connections another `client_id`, or one of the routes another name").into()
    }
}

impl Mqtt {
    /// The connector of a gateway.
    #[must_use]
    pub fn new(gateway: &GatewayConfig) -> Self {
        Self {
            folder: gateway.folder.clone(),
            state_folder: gateway.state_folder.clone(),
            store: gateway.store.clone(),
            targets: Mutex::default(),
        }
    }

    fn make_source(&self, config: &SourceConfig) -> Result<(MqttSource, Client), Diagnostics> {
        let source = MqttSource::new(config, &self.store, &self.state_folder)?;
        let (address, id) = source.client();
        let client = Client { address, id: id.to_owned(), route: config.route.clone(), target: None };
        Ok((source, client))
    }
}

#[async_trait]
impl Connector for Mqtt {
    fn description(&self) -> &'static Description {
        &DESCRIPTION
    }

    fn columns(&self) -> &'static [Column] {
        carriage::COLUMNS
    }

    fn column(&self, config: &SinkConfig) -> Option<&'static Column> {
        let version =
            |connection: &ConnectionConfig| connection.settings.text("version").is_some_and(|word| &**word == "5");
        let v5 = config.connection().is_ok_and(version);
        Some(if v5 { &carriage::V5 } else { &carriage::V4 })
    }

    fn source(&self, config: &SourceConfig) -> Result<Box<dyn Source>, Diagnostics> {
        Ok(Box::new(self.make_source(config)?.0))
    }

    fn sink(&self, config: &SinkConfig) -> Result<Box<dyn Sink>, Diagnostics> {
        let sink = MqttSink::new(config, &self.store)?;
        let (address, id) = sink.client();
        let target = Some(config.target.clone());
        let client = Client { address, id: id.to_owned(), route: config.route.clone(), target };
        let mut targets = lock(&self.targets);
        // A target is made anew when the configuration is read again.
        targets.retain(|known| !known.is_of(&client));
        if let Some(known) = targets.iter().find(|known| known.is_same(&client)) {
            return Err(client.conflict(known, &config.settings));
        }
        targets.push(client);
        Ok(Box::new(sink))
    }

    fn check(&self, sources: &[SourceConfig]) -> Diagnostics {
        let mut found = Diagnostics::new();
        let targets = lock(&self.targets);
        let mut earlier: Vec<Client> = Vec::new();
        for source in sources {
            // What is wrong with a source by itself was said when it was made.
            let Ok((_, client)) = self.make_source(source) else { continue };
            if let Some(was) = &source.was {
                let before = client.id.strip_suffix(&*source.route).unwrap_or_default();
                let message = format!(
                    "the broker keeps for the session `{before}{was}`, which nobody reads any more, what it has not \
                    sent yet; that of `{}` is new",
                    client.id
                );
                let at = source.settings.span_of("topics");
                let warning = Diagnostic::warning("mqtt.session_renamed", at, message);
                found.push(
                    warning.hint(format!("keep the name `{was}`, or rename the route while nothing is published")),
                );
            }
            if let Some(taken) = earlier.iter().chain(&*targets).find(|known| known.is_same(&client)) {
                found.append(client.conflict(taken, &source.settings));
            }
            earlier.push(client);
        }
        found
    }

    fn advise(&self, connection: &ConnectionConfig) -> Diagnostics {
        let mut found = Diagnostics::new();
        if let Ok(broker) = Broker::new(connection, &self.folder, &self.store) {
            broker.advice(&connection.settings).into_iter().for_each(|warning| found.push(warning));
        }
        found
    }

    async fn probe(&self, connection: &ConnectionConfig) -> Result<(), Fault> {
        let first = |found: Diagnostics| found.iter().next().map(|error| error.message.clone()).unwrap_or_default();
        let broker = Broker::new(connection, &self.folder, &self.store)
            .map_err(|found| Fault::rejected("mqtt.config", first(found)))?;
        let client_id = broker.probe_client();
        let wish = Wish {
            client_id: &client_id,
            clean: true,
            lasting: false,
            receive_maximum: 1,
            publish_bytes_max: 1 << 16,
            will: false,
        };
        let opened = link::open(&broker, wish).await.map_err(|ended| ended.fault(false))?;
        opened.close().await;
        Ok(())
    }

    fn preview(&self, config: &SinkConfig, outgoing: &Outgoing) -> Result<Preview, Fault> {
        let wrong = |found: Diagnostics| {
            let why = found.iter().next().map(|error| error.message.clone()).unwrap_or_default();
            Fault::rejected("mqtt.config", why)
        };
        MqttSink::new(config, &self.store).map_err(wrong)?.preview(outgoing)
    }

    async fn start(&self) -> Result<(), StartError> {
        Ok(())
    }

    async fn stop(&self, _: Instant) {}
}
