//! Taking an address, and saying why it cannot be had.

use crate::Limits;
use std::{
    io,
    net::{SocketAddr, ToSocketAddrs},
};
use tokio::net::{TcpListener, TcpSocket};

/// Connections that the kernel keeps until they are accepted.
const BACKLOG: u32 = 1024;

/// An address that is taken and not served yet.
#[derive(Debug)]
pub struct Bound {
    pub(crate) listener: TcpListener,
    pub(crate) address: SocketAddr,
    pub(crate) limits: Limits,
}

/// Why an address cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {cause}")]
pub struct BindError {
    /// The address as given.
    pub address: String,
    /// What is wrong.
    pub cause: io::Error,
    /// How to mend it.
    pub hint: &'static str,
}

impl Bound {
    /// Takes an address: `127.0.0.1:8080`, `[::1]:8080`, `localhost:8080`; port 0 is any free one. To be called on a
    /// tokio runtime.
    ///
    /// # Errors
    /// The address is none, is taken, is not this machine's, or needs a right.
    pub fn bind(address: &str, limits: Limits) -> Result<Self, BindError> {
        let failed = |cause: io::Error| BindError { address: address.to_owned(), hint: hint(cause.kind()), cause };
        let no_address = || io::Error::new(io::ErrorKind::InvalidInput, "the name has no address");
        let at = address.to_socket_addrs().map_err(failed)?.next().ok_or_else(no_address).map_err(failed)?;
        let listener = listen(at).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address, limits })
    }

    /// The address, with the port that was given.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

fn listen(at: SocketAddr) -> io::Result<TcpListener> {
    let socket = if at.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A restart must not wait for connections of its predecessor that are still in TIME_WAIT.
    socket.set_reuseaddr(true)?;
    socket.bind(at)?;
    socket.listen(BACKLOG)
}

fn hint(kind: io::ErrorKind) -> &'static str {
    let known = [
        (io::ErrorKind::AddrInUse, "another process listens there: stop it, or choose another port"),
        (
            io::ErrorKind::PermissionDenied,
            "a port below 1024 needs the right CAP_NET_BIND_SERVICE: grant it, or choose a higher port",
        ),
        (
            io::ErrorKind::AddrNotAvailable,
            "no interface of this machine has the address: use one of its own, 127.0.0.1 or 0.0.0.0",
        ),
    ];
    let usual = "write it as address and port: 127.0.0.1:8080";
    known.iter().find(|(known, _)| *known == kind).map_or(usual, |(_, hint)| hint)
}
