//! A target's settings, and what it makes of a message.

use crate::{
    convert::{Outbound, Rules},
    link::CHANNEL,
    topology::{self, Step},
    wire::{FRAME_EXTRA_BYTES, FrameKind, SHORT_BYTES_MAX, frame, send, write_header},
};
use bytes::{BufMut, BytesMut};
use crossdock_connector::{Diagnostics, Formula, Outgoing, Preview, Settings, SinkConfig};
use crossdock_model::{Fault, Text, Timestamp, Value};

/// Where messages go, and how.
#[derive(Clone, Debug)]
pub struct Target {
    /// Names the connection: the route and the target.
    pub role: Text,
    /// What is declared before.
    pub steps: Vec<Step>,
    /// Most messages that are published and not confirmed.
    pub in_flight_max: usize,
    connection: Text,
    exchange: Formula,
    routing_key: Formula,
    mandatory: bool,
    rules: Rules,
}

impl Target {
    /// By a route's target.
    ///
    /// # Errors
    /// Everything about it that the table cannot say.
    pub fn new(config: &SinkConfig) -> Result<Self, Diagnostics> {
        let settings = &config.settings;
        let formula = |name| settings.formula(name).cloned().ok_or_else(|| settings.missing(name));
        let (exchange, routing_key) = (formula("exchange")?, formula("routing_key")?);
        for (name, formula) in [("exchange", &exchange), ("routing_key", &routing_key)] {
            if let Some(text) = fixed(formula).filter(|text| text.len() > SHORT_BYTES_MAX) {
                let message = format!("it has {} bytes, and AMQP allows {SHORT_BYTES_MAX}", text.len());
                return Err(settings.error(name, "amqp.address", message).hint("shorten it").into());
            }
        }
        let steps = match settings.group("declare") {
            Some(section) => declared(settings, section, &exchange, &routing_key)?,
            None => Vec::new(),
        };
        Ok(Self {
            role: Text::from(format!("{} to {}", config.route, config.target)),
            steps,
            in_flight_max: settings.integer("max_in_flight").and_then(|max| usize::try_from(max).ok()).unwrap_or(1000),
            connection: config.connection.as_ref().map(|connection| connection.name.clone()).unwrap_or_default(),
            exchange,
            routing_key,
            mandatory: settings.flag("mandatory"),
            rules: Rules {
                persistent: settings.flag("persistent"),
                forward_origin: config.forward_origin,
                strict: config.strict,
            },
        })
    }

    /// The exchange, if no message picks it; none if it is the one without a name, which is always there.
    pub fn fixed_exchange(&self) -> Option<&Text> {
        fixed(&self.exchange).filter(|name| !name.is_empty())
    }

    /// Whether messages pick their exchange.
    pub fn picks_exchange(&self) -> bool {
        fixed(&self.exchange).is_none()
    }

    /// The exchange of a message.
    pub fn exchange<'a>(&self, message: &'a Outgoing) -> &'a str {
        message.rendered.text(self.exchange.slot)
    }

    /// The routing key of a message.
    pub fn routing_key<'a>(&self, message: &'a Outgoing) -> &'a str {
        message.rendered.text(self.routing_key.slot)
    }

    /// Appends the frames of a message to `out`; the fields that it loses.
    ///
    /// # Errors
    /// The message is wrong; nothing is appended then.
    pub fn write(
        &self,
        out: &mut BytesMut,
        message: &Outgoing,
        frame_bytes_max: usize,
        now: Timestamp,
    ) -> Result<Vec<Text>, Fault> {
        let (exchange, routing_key) = (self.exchange(message), self.routing_key(message));
        for (what, name) in [("exchange", exchange), ("routing key", routing_key)] {
            if name.len() > SHORT_BYTES_MAX {
                let text = format!("the {what} has {} bytes, and AMQP allows {SHORT_BYTES_MAX}", name.len());
                return Err(Fault::rejected("amqp.address", text));
            }
        }
        let Outbound { properties, lost } = Outbound::new(message, self.rules, now)?;
        let start = out.len();
        send::publish(out, CHANNEL, exchange.as_bytes(), routing_key.as_bytes(), self.mandatory);
        let header = out.len();
        let payload = message.envelope.bytes();
        write_header(out, CHANNEL, payload.len() as u64, &properties);
        if out.len() - header > frame_bytes_max {
            let bytes = out.len() - header;
            out.truncate(start);
            let text = format!("properties and headers have {bytes} bytes, and the server takes {frame_bytes_max}");
            return Err(Fault::rejected("amqp.headers", text));
        }
        for part in payload.chunks(frame_bytes_max - FRAME_EXTRA_BYTES) {
            frame(out, FrameKind::Body, CHANNEL, |out| out.put_slice(part));
        }
        Ok(lost)
    }

    /// What would be sent.
    ///
    /// # Errors
    /// The fault that it would end with.
    pub fn preview(&self, message: &Outgoing, now: Timestamp) -> Result<Preview, Fault> {
        let lost = self.write(&mut BytesMut::new(), message, 1 << 17, now)?;
        let properties = Outbound::new(message, self.rules, now)?.properties;
        let mut headers = Vec::new();
        let mut show = |name: &'static str, value: Option<String>| {
            headers.extend(value.map(|value| (Text::from_static(name), Text::from(value))));
        };
        let text =
            |bytes: &Option<bytes::Bytes>| bytes.as_deref().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        show("content_type", text(&properties.content_type));
        show("content_encoding", text(&properties.content_encoding));
        show("delivery_mode", properties.delivery_mode.map(|mode| mode.to_string()));
        show("priority", properties.priority.map(|priority| priority.to_string()));
        show("correlation_id", text(&properties.correlation_id));
        show("reply_to", text(&properties.reply_to));
        show("expiration", text(&properties.expiration));
        show("message_id", text(&properties.message_id));
        show("timestamp", properties.timestamp.map(|seconds| crate::wire::time(seconds).to_string()));
        show("type", text(&properties.kind));
        show("app_id", text(&properties.app_id));
        headers.extend(properties.headers.iter().map(|(name, value)| (name.clone(), Text::from(value.to_string()))));
        let exchange = match self.exchange(message) {
            "" => "the default exchange".to_owned(),
            name => format!("exchange {name}"),
        };
        let act =
            format!("publish to {exchange} of {} with routing key {}", self.connection, self.routing_key(message));
        Ok(Preview { act: Text::from(act), headers, lost })
    }
}

/// The text of a template that has no holes.
fn fixed(formula: &Formula) -> Option<&Text> {
    (!formula.text.contains("{{")).then_some(&formula.text)
}

fn declared(
    settings: &Settings,
    section: &Settings,
    exchange: &Formula,
    routing_key: &Formula,
) -> Result<Vec<Step>, Diagnostics> {
    let picked = |key: &str| {
        let error = section.error(key, "amqp.declare", "what a message picks cannot be declared beforehand");
        Diagnostics::from(error.hint("leave it out here, or name it without {{ }}"))
    };
    let mut steps = Vec::new();
    if let Some(declared) = section.group("exchange") {
        let name = fixed(exchange).ok_or_else(|| picked("exchange"))?;
        if name.is_empty() {
            let error = section.error("exchange", "amqp.declare", "the exchange without a name is always there");
            return Err(error.hint("name one as `exchange`, or leave this out").into());
        }
        topology::short(settings, "exchange", Some(name))?;
        steps.push(Step::Exchange(topology::exchange(name, declared)?));
    }
    if let Some(declared) = section.group("queue") {
        let name = fixed(routing_key).filter(|name| !name.is_empty()).ok_or_else(|| picked("queue"))?;
        topology::short(settings, "routing_key", Some(name))?;
        steps.push(Step::Queue(topology::queue(name, declared)?));
        let exchange = fixed(exchange).ok_or_else(|| picked("queue"))?;
        if !exchange.is_empty() {
            let (queue, exchange, routing_key) = (name.clone(), exchange.clone(), name.clone());
            let arguments: Vec<(Text, Value)> = Vec::new();
            steps.push(Step::Bind { queue, exchange, routing_key, arguments });
        }
    }
    Ok(steps)
}
