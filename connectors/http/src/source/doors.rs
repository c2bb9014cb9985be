//! What all sources share: the listener, the table of endpoints, the budget of bytes, the stop.

use super::{answer::Answers, body::BodyLimits, budget::Budget, door, table::Table};
use crossdock_connector::{Diagnostics, GatewayConfig, Settings, StartError};
use crossdock_listener::{Bound, Limits, Peer, Server, Tls, TlsError};
use crossdock_model::Text;
use hyper::service::service_fn;
use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{sync::Notify, time::timeout_at};

const LISTEN: &str = "127.0.0.1:8080";
const WAITING_BYTES_MAX: u64 = 256 << 20;
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// How long requests that come at the very end have for their answers.
const CLOSE_MAX: Duration = Duration::from_millis(250);

/// The doors of a gateway.
#[derive(Debug)]
pub(crate) struct Doors {
    pub(super) table: Table,
    pub(super) budget: Arc<Budget>,
    pub(super) answers: Answers,
    /// A body that stands still for so long is given up.
    stall_max: Duration,
    listen: Settings,
    folder: PathBuf,
    stopping: AtomicBool,
    requests: AtomicUsize,
    none_left: Notify,
    server: Mutex<Option<Arc<Server>>>,
}

/// A request under way; counted so that a stop can wait for it.
pub(super) struct UnderWay<'a>(&'a Doors);

impl Doors {
    /// The doors by the gateway's section `http`; nothing is opened yet.
    pub(crate) fn new(gateway: &GatewayConfig) -> Self {
        let waiting_max = gateway.http.size("max_waiting").unwrap_or(WAITING_BYTES_MAX);
        Self {
            table: Table::default(),
            budget: Budget::new(waiting_max),
            answers: Answers::new(&gateway.admin_url),
            stall_max: gateway.http.duration("body_timeout").unwrap_or(BODY_TIMEOUT),
            listen: gateway.http.clone(),
            folder: gateway.folder.clone(),
            stopping: AtomicBool::new(false),
            requests: AtomicUsize::new(0),
            none_left: Notify::new(),
            server: Mutex::new(None),
        }
    }

    /// What is wrong with the section `http`.
    pub(crate) fn check(&self) -> Diagnostics {
        let mut found = Diagnostics::new();
        let address = self.address_text();
        // A name is not resolved here: a check does no network I/O.
        let named =
            address.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
        if !named {
            let error = self.listen.error("listen", "http.listen", format!("`{address}` is no address to listen on"));
            found.push(error.hint("write address and port, such as `127.0.0.1:8080`, `0.0.0.0:80` or `[::1]:8080`"));
        }
        if let Err(error) = self.tls() {
            found.push(self.listen.error("tls", "http.tls", error.to_string()).hint("name PEM files that can be read"));
        }
        found
    }

    /// Where it listens; none before the start.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.server().map(|server| server.address())
    }

    /// Opens the listener; paths whose source is not open yet answer 503.
    pub(crate) async fn start(doors: &Arc<Self>) -> Result<(), StartError> {
        let address = doors.address_text();
        let tls = doors.tls().map_err(|error| StartError {
            message: format!("the certificate under gateway.http.tls cannot be used: {error}"),
            hint: "name PEM files that can be read".into(),
        })?;
        let bound = Bound::bind(&address, doors.limits()).map_err(|error| StartError {
            message: error.to_string(),
            hint: format!("{} (gateway.http.listen)", error.hint),
        })?;
        tracing::info!(address = %bound.address(), tls = tls.is_some(), "listening for http sources");
        let shared = Arc::clone(doors);
        let server = bound.serve(tls, move |peer: &Peer| {
            let (doors, remote) = (Arc::clone(&shared), Text::from(peer.address.to_string()));
            service_fn(move |request| {
                let (doors, remote) = (Arc::clone(&doors), remote.clone());
                // It is moved a few times before it runs, and is two kilobytes.
                Box::pin(async move { Ok(door::answer(&doors, &remote, request).await) })
            })
        });
        *doors.server.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(server));
        Ok(())
    }

    /// Answers new requests with 503 from now on, those under way as they are settled, until `by`.
    pub(crate) async fn stop(&self, by: Instant) {
        self.stopping.store(true, Ordering::SeqCst);
        let drained = async {
            loop {
                let none_left = self.none_left.notified();
                if self.requests.load(Ordering::SeqCst) == 0 {
                    return;
                }
                none_left.await;
            }
        };
        if timeout_at(by.into(), drained).await.is_err() {
            tracing::warn!(requests = self.requests.load(Ordering::SeqCst), "requests were not settled in time");
        }
    }

    /// Closes the port. Who has just sent a request hears the answer.
    pub(crate) async fn close(&self) {
        if let Some(server) = self.server() {
            server.stop(Instant::now() + CLOSE_MAX).await;
        }
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    pub(super) fn enter(&self) -> UnderWay<'_> {
        self.requests.fetch_add(1, Ordering::SeqCst);
        UnderWay(self)
    }

    /// What a body of at most so many bytes may take.
    pub(super) const fn body_limits(&self, bytes_max: u64) -> BodyLimits<'_> {
        BodyLimits { bytes_max, stall_max: self.stall_max, budget: &self.budget }
    }

    fn server(&self) -> Option<Arc<Server>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn limits(&self) -> Limits {
        let (usual, section) = (Limits::default(), &self.listen);
        let connections_max = section.integer("max_connections").and_then(|n| usize::try_from(n).ok());
        Limits {
            connections_max: connections_max.unwrap_or(usual.connections_max),
            head_timeout: section.duration("head_timeout").unwrap_or(usual.head_timeout),
            idle_timeout: section.duration("idle_timeout").unwrap_or(usual.idle_timeout),
            ..usual
        }
    }

    fn address_text(&self) -> String {
        self.listen.text("listen").map_or_else(|| LISTEN.to_owned(), ToString::to_string)
    }

    fn tls(&self) -> Result<Option<Tls>, TlsError> {
        let Some(section) = self.listen.group("tls") else { return Ok(None) };
        let path = |name| section.path(name).map(|path| self.folder.join(path));
        let (certificate, key) = (path("certificate").unwrap_or_default(), path("key").unwrap_or_default());
        Tls::load(&certificate, &key, path("client_ca").as_deref()).map(Some)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if self.0.requests.fetch_sub(1, Ordering::SeqCst) == 1 && self.0.is_stopping() {
            self.0.none_left.notify_waiters();
        }
    }
}
