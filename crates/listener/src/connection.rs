//! One connection: TLS, which HTTP it speaks, its requests, its end.

use crate::{
    Hangup, Limits, Peer, Reply, Tls,
    activity::{Activity, Due},
    body::Content,
    linger,
    wire::{self, Tap, Wire},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use hyper::{
    body::{Body, Incoming},
    server::conn::{http1, http2},
    service::{Service, service_fn},
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::{
    convert::Infallible,
    error::Error,
    future::poll_fn,
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    net::TcpStream,
    sync::watch,
    time::{Instant, Sleep, sleep_until, timeout_at},
};
use tokio_rustls::TlsAcceptor;

/// What is sent where a head is not complete in time; hyper only closes.
const HEAD_LATE: &[u8] = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
/// An HTTP/2 peer that does not answer a ping within this is gone.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// How long an HTTP/2 peer may take to leave after it was told to go.
const FAREWELL: Duration = Duration::from_secs(5);

/// Becomes `Some` when the listener stops.
pub(crate) type Stopping = watch::Receiver<Option<Instant>>;

/// What all connections of a listener have in common.
pub(crate) struct Shared<M> {
    pub(crate) make: M,
    pub(crate) tls: Option<Tls>,
    pub(crate) limits: Limits,
}

/// A stream, and what is known of the HTTP on it.
enum Opened {
    Http1(Wire),
    Http2(Wire),
    /// Without TLS the first bytes tell.
    Unknown(Wire),
}

enum End {
    /// hyper is done, with or without an error.
    Done,
    HeadLate,
    IdleLate,
}

/// Serves a connection to its end.
pub(crate) async fn serve<M, S, B>(shared: Arc<Shared<M>>, stream: TcpStream, peer: Peer, stopping: Stopping)
where
    M: Fn(&Peer) -> S,
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Send + Unpin + 'static,
    S::Future: Send + 'static,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let limits = shared.limits;
    let activity = Activity::awaiting_head(limits);
    let hangup = match limits.tells_hangups.then(|| Hangup::of(&stream)).transpose() {
        Ok(hangup) => hangup,
        Err(error) => return tracing::warn!(peer = %peer.address, %error, "a connection cannot be watched"),
    };
    let deadline = Instant::now() + limits.head_timeout;
    let opened = match timeout_at(deadline, open(stream, shared.tls.as_ref())).await {
        Ok(Ok(opened)) => opened,
        Ok(Err(error)) => return tracing::debug!(peer = %peer.address, %error, "connection not opened"),
        Err(_) => return tracing::debug!(peer = %peer.address, "no TLS in time"),
    };
    let (wire, http2, ahead) = match opened {
        Opened::Http1(wire) => (wire, false, Vec::new()),
        Opened::Http2(wire) => (wire, true, Vec::new()),
        Opened::Unknown(mut wire) => match timeout_at(deadline, wire::sniff(&mut wire)).await {
            Ok(Ok((http2, ahead))) => (wire, http2, ahead),
            Ok(Err(error)) => return tracing::debug!(peer = %peer.address, %error, "connection broke off"),
            Err(_) => return linger::close(wire, HEAD_LATE).await,
        },
    };
    let service = (shared.make)(&peer);
    if http2 {
        let activity = Activity::idle(limits);
        let service = watched(service, Arc::clone(&activity), hangup);
        return serve_http2(Tap::new(wire, ahead, None), service, &activity, &limits, stopping).await;
    }
    let service = watched(service, Arc::clone(&activity), hangup);
    serve_http1(Tap::new(wire, ahead, Some(Arc::clone(&activity))), service, &activity, &limits, stopping).await;
}

/// TLS where there is some.
async fn open(stream: TcpStream, tls: Option<&Tls>) -> io::Result<Opened> {
    // An answer is one write; waiting to fill a packet would only delay it.
    stream.set_nodelay(true)?;
    let Some(Tls(config)) = tls else { return Ok(Opened::Unknown(Wire::Left(stream))) };
    let stream = TlsAcceptor::from(Arc::clone(config)).accept(stream).await?;
    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let wire = Wire::Right(Box::new(stream));
    Ok(if http2 { Opened::Http2(wire) } else { Opened::Http1(wire) })
}

/// The service with its phases noted, which answers by itself where a body would not be what its sender meant.
fn watched<S, B>(
    service: S,
    activity: Arc<Activity>,
    hangup: Option<Hangup>,
) -> impl Service<
    Request<Incoming>,
    Response = Response<Reply<B>>,
    Error = Infallible,
    Future = impl Future<Output = Result<Response<Reply<B>>, Infallible>> + Send + 'static,
> + Unpin
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Unpin,
    S::Future: Send + 'static,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
{
    service_fn(move |mut request: Request<Incoming>| {
        let under_way = activity.begin();
        if let Some(hangup) = &hangup {
            request.extensions_mut().insert(hangup.clone());
        }
        let answer = match misread(request.headers(), &activity) {
            None => Ok(service.call(request)),
            Some(refusal) => Err(refusal),
        };
        async move {
            Ok(match answer {
                Ok(answer) => answer.await?.map(|body| Reply::new(Content::Service(body), under_way)),
                Err(refusal) => refusal.map(|body| Reply::new(Content::Own(Some(body)), under_way)),
            })
        }
    })
}

/// The answer to a request whose body would be read otherwise than it was sent (RFC 9112 §6.1): with `Content-Length` beside
/// `Transfer-Encoding`, for a server before this one may have read it the other way, or with a transfer coding beside
/// `chunked`, for hyper undoes no other and lets it be.
fn misread(headers: &HeaderMap, activity: &Activity) -> Option<Response<Bytes>> {
    let codings = headers.get_all(header::TRANSFER_ENCODING);
    codings.iter().next()?;
    if activity.head_has_content_length() {
        let detail = "Content-Length and Transfer-Encoding stand side by side: send one of them";
        return Some(refusal(StatusCode::BAD_REQUEST, detail));
    }
    let chunked = |coding: &[u8]| coding.is_empty() || coding.eq_ignore_ascii_case(b"chunked");
    let mut named = codings.iter().flat_map(|list| list.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii);
    (!named.all(chunked)).then(|| {
        let detail = "of transfer codings only chunked is understood: name the coding of a payload in Content-Encoding";
        refusal(StatusCode::NOT_IMPLEMENTED, detail)
    })
}

/// A problem (RFC 9457), after which the connection ends.
fn refusal(status: StatusCode, detail: &str) -> Response<Bytes> {
    let (title, number) = (status.canonical_reason().unwrap_or_default(), status.as_u16());
    let body = format!(r#"{{"type":"about:blank","title":"{title}","status":{number},"detail":"{detail}"}}"#);
    let mut answer = Response::new(Bytes::from(body));
    *answer.status_mut() = status;
    let close = [(header::CONNECTION, "close"), (header::CONTENT_TYPE, "application/problem+json")];
    answer.headers_mut().extend(close.map(|(name, value)| (name, HeaderValue::from_static(value))));
    answer
}

async fn serve_http1<S, B>(tap: Tap, service: S, activity: &Activity, limits: &Limits, stopping: Stopping)
where
    S: Service<Request<Incoming>, Response = Response<Reply<B>>, Error = Infallible> + Unpin,
    S::Future: Send + 'static,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let mut builder = http1::Builder::new();
    // Our own watch knows an idle connection from one with half a head, and answers 408.
    builder.timer(TokioTimer::new()).header_read_timeout(None);
    builder.max_header_size(limits.head_bytes_max);
    builder.half_close(true);
    // Answers are small: copied behind their head they are one plain write.
    builder.writev(false);
    let mut connection = builder.serve_connection(TokioIo::new(tap), service);
    let end = watch(&mut connection, http1::Connection::graceful_shutdown, activity, stopping).await;
    let wire = connection.into_parts().io.into_inner().into_wire();
    match end {
        End::Done | End::IdleLate => linger::close(wire, b"").await,
        End::HeadLate => linger::close(wire, HEAD_LATE).await,
    }
}

async fn serve_http2<S, B>(tap: Tap, service: S, activity: &Activity, limits: &Limits, stopping: Stopping)
where
    S: Service<Request<Incoming>, Response = Response<Reply<B>>, Error = Infallible> + Unpin,
    S::Future: Send + 'static,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.timer(TokioTimer::new()).keep_alive_interval(PING_INTERVAL).keep_alive_timeout(PING_TIMEOUT);
    builder.max_concurrent_streams(limits.streams_max);
    builder.max_header_list_size(u32::try_from(limits.head_bytes_max).unwrap_or(u32::MAX));
    let mut connection = builder.serve_connection(TokioIo::new(tap), service);
    match watch(&mut connection, http2::Connection::graceful_shutdown, activity, stopping).await {
        End::Done => {}
        End::HeadLate | End::IdleLate => {
            Pin::new(&mut connection).graceful_shutdown();
            // A peer that does not leave is left.
            let _ = timeout_at(Instant::now() + FAREWELL, connection).await;
        }
    }
}

/// Drives a connection until it is done or late; from the stop on it takes no new request.
async fn watch<C, E>(
    connection: &mut C,
    graceful_shutdown: fn(Pin<&mut C>),
    activity: &Activity,
    mut stopping: Stopping,
) -> End
where
    C: Future<Output = Result<(), E>> + Unpin,
    E: std::fmt::Display,
{
    let mut stop = pin!(async move { stopping.wait_for(Option::is_some).await.map(drop) });
    let mut stopped = false;
    let mut timer = pin!(sleep_until(Instant::now()));
    poll_fn(|cx| {
        // First what has come already: a request that is here when the stop comes is still served.
        let mut polled = Pin::new(&mut *connection).poll(cx);
        if polled.is_pending() && !stopped && stop.as_mut().poll(cx).is_ready() {
            stopped = true;
            graceful_shutdown(Pin::new(&mut *connection));
            polled = Pin::new(&mut *connection).poll(cx);
        }
        match polled {
            Poll::Pending => look(activity, timer.as_mut(), cx),
            Poll::Ready(Ok(())) => Poll::Ready(End::Done),
            Poll::Ready(Err(error)) => {
                tracing::debug!(%error, "connection ended");
                Poll::Ready(End::Done)
            }
        }
    })
    .await
}

/// Whether the connection is late; else the timer stands for the next look.
fn look(activity: &Activity, mut timer: Pin<&mut Sleep>, cx: &mut Context<'_>) -> Poll<End> {
    while timer.as_mut().poll(cx).is_ready() {
        match activity.due(Instant::now()) {
            Due::At(next) => timer.as_mut().reset(next),
            Due::HeadLate => return Poll::Ready(End::HeadLate),
            Due::IdleLate => return Poll::Ready(End::IdleLate),
        }
    }
    Poll::Pending
}
