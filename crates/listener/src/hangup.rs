//! Who has gone, or will send no more: over TCP the two look the same until something is written.

use std::{io, net, os::fd::AsFd as _, sync::Arc};
use tokio::{io::Interest, net::TcpStream};

/// Tells a service that waits on somebody's behalf when he has closed the connection or his half of it. Stands among the
/// extensions of each request where [`Limits::tells_hangups`](crate::Limits::tells_hangups) says so.
///
/// It watches a descriptor of its own, so that nothing is read before its time: hyper would have to read ahead to see the
/// end, and drop whatever it was that did not wait.
#[derive(Clone, Debug)]
pub struct Hangup(Arc<TcpStream>);

impl Hangup {
    pub(crate) fn of(stream: &TcpStream) -> io::Result<Self> {
        let watched = net::TcpStream::from(stream.as_fd().try_clone_to_owned()?);
        Ok(Self(Arc::new(TcpStream::from_std(watched)?)))
    }

    /// Returns once the other end has closed its half; never while it has not.
    pub async fn happened(&self) {
        loop {
            match self.0.ready(Interest::READABLE).await {
                Ok(ready) if ready.is_read_closed() => return,
                Ok(_) => {
                    // Bytes, which are hyper's to read: forgotten, so that the next change is waited for.
                    let nothing: io::Result<()> = Err(io::ErrorKind::WouldBlock.into());
                    let _ = self.0.try_io(Interest::READABLE, || nothing);
                }
                // The runtime ends, and with it the request.
                Err(_) => std::future::pending().await,
            }
        }
    }
}
