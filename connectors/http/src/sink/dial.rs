//! A connection to the service: name, address, TCP, TLS. Nothing of a message is sent here, so every failure is
//! `Unreachable`.

use super::{
    base::{Base, PROTOCOLS},
    private,
};
use crossdock_connector::{tcp, tls};
use rustls::{ClientConfig, pki_types::ServerName};
use std::{io, net::SocketAddr, sync::Arc};
use tokio::{
    net::{TcpStream, lookup_host},
    sync::OnceCell,
    time::{Instant, timeout_at},
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_util::either::Either;

/// Why there is no connection: the part of the code behind `http.`, and a fragment for people.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct DialError {
    pub(super) code: &'static str,
    pub(super) text: String,
}

/// A connection's stream: plain, or TLS.
pub(super) type Stream = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// Connects by `by` at the latest.
pub(super) async fn dial(
    base: &Base,
    system_tls: &OnceCell<Arc<ClientConfig>>,
    by: Instant,
) -> Result<Stream, DialError> {
    let late = |code, what: &str| {
        let text = format!("{what} {}:{} took too long", base.host, base.port);
        move |_| DialError { code, text }
    };
    let addresses = timeout_at(by, resolve(base)).await.map_err(late("http.dns", "resolving"))??;
    let connecting = timeout_at(by, connect(base, &addresses, by));
    let stream = connecting.await.map_err(late("http.connect", "connecting to"))??;
    let Some(config) = &base.tls else { return Ok(Either::Left(stream)) };
    let securing = timeout_at(by, secure(base, config.as_ref(), system_tls, stream));
    securing.await.map_err(late("http.tls", "TLS with"))?
}

/// The addresses of the host that may be used. What was checked here is what is connected to: a second look at the name
/// could give another answer.
async fn resolve(base: &Base) -> Result<Vec<SocketAddr>, DialError> {
    let unknown =
        |error: io::Error| DialError { code: "http.dns", text: format!("no address for {}: {error}", base.host) };
    let mut addresses: Vec<_> = lookup_host((base.host.as_str(), base.port)).await.map_err(unknown)?.collect();
    if base.block_private {
        addresses.retain(|address| !private::is_private(address.ip()));
        if addresses.is_empty() {
            let text = format!("{} has only private addresses, and block_private is set", base.host);
            return Err(DialError { code: "http.private", text });
        }
    }
    Ok(addresses)
}

async fn connect(base: &Base, addresses: &[SocketAddr], by: Instant) -> Result<TcpStream, DialError> {
    let stream = tcp::connect_any(addresses, by).await;
    stream.map_err(|why| {
        let text = format!("no connection to {}:{}: {why}", base.host, base.port);
        DialError { code: "http.connect", text }
    })
}

async fn secure(
    base: &Base,
    config: Option<&Arc<ClientConfig>>,
    system_tls: &OnceCell<Arc<ClientConfig>>,
    stream: TcpStream,
) -> Result<Stream, DialError> {
    let failed = |why: String| DialError { code: "http.tls", text: format!("no TLS with {}: {why}", base.host) };
    let config = match config {
        Some(config) => config,
        // Reading the system's authorities takes milliseconds.
        None => system_tls
            .get_or_try_init(async || match tokio::task::spawn_blocking(|| tls::system(PROTOCOLS)).await {
                Ok(config) => config,
                Err(error) => Err(error.to_string()),
            })
            .await
            .map_err(failed)?,
    };
    let name = ServerName::try_from(base.host.clone()).map_err(|error| failed(error.to_string()))?;
    let stream = TlsConnector::from(Arc::clone(config)).connect(name, stream).await;
    stream.map(|stream| Either::Right(Box::new(stream))).map_err(|error| failed(tls::reason(&error)))
}
