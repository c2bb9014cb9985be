//! Name, address, TCP, TLS.

use super::Ended;
use crate::broker::{Broker, Security};
use crossdock_connector::{tcp, tls};
use rustls::{ClientConfig, pki_types::ServerName};
use std::sync::Arc;
use tokio::{
    net::{TcpStream, lookup_host},
    time::{Instant, timeout_at},
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_util::either::Either;

/// A connection's stream: plain, or TLS.
pub(super) type Stream = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// Connects by `by` at the latest.
pub(super) async fn dial(broker: &Broker, by: Instant) -> Result<Stream, Ended> {
    let address = broker.address();
    let late = |what: &'static str| {
        let text = format!("{what} {address} took too long");
        move |_| Ended::broken(text)
    };
    let stream = timeout_at(by, connect(broker, by)).await.map_err(late("connecting to"))??;
    let config = match &broker.security {
        Security::Plain => return Ok(Either::Left(stream)),
        Security::Tls(config) => Arc::clone(config),
        Security::SystemTls(config) => {
            let load = config.get_or_try_init(system);
            Arc::clone(timeout_at(by, load).await.map_err(late("reading the authorities for"))??)
        }
    };
    timeout_at(by, secure(broker, config, stream)).await.map_err(late("TLS with"))?
}

/// Reading the system's authorities takes milliseconds.
async fn system() -> Result<Arc<ClientConfig>, Ended> {
    match tokio::task::spawn_blocking(|| tls::system(&[])).await {
        Ok(config) => config.map_err(Ended::broken),
        Err(error) => Err(Ended::broken(error.to_string())),
    }
}

async fn connect(broker: &Broker, by: Instant) -> Result<TcpStream, Ended> {
    let no_address = |error: std::io::Error| Ended::broken(format!("no address for {}: {error}", broker.host));
    let addresses = lookup_host((broker.host.as_str(), broker.port)).await.map_err(no_address)?;
    let failed = |why: String| Ended::broken(format!("no connection to {}: {why}", broker.address()));
    tcp::connect_any(&addresses.collect::<Vec<_>>(), by).await.map_err(failed)
}

async fn secure(broker: &Broker, config: Arc<ClientConfig>, stream: TcpStream) -> Result<Stream, Ended> {
    let failed = |why: String| Ended::broken(format!("no TLS with {}: {why}", broker.host));
    let name = ServerName::try_from(broker.host.clone()).map_err(|error| failed(error.to_string()))?;
    let stream = TlsConnector::from(config).connect(name, stream).await;
    stream.map(|stream| Either::Right(Box::new(stream))).map_err(|error| failed(tls::reason(&error)))
}
