//! Where a message goes: topic, key, partition.

use crate::topic::{TOPIC_HINT, is_topic};
use bytes::Bytes;
use crossdock_connector::{Diagnostics, Outgoing, RenderedValue, SinkConfig, Slot};
use crossdock_model::{Fault, Text};

/// What is the same for all records of a target.
pub(super) struct Target {
    topic: Slot,
    /// The topic, if no message has a say in it.
    fixed: Option<Text>,
    key: Option<Slot>,
    partition: Option<Slot>,
    /// Whether `crossdock-origin` goes along.
    pub forward_origin: bool,
    /// Whether what does not fit is a fault.
    pub strict: bool,
}

/// Where one message goes.
pub(super) struct Place<'a> {
    pub topic: &'a str,
    pub key: Option<Bytes>,
    pub partition: Option<i32>,
}

impl Target {
    /// Reads the settings.
    pub fn new(config: &SinkConfig) -> Result<Self, Diagnostics> {
        let settings = &config.settings;
        let topic = settings.formula("topic").ok_or_else(|| settings.missing("topic"))?;
        let fixed = (!topic.text.contains("{{")).then(|| topic.text.clone());
        if fixed.as_ref().is_some_and(|topic| !is_topic(topic)) {
            let error = settings.error("topic", "kafka.topic", "this is no name of a topic");
            return Err(error.hint(TOPIC_HINT).into());
        }
        Ok(Self {
            topic: topic.slot,
            fixed,
            key: settings.slot("key"),
            partition: settings.slot("partition"),
            forward_origin: config.forward_origin,
            strict: config.strict,
        })
    }

    /// The topic, if no message has a say in it.
    pub fn fixed_topic(&self) -> Option<Text> {
        self.fixed.clone()
    }

    /// Whether a message has a say in which topic it goes to.
    pub const fn picks_topic(&self) -> bool {
        self.fixed.is_none()
    }

    /// Where a message goes.
    ///
    /// # Errors
    /// The topic is none that Kafka has, or the partition is no number: `Rejected`.
    pub fn place<'a>(&self, message: &'a Outgoing) -> Result<Place<'a>, Fault> {
        let topic = message.rendered.text(self.topic);
        if topic.is_empty() || topic.len() > 249 || topic.contains('\0') {
            return Err(Fault::rejected("kafka.invalid_topic", "`topic` gave no name of a topic"));
        }
        let key = match self.key.map(|slot| message.rendered.get(slot)) {
            None => message.envelope.properties.key.clone(),
            Some(Some(RenderedValue::Text(text))) => Some(text.as_bytes().clone()),
            Some(Some(RenderedValue::Bytes(bytes))) => Some(bytes.clone()),
            Some(Some(RenderedValue::Null) | None) => None,
        };
        let partition = match self.partition.and_then(|slot| message.rendered.get(slot)) {
            None | Some(RenderedValue::Null) => None,
            Some(RenderedValue::Text(text)) => Some(number(text)?),
            Some(RenderedValue::Bytes(_)) => return Err(no_partition("bytes")),
        };
        Ok(Place { topic, key, partition })
    }
}

fn number(text: &str) -> Result<i32, Fault> {
    text.trim().parse().ok().filter(|number| *number >= 0).ok_or_else(|| no_partition(text))
}

fn no_partition(found: &str) -> Fault {
    Fault::rejected("kafka.partition", format!("`partition` gave `{found}`, which is no number of a partition"))
}
