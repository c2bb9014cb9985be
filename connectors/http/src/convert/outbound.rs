//! The fields and user headers of an envelope become the headers of a request; what does not fit is counted.

use super::is_user_header;
use bytes::Bytes;
use crossdock_connector::{
    Outgoing, Rendered, Slot,
    mapping::{self, Part},
};
use crossdock_model::{Fault, Text, Timestamp, Value};
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CONTENT_ENCODING, CONTENT_TYPE, DATE},
};
use std::time::{Duration, UNIX_EPOCH};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
const REPLY_TO: HeaderName = HeaderName::from_static("crossdock-reply-to");

/// The end of the year 9999; an HTTP date has four digits for the year.
const DATE_MILLIS_END: u64 = 253_402_300_800_000;

/// The fields that did not fit, by the envelope's names; `headers` once for each user header.
pub(crate) type Losses = Vec<Text>;

/// Writes the headers of a request: the message's fields; over them those of the connection and those of the target,
/// rendered; then the user headers, which replace none.
///
/// # Errors
/// A header of the target was rendered to what HTTP does not allow: `Rejected`, code `http.header`.
pub(crate) fn write(
    message: &Outgoing,
    connection: &HeaderMap,
    target: &[(HeaderName, Slot)],
    forward_origin: bool,
) -> Result<(HeaderMap, Losses), Fault> {
    let mut writer = Writer::new(connection.len() + target.len());
    writer.fields(message, forward_origin);
    for (name, value) in connection {
        writer.headers.insert(name, value.clone());
    }
    for (name, slot) in target {
        writer.headers.insert(name, configured(name, *slot, &message.rendered)?);
    }
    let is_configured = |name: &HeaderName| connection.contains_key(name) || target.iter().any(|(own, _)| own == name);
    for header in &message.envelope.headers {
        writer.user_header(&header.name, &header.value, is_configured);
    }
    Ok((writer.headers, writer.losses))
}

struct Writer {
    headers: HeaderMap,
    losses: Losses,
}

impl Writer {
    fn new(configured: usize) -> Self {
        Self { headers: HeaderMap::with_capacity(configured + 8), losses: Losses::new() }
    }

    fn fields(&mut self, message: &Outgoing, forward_origin: bool) {
        for part in Part::ALL {
            let Some(name) = header_name(part) else { continue };
            let value = if part == Part::Time {
                let Some(time) = message.envelope.properties.time else { continue };
                http_date(time).map(Bytes::from)
            } else {
                let Some(value) = mapping::header_value(part, message, forward_origin) else { continue };
                Some(value)
            };
            match value.as_deref().and_then(header_value) {
                Some(value) => drop(self.headers.insert(name, value)),
                None => self.lose(part),
            }
        }
    }

    fn user_header(&mut self, name: &str, value: &Value, is_configured: impl Fn(&HeaderName) -> bool) {
        let name = HeaderName::from_bytes(name.as_bytes()).ok();
        let name = name.filter(|name| is_user_header(name.as_str()) && !is_configured(name));
        let value = value.to_text().and_then(|text| header_value(text.as_bytes()));
        match name.zip(value) {
            Some((name, value)) => drop(self.headers.append(name, value)),
            None => self.lose(Part::Headers),
        }
    }

    fn lose(&mut self, part: Part) {
        self.losses.push(part.lost());
    }
}

/// The header of a part: HTTP's own where it has one, else that of all protocols.
fn header_name(part: Part) -> Option<HeaderName> {
    match part {
        Part::ContentType => Some(CONTENT_TYPE),
        Part::ContentEncoding => Some(CONTENT_ENCODING),
        Part::Id => Some(IDEMPOTENCY_KEY),
        Part::CorrelationId => Some(CORRELATION_ID),
        Part::ReplyTo => Some(REPLY_TO),
        Part::Time => Some(DATE),
        Part::Traceparent => Some(TRACEPARENT),
        Part::Tracestate => Some(TRACESTATE),
        Part::Payload | Part::ExpiresAt | Part::Priority | Part::Key | Part::Origin | Part::Headers => {
            part.header().map(HeaderName::from_static)
        }
    }
}

fn configured(name: &HeaderName, slot: Slot, rendered: &Rendered) -> Result<HeaderValue, Fault> {
    let text = rendered.text(slot);
    header_value(text.trim_ascii().as_bytes()).ok_or_else(|| {
        let why = "a header takes visible ASCII characters and spaces only";
        Fault::rejected("http.header", format!("the header {name} cannot be sent: {why}"))
    })
}

/// Visible ASCII, and spaces and tabs within: what every peer reads the same (RFC 9110 §5.5). Others would be trimmed or
/// read in another character set, so they do not fit.
fn header_value(bytes: &[u8]) -> Option<HeaderValue> {
    let fits = bytes.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\t')) && bytes.trim_ascii().len() == bytes.len();
    fits.then(|| HeaderValue::from_bytes(bytes).ok()).flatten()
}

fn http_date(time: Timestamp) -> Option<String> {
    let millis = u64::try_from(time.millis()).ok().filter(|millis| *millis < DATE_MILLIS_END)?;
    Some(httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_millis(millis)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossdock_connector::{RenderedValue, Ticket};
    use crossdock_model::{Envelope, MessageId};
    use std::sync::Arc;

    fn outgoing(envelope: Envelope, rendered: &[&str]) -> Outgoing {
        let rendered: Vec<_> = rendered.iter().map(|text| RenderedValue::Text(Text::from(*text))).collect();
        Outgoing {
            ticket: Ticket(1),
            envelope: Arc::new(envelope),
            rendered: Rendered::new(rendered),
            idempotency_key: Text::from_static("key-1"),
            attempt: 1,
        }
    }

    fn envelope() -> Envelope {
        Envelope::new(MessageId::from_bytes([1; 16]), Timestamp(0), "x")
    }

    fn check(message: &Outgoing, target: &[(HeaderName, Slot)], expected: &[(&str, &str)], losses: &[&str]) {
        let mut connection = HeaderMap::new();
        connection.insert("x-tenant", HeaderValue::from_static("a"));
        let (headers, lost) = write(message, &connection, target, true).unwrap();
        let mut headers: Vec<_> =
            headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        headers.sort_unstable();
        let mut all = vec![("idempotency-key", "key-1"), ("x-tenant", "a")];
        all.extend_from_slice(expected);
        all.sort_unstable();
        assert_eq!(headers, all);
        assert_eq!(lost, losses);
    }

    #[test]
    fn every_field_has_its_header() {
        let mut envelope = envelope();
        let properties = &mut envelope.properties;
        properties.content_type = Some(Text::from_static("application/json"));
        properties.content_encoding = Some(Text::from_static("gzip"));
        properties.correlation_id = Some(Bytes::from_static(b"c-1"));
        properties.reply_to = Some(Text::from_static("answers"));
        properties.time = Some(Timestamp(784_111_777_999));
        properties.expires_at = Some(Timestamp(1));
        properties.priority = Some(9);
        properties.key = Some(Bytes::from_static(b"c-7"));
        properties.traceparent = Some(Text::from_static("00-a-b-01"));
        properties.tracestate = Some(Text::from_static("v=1"));
        envelope.origin.protocol = Text::from_static("kafka");
        envelope.origin.address = Text::from_static("orders");
        (envelope.origin.partition, envelope.origin.offset) = (Some(2), Some(1147));
        let expected = [
            ("content-type", "application/json"),
            ("content-encoding", "gzip"),
            ("x-correlation-id", "c-1"),
            ("crossdock-reply-to", "answers"),
            ("date", "Sun, 06 Nov 1994 08:49:37 GMT"),
            ("crossdock-expires-at", "1970-01-01T00:00:00.001Z"),
            ("crossdock-priority", "9"),
            ("crossdock-key", "c-7"),
            ("traceparent", "00-a-b-01"),
            ("tracestate", "v=1"),
            ("crossdock-origin", "kafka:orders/2/1147"),
        ];
        check(&outgoing(envelope, &[]), &[], &expected, &[]);
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let mut envelope = envelope();
        let properties = &mut envelope.properties;
        properties.content_type = Some(Text::from_static("text/plain\r\nx: y"));
        properties.correlation_id = Some(Bytes::from_static(b"\xff\x00"));
        properties.time = Some(Timestamp(-1));
        properties.key = Some(Bytes::from_static("ключ".as_bytes()));
        envelope.origin.address = Text::from_static("straße");
        for (name, value) in [
            ("X-Unit", Value::from("kg")),
            ("x-unit", Value::from("lb")),
            ("x-n", Value::Integer(7)),
            ("x-empty", Value::from("")),
            ("x-split", Value::from("a\r\nx-evil: 1")),
            ("x-nul", Value::from("a\0")),
            ("x-wide", Value::from("ü")),
            ("x-bytes", Value::Bytes(Bytes::from_static(b"M\xfc"))),
            ("x-edges", Value::from(" a ")),
            ("x-list", Value::List(vec![])),
            ("x-null", Value::Null),
            ("bad name", Value::from("1")),
            ("", Value::from("1")),
            ("Host", Value::from("evil")),
            ("Transfer-Encoding", Value::from("chunked")),
            ("crossdock-key", Value::from("forged")),
            ("X-Tenant", Value::from("forged")),
            ("authorization", Value::from("forged")),
        ] {
            envelope.headers.push(name, value);
        }
        let kept = [("x-unit", "kg"), ("x-unit", "lb"), ("x-n", "7"), ("x-empty", "")];
        let mut losses = vec!["content_type", "correlation_id", "time", "key", "origin"];
        losses.extend(["headers"; 14]);
        check(&outgoing(envelope, &[]), &[], &kept, &losses);
    }

    #[test]
    fn configured_headers_are_stronger_and_never_split() {
        let mut plain = envelope();
        plain.properties.content_type = Some(Text::from_static("application/json"));
        plain.headers.push("x-own", Value::from("message"));
        let target = [(HeaderName::from_static("x-own"), Slot(0)), (CONTENT_TYPE, Slot(1)), (IDEMPOTENCY_KEY, Slot(2))];
        let (headers, lost) =
            write(&outgoing(plain.clone(), &["target ", "text/plain", "k"]), &HeaderMap::new(), &target, false)
                .unwrap();
        assert_eq!(
            (&headers["x-own"], &headers["content-type"], &headers["idempotency-key"]),
            (
                &HeaderValue::from_static("target"),
                &HeaderValue::from_static("text/plain"),
                &HeaderValue::from_static("k"),
            )
        );
        assert_eq!(lost, ["headers"]);
        let fault = write(&outgoing(plain, &["a\r\nb: c", "", ""]), &HeaderMap::new(), &target, false).unwrap_err();
        assert_eq!(fault.code, "http.header");
    }
}
