//! The accept loop, and its end.

use crate::{
    Bound, Tls,
    connection::{self, Shared, Stopping},
};
use bytes::Bytes;
use http::{Request, Response};
use hyper::{
    body::{Body, Incoming},
    service::Service,
};
use std::{
    convert::Infallible,
    error::Error,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    net::TcpListener,
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::{Instant, sleep, timeout_at},
};

/// How long to wait when the process or the machine has no file or memory left for another connection.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(200);

/// Who is at the other end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Peer {
    /// His address.
    pub address: SocketAddr,
    /// Whether he came over TLS.
    pub tls: bool,
}

/// A running listener. When it is dropped, everything is cut.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: watch::Sender<Option<Instant>>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Bound {
    /// Serves the address: `make` gives a service for each connection. A service answers every request; it must time
    /// the request's body by itself.
    pub fn serve<M, S, B>(self, tls: Option<Tls>, make: M) -> Server
    where
        M: Fn(&Peer) -> S + Send + Sync + 'static,
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Send + Unpin + 'static,
        S::Future: Send + 'static,
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let (stop, stopping) = watch::channel(None);
        let shared = Arc::new(Shared { make, tls, limits: self.limits });
        let task = tokio::spawn(accept(self.listener, shared, stopping));
        Server { address: self.address, stop, task: Mutex::new(Some(task)) }
    }
}

impl Server {
    /// The address, with the port that was given.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts nothing more, lets requests under way be answered until `by`, then cuts what is left. A second call
    /// returns at once.
    pub async fn stop(&self, by: std::time::Instant) {
        self.stop.send_replace(Some(Instant::from_std(by)));
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task
            && let Err(error) = task.await
        {
            tracing::error!(%error, "the accept loop failed");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(task) = self.task.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            task.abort();
        }
    }
}

async fn accept<M, S, B>(listener: TcpListener, shared: Arc<Shared<M>>, mut stopping: Stopping)
where
    M: Fn(&Peer) -> S + Send + Sync + 'static,
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Send + Unpin + 'static,
    S::Future: Send + 'static,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let mut connections = JoinSet::new();
    let watching = stopping.clone();
    let by = loop {
        tokio::select! {
            biased;
            by = stopped(&mut stopping) => break by,
            Some(ended) = connections.join_next() => note(ended),
            accepted = listener.accept(), if connections.len() < shared.limits.connections_max => match accepted {
                Ok((stream, address)) => {
                    let peer = Peer { address, tls: shared.tls.is_some() };
                    connections.spawn(connection::serve(Arc::clone(&shared), stream, peer, watching.clone()));
                }
                Err(error) => survive(&error).await,
            },
        }
    };
    drop(listener);
    let drained = timeout_at(by, async {
        while let Some(ended) = connections.join_next().await {
            note(ended);
        }
    });
    if drained.await.is_err() {
        tracing::warn!(connections = connections.len(), "cut what was not answered in time");
    }
    connections.shutdown().await;
}

/// Waits for the stop; tells its deadline. A server that is gone stops at once.
async fn stopped(stopping: &mut Stopping) -> Instant {
    stopping.wait_for(Option::is_some).await.ok().and_then(|by| *by).unwrap_or_else(Instant::now)
}

/// Accepting fails for one connection (its peer is gone already) or for lack of files, which passes.
async fn survive(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    if [ConnectionAborted, ConnectionReset, Interrupted].contains(&error.kind()) {
        return;
    }
    tracing::warn!(%error, "cannot accept a connection; raise the limit of open files (`ulimit -n`)");
    sleep(EXHAUSTED_PAUSE).await;
}

/// A service that panicked ends its connection, and no other.
fn note(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a connection's task panicked");
    }
}
