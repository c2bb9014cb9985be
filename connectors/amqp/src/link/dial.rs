//! From a name to a stream of bytes.

use super::{Endpoint, Trouble, TroubleKind, endpoint::Security};
use crossdock_connector::{tcp, tls};
use rustls::pki_types::ServerName;
use std::sync::Arc;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::lookup_host,
    time::Instant,
};
use tokio_rustls::TlsConnector;

/// The two directions of a connection.
pub type Stream = (Box<dyn AsyncRead + Send + Unpin>, Box<dyn AsyncWrite + Send + Unpin>);

/// Connects by `by` at the latest, with TLS where the endpoint says so.
///
/// # Errors
/// The server is not there, or its certificate is not to be trusted.
pub async fn dial(endpoint: &Endpoint, by: Instant) -> Result<Stream, Trouble> {
    let unreached = |what: &str, error: &dyn std::fmt::Display| {
        Trouble::new(TroubleKind::Unreached, format!("{what} {}: {error}", endpoint.place()))
    };
    let addresses = lookup_host((&*endpoint.host, endpoint.port)).await;
    let addresses: Vec<_> = addresses.map_err(|error| unreached("no address for", &error))?.collect();
    let stream = tcp::connect_any(&addresses, by).await.map_err(|why| unreached("cannot connect to", &why))?;
    let config = match &endpoint.security {
        Security::Plain => {
            let (read, write) = stream.into_split();
            return Ok((Box::new(read), Box::new(write)));
        }
        Security::Custom(config) => Arc::clone(config),
        Security::System => {
            let config = tokio::task::spawn_blocking(|| tls::system(&[])).await;
            let config = config.unwrap_or_else(|_| Err("the thread that reads certificates has ended".into()));
            config.map_err(|error| unreached("no TLS to", &error))?
        }
    };
    let name = ServerName::try_from(endpoint.host.clone()).map_err(|error| unreached("no TLS to", &error))?;
    let stream = TlsConnector::from(config).connect(name, stream).await;
    let (read, write) = tokio::io::split(stream.map_err(|error| unreached("no TLS to", &tls::reason(&error)))?);
    Ok((Box::new(read), Box::new(write)))
}
