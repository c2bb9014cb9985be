//! Writing events: as one JSON object, or as headers.

use super::{Event, STRUCTURED_TYPE, coding};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use crossdock_model::{Envelope, Properties, Text};
use serde_json::{Value as Json, value::RawValue};
use std::fmt::Write as _;

impl Event {
    /// The event as a JSON object. The trace context goes with it, for hops that know no headers.
    pub fn to_json(&self, properties: &Properties) -> Vec<u8> {
        let mut members = vec![("specversion".to_owned(), text("1.0"))];
        members.extend(self.attributes.iter().map(|(name, value)| (name.to_string(), text(value))));
        for (name, value) in [("traceparent", &properties.traceparent), ("tracestate", &properties.tracestate)] {
            if let Some(value) = value.as_ref().filter(|_| self.get(name).is_none()) {
                members.push((name.to_owned(), text(value)));
            }
        }
        if let Some(content_type) = &self.content_type {
            members.push(("datacontenttype".to_owned(), text(content_type)));
        }
        members.extend(self.data.as_ref().map(|data| member(data, self.content_type.as_deref())));
        let mut json = Vec::with_capacity(self.data.as_ref().map_or(0, Bytes::len) + 512);
        for (name, value) in members {
            json.push(if json.is_empty() { b'{' } else { b',' });
            json.extend(text(&name).into_bytes());
            json.push(b':');
            json.extend(value.into_bytes());
        }
        json.push(b'}');
        json
    }

    /// The message with the event as its payload.
    pub fn wrapped(&self, envelope: &Envelope) -> Envelope {
        let mut out = envelope.clone();
        out.headers = self.headers.clone();
        out.payload = Some(Bytes::from(self.to_json(&envelope.properties)));
        out.properties.content_type = Some(Text::from_static(STRUCTURED_TYPE));
        out.properties.content_encoding = coding(&envelope.properties).cloned();
        out
    }

    /// Takes out of a message's fields what the event in its payload says as well. What an event that came as one says
    /// otherwise, its fields keep.
    pub fn take_carried(&self, properties: &mut Properties) {
        if properties.time.is_some_and(|time| self.get("time").is_some_and(|said| **said == *time.to_string())) {
            properties.time = None;
        }
        if properties
            .key
            .as_ref()
            .is_some_and(|key| self.get("partitionkey").is_some_and(|said| said.as_bytes() == key))
        {
            properties.key = None;
        }
        for (name, field) in [("traceparent", &mut properties.traceparent), ("tracestate", &mut properties.tracestate)]
        {
            if self.get(name).is_none_or(|said| Some(said) == field.as_ref()) {
                *field = None;
            }
        }
    }

    /// The data as payload, the attributes as headers. A user header that would be taken for an attribute does not go along.
    pub fn into_headers(self, out: &mut Envelope, prefix: &str, percent_encoded: bool) {
        let is_attribute = |name: &str| {
            if prefix.is_empty() {
                // Each could be one: only what the event says must not be said twice.
                let said = self.attributes.iter().map(|(said, _)| &**said);
                return said.chain(["specversion", "datacontenttype"]).any(|said| said.eq_ignore_ascii_case(name));
            }
            name.len() > prefix.len()
                && name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
        };
        out.headers = out.headers.iter().filter(|header| !is_attribute(&header.name)).cloned().collect();
        let mut push = |name: &str, value: &Text| {
            let value = if percent_encoded { encoded(value) } else { value.clone() };
            out.headers.push(Text::from(format!("{prefix}{name}")), value);
        };
        push("specversion", &Text::from_static("1.0"));
        self.attributes.iter().for_each(|(name, value)| push(name, value));
        if self.was_structured {
            out.properties.content_encoding = None;
            // Without a type the data of a structured event is JSON.
            let json = || self.data.as_ref().map(|_| Text::from_static("application/json"));
            out.properties.content_type = self.content_type.clone().or_else(json);
            for (name, field) in
                [("traceparent", &mut out.properties.traceparent), ("tracestate", &mut out.properties.tracestate)]
            {
                let said = self.attributes.iter().find(|(known, _)| known == name);
                *field = field.take().or_else(|| said.map(|(_, value)| value.clone()));
            }
        }
        out.payload = self.data;
    }
}

/// Whether data of this type is JSON.
pub(super) fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || essence.ends_with("+json") || essence == "text/json"
}

/// The member that holds the data: JSON as it is, text as a string, all else in base64. A type that nobody said is taken
/// to be JSON by whoever reads the event, so that what is none goes in base64.
fn member(data: &[u8], content_type: Option<&str>) -> (String, String) {
    let json = || serde_json::from_slice::<&RawValue>(data).ok().map(|raw| raw.get().to_owned());
    let string = || std::str::from_utf8(data).ok().map(text);
    let value = if content_type.is_none_or(is_json) { json() } else { string() };
    match value {
        Some(value) => ("data".to_owned(), value),
        None => ("data_base64".to_owned(), format!("\"{}\"", BASE64_STANDARD.encode(data))),
    }
}

fn text(text: &str) -> String {
    Json::from(text).to_string()
}

/// A value for a header (HTTP binding, 3.1.3.2): all but printable ASCII is percent-encoded, and space, quotes and `%`.
fn encoded(value: &Text) -> Text {
    let is_plain = |byte: u8| (0x21..=0x7e).contains(&byte) && !matches!(byte, b'"' | b'%');
    if value.bytes().all(is_plain) {
        return value.clone();
    }
    let mut out = String::with_capacity(value.len() + 16);
    for byte in value.bytes() {
        if is_plain(byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    Text::from(out)
}
