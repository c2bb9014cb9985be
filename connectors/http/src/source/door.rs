//! The way of a request: path and method, credentials, body, envelope, engine, answer.
//!
//! The future of a request is moved a few times before it runs. What seldom happens is boxed, so that it is no larger for that.

use super::{
    Doors,
    answer::{self, Answer},
    batch::{Batch, BatchError},
    body::{self, BodyError},
    endpoint::Endpoint,
    session::Session,
    table::Meets,
};
use crate::convert::{self, BadRequest};
use bytes::Bytes;
use crossdock_connector::Claim;
use crossdock_model::{
    Digest, DigestBuilder, Envelope, Fault, MessageId, Origin, Refusal, RefusalKind, Text, Timestamp,
};
use http::{
    HeaderMap, Method, Request, StatusCode, Version,
    header::{EXPECT, HOST},
    request::Parts,
};
use hyper::body::{Body, Incoming};
use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// How long an idempotency key is remembered (contract: HTTP in).
const KEY_WINDOW: Duration = Duration::from_secs(24 * 3600);

/// The largest body that is read for nothing.
const LEFT_BYTES_MAX: u64 = 64 * 1024;

/// Answers a request.
pub(super) async fn answer(doors: &Doors, remote: &Text, request: Request<Incoming>) -> Answer {
    let _under_way = doors.enter();
    if doors.is_stopping() {
        return answer::then_close(answer::unavailable(None, "the gateway is stopping"));
    }
    let meets = doors.table.find(request.uri().path(), request.method());
    if !names_its_host(&request) {
        let session = session_behind(&meets, request.headers());
        let refusal = unreadable("http.host", "exactly one Host header is needed");
        return answer::then_close(Box::pin(refuse(doors, session, refusal)).await);
    }
    let endpoint = match meets {
        Meets::Endpoint(endpoint) => endpoint,
        other @ (Meets::OtherMethods(_) | Meets::Nothing) => {
            let answer = no_endpoint(other, request.method());
            return Box::pin(leave_body(doors, request, answer)).await;
        }
    };
    let Some(principal) = endpoint.auth.principal(request.headers()) else {
        return Box::pin(leave_body(doors, request, answer::unauthorized(&endpoint))).await;
    };
    let answer = take(doors, &endpoint, principal, remote, request).await;
    if doors.is_stopping() { answer::then_close(answer) } else { answer }
}

/// RFC 9112 §3.2: a request of HTTP/1.1 without a Host, or with several, is answered with 400.
fn names_its_host(request: &Request<Incoming>) -> bool {
    request.version() != Version::HTTP_11 || request.headers().get_all(HOST).iter().count() == 1
}

/// The session to which a request would have come that cannot be read.
fn session_behind(meets: &Meets, headers: &HeaderMap) -> Option<Arc<Session>> {
    match meets {
        Meets::Endpoint(endpoint) => endpoint.auth.principal(headers).and_then(|_| endpoint.session.load_full()),
        Meets::OtherMethods(_) | Meets::Nothing => None,
    }
}

/// Answers a request that can be no message. Where it has a route it is accounted for before its sender hears of it.
async fn refuse(doors: &Doors, session: Option<Arc<Session>>, refusal: Refusal) -> Answer {
    let Some(session) = session else { return answer::refused(&refusal) };
    let Some(pending) = session.refuse(refusal) else {
        return answer::unavailable(None, "too many requests wait already");
    };
    drop(session);
    match pending.outcomes().await.as_slice() {
        [settlement] => doors.answers.single(settlement),
        settlements => answer::batch(settlements),
    }
}

async fn take(
    doors: &Doors,
    endpoint: &Endpoint,
    principal: &str,
    remote: &Text,
    request: Request<Incoming>,
) -> Answer {
    let Some(session) = endpoint.session.load_full() else {
        let answer = answer::unavailable(None, "the route does not run");
        return Box::pin(leave_body(doors, request, answer)).await;
    };
    let (head, incoming) = request.into_parts();
    let limits = doors.body_limits(endpoint.body_bytes_max);
    let (body, share) = match body::read(incoming, &limits).await {
        Ok(read) => read,
        Err(error) => {
            let unread = Box::pin(unread(doors, session, error, endpoint.body_bytes_max));
            return answer::then_close(unread.await);
        }
    };
    let arrival = Arrival { endpoint, principal, remote, head: &head };
    let (messages, batch) = match arrival.messages(body) {
        Ok(messages) => messages,
        Err(Unusable::Refused(refusal)) => return Box::pin(refuse(doors, Some(session), *refusal)).await,
        Err(Unusable::TooLarge(why)) => return answer::problem(StatusCode::PAYLOAD_TOO_LARGE, &why),
    };
    if messages.is_empty() {
        return answer::batch(&[]);
    }
    let Some(pending) = session.submit(messages) else {
        return answer::unavailable(None, "too many messages wait already");
    };
    // The session is not kept alive by whoever waits on it: when it goes, it tells them.
    drop(session);
    let settlements = pending.outcomes().await;
    drop(share);
    match settlements.as_slice() {
        [settlement] if !batch => doors.answers.single(settlement),
        settlements => answer::batch(settlements),
    }
}

/// A request that is complete, on its way to become messages.
struct Arrival<'a> {
    endpoint: &'a Endpoint,
    principal: &'a str,
    remote: &'a Text,
    head: &'a Parts,
}

type Messages = Vec<(Arc<Envelope>, Option<Claim>)>;

/// A request that is no message.
enum Unusable {
    /// It counts as received and refused.
    Refused(Box<Refusal>),
    /// It counts as not received, like a body that is too large.
    TooLarge(String),
}

impl Arrival<'_> {
    /// The messages, and whether they are a batch; or why there are none.
    fn messages(&self, body: Bytes) -> Result<(Messages, bool), Unusable> {
        let envelope = self.envelope(body)?;
        let key = convert::idempotency_key(&self.head.headers)?;
        match Batch::of(envelope.properties.content_type.as_ref()) {
            None => Ok((vec![self.claimed(envelope, key, None)], false)),
            Some(batch) => Ok((self.cut(batch, envelope, key)?, true)),
        }
    }

    fn cut(&self, batch: Batch, whole: Envelope, key: Option<&[u8]>) -> Result<Messages, Unusable> {
        if whole.properties.content_encoding.is_some() {
            let why = "a batch cannot be cut while it is compressed: send it without Content-Encoding";
            let refusal = Refusal { kind: RefusalKind::UnsupportedType, ..unreadable("decode", why) };
            return Err(Unusable::Refused(Box::new(refusal)));
        }
        let body = whole.payload.clone().unwrap_or_default();
        let items = batch.cut(&body).map_err(|error| match error {
            BatchError::TooMany => Unusable::TooLarge(error.to_string()),
            BatchError::Undecodable(why) => Unusable::Refused(Box::new(unreadable("decode", &why))),
        })?;
        let one = |item: super::batch::Item| {
            let mut envelope = whole.clone();
            envelope.id = fresh_id(whole.received_at);
            envelope.properties.content_type = Some(batch.item_type());
            envelope.payload = Some(item.payload);
            self.claimed(envelope, key, Some(item.number))
        };
        Ok(items.into_iter().map(one).collect())
    }

    fn envelope(&self, body: Bytes) -> Result<Envelope, BadRequest> {
        let (properties, headers) = convert::fields(&self.head.headers)?;
        let received_at = now();
        Ok(Envelope {
            id: fresh_id(received_at),
            received_at,
            payload: Some(body),
            properties,
            headers,
            origin: Origin {
                protocol: Text::from_static("http"),
                address: self.endpoint.path.clone(),
                // As it was requested, but for its spelling.
                path: Some(self.endpoint.path.clone()),
                query: convert::query(self.head.uri.query())?,
                remote: Some(self.remote.clone()),
                ..Origin::default()
            },
        })
    }

    /// The message under the id and the claim of its sender's key, where he gave one.
    fn claimed(
        &self,
        mut envelope: Envelope,
        key: Option<&[u8]>,
        number: Option<usize>,
    ) -> (Arc<Envelope>, Option<Claim>) {
        let Some(key) = key else { return (Arc::new(envelope), None) };
        let digest = self.key_digest(key, number);
        envelope.id = MessageId::from_digest(digest);
        let body = DigestBuilder::new("http.body").part(envelope.bytes()).finish();
        (Arc::new(envelope), Some(Claim { key: digest, body, window: KEY_WINDOW, place: None }))
    }

    /// A key belongs to its route and its sender; in a batch each line has its own.
    fn key_digest(&self, key: &[u8], number: Option<usize>) -> Digest {
        let of_request = DigestBuilder::new("http.idempotency_key")
            .part(self.endpoint.route.as_bytes())
            .part(self.principal.as_bytes())
            .part(key);
        match number {
            None => of_request.finish(),
            Some(number) => of_request.part(number.to_string().as_bytes()).finish(),
        }
    }
}

impl From<BadRequest> for Unusable {
    fn from(BadRequest(why): BadRequest) -> Self {
        Self::Refused(Box::new(unreadable("http.request", &why)))
    }
}

/// Why a request can be no message: 400.
fn unreadable(code: &'static str, why: &str) -> Refusal {
    let fault = Fault::rejected(Text::from_static(code), why);
    Refusal { kind: RefusalKind::Undecodable, fault, violations: Vec::new() }
}

fn no_endpoint(meets: Meets, method: &Method) -> Answer {
    match meets {
        Meets::OtherMethods(allow) if *method == Method::OPTIONS => answer::options(&allow),
        Meets::OtherMethods(allow) => answer::method_not_allowed(&allow),
        Meets::Endpoint(_) | Meets::Nothing => answer::problem(StatusCode::NOT_FOUND, "no route listens on this path"),
    }
}

/// An answer that does not depend on the body. A small one is read all the same, so that the connection stays; a large
/// one, or one that waits to be asked for, is left, and the connection ends.
async fn leave_body(doors: &Doors, request: Request<Incoming>, answer: Answer) -> Answer {
    let asks = request.headers().contains_key(EXPECT);
    let body = request.into_body();
    let small = body.size_hint().exact().is_some_and(|bytes| bytes <= LEFT_BYTES_MAX);
    let gone =
        body.is_end_stream() || (small && !asks && body::read(body, &doors.body_limits(LEFT_BYTES_MAX)).await.is_ok());
    if gone { answer } else { answer::then_close(answer) }
}

async fn unread(doors: &Doors, session: Arc<Session>, error: BodyError, bytes_max: u64) -> Answer {
    match error {
        BodyError::TooLarge => {
            answer::problem(StatusCode::PAYLOAD_TOO_LARGE, &format!("the body is larger than {bytes_max} bytes"))
        }
        BodyError::Stalled => answer::problem(StatusCode::REQUEST_TIMEOUT, "the body stood still for too long"),
        BodyError::Broken => {
            refuse(doors, Some(session), unreadable("http.body", "the body broke off or is framed wrongly")).await
        }
        BodyError::NoRoom => answer::unavailable(None, "too many bytes wait already"),
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// An id for a message whose sender did not name it: a label, not a secret, so the random source is a fast one.
fn fresh_id(at: Timestamp) -> MessageId {
    let mut random = [0; 10];
    fastrand::fill(&mut random);
    MessageId::from_time_and_random(u64::try_from(at.millis()).unwrap_or(0), &random)
}
