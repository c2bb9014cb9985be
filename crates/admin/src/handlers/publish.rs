//! Publishing: an HTTP request as a message, by the rules of mapping.md ("User headers and HTTP").

use super::{Answer, Shared, audit::audited_publish, json};
use crate::{Problem, audit::Caller, extract::read, given, shape::Published};
use axum::{
    extract::{Path, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
};
use bytes::Bytes;
use crossdock_model::{ENVELOPE_BYTES_MAX, Envelope, Origin, Properties, Text, Value, is_reserved};

/// Fields that are the hop's, the listener's or the browser's, and never become user headers.
const NOT_USER: [&str; 17] = [
    "authorization",
    "connection",
    "cookie",
    "date",
    "expect",
    "host",
    "idempotency-key",
    "keep-alive",
    "proxy-connection",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "x-correlation-id",
];

/// As at a route's door.
const KEY_BYTES_MAX: usize = 255;

/// `POST /channels/{name}/messages`: the body is the payload, the headers are the message's. Answers when it is stored; the same
/// again for an `Idempotency-Key` that was there within a day, and 422 where its body was another.
pub async fn publish(
    State(shared): State<Shared>,
    caller: Caller,
    Path(name): Path<String>,
    request: Request,
) -> Answer {
    let bytes_max = usize::try_from(shared.gateway.plan().gateway().store.message_bytes_max()).unwrap_or(usize::MAX);
    let now = (shared.clock)();
    let mut envelope = Envelope::new(given::draw_id(now)?, now, Bytes::new());
    let key = idempotency_key(request.headers())?;
    envelope.properties = properties(request.headers());
    envelope.headers = headers(request.headers())?;
    envelope.origin = Origin {
        protocol: Text::from_static("http"),
        address: Text::from(request.uri().path()),
        path: Some(Text::from(request.uri().path())),
        ..Origin::default()
    };
    envelope.payload = Some(read(request, bytes_max.saturating_sub(ENVELOPE_BYTES_MAX)).await?);
    let (gateway, channel) = (shared.gateway.clone(), name.clone());
    let publish = async move { Ok(gateway.publish(&channel, envelope, key.as_deref()).await?) };
    let id = audited_publish(&shared, caller, name, publish).await?.to_string();
    let location = HeaderValue::try_from(format!("/api/v1/messages/{id}"));
    let mut answer = json(StatusCode::ACCEPTED, &Published { id });
    if let Ok(location) = location {
        answer.headers_mut().insert(header::LOCATION, location);
    }
    Ok(answer)
}

/// The publisher's key for the message; none if it has none.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<Bytes>, Problem> {
    let mut keys = headers.get_all("idempotency-key").iter();
    let key = match (keys.next(), keys.next()) {
        (None, _) => return Ok(None),
        (Some(key), None) => key.as_bytes(),
        (Some(_), Some(_)) => {
            return Err(Problem::bad_request("request.invalid", "there are several Idempotency-Key headers: send one"));
        }
    };
    if key.is_empty() || key.len() > KEY_BYTES_MAX {
        let text = format!("an Idempotency-Key has 1 to {KEY_BYTES_MAX} bytes");
        return Err(Problem::bad_request("request.invalid", text));
    }
    Ok(Some(Bytes::copy_from_slice(key)))
}

fn properties(headers: &HeaderMap) -> Properties {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(Text::from);
    Properties {
        content_type: text("content-type"),
        content_encoding: text("content-encoding"),
        correlation_id: headers.get("x-correlation-id").map(|value| Bytes::copy_from_slice(value.as_bytes())),
        traceparent: text("traceparent"),
        tracestate: text("tracestate"),
        ..Properties::default()
    }
}

fn headers(given: &HeaderMap) -> Result<crossdock_model::Headers, Problem> {
    let hop = hop_by_hop(given);
    let is_user = |name: &HeaderName| {
        let name = name.as_str();
        let known = NOT_USER.contains(&name) || name.starts_with("content-") || name.starts_with("accept");
        !known && !is_reserved(name) && !hop.iter().any(|other| other == name)
    };
    let mut headers = crossdock_model::Headers::new();
    for (name, value) in given.iter().filter(|(name, _)| is_user(name)) {
        let value = match value.to_str() {
            Ok(text) => Value::Text(Text::from(text)),
            Err(_) => Value::Bytes(Bytes::copy_from_slice(value.as_bytes())),
        };
        headers.push(Text::from(name.as_str()), value);
    }
    given::check_number(&headers)?;
    Ok(headers)
}

/// The fields that `Connection` names for this hop alone.
fn hop_by_hop(headers: &HeaderMap) -> Vec<String> {
    let named = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    named.flat_map(|value| value.split(',')).map(|name| name.trim().to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_user_headers_become_user_headers() {
        let mut given = HeaderMap::new();
        for (name, value) in [
            ("x-unit", "7"),
            ("x-unit", "8"),
            ("host", "localhost"),
            ("authorization", "Bearer secret"),
            ("crossdock-priority", "9"),
            ("content-language", "de"),
            ("accept-encoding", "gzip"),
            ("connection", "x-hop, close"),
            ("x-hop", "1"),
            ("traceparent", "00-1"),
        ] {
            given.append(HeaderName::try_from(name).unwrap(), value.parse().unwrap());
        }
        let shown: Vec<_> = headers(&given).unwrap().iter().map(|h| format!("{}={}", h.name, h.value)).collect();
        assert_eq!(shown, ["x-unit=7", "x-unit=8"]);
        assert_eq!(properties(&given).traceparent, Some(Text::from_static("00-1")));
    }
}
