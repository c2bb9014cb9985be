//! A source's settings.

use crate::{
    convert::Inbound,
    link::Endpoint,
    topology::{self, Step},
};
use crossdock_connector::{Diagnostic, Diagnostics, Setting, SourceConfig};
use crossdock_model::{Text, Value};

/// What is consumed, and how.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The route.
    pub route: Text,
    /// The queue.
    pub queue: Text,
    /// Most unacknowledged messages.
    pub prefetch: u16,
    /// What is declared before.
    pub steps: Vec<Step>,
    /// Whether nobody else may consume meanwhile.
    pub is_exclusive: bool,
    /// Arguments of the consumer.
    pub consumer_arguments: Vec<(Text, Value)>,
}

impl Plan {
    /// By a route's source.
    ///
    /// # Errors
    /// Everything about it that the table cannot say.
    pub fn new(config: &SourceConfig) -> Result<Self, Diagnostics> {
        let settings = &config.settings;
        let queue = topology::short(settings, "queue", settings.text("queue"))?.cloned().unwrap_or_default();
        if queue.is_empty() {
            return Err(settings.error("queue", "amqp.queue", "the queue has no name").into());
        }
        let (mut steps, mut found) = (Vec::new(), Diagnostics::new());
        if let Some(section) = settings.group("declare") {
            steps.extend(found.take(topology::queue(&queue, section)).map(Step::Queue));
        }
        for item in settings.list("bind") {
            let Setting::Group(section) = &item.value else { continue };
            steps.extend(found.take(bind(&queue, section)).into_iter().flatten());
        }
        let consumer_arguments = found.take(topology::arguments(settings, "consumer_arguments"));
        if found.has_errors() {
            return Err(found);
        }
        Ok(Self {
            route: config.route.clone(),
            queue,
            prefetch: settings.integer("prefetch").and_then(|count| u16::try_from(count).ok()).unwrap_or(500),
            steps,
            is_exclusive: settings.flag("exclusive"),
            consumer_arguments: consumer_arguments.unwrap_or_default(),
        })
    }

    /// What all its messages share.
    pub fn inbound(&self, endpoint: &Endpoint) -> Inbound {
        Inbound { connection: endpoint.name.clone(), queue: self.queue.clone(), remote: Text::from(endpoint.place()) }
    }
}

fn bind(queue: &Text, section: &crossdock_connector::Settings) -> Result<Vec<Step>, Diagnostics> {
    let name = |key| topology::short(section, key, section.text(key)).map(|text| text.cloned().unwrap_or_default());
    let (exchange, routing_key) = (name("exchange")?, name("routing_key")?);
    if exchange.is_empty() {
        let error =
            section.error("exchange", "amqp.bind", "the exchange without a name sends to every queue by itself");
        return Err(error.hint("leave this binding out, or name an exchange").into());
    }
    let mut steps = Vec::new();
    if let Some(declared) = section.group("declare") {
        steps.push(Step::Exchange(topology::exchange(&exchange, declared)?));
    }
    let arguments = topology::arguments(section, "arguments")?;
    steps.push(Step::Bind { queue: queue.clone(), exchange, routing_key, arguments });
    Ok(steps)
}

/// Two routes that consume one queue share its messages, which is seldom what is meant; an exclusive queue has one reader.
pub fn check(sources: &[SourceConfig]) -> Diagnostics {
    let mut found = Diagnostics::new();
    let queue = |source: &SourceConfig| {
        let connection = source.connection.as_ref().map(|connection| connection.name.clone());
        (connection, source.settings.text("queue").cloned())
    };
    let is_exclusive = |source: &SourceConfig| {
        source.settings.flag("exclusive")
            || source.settings.group("declare").is_some_and(|queue| queue.flag("exclusive"))
    };
    for (at, source) in sources.iter().enumerate() {
        let earlier = sources.iter().take(at).find(|earlier| queue(earlier) == queue(source));
        let Some(other) = earlier else { continue };
        let (code, span) = ("amqp.two_readers", source.settings.span_of("queue"));
        if is_exclusive(source) || is_exclusive(other) {
            let message = format!("the route `{}` reads this queue, and one of the two wants it alone", other.route);
            found.push(Diagnostic::error(code, span, message).hint("leave `exclusive` out, or read it with one route"));
        } else {
            let message =
                format!("the route `{}` reads this queue, too: each message goes to one of the two", other.route);
            let hint = "bind a queue for each of them to one exchange, if both should have all messages";
            found.push(Diagnostic::warning(code, span, message).hint(hint));
        }
    }
    found
}
