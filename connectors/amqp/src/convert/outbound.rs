//! An envelope becomes a message: properties, headers, and what is lost.

use super::CONTROL_HEADERS;
use crate::wire::{BasicProperties, SHORT_BYTES_MAX, fits};
use bytes::Bytes;
use crossdock_connector::{
    Outgoing,
    mapping::{self, Part},
};
use crossdock_model::{Fault, Headers, Text, Timestamp, Value};
use std::collections::HashMap;

/// On the server's disk.
const PERSISTENT: u8 = 2;
/// In the server's memory.
const TRANSIENT: u8 = 1;
/// The longest time to live that RabbitMQ takes, ten years: over a longer one it closes the channel.
const EXPIRATION_MILLIS_MAX: u64 = 315_360_000_000;
/// RabbitMQ takes it for the publisher's own consumer of replies, which is none here, and closes the channel.
const FAST_REPLY: &[u8] = b"amq.rabbitmq.reply-to";
/// So many headers are compared with each other; more are looked up by their names.
const HEADERS_FEW: usize = 16;
/// The native properties that a message that came over AMQP takes along.
const NATIVE_TYPE: &str = "type";
const NATIVE_APP_ID: &str = "app_id";

/// How a target's messages leave.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rules {
    /// Whether the server writes them to its disk.
    pub persistent: bool,
    /// Whether where they came from goes along.
    pub forward_origin: bool,
    /// Whether what would be lost is a fault.
    pub strict: bool,
}

/// A message as it leaves.
#[derive(Clone, PartialEq, Debug)]
pub struct Outbound {
    /// The properties, user headers among them.
    pub properties: BasicProperties,
    /// What it loses, by the envelope's names; `headers` once for each header.
    pub lost: Vec<Text>,
}

impl Outbound {
    /// The properties of a message.
    ///
    /// # Errors
    /// It would lose something, and the target is strict.
    pub fn new(message: &Outgoing, rules: Rules, now: Timestamp) -> Result<Self, Fault> {
        let mut writer = Writer::default();
        writer.fields(message, rules, now);
        writer.native(message);
        writer.user_headers(&message.envelope.headers);
        if message.envelope.payload.is_none() {
            // A tombstone leaves as an empty payload, which is not the same.
            writer.lost.push(Part::Payload.lost());
        }
        if rules.strict {
            mapping::strictly("AMQP", &writer.lost)?;
        }
        Ok(Self { properties: writer.basic, lost: writer.lost })
    }
}

#[derive(Default)]
struct Writer {
    basic: BasicProperties,
    lost: Vec<Text>,
    /// The parts that went into a header since they did not fit their property.
    in_header: Vec<Part>,
}

impl Writer {
    fn fields(&mut self, message: &Outgoing, rules: Rules, now: Timestamp) {
        let properties = &message.envelope.properties;
        let of = |text: &Option<Text>| text.as_ref().map(|text| text.as_bytes().clone());
        self.basic.content_type = self.short(Part::ContentType, of(&properties.content_type));
        self.basic.content_encoding = self.short(Part::ContentEncoding, of(&properties.content_encoding));
        self.reply_to(of(&properties.reply_to));
        self.basic.correlation_id = self.short(Part::CorrelationId, properties.correlation_id.clone());
        self.basic.message_id = self.short(Part::Id, Some(message.idempotency_key.as_bytes().clone()));
        self.basic.delivery_mode = Some(if rules.persistent { PERSISTENT } else { TRANSIENT });
        self.basic.priority = properties.priority;
        self.expiration(message, now);
        if let Some(time) = properties.time {
            self.time(time, message);
        }
        for part in [Part::Key, Part::Traceparent, Part::Tracestate, Part::Origin] {
            if let Some(value) = mapping::header_value(part, message, rules.forward_origin) {
                self.header(part, value);
            }
        }
    }

    /// A value that is a short string and text goes to its property; another to the header of its part.
    fn short(&mut self, part: Part, value: Option<Bytes>) -> Option<Bytes> {
        let value = value?;
        if value.len() <= SHORT_BYTES_MAX && std::str::from_utf8(&value).is_ok() {
            return Some(value);
        }
        self.in_header.push(part);
        self.header(part, value);
        None
    }

    /// An address of a reply that the server would not take goes to its header.
    fn reply_to(&mut self, value: Option<Bytes>) {
        match value {
            Some(value) if value == FAST_REPLY => {
                self.in_header.push(Part::ReplyTo);
                self.header(Part::ReplyTo, value);
            }
            value => self.basic.reply_to = self.short(Part::ReplyTo, value),
        }
    }

    /// The time that is left; the header alone has when a message expires that has more than the server takes.
    fn expiration(&mut self, message: &Outgoing, now: Timestamp) {
        match mapping::remaining_millis(&message.envelope, now) {
            Some(left) if left > EXPIRATION_MILLIS_MAX => {
                if let Some(value) = mapping::header_value(Part::ExpiresAt, message, false) {
                    self.header(Part::ExpiresAt, value);
                }
            }
            left => self.basic.expiration = left.map(|left| Bytes::from(left.to_string())),
        }
    }

    /// The property has whole seconds; what is finer goes along in a header. A time before 1970 has the header alone.
    fn time(&mut self, time: Timestamp, message: &Outgoing) {
        let millis = u64::try_from(time.millis());
        self.basic.timestamp = millis.ok().map(|millis| millis / 1000);
        if millis.is_ok_and(|millis| millis % 1000 == 0) {
            return;
        }
        if let Some(value) = mapping::header_value(Part::Time, message, false) {
            self.header(Part::Time, value);
        }
    }

    fn header(&mut self, part: Part, value: Bytes) {
        let Some(name) = part.header() else { return };
        let value = Text::try_from(value.clone()).map_or(Value::Bytes(value), Value::Text);
        self.basic.headers.push((Text::from_static(name), value));
    }

    /// What only AMQP has stays with a message that came over it. The user it was published by is the server's to check,
    /// and is not us.
    fn native(&mut self, message: &Outgoing) {
        let origin = &message.envelope.origin;
        if &*origin.protocol != "amqp" {
            return;
        }
        for (name, value) in &origin.native {
            let Value::Text(text) = value else { continue };
            let property = match &**name {
                NATIVE_TYPE => &mut self.basic.kind,
                NATIVE_APP_ID => &mut self.basic.app_id,
                _ => continue,
            };
            *property = Some(text.as_bytes().clone());
        }
    }

    /// The user headers: of those with one name the last, since names are unique in a table.
    fn user_headers(&mut self, headers: &Headers) {
        let in_header = std::mem::take(&mut self.in_header);
        let has_field = |part| !matches!(part, Part::Traceparent | Part::Tracestate) && !in_header.contains(&part);
        let many: HashMap<&str, usize> = if headers.len() > HEADERS_FEW {
            headers.iter().enumerate().map(|(at, header)| (&*header.name, at)).collect()
        } else {
            HashMap::new()
        };
        for (at, header) in headers.iter().enumerate() {
            let is_last = match many.get(&*header.name) {
                Some(last) => *last == at,
                None => !headers.iter().skip(at + 1).any(|later| later.name == header.name),
            };
            let is_free = mapping::is_free(&header.name, has_field) && !CONTROL_HEADERS.contains(&&*header.name);
            if is_last && is_free && fits(&header.name, &header.value) {
                self.basic.headers.push((header.name.clone(), header.value.clone()));
            } else {
                self.lost.push(Part::Headers.lost());
            }
        }
    }
}

#[cfg(test)]
mod tests;
