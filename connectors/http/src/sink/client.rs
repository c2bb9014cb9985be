//! The client of a connection: requests over HTTP/1.1 with a pool of connections, shared by all targets.
//!
//! Whoever sends drives his connection himself, so a request costs no task, channel hop or wake-up beside its own. A
//! connection in the pool is driven by nobody; before it is used again it is looked at, and one that the peer closed in
//! the meantime is dropped instead of spoiling a try.

use super::{
    base::Base,
    dial::{self, DialError, Stream},
};
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::Incoming,
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use std::{
    collections::VecDeque,
    error::Error as _,
    future::poll_fn,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::Poll,
    time::Duration,
};
use tokio::{
    sync::OnceCell,
    time::{Instant, sleep_until, timeout_at},
};

/// Most servers keep an idle connection longer than this, so that it is we who close it.
const IDLE_TIME_MAX: Duration = Duration::from_secs(15);
/// Most connections that stand idle; further ones are closed after their answer.
const IDLE_CONNECTIONS_MAX: usize = 256;
/// What is kept of an answer's body.
const EXCERPT_BYTES_MAX: usize = 512;
/// A body beyond this is not read to its end, unless success depends on it.
const DRAIN_BYTES_MAX: usize = 1 << 20;

/// A service's client.
#[derive(Debug)]
pub(crate) struct Client {
    base: Base,
    system_tls: OnceCell<Arc<ClientConfig>>,
    pool: Mutex<Pool>,
}

#[derive(Debug, Default)]
struct Pool {
    /// Oldest first; the youngest is taken.
    idle: VecDeque<Idle>,
    /// Whether a task closes what stands too long.
    reaping: bool,
}

#[derive(Debug)]
struct Idle {
    line: Line,
    until: Instant,
}

/// A connection with what drives it.
#[derive(Debug)]
struct Line {
    sender: SendRequest<Full<Bytes>>,
    driver: Box<http1::Connection<TokioIo<Stream>, Full<Bytes>>>,
    /// The driver came to its end; what it read before may still be taken.
    ended: bool,
}

/// An answer that was read to its end.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// The beginning of the body.
    pub(super) excerpt: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Trouble {
    /// No byte of the request was sent.
    NotSent(DialError),
    /// The request was sent, in part at least.
    Broken {
        /// The part of the code behind `http.`.
        code: &'static str,
        text: String,
    },
}

enum Turn {
    Answered(Answer, Option<Line>),
    /// The connection was closed before anything was sent; the request comes back.
    NotSent(Request<Full<Bytes>>),
    Broken(hyper::Error),
}

impl Client {
    pub(super) fn new(base: Base) -> Arc<Self> {
        Arc::new(Self { base, system_tls: OnceCell::new(), pool: Mutex::default() })
    }

    pub(super) const fn base(&self) -> &Base {
        &self.base
    }

    /// Sends a request in origin form and reads the whole answer, all within `timeout`; over a new connection if `fresh`.
    pub(super) async fn exchange(
        self: &Arc<Self>,
        mut request: Request<Full<Bytes>>,
        fresh: bool,
        timeout: Duration,
    ) -> Result<Answer, Trouble> {
        let start = Instant::now();
        // Half of the time at most, so that a late connection is told from a late answer.
        let (dial_by, end) = (start + self.base.connect_timeout.min(timeout / 2), start + timeout);
        loop {
            let pooled = if fresh { None } else { self.pooled().await };
            let (line, reused) = match pooled {
                Some(line) => (line, true),
                None => (self.connect(dial_by).await.map_err(Trouble::NotSent)?, false),
            };
            match timeout_at(end, line.turn(request)).await {
                Ok(Turn::Answered(answer, line)) => {
                    if let Some(line) = line {
                        self.keep(line);
                    }
                    return Ok(answer);
                }
                Ok(Turn::NotSent(back)) if reused => request = back,
                Ok(Turn::NotSent(_)) => {
                    let text = format!("{} closed the new connection at once", self.base.host);
                    return Err(Trouble::NotSent(DialError { code: "http.connect", text }));
                }
                Ok(Turn::Broken(error)) => return Err(broken(&error)),
                Err(_) => {
                    let text = format!("no complete answer within {timeout:?}");
                    return Err(Trouble::Broken { code: "http.timeout", text });
                }
            }
        }
    }

    async fn connect(&self, by: Instant) -> Result<Line, DialError> {
        let stream = dial::dial(&self.base, &self.system_tls, by).await?;
        let failed = |error: hyper::Error| DialError { code: "http.connect", text: error.to_string() };
        let (sender, driver) = http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
        Ok(Line { sender, driver: Box::new(driver), ended: false })
    }

    /// A connection that stands idle and is still open.
    async fn pooled(&self) -> Option<Line> {
        loop {
            let Idle { mut line, until } = self.lock().idle.pop_back()?;
            if until > Instant::now() && line.is_open().await {
                return Some(line);
            }
        }
    }

    fn keep(self: &Arc<Self>, line: Line) {
        let mut pool = self.lock();
        pool.idle.push_back(Idle { line, until: Instant::now() + IDLE_TIME_MAX });
        let surplus = if pool.idle.len() > IDLE_CONNECTIONS_MAX { pool.idle.pop_front() } else { None };
        if !pool.reaping {
            pool.reaping = true;
            tokio::spawn(reap(Arc::downgrade(self)));
        }
        drop(pool);
        drop(surplus);
    }

    fn lock(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes what stood idle for too long; ends when nothing does.
async fn reap(client: Weak<Client>) {
    let mut next = Instant::now() + IDLE_TIME_MAX;
    loop {
        sleep_until(next).await;
        let Some(client) = client.upgrade() else { return };
        let now = Instant::now();
        let mut pool = client.lock();
        let old = pool.idle.iter().take_while(|idle| idle.until <= now).count();
        let closing: Vec<_> = pool.idle.drain(..old).collect();
        let Some(oldest) = pool.idle.front() else {
            pool.reaping = false;
            return;
        };
        next = oldest.until;
        drop(pool);
        drop(closing);
    }
}

impl Line {
    /// Sends a request and reads its answer; the line comes back if it can be used again.
    async fn turn(mut self, request: Request<Full<Bytes>>) -> Turn {
        let sending = self.sender.try_send_request(request);
        let (head, mut body) = match self.driving(sending).await.map(Response::into_parts) {
            Ok(parts) => parts,
            Err(mut error) => {
                return match error.take_message() {
                    Some(request) => Turn::NotSent(request),
                    None => Turn::Broken(error.into_error()),
                };
            }
        };
        let bytes_max = if head.status.is_success() { usize::MAX } else { DRAIN_BYTES_MAX };
        match self.driving(drain(&mut body, bytes_max)).await {
            Ok((excerpt, whole)) => {
                drop(body);
                let line = if whole && self.is_open().await { Some(self) } else { None };
                Turn::Answered(Answer { status: head.status, headers: head.headers, excerpt }, line)
            }
            // The status is what counts, unless it promised success.
            Err(_) if !head.status.is_success() => {
                Turn::Answered(Answer { status: head.status, headers: head.headers, excerpt: Vec::new() }, None)
            }
            Err(error) => Turn::Broken(error),
        }
    }

    /// The result of something that goes on only while the connection is driven.
    async fn driving<T>(&mut self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        poll_fn(|cx| {
            if let Poll::Ready(result) = future.as_mut().poll(cx) {
                return Poll::Ready(result);
            }
            if self.ended {
                return Poll::Pending;
            }
            // Its error, if any, comes out of the future.
            self.ended = pin!(&mut self.driver).poll(cx).is_ready();
            // Driving may have brought the result, and then nothing wakes this task again.
            future.as_mut().poll(cx)
        })
        .await
    }

    /// Whether another request may be sent, as far as can be seen without waiting.
    async fn is_open(&mut self) -> bool {
        poll_fn(|cx| {
            self.ended = self.ended || pin!(&mut self.driver).poll(cx).is_ready();
            Poll::Ready(!self.ended && self.sender.is_ready())
        })
        .await
    }
}

/// Reads a body and keeps its beginning; also whether it was read to its end.
async fn drain(body: &mut Incoming, bytes_max: usize) -> Result<(Vec<u8>, bool), hyper::Error> {
    let (mut excerpt, mut read) = (Vec::new(), 0_usize);
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            let room = EXCERPT_BYTES_MAX - excerpt.len();
            excerpt.extend(data.iter().take(room));
            read = read.saturating_add(data.len());
            if read > bytes_max {
                return Ok((excerpt, false));
            }
        }
    }
    Ok((excerpt, true))
}

fn broken(error: &hyper::Error) -> Trouble {
    let code = if error.is_parse() { "http.response" } else { "http.reset" };
    let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
    Trouble::Broken { code, text: format!("{error}{cause}") }
}
