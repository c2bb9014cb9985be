//! The clients of a gateway, one per connection.

use super::{
    base::Base,
    client::{Client, Trouble},
    fault,
};
use bytes::Bytes;
use crossdock_connector::{ConnectionConfig, Diagnostics, GatewayConfig, clear_text};
use crossdock_model::Fault;
use http::{Method, Request, Uri};
use http_body_util::Full;
use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, Weak},
};

/// Makes clients and knows those in use, so that the targets of a connection share one, also across a reload that left
/// the connection as it was.
#[derive(Debug)]
pub(crate) struct Clients {
    folder: PathBuf,
    known: Mutex<Vec<(ConnectionConfig, Weak<Client>)>>,
}

impl Clients {
    pub(crate) fn new(gateway: &GatewayConfig) -> Self {
        Self { folder: gateway.folder.clone(), known: Mutex::default() }
    }

    /// The client of a connection.
    pub(super) fn of(&self, config: &ConnectionConfig) -> Result<Arc<Client>, Diagnostics> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|(_, client)| client.strong_count() > 0);
        let same = |other: &ConnectionConfig| other.name == config.name && other.settings == config.settings;
        if let Some(client) = known.iter().find(|(other, _)| same(other)).and_then(|(_, client)| client.upgrade()) {
            return Ok(client);
        }
        let client = Client::new(Base::new(config, &self.folder)?);
        known.push((config.clone(), Arc::downgrade(&client)));
        Ok(client)
    }
}

/// A warning of credentials that everybody on the way can read.
pub(crate) fn advise(config: &ConnectionConfig, clients: &Clients) -> Diagnostics {
    let mut found = Diagnostics::new();
    if let Ok(client) = clients.of(config) {
        let base = client.base();
        let hint = "write https:// to use TLS";
        let warning = || clear_text::warning(&config.settings, "base_url", [&*base.host], hint);
        base.tls.is_none().then(warning).flatten().into_iter().for_each(|warning| found.push(warning));
    }
    found
}

/// Asks the service for its head: whatever it answers, it is there; only credentials may be refused.
pub(crate) async fn probe(config: &ConnectionConfig, clients: &Clients) -> Result<(), Fault> {
    let first = |found: Diagnostics| found.iter().next().map(|error| error.message.clone()).unwrap_or_default();
    let client = clients.of(config).map_err(|found| Fault::rejected("http.config", first(found)))?;
    let mut request = Request::new(Full::<Bytes>::default());
    *request.method_mut() = Method::HEAD;
    *request.uri_mut() = client.base().path.parse().unwrap_or_else(|_| Uri::from_static("/"));
    *request.headers_mut() = client.base().headers.clone();
    match client.exchange(request, false, client.base().timeout).await {
        Ok(answer) if fault::is_denied(answer.status) => fault::verdict(&answer, None).map(drop),
        Ok(_) => Ok(()),
        Err(trouble @ (Trouble::NotSent(_) | Trouble::Broken { .. })) => Err(fault::of_trouble(trouble)),
    }
}
