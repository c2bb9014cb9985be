//! The checks that every connector passes, against a real RabbitMQ.

use super::client::Client;
use crossdock_amqp::Amqp;
use crossdock_connector::{Connector, GatewayConfig, SourceErrorKind, mapping::Part};
use crossdock_model::FaultClass;
use crossdock_testkit::{
    servers::{self, Rabbit, unique},
    sink_suite, source_suite,
    suite::{Can, Message, Peer},
};
use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable},
};
use serde_json::{Value, json};
use std::sync::Arc;

const WINDOW: usize = 50;

/// Queues of its own at a server.
struct Broker {
    /// Of its own, if it is to be restarted.
    own: Option<Rabbit>,
    client: Option<Client>,
    source: String,
    target: String,
}

impl Broker {
    async fn at(own: Option<Rabbit>) -> Self {
        let (source, target) = (unique("in"), unique("out"));
        let mut broker = Self { own, client: None, source, target };
        let client = Client::connect(&broker.url()).await;
        for queue in [&broker.source, &broker.target] {
            client.declare(queue).await;
        }
        broker.client = Some(client);
        broker
    }

    fn url(&self) -> String {
        self.own.as_ref().map_or_else(|| servers::rabbit().url().to_owned(), |own| own.url().to_owned())
    }

    async fn client(&mut self) -> &Client {
        if self.client.is_none() {
            self.client = Some(Client::connect(&self.url()).await);
        }
        self.client.as_ref().unwrap()
    }
}

fn section(address: &str, user: &str) -> Value {
    json!({ "url": format!("amqp://{user}@{address}/%2f"), "heartbeat": "1s", "connect_timeout": "2s", "timeout": "5s" })
}

impl Peer for Broker {
    const CAN: Can = Can {
        carries: &[Part::ContentType, Part::CorrelationId, Part::ReplyTo, Part::Priority, Part::Headers],
        window: Some(WINDOW),
        missing: SourceErrorKind::Missing,
    };

    // Its client sorts them.
    const KEEPS_HEADERS_IN_ORDER: bool = false;

    async fn new() -> Self {
        Self::at(None).await
    }

    async fn alone() -> Self {
        Self::at(Some(Rabbit::start())).await
    }

    fn connector(&self, gateway: &GatewayConfig) -> Arc<dyn Connector> {
        Arc::new(Amqp::new(gateway))
    }

    fn server(&self) -> Option<String> {
        let shared = || servers::rabbit().address().to_owned();
        Some(self.own.as_ref().map_or_else(shared, |own| own.address().to_owned()))
    }

    fn connection(&self, address: &str) -> Option<Value> {
        Some(section(address, "guest:guest"))
    }

    fn denied(&self, address: &str) -> Option<Value> {
        Some(section(address, "guest:wrong"))
    }

    fn source(&self) -> Value {
        json!({ "queue": self.source, "prefetch": WINDOW })
    }

    fn target(&self) -> Value {
        json!({ "routing_key": self.target })
    }

    fn missing_source(&self) -> Option<Value> {
        Some(json!({ "queue": "nobody-declared-this" }))
    }

    fn missing_target(&self) -> Option<(Value, FaultClass)> {
        Some((json!({ "routing_key": "nobody-declared-this" }), FaultClass::Rejected))
    }

    async fn put(&mut self, messages: &[Message]) {
        let queue = self.source.clone();
        let messages: Vec<_> = messages.iter().map(|message| (message.payload.clone(), properties(message))).collect();
        self.client().await.put(&queue, messages).await;
    }

    async fn take(&mut self) -> Vec<Message> {
        let (queue, mut taken) = (self.target.clone(), Vec::new());
        while let Some(got) = self.client().await.get(&queue).await {
            taken.push(message(&got.delivery.properties, got.delivery.data.clone()));
        }
        taken
    }

    fn restart(&mut self) {
        self.client = None;
        self.own.as_mut().unwrap().restart();
    }
}

fn properties(message: &Message) -> BasicProperties {
    let mut properties = BasicProperties::default();
    if let Some(value) = &message.content_type {
        properties = properties.with_content_type(value.as_str().into());
    }
    if let Some(value) = &message.correlation_id {
        properties = properties.with_correlation_id(value.as_str().into());
    }
    if let Some(value) = &message.reply_to {
        properties = properties.with_reply_to(value.as_str().into());
    }
    if let Some(value) = message.priority {
        properties = properties.with_priority(value);
    }
    let mut table = FieldTable::default();
    for (name, value) in &message.headers {
        table.insert(name.as_str().into(), AMQPValue::LongString(value.as_str().into()));
    }
    properties.with_headers(table)
}

fn message(properties: &BasicProperties, payload: Vec<u8>) -> Message {
    let headers = properties.headers().as_ref().map(|table| table.inner().clone()).unwrap_or_default();
    let text =
        |value: &AMQPValue| value.as_long_string().map(|text| String::from_utf8_lossy(text.as_bytes()).into_owned());
    let short = |value: &Option<lapin::types::ShortString>| value.as_ref().map(ToString::to_string);
    Message {
        payload,
        content_type: short(properties.content_type()),
        correlation_id: short(properties.correlation_id()),
        reply_to: short(properties.reply_to()),
        priority: *properties.priority(),
        key: None,
        headers: headers.iter().filter_map(|(name, value)| Some((name.to_string(), text(value)?))).collect(),
    }
}

mod source {
    use super::*;
    source_suite!(Broker:
        opens_and_closes,
        receives_bytes_and_metadata,
        keeps_order,
        gives_again_what_was_not_settled,
        settles_what_it_can_before_it_closes,
        stops_when_nothing_is_settled,
        refused_is_gone_and_postponed_is_not,
        loses_nothing_with_the_connection,
        bears_a_cut_at_any_byte,
        loses_nothing_with_acknowledgements,
        waits_for_a_server_that_is_absent,
        does_not_wait_for_a_silent_server_for_ever,
        tells_wrong_credentials,
        tells_what_is_missing,
        bears_a_slow_line,
        loses_nothing_with_a_restart_of_the_server,
    );
}

mod sink {
    use super::*;
    sink_suite!(Broker:
        sends_bytes_and_metadata,
        keeps_order,
        closes_with_a_result_for_each,
        believes_nothing_but_the_confirm,
        bears_a_cut_at_any_byte,
        waits_for_a_server_that_is_absent,
        closes_in_time_before_a_silent_server,
        tells_wrong_credentials,
        tells_what_is_missing,
        bears_a_slow_line,
        loses_nothing_with_a_restart_of_the_server,
    );
}
