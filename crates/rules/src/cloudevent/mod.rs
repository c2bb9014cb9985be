//! CloudEvents 1.0 (<https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md>): an encoding of messages, and not
//! the shape of the envelope.
//!
//! ```text
//!  structured   the payload is a JSON object: attributes, and `data` or `data_base64`
//!  binary       the payload is the data; each attribute is a header under a prefix that differs by protocol
//! ```
//!
//! What holds
//! - Both modes are recognised whatever protocol a message came over: the one by its content type, the other by the header
//!   `specversion` under one of the known prefixes.
//! - What an event does not say of itself comes from the message's own identity, never from chance or a clock: the same
//!   message makes the same event again.
//! - Data stays the bytes it was, in whatever mode it comes and goes; only between `data_base64`, JSON and text does its form
//!   change, and back to the same bytes.

mod read;
mod source;
#[cfg(test)]
mod tests;
mod write;

use bytes::Bytes;
use crossdock_model::{Envelope, Fault, Headers, Properties, Text};
use crossdock_settings::{Field, Kind, Settings};

/// The media type of a structured event.
pub const STRUCTURED_TYPE: &str = "application/cloudevents+json";
/// The prefix of attributes among the user headers after `decode: cloudevent`, and with which steps may set them.
pub const PREFIX: &str = "ce_";
/// The `type` of an event that nobody gave another.
const TYPE: &str = "crossdock.message";

/// What the step and the targets may say of an event that does not say it itself.
pub const CLOUDEVENT: &[Field] = &[
    Field::optional("type", Kind::Text, "`type` of a message that is no event yet [crossdock.message]"),
    Field::optional("source", Kind::Text, "`source` of a message that is no event yet [where it came from]"),
    Field::optional("subject", Kind::Text, "`subject` of a message that has none"),
];

/// What is said of an event that does not say it itself.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct EventDefaults {
    /// `type`.
    pub kind: Option<Text>,
    /// `source`.
    pub source: Option<Text>,
    /// `subject`.
    pub subject: Option<Text>,
}

/// How an event leaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EventMode {
    /// As one JSON object.
    Structured,
    /// As headers beside the data.
    Binary {
        /// What the headers' names begin with.
        prefix: &'static str,
        /// Whether values are percent-encoded (HTTP, NATS).
        percent_encoded: bool,
    },
}

/// An event.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Event {
    /// Attributes by name, without `specversion` and `datacontenttype`.
    attributes: Vec<(Text, Text)>,
    /// `datacontenttype`.
    content_type: Option<Text>,
    /// The data.
    data: Option<Bytes>,
    /// The user headers that are no attributes.
    headers: Headers,
    /// Whether the data is a part of the payload, or the payload itself.
    was_structured: bool,
}

impl EventDefaults {
    /// What a section by the table [`CLOUDEVENT`] says.
    #[must_use]
    pub fn of(settings: &Settings) -> Self {
        let text = |name| settings.text(name).filter(|text| !text.is_empty()).cloned();
        Self { kind: text("type"), source: text("source"), subject: text("subject") }
    }
}

/// A message as the event that leaves for a target: one that is an event already keeps what it says.
///
/// A protocol to which events leave in structured mode has no fields beside the payload. So of what the event says itself the
/// envelope says nothing any more, lest it counts as lost. A coding of the payload stays: it is nowhere in the event.
///
/// # Errors
/// Class `rejected`, code `encode`: it claims to be an event and cannot be read.
pub fn encode_event(envelope: &Envelope, mode: EventMode, defaults: &EventDefaults) -> Result<Envelope, Fault> {
    let event = event_of(envelope, defaults)?;
    Ok(match mode {
        EventMode::Structured => {
            let mut out = event.wrapped(envelope);
            event.take_carried(&mut out.properties);
            out
        }
        EventMode::Binary { prefix, percent_encoded } => {
            let mut out = Envelope { headers: event.headers.clone(), ..envelope.clone() };
            event.into_headers(&mut out, prefix, percent_encoded);
            out
        }
    })
}

/// A message as a structured event, for steps: whatever it goes over then, its fields stay.
///
/// # Errors
/// As of [`encode_event`]; also if its payload is coded, which the event could not say.
pub(crate) fn wrap_event(envelope: &Envelope, defaults: &EventDefaults) -> Result<Envelope, Fault> {
    if let Some(coding) = coding(&envelope.properties) {
        return Err(refused(format!("its payload is coded ({coding}), and an event has no place to say so")));
    }
    let mut out = event_of(envelope, defaults)?.wrapped(envelope);
    out.properties.content_encoding = None;
    Ok(out)
}

fn event_of(envelope: &Envelope, defaults: &EventDefaults) -> Result<Event, Fault> {
    Ok(Event::read(envelope).map_err(refused)?.named(envelope, defaults))
}

fn refused(why: String) -> Fault {
    Fault::rejected("encode", format!("cannot be a CloudEvent: {why}"))
}

/// How a payload is coded, if it is.
fn coding(properties: &Properties) -> Option<&Text> {
    properties.content_encoding.as_ref().filter(|coding| !coding.is_empty() && **coding != "identity")
}

/// An event as a message: its data is the payload, its attributes are user headers with [`PREFIX`].
///
/// # Errors
/// Why it is none.
pub(crate) fn decode_event(envelope: &Envelope) -> Result<Envelope, String> {
    let event = Event::read(envelope)?;
    event.check(envelope)?;
    let mut out = envelope.clone();
    out.headers = event.headers.clone();
    event.into_headers(&mut out, PREFIX, false);
    Ok(out)
}

impl Event {
    fn get(&self, name: &str) -> Option<&Text> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    fn set(&mut self, name: &'static str, value: impl FnOnce() -> Option<Text>) {
        if self.get(name).is_none_or(|value| value.is_empty())
            && let Some(value) = value()
        {
            self.attributes.retain(|(known, _)| known != name);
            self.attributes.push((Text::from_static(name), value));
        }
    }

    /// The event with what it does not say of itself.
    fn named(mut self, envelope: &Envelope, defaults: &EventDefaults) -> Self {
        let Envelope { id, received_at, properties, .. } = envelope;
        self.set("id", || Some(Text::from(id.to_string())));
        self.set("source", || Some(defaults.source.clone().unwrap_or_else(|| source::of(&envelope.origin))));
        self.set("type", || Some(defaults.kind.clone().unwrap_or_else(|| Text::from_static(TYPE))));
        self.set("time", || Some(Text::from(properties.time.unwrap_or(*received_at).to_string())));
        self.set("subject", || defaults.subject.clone());
        self.set("partitionkey", || Text::try_from(properties.key.clone()?).ok().filter(|key| !key.is_empty()));
        self
    }
}
