//! A request's head becomes the fields and user headers of an envelope.

use super::is_user_header;
use bytes::Bytes;
use crossdock_model::{Headers, Properties, Text, Timestamp, Value};
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, DATE},
};
use percent_encoding::percent_decode_str;
use std::time::UNIX_EPOCH;

const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Longest key that is taken.
const KEY_BYTES_MAX: usize = 255;
/// Most parameters of a query.
const PARAMETERS_MAX: usize = 1000;

/// What a request says that cannot be taken; a fragment for the answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct BadRequest(pub(crate) String);

/// The fields and the user headers of a request, the latter in lower case; a value that is no UTF-8 stays bytes.
pub(crate) fn fields(headers: &HeaderMap) -> Result<(Properties, Headers), BadRequest> {
    let properties = Properties {
        content_type: text(headers, &CONTENT_TYPE)?,
        content_encoding: text(headers, &CONTENT_ENCODING)?,
        correlation_id: headers.get(CORRELATION_ID).map(|value| Bytes::copy_from_slice(value.as_bytes())),
        time: headers.get(DATE).and_then(time),
        traceparent: text(headers, &TRACEPARENT)?,
        tracestate: text(headers, &TRACESTATE)?,
        ..Properties::default()
    };
    let hop_by_hop = named_in_connection(headers);
    let mut user = Headers::new();
    for (name, value) in headers {
        let name = name.as_str();
        if is_user_header(name) && !hop_by_hop.iter().any(|hop| hop == name) {
            user.push(name, header_value(value));
        }
    }
    Ok((properties, user))
}

/// The sender's key for the request; none if it has none.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<&[u8]>, BadRequest> {
    let mut keys = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(key) = keys.next() else { return Ok(None) };
    if keys.next().is_some() {
        return Err(BadRequest("there are several Idempotency-Key headers: send one".into()));
    }
    match key.as_bytes() {
        [] => Err(BadRequest("the Idempotency-Key is empty".into())),
        key if key.len() > KEY_BYTES_MAX => {
            Err(BadRequest(format!("the Idempotency-Key is longer than {KEY_BYTES_MAX} bytes")))
        }
        key => Ok(Some(key)),
    }
}

/// The parameters of a query in order, decoded (`+` is a space).
pub(crate) fn query(query: Option<&str>) -> Result<Vec<(Text, Text)>, BadRequest> {
    let Some(query) = query else { return Ok(Vec::new()) };
    let parts: Vec<_> = query.split('&').filter(|part| !part.is_empty()).take(PARAMETERS_MAX + 1).collect();
    if parts.len() > PARAMETERS_MAX {
        return Err(BadRequest(format!("the query has more than {PARAMETERS_MAX} parameters")));
    }
    let decode = |text: &str| Text::from(percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned());
    let pairs = parts.into_iter().map(|part| part.split_once('=').unwrap_or((part, "")));
    Ok(pairs.map(|(name, value)| (decode(name), decode(value))).collect())
}

/// The value of a field; several lines are one list (RFC 9110 §5.3).
fn text(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Text>, BadRequest> {
    let mut lines = headers.get_all(name).iter();
    let Some(first) = lines.next() else { return Ok(None) };
    let bad = || BadRequest(format!("the header {name} is no UTF-8 text"));
    let mut whole = Text::try_from(first.as_bytes()).map_err(|_| bad())?;
    for line in lines {
        let line = std::str::from_utf8(line.as_bytes()).map_err(|_| bad())?;
        whole = format!("{whole}, {line}").into();
    }
    Ok(Some(whole))
}

fn header_value(value: &HeaderValue) -> Value {
    match Text::try_from(value.as_bytes()) {
        Ok(text) => Value::Text(text),
        Err(_) => Value::Bytes(Bytes::copy_from_slice(value.as_bytes())),
    }
}

/// An HTTP date; one that is none is no time.
fn time(value: &HeaderValue) -> Option<Timestamp> {
    let at = httpdate::parse_http_date(value.to_str().ok()?).ok()?;
    i64::try_from(at.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok().map(Timestamp)
}

/// The names that `Connection` makes hop-by-hop, in lower case.
fn named_in_connection(headers: &HeaderMap) -> Vec<String> {
    let lines = headers.get_all(CONNECTION).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(|name| name.trim().to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static [u8])]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap());
        }
        headers
    }

    #[test]
    fn fields_go_to_fields_and_the_rest_to_headers() {
        let (properties, user) = fields(&headers(&[
            ("host", b"h"),
            ("content-type", b"application/json"),
            ("content-encoding", b"gzip"),
            ("content-encoding", b"br"),
            ("content-length", b"5"),
            ("x-correlation-id", b"c-\xff"),
            ("date", b"Sun, 06 Nov 1994 08:49:37 GMT"),
            ("traceparent", b"00-a-b-01"),
            ("connection", b"Keep-Alive, X-Hop"),
            ("x-hop", b"gone"),
            ("x-unit", b"kg"),
            ("x-unit", b"lb"),
            ("x-latin", b"M\xfcller"),
            ("crossdock-key", b"forged"),
            ("authorization", b"Bearer s"),
        ]))
        .unwrap();
        assert_eq!(properties.content_type.as_deref(), Some("application/json"));
        assert_eq!(properties.content_encoding.as_deref(), Some("gzip, br"));
        assert_eq!(properties.correlation_id.as_deref(), Some(&b"c-\xff"[..]));
        assert_eq!(properties.time, Some(Timestamp(784_111_777_000)));
        assert_eq!(properties.traceparent.as_deref(), Some("00-a-b-01"));
        assert_eq!((properties.key, properties.priority, properties.expires_at), (None, None, None));
        let user: Vec<_> = user.iter().map(|header| (&*header.name, header.value.clone())).collect();
        let latin = Value::Bytes(Bytes::from_static(b"M\xfcller"));
        assert_eq!(user, [("x-unit", "kg".into()), ("x-unit", "lb".into()), ("x-latin", latin)]);
    }

    #[test]
    fn refuses_fields_that_are_no_text() {
        assert!(fields(&headers(&[("content-type", b"text/\xff")])).is_err());
        assert!(fields(&headers(&[("tracestate", b"a"), ("tracestate", b"\xff")])).is_err());
        assert_eq!(fields(&headers(&[("date", b"yesterday")])).unwrap().0.time, None);
    }

    #[test]
    fn keys_are_one_and_of_a_length() {
        assert_eq!(idempotency_key(&headers(&[])), Ok(None));
        assert_eq!(idempotency_key(&headers(&[("idempotency-key", b"k-\xff")])), Ok(Some(&b"k-\xff"[..])));
        assert!(idempotency_key(&headers(&[("idempotency-key", b"")])).is_err());
        assert!(idempotency_key(&headers(&[("idempotency-key", b"a"), ("idempotency-key", b"b")])).is_err());
        assert!(idempotency_key(&headers(&[("idempotency-key", &[b'k'; 256])])).is_err());
    }

    #[test]
    fn queries_are_decoded_in_order() {
        let pairs = |text| query(Some(text)).unwrap().iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>();
        assert_eq!(
            pairs("b=2&a=1%202&b=x+y&flag&=v&&%ff=%C3%BC"),
            ["b=2", "a=1 2", "b=x y", "flag=", "=v", "\u{fffd}=ü"]
        );
        assert_eq!(query(None), Ok(Vec::new()));
        assert!(query(Some(&"a&".repeat(1001))).is_err());
    }
}
