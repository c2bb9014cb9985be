//! The admin listener: taken first, so that a port in use is told before anything runs, and served when the gateway
//! stands.

use crate::{
    Audit, Token,
    guard::Guard,
    handlers::{Remote, Shared, router},
};
use crossdock_engine::{Clock, Gateway};
use crossdock_listener::{Bound, Limits, Server, Tls};
use hyper::service::{Service as _, service_fn};
use hyper_util::service::TowerToHyperService;
use std::{net::SocketAddr, sync::Arc};

/// Connections of operators and of what scrapes metrics; those of senders are the `http` connector's.
const CONNECTIONS_MAX: usize = 256;

/// Why the admin listener cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// It would be open to others than this machine, in clear text.
    #[error(
        "gateway.admin.listen: {0} is beyond loopback, where the token would travel in clear text: set gateway.admin.tls, \
         listen on 127.0.0.1, or set `insecure: true` if something before it encrypts"
    )]
    Insecure(SocketAddr),
    /// The certificate or the key cannot be used.
    #[error("gateway.admin.tls: {0}")]
    Tls(#[from] crossdock_listener::TlsError),
    /// The address cannot be had.
    #[error("gateway.admin.listen: {0}; {hint}", hint = .0.hint)]
    Address(#[from] crossdock_listener::BindError),
}

/// An admin listener that has its address and is not served yet.
#[derive(Debug)]
pub struct Admin {
    bound: Bound,
    tls: Option<Tls>,
    hosts: Vec<String>,
}

impl Admin {
    /// Takes the address of `gateway.admin`. To be called on a tokio runtime.
    ///
    /// # Errors
    /// See [`BindError`].
    pub fn bind(settings: &crossdock_config::Admin) -> Result<Self, BindError> {
        if !settings.listen.ip().is_loopback() && settings.tls.is_none() && !settings.insecure {
            return Err(BindError::Insecure(settings.listen));
        }
        let tls = settings.tls.as_ref().map(|tls| Tls::load(&tls.certificate, &tls.key, None)).transpose()?;
        // Who waits for messages of a queue and goes is to be given none.
        let limits = Limits { connections_max: CONNECTIONS_MAX, tells_hangups: true, ..Limits::default() };
        let bound = Bound::bind(&settings.listen.to_string(), limits)?;
        Ok(Self { bound, tls, hosts: settings.hosts.iter().map(ToString::to_string).collect() })
    }

    /// The address, with the port that was given where any was asked for.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.bound.address()
    }

    /// Answers for the gateway, to whoever shows the token; what changes something is kept in the audit.
    #[must_use]
    pub fn serve(self, gateway: Gateway, token: Token, clock: Clock, audit: Audit) -> Server {
        let guard = Arc::new(Guard::new(self.bound.address(), &self.hosts, token));
        let router = router(Shared { gateway, clock, audit }, guard);
        self.bound.serve(self.tls, move |peer| {
            let (router, remote) = (TowerToHyperService::new(router.clone()), Remote(peer.address));
            service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
                request.extensions_mut().insert(remote);
                router.call(request)
            })
        })
    }
}
