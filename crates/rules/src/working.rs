//! A message while its steps run.

use crate::{
    Decode, EventDefaults, Format, XmlEncode, cloudevent,
    decode::{self, Decoded, Undecodable},
};
use bytes::Bytes;
use crossdock_expression::{Metadata, Outline, Program, Template, Value, ValueRef, View};
use crossdock_model::{Envelope, Fault, Text};
use std::sync::Arc;

/// A message while its steps run: the original, and what was made of it so far.
#[derive(Clone, Debug)]
pub struct Working {
    envelope: Arc<Envelope>,
    said: Option<Decode>,
    /// What the value is decoded from, where it is not what leaves.
    inner: Option<Arc<Envelope>>,
    /// The value with what transforms made of it, once something needed it.
    decoded: Option<Decoded>,
    pub(crate) metadata: Metadata,
    body: Body,
}

/// What leaves.
#[derive(Clone, Debug)]
enum Body {
    /// The bytes that came.
    Original,
    /// The value is another than the bytes: it is encoded when it leaves.
    Changed,
    /// Bytes that a step fixed.
    Fixed(Bytes),
}

impl Working {
    /// A message that nothing happened to yet.
    #[must_use]
    pub fn new(envelope: Arc<Envelope>) -> Self {
        Self { envelope, said: None, inner: None, decoded: None, metadata: Metadata::new(), body: Body::Original }
    }

    /// The message as it came.
    #[must_use]
    pub const fn envelope(&self) -> &Arc<Envelope> {
        &self.envelope
    }

    /// Runs a condition over it.
    ///
    /// # Errors
    /// It cannot be decoded, or the condition failed.
    pub fn condition(&mut self, program: &Program) -> Result<bool, Fault> {
        self.prepare(program.needs_payload()).map_err(|error| error.fault)?;
        program.condition(value(self.decoded.as_ref()), &mut self.metadata, &self.envelope)
    }

    /// Runs an expression over it.
    ///
    /// # Errors
    /// It cannot be decoded, or the expression failed.
    pub fn value(&mut self, program: &Program) -> Result<Value, Fault> {
        self.prepare(program.needs_payload()).map_err(|error| error.fault)?;
        program.value(value(self.decoded.as_ref()), &mut self.metadata, &self.envelope)
    }

    /// The value of a key that an expression gives.
    ///
    /// # Errors
    /// As for [`Self::value`], and for a whole number that is not known to its last digit: the key of another message could be
    /// taken for the same.
    pub fn key_value(&mut self, program: &Program) -> Result<Value, Fault> {
        let value = self.value(program)?;
        if is_rounded(value.as_ref()) {
            let program = program.text().trim();
            let text =
                format!("the key `{program}` has a number of 2^63 or beyond, which is rounded: send it as a text");
            return Err(Fault::rejected("expression", text));
        }
        Ok(value)
    }

    /// The bytes of a key that an expression gives (`order_by`, `circuit`, Kafka's `key`): a string's own bytes, any
    /// other value as JSON; none for null.
    ///
    /// # Errors
    /// As for [`Self::key_value`].
    pub fn key(&mut self, program: &Program) -> Result<Option<Bytes>, Fault> {
        let value = self.key_value(program)?;
        match value.as_ref().view() {
            View::Null => Ok(None),
            View::Text(text) => Ok(Some(Bytes::from(text.into_owned()))),
            View::Bytes(bytes) => Ok(Some(bytes.clone())),
            View::Boolean(_) | View::Integer(_) | View::Float(_) | View::Array(_) | View::Object(_) => {
                let json = value.to_json().map_err(|error| Fault::rejected("expression", error.to_string()))?;
                Ok(Some(Bytes::from(json)))
            }
        }
    }

    /// Puts its values into a template.
    ///
    /// # Errors
    /// It cannot be decoded, or a hole failed or gave what cannot stand there.
    pub fn render(&mut self, template: &Template) -> Result<Text, Fault> {
        if let Some(text) = template.fixed() {
            return Ok(text.clone());
        }
        self.prepare(template.needs_payload()).map_err(|error| error.fault)?;
        template.render(value(self.decoded.as_ref()), &mut self.metadata, &self.envelope)
    }

    /// The message as it leaves: the original where nothing changed it. Encodes a changed value, once.
    ///
    /// # Errors
    /// The value cannot be written in the format it came from.
    pub fn finish(&mut self) -> Result<Arc<Envelope>, Fault> {
        self.settle_body()?;
        let fixed = match &self.body {
            Body::Original | Body::Changed => None,
            Body::Fixed(bytes) => Some(bytes.clone()),
        };
        if fixed.is_none() && !self.metadata.is_changed() {
            return Ok(Arc::clone(&self.envelope));
        }
        let (mut properties, headers) = self.metadata.apply(&self.envelope)?;
        let payload = if let Some(bytes) = fixed {
            properties.content_encoding = None;
            Some(bytes)
        } else {
            self.envelope.payload.clone()
        };
        let Envelope { id, received_at, origin, .. } = &*self.envelope;
        Ok(Arc::new(Envelope {
            id: *id,
            received_at: *received_at,
            payload,
            properties,
            headers,
            origin: origin.clone(),
        }))
    }

    /// Says how the payload is decoded.
    pub(crate) fn decode_as(&mut self, decode: &Decode) {
        self.said = Some(decode.clone());
    }

    /// Decodes the payload, if that was not done yet.
    pub(crate) fn prepare(&mut self, needed: bool) -> Result<(), Box<Undecodable>> {
        if self.said == Some(Decode::CloudEvent) {
            self.unwrap_event()?;
        }
        if needed && self.decoded.is_none() {
            let envelope = self.inner.as_ref().unwrap_or(&self.envelope);
            self.decoded = Some(decode::decode(envelope, self.said.as_ref())?);
        }
        Ok(())
    }

    /// Whether the payload is of a type that can be decoded, and not coded.
    pub(crate) fn tells_format(&self) -> bool {
        decode::tells_format(&self.envelope)
    }

    /// Takes the message as an event: from here on it is the event's data, with the attributes as headers.
    fn unwrap_event(&mut self) -> Result<(), Box<Undecodable>> {
        let event = self.finish().map_err(|fault| decode::no_event(&fault.text))?;
        let message = cloudevent::decode_event(&event).map_err(|why| decode::no_event(&why))?;
        *self = Self::new(Arc::new(message));
        Ok(())
    }

    /// Wraps what would leave now as an event; the value stays what it is.
    pub(crate) fn encode_event(&mut self, defaults: &EventDefaults) -> Result<(), Fault> {
        self.prepare(false).map_err(|error| error.fault)?;
        let message = self.finish()?;
        let event = cloudevent::wrap_event(&message, defaults)?;
        self.body = Body::Fixed(event.payload.clone().unwrap_or_default());
        self.metadata = Metadata::new();
        self.inner.get_or_insert(message);
        self.envelope = Arc::new(event);
        Ok(())
    }

    /// The outline of the payload, if it is JSON and has one.
    pub(crate) fn outline(&self) -> Option<Outline<'_>> {
        decode::outline(&self.envelope, self.said.as_ref())
    }

    /// The value, if the payload is decoded.
    pub(crate) fn decoded(&self) -> Option<&Value> {
        value(self.decoded.as_ref())
    }

    /// The bytes that would leave now, where they are fixed or untouched.
    pub(crate) fn bytes(&self) -> Option<&[u8]> {
        match &self.body {
            Body::Original => Some(self.envelope.bytes()),
            Body::Changed => None,
            Body::Fixed(bytes) => Some(bytes),
        }
    }

    pub(crate) fn transform(&mut self, program: &Program) -> Result<(), Fault> {
        let mut none = Value::NULL;
        let value = self.decoded.as_mut().map_or(&mut none, |decoded| &mut decoded.value);
        let changed = program.transform(value, &mut self.metadata, &self.envelope)?;
        if changed && matches!(self.body, Body::Original) {
            self.body = Body::Changed;
        }
        // What was assigned must fit into the envelope; said here, so that the fault names the step.
        if self.metadata.is_changed() {
            self.metadata.apply(&self.envelope)?;
        }
        Ok(())
    }

    /// Fixes bytes and content type from the value as it is now.
    pub(crate) fn encode(&mut self, format: Format, options: &XmlEncode, content_type: &str) -> Result<(), Fault> {
        let Some(decoded) = &self.decoded else { return Ok(()) };
        self.body = Body::Fixed(decode::encode(decoded, format, options)?.into());
        self.metadata.set_content_type(content_type);
        Ok(())
    }

    fn settle_body(&mut self) -> Result<(), Fault> {
        if let (Body::Changed, Some(decoded)) = (&self.body, &self.decoded) {
            let bytes = decode::encode(decoded, decoded.format, &XmlEncode::default())?;
            self.body = Body::Fixed(bytes.into());
        }
        Ok(())
    }
}

fn value(decoded: Option<&Decoded>) -> Option<&Value> {
    decoded.map(|decoded| &decoded.value)
}

/// Whether a number in it stands for several: whole ones are exact below 2^63, and are binary fractions from there on.
fn is_rounded(value: ValueRef<'_>) -> bool {
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    match value.view() {
        View::Float(number) => number.abs() >= BEYOND,
        View::Array(items) => items.iter().any(is_rounded),
        View::Object(members) => members.iter().any(|(_, value)| is_rounded(value)),
        View::Null | View::Boolean(_) | View::Integer(_) | View::Text(_) | View::Bytes(_) => false,
    }
}
