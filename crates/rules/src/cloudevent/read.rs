//! Recognising events: by content type, or by headers.

use super::{Event, STRUCTURED_TYPE};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use crossdock_model::{Envelope, Headers, Text};
use percent_encoding::percent_decode_str;
use serde_json::{Value as Json, value::RawValue};
use std::collections::BTreeMap;

/// What attributes' names begin with as headers: of HTTP, NATS and AMQP; of Kafka; of AMQP as older versions have it.
const PREFIXES: [&str; 4] = ["ce-", "ce_", "cloudEvents:", "cloudEvents_"];
/// The attributes that every event has, beside `specversion`.
const REQUIRED: [&str; 3] = ["id", "source", "type"];

impl Event {
    /// The event that a message is, or the beginning of one for a message that is none.
    ///
    /// # Errors
    /// It claims to be an event and cannot be read.
    pub fn read(envelope: &Envelope) -> Result<Self, String> {
        match media_type(envelope).as_str() {
            STRUCTURED_TYPE => structured(envelope),
            other if other.starts_with("application/cloudevents") => {
                Err(format!("`{other}` is not read: only {STRUCTURED_TYPE} is"))
            }
            _ => binary(envelope),
        }
    }

    /// Whether the message is an event by itself.
    ///
    /// # Errors
    /// What it lacks.
    pub fn check(&self, envelope: &Envelope) -> Result<(), String> {
        if !self.was_structured && prefix(&envelope.headers, is_mqtt(envelope)).is_none() {
            return Err(format!("the content type is not {STRUCTURED_TYPE}, and there is no header `specversion`"));
        }
        match REQUIRED.into_iter().find(|name| self.get(name).is_none_or(|value| value.is_empty())) {
            Some(name) => Err(format!("the attribute `{name}` is missing")),
            None => Ok(()),
        }
    }
}

fn media_type(envelope: &Envelope) -> String {
    let content_type = envelope.properties.content_type.as_deref().unwrap_or_default();
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn is_mqtt(envelope: &Envelope) -> bool {
    &*envelope.origin.protocol == "mqtt"
}

fn structured(envelope: &Envelope) -> Result<Event, String> {
    if envelope.properties.content_encoding.as_deref().is_some_and(|coding| coding != "identity") {
        return Err("the payload is coded, which the gateway passes on but does not undo".into());
    }
    let bytes = envelope.payload.clone().unwrap_or_default();
    let members: BTreeMap<String, &RawValue> =
        serde_json::from_slice(&bytes).map_err(|error| format!("the payload is no JSON object: {error}"))?;
    let mut event =
        Event { attributes: Vec::new(), content_type: None, data: None, headers: Headers::new(), was_structured: true };
    let mut data = None;
    for (name, raw) in members {
        match name.as_str() {
            "data" | "data_base64" if data.is_some() => {
                return Err("it has both `data` and `data_base64`".into());
            }
            "data" | "data_base64" => data = Some((name, raw)),
            _ => {
                let Some(value) = attribute(&name, raw)? else { continue };
                match name.as_str() {
                    "specversion" => check_version(&value)?,
                    "datacontenttype" => event.content_type = Some(value),
                    _ => event.attributes.push((Text::from(name), value)),
                }
            }
        }
    }
    event.data = match data {
        None => None,
        Some((name, raw)) if name == "data_base64" => Some(decoded(raw)?),
        Some((_, raw)) => of_member(&bytes, raw, event.content_type.as_deref()),
    };
    // Attributes that came as headers beside a structured event say nothing more than it does (HTTP binding, 3.2.3).
    let prefix = prefix(&envelope.headers, is_mqtt(envelope));
    event.headers = user_headers(&envelope.headers, prefix);
    Ok(event)
}

/// An attribute's value as text: of JSON types, only null, true, false, whole numbers and text are attributes.
fn attribute(name: &str, raw: &RawValue) -> Result<Option<Text>, String> {
    let wrong = || format!("the attribute `{name}` is no text, number, true or false");
    let value: Json = serde_json::from_str(raw.get()).map_err(|_| wrong())?;
    if !is_name(name) {
        return Err(format!("`{name}` is no attribute's name: it has small letters and digits only"));
    }
    match value {
        Json::Null => Ok(None),
        Json::Bool(value) => Ok(Some(Text::from(value.to_string()))),
        Json::Number(number) => Ok(Some(Text::from(number.to_string()))),
        Json::String(text) => Ok(Some(Text::from(text))),
        Json::Array(_) | Json::Object(_) => Err(wrong()),
    }
}

fn decoded(raw: &RawValue) -> Result<Bytes, String> {
    let text: String = serde_json::from_str(raw.get()).map_err(|_| "`data_base64` is no text".to_owned())?;
    BASE64_STANDARD.decode(text).map(Bytes::from).map_err(|error| format!("`data_base64` is no base64: {error}"))
}

/// The bytes that the member `data` stands for: JSON as it is written there, of another type the text.
fn of_member(whole: &Bytes, raw: &RawValue, content_type: Option<&str>) -> Option<Bytes> {
    if raw.get() == "null" {
        return None;
    }
    if content_type.is_none_or(super::write::is_json) {
        return Some(whole.slice_ref(raw.get().as_bytes()));
    }
    let text: Result<String, _> = serde_json::from_str(raw.get());
    Some(text.map_or_else(|_| whole.slice_ref(raw.get().as_bytes()), Bytes::from))
}

fn check_version(version: &str) -> Result<(), String> {
    if version == "1.0" { Ok(()) } else { Err(format!("its version is `{version}`, and only 1.0 is read")) }
}

/// What the attributes' names begin with, if there are any: `specversion` says so.
fn prefix(headers: &Headers, is_mqtt: bool) -> Option<&'static str> {
    let has = |prefix: &str| headers.iter().any(|header| header.name.strip_prefix(prefix) == Some("specversion"));
    let plain = || {
        // Without a prefix only MQTT has them, where every user property of an event is an attribute.
        let all = ["specversion", "id", "source", "type"].into_iter().all(|name| headers.get(name).is_some());
        (is_mqtt && all).then_some("")
    };
    PREFIXES.into_iter().find(|prefix| has(prefix)).or_else(plain)
}

fn binary(envelope: &Envelope) -> Result<Event, String> {
    let Envelope { headers, properties, payload, origin, .. } = envelope;
    let found = prefix(headers, is_mqtt(envelope));
    // A step may set single attributes of a message that is no event yet.
    let prefix = found.unwrap_or(super::PREFIX);
    let is_encoded = prefix == "ce-" && &*origin.protocol == "http";
    let mut attributes: Vec<(Text, Text)> = Vec::new();
    for header in headers {
        let Some(name) = header.name.strip_prefix(prefix).filter(|name| is_name(name)) else { continue };
        let Some(text) = header.value.to_text() else { continue };
        let value = if is_encoded { percent_decoded(&text) } else { text };
        if name == "specversion" {
            check_version(&value)?;
        } else if name != "datacontenttype" && !attributes.iter().any(|(known, _)| known == name) {
            attributes.push((Text::from(name), value));
        }
    }
    Ok(Event {
        attributes,
        content_type: properties.content_type.clone(),
        data: payload.clone(),
        headers: user_headers(headers, Some(prefix)),
        was_structured: false,
    })
}

/// The headers that are no attributes.
fn user_headers(headers: &Headers, prefix: Option<&str>) -> Headers {
    let Some(prefix) = prefix else { return headers.clone() };
    let is_attribute = |name: &str| name.strip_prefix(prefix).is_some_and(is_name);
    headers.iter().filter(|header| !is_attribute(&header.name)).cloned().collect()
}

/// A header's value as an attribute's (HTTP binding, 3.1.3.2): in quotes or not, percent-decoded once.
fn percent_decoded(text: &Text) -> Text {
    let quoted = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let plain = quoted.map_or_else(|| text.to_string(), |inner| inner.replace("\\\"", "\"").replace("\\\\", "\\"));
    percent_decode_str(&plain).decode_utf8().map_or_else(|_| text.clone(), |decoded| Text::from(decoded.into_owned()))
}

/// Whether an attribute may be called so.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}
