//! The partner systems of the demo: real HTTP servers on loopback that keep account of what they took. One refuses the
//! customers it does not know, one is down for a while.

use axum::{
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::{net::TcpListener, sync::Notify, task::JoinHandle};

/// What a partner does beside taking orders.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Manner {
    /// It refuses customers from `c-900` on.
    KnowsCustomers,
    /// It goes down when it has taken so many orders, for so long: it answers 503.
    GoesDown {
        /// How many it takes before.
        after: usize,
        /// How long it is down.
        pause: Duration,
    },
}

/// A partner system at work; it ends when it is dropped.
#[derive(Debug)]
pub struct Partner {
    address: SocketAddr,
    desk: Arc<Desk>,
    task: JoinHandle<()>,
}

/// What a partner has seen.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// Requests in all.
    pub requests: usize,
    /// Ids of the orders that it took, by the path they were sent to.
    pub took: BTreeSet<String>,
    /// Orders that came again although it had taken them, told by their idempotency key.
    pub repeated: usize,
    /// Requests that it refused.
    pub refused: usize,
    /// Requests that came while it was down.
    pub down: usize,
    went_down: Option<Instant>,
    knows_everybody: bool,
}

#[derive(Debug)]
struct Desk {
    manner: Manner,
    ledger: Mutex<Ledger>,
    wentdown: Notify,
}

impl Partner {
    /// Opens a partner on a free port.
    ///
    /// # Errors
    /// There is no port.
    pub async fn open(manner: Manner) -> std::io::Result<Self> {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        let address = listener.local_addr()?;
        let desk = Arc::new(Desk { manner, ledger: Mutex::default(), wentdown: Notify::new() });
        let router = axum::Router::new().fallback(take).with_state(Arc::clone(&desk));
        let task = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "a partner of the demo failed");
            }
        });
        Ok(Self { address, desk, task })
    }

    /// Where it is.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has seen so far.
    pub fn ledger(&self) -> Ledger {
        self.desk.ledger().clone()
    }

    /// Waits until it goes down.
    pub async fn went_down(&self) {
        self.desk.wentdown.notified().await;
    }

    /// From now on it knows every customer.
    pub fn learn_customers(&self) {
        self.desk.ledger().knows_everybody = true;
    }
}

impl Drop for Partner {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Desk {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn take(State(desk): State<Arc<Desk>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let mut ledger = desk.ledger();
    ledger.requests += 1;
    match desk.manner {
        Manner::KnowsCustomers => {
            if let Some(customer) = unknown_customer(&body)
                && !ledger.knows_everybody
            {
                ledger.refused += 1;
                return (StatusCode::UNPROCESSABLE_ENTITY, format!("unknown customer {customer}")).into_response();
            }
        }
        Manner::GoesDown { after, pause } => {
            if ledger.went_down.is_none() && ledger.took.len() >= after {
                ledger.went_down = Some(Instant::now());
                desk.wentdown.notify_one();
            }
            if ledger.went_down.is_some_and(|since| since.elapsed() < pause) {
                ledger.down += 1;
                return (StatusCode::SERVICE_UNAVAILABLE, "closed for stocktaking").into_response();
            }
        }
    }
    let order = uri.path().rsplit('/').next().unwrap_or_default();
    if !headers.contains_key("idempotency-key") || !body.starts_with(b"<") {
        return (StatusCode::BAD_REQUEST, "an order comes as XML, under an idempotency key").into_response();
    }
    if !ledger.took.insert(order.to_owned()) {
        ledger.repeated += 1;
    }
    StatusCode::NO_CONTENT.into_response()
}

/// The customer in an order's XML, if it is one of those that nobody knows.
fn unknown_customer(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let (_, rest) = text.split_once("<id>c-9")?;
    let (digits, _) = rest.split_once("</id>")?;
    Some(format!("c-9{digits}"))
}
