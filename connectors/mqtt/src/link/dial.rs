//! Name, address, TCP, TLS.

use super::Ended;
use crate::broker::{Broker, Security};
use crossdock_connector::tls;
use rustls::{ClientConfig, pki_types::ServerName};
use std::{net::SocketAddr, sync::Arc};
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
    connect_any(&addresses.collect::<Vec<_>>(), by).await.map_err(failed)
}

/// Tries each address; one that does not answer gets its share of the time, so that it does not keep us from the others.
async fn connect_any(addresses: &[SocketAddr], by: Instant) -> Result<TcpStream, String> {
    let mut last = "the name has no address".to_owned();
    for (at, address) in addresses.iter().enumerate() {
        let now = Instant::now();
        let left = u32::try_from(addresses.len() - at).unwrap_or(u32::MAX);
        let share = now + by.saturating_duration_since(now) / left;
        match timeout_at(share, TcpStream::connect(address)).await {
            // What is written is a batch already; waiting to fill a packet would only delay it.
            Ok(Ok(stream)) => match stream.set_nodelay(true) {
                Ok(()) => return Ok(stream),
                Err(error) => last = error.to_string(),
            },
            Ok(Err(error)) => last = error.to_string(),
            Err(_) => last = format!("{address} does not answer"),
        }
    }
    Err(last)
}

async fn secure(broker: &Broker, config: Arc<ClientConfig>, stream: TcpStream) -> Result<Stream, Ended> {
    let failed = |why: String| Ended::broken(format!("no TLS with {}: {why}", broker.host));
    let name = ServerName::try_from(broker.host.clone()).map_err(|error| failed(error.to_string()))?;
    let stream = TlsConnector::from(config).connect(name, stream).await;
    stream.map(|stream| Either::Right(Box::new(stream))).map_err(|error| failed(tls::reason(&error)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::net::{TcpListener, TcpSocket};

    #[tokio::test]
    async fn an_address_that_does_not_answer_does_not_keep_us_from_the_next() {
        // A listener that accepts nobody: its backlog is full, so connecting hangs.
        let deaf = TcpSocket::new_v4().unwrap();
        deaf.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let deaf = deaf.listen(0).unwrap();
        let mute = deaf.local_addr().unwrap();
        let mut held = Vec::new();
        while let Ok(Ok(stream)) = tokio::time::timeout(Duration::from_millis(200), TcpStream::connect(mute)).await {
            held.push(stream);
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let good = listener.local_addr().unwrap();
        let within = |time: u64| Instant::now() + Duration::from_millis(time);
        let stream = connect_any(&[mute, good], within(2000)).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), good);
        assert_eq!(connect_any(&[mute], within(200)).await.unwrap_err(), format!("{mute} does not answer"));
        assert_eq!(connect_any(&[], within(200)).await.unwrap_err(), "the name has no address");
    }
}
