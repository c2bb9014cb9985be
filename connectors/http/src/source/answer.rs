//! Answers (contract: HTTP in). Failures are `application/problem+json` (RFC 9457).

use super::endpoint::Endpoint;
use bytes::Bytes;
use crossdock_connector::Settlement;
use crossdock_model::{MessageId, Refusal, RefusalKind, Text, Violation};
use http::{
    HeaderMap, HeaderValue, Response, StatusCode,
    header::{ALLOW, CONNECTION, CONTENT_TYPE, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE},
};
use http_body_util::Full;
use serde_json::json;
use std::time::Duration;

/// What goes back.
pub(super) type Answer = Response<Full<Bytes>>;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");
/// What a sender is told to wait where nobody knows better.
const RETRY_AFTER_DEFAULT: Duration = Duration::from_secs(1);

/// Makes the answers that name the admin API.
#[derive(Debug)]
pub(super) struct Answers {
    /// What stands before an id in `Location`.
    messages_url: String,
}

impl Answers {
    pub(super) fn new(admin_url: &str) -> Self {
        Self { messages_url: format!("{admin_url}/api/v1/messages/") }
    }

    /// What became of the only message of a request.
    pub(super) fn single(&self, settlement: &Settlement) -> Answer {
        match settlement {
            Settlement::Stored { id, .. } => self.stored(*id),
            Settlement::Filtered => with_body(StatusCode::ACCEPTED, JSON, Bytes::from_static(b"{\"filtered\":true}")),
            Settlement::Refused(refusal) => refused(refusal),
            Settlement::Again { after } => unavailable(*after, "the message cannot be stored now"),
            Settlement::Reply(_) => unavailable(None, "the route answered before the message was stored"),
        }
    }

    fn stored(&self, id: MessageId) -> Answer {
        // The answer of every message that is taken: put together without the machinery of formatting.
        let mut buffer = [0; MessageId::TEXT_BYTES];
        let id = id.encode(&mut buffer);
        let body = ["{\"id\":\"", id, "\"}"].concat();
        let mut answer = with_body(StatusCode::ACCEPTED, JSON, body.into());
        if let Ok(location) = HeaderValue::from_maybe_shared(Bytes::from([&*self.messages_url, id].concat())) {
            answer.headers_mut().insert(LOCATION, location);
        }
        answer
    }
}

/// What became of the messages of a batch, in order.
pub(super) fn batch(settlements: &[Settlement]) -> Answer {
    let (mut body, mut wait) = (Vec::with_capacity(64 * settlements.len() + 16), None);
    body.extend_from_slice(b"{\"items\":[");
    for (at, settlement) in settlements.iter().enumerate() {
        if at > 0 {
            body.push(b',');
        }
        let item = match settlement {
            Settlement::Stored { id, .. } => format!("{{\"status\":202,\"id\":\"{id}\"}}"),
            Settlement::Filtered => "{\"status\":202,\"filtered\":true}".to_owned(),
            Settlement::Refused(refusal) => {
                wait = wait.max(refusal.fault.retry_after);
                let status = status(refusal.kind).as_u16();
                json!({ "status": status, "detail": &*refusal.fault.text, "errors": errors(refusal) }).to_string()
            }
            Settlement::Again { after } => {
                wait = wait.max(Some(after.unwrap_or(RETRY_AFTER_DEFAULT)));
                "{\"status\":503}".to_owned()
            }
            Settlement::Reply(_) => "{\"status\":503}".to_owned(),
        };
        body.extend_from_slice(item.as_bytes());
    }
    body.extend_from_slice(b"]}");
    let mut answer = with_body(StatusCode::MULTI_STATUS, JSON, body.into());
    if let Some(wait) = wait {
        answer.headers_mut().insert(RETRY_AFTER, seconds(wait));
    }
    answer
}

/// A problem whose detail is all there is to say.
pub(super) fn problem(status: StatusCode, detail: &str) -> Answer {
    let title = status.canonical_reason().unwrap_or_default();
    let body = json!({ "type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail });
    with_body(status, PROBLEM, body.to_string().into())
}

/// Not now: full, failing or stopping.
pub(super) fn unavailable(after: Option<Duration>, detail: &str) -> Answer {
    let mut answer = problem(StatusCode::SERVICE_UNAVAILABLE, detail);
    answer.headers_mut().insert(RETRY_AFTER, seconds(after.unwrap_or(RETRY_AFTER_DEFAULT)));
    answer
}

/// No or wrong credentials.
pub(super) fn unauthorized(endpoint: &Endpoint) -> Answer {
    let mut answer = problem(StatusCode::UNAUTHORIZED, "credentials are missing or wrong");
    answer.headers_mut().insert(WWW_AUTHENTICATE, endpoint.auth.challenge());
    answer
}

/// The path has other methods.
pub(super) fn method_not_allowed(allow: &str) -> Answer {
    with_allow(problem(StatusCode::METHOD_NOT_ALLOWED, &format!("this path takes {allow}")), allow)
}

/// What `OPTIONS` hears.
pub(super) fn options(allow: &str) -> Answer {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = StatusCode::NO_CONTENT;
    with_allow(answer, allow)
}

/// The same answer, after which the connection ends.
pub(super) fn then_close(mut answer: Answer) -> Answer {
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    answer
}

/// What `accept` does not take, or can be no message.
pub(super) fn refused(refusal: &Refusal) -> Answer {
    let (status, fault) = (status(refusal.kind), &refusal.fault);
    let body = json!({
        "type": "about:blank",
        "title": status.canonical_reason().unwrap_or_default(),
        "status": status.as_u16(),
        "code": &*fault.code,
        "detail": &*fault.text,
        "errors": errors(refusal),
    });
    let mut answer = with_body(status, PROBLEM, body.to_string().into());
    if refusal.kind == RefusalKind::Throttled {
        answer.headers_mut().insert(RETRY_AFTER, seconds(fault.retry_after.unwrap_or(RETRY_AFTER_DEFAULT)));
    }
    answer
}

const fn status(kind: RefusalKind) -> StatusCode {
    match kind {
        RefusalKind::Undecodable => StatusCode::BAD_REQUEST,
        RefusalKind::UnsupportedType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        RefusalKind::Invalid | RefusalKind::Conflict => StatusCode::UNPROCESSABLE_ENTITY,
        RefusalKind::Throttled => StatusCode::TOO_MANY_REQUESTS,
        RefusalKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
    }
}

/// Each place that is wrong; where the refusal has none, the whole is.
fn errors(refusal: &Refusal) -> Vec<serde_json::Value> {
    let whole = [Violation { at: Text::new(), message: refusal.fault.text.clone(), rule: None }];
    let violations = if refusal.violations.is_empty() { &whole[..] } else { &refusal.violations };
    violations.iter().map(|violation| json!({ "at": &*violation.at, "message": &*violation.message })).collect()
}

fn with_body(status: StatusCode, content_type: HeaderValue, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    *headers = HeaderMap::with_capacity(4);
    headers.insert(CONTENT_TYPE, content_type);
    answer
}

fn with_allow(mut answer: Answer, allow: &str) -> Answer {
    if let Ok(allow) = HeaderValue::from_str(allow) {
        answer.headers_mut().insert(ALLOW, allow);
    }
    answer
}

/// Whole seconds, at least one: nobody is told to come back at once.
fn seconds(wait: Duration) -> HeaderValue {
    HeaderValue::from(wait.as_millis().div_ceil(1000).clamp(1, 86_400) as u64)
}
