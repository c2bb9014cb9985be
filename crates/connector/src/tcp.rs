//! From the addresses of a name to a connection.

use std::net::SocketAddr;
use tokio::{
    net::TcpStream,
    time::{Instant, timeout_at},
};

/// Connects to the first of the addresses that answers, by `by` at the latest. Each gets its share of the time that is left, so
/// that one that is silent does not keep us from the others. What is written goes out at once: connectors write batches
/// already, and waiting to fill a packet would only delay them.
///
/// # Errors
/// No address answered; why the last one did not, a fragment for people.
pub async fn connect_any(addresses: &[SocketAddr], by: Instant) -> Result<TcpStream, String> {
    let mut last = "the name has no address".to_owned();
    for (at, address) in addresses.iter().enumerate() {
        let now = Instant::now();
        let left = u32::try_from(addresses.len() - at).unwrap_or(u32::MAX);
        let share = now + by.saturating_duration_since(now) / left;
        match timeout_at(share, TcpStream::connect(address)).await {
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
