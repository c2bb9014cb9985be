//! What one listener and one connection may take.

use std::time::Duration;

/// Limits of a listener; the defaults are meant for both users of this crate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Most connections at once; further ones wait in the kernel's queue.
    pub connections_max: usize,
    /// From the first byte of a head (of a new connection: from its start, TLS included) to its last.
    pub head_timeout: Duration,
    /// How long a connection may stand without a request. Longer than the pools of most clients keep one, so that it
    /// is they who close it and no request runs into a closing connection.
    pub idle_timeout: Duration,
    /// Most bytes of a request's line and headers; beyond it 431.
    pub head_bytes_max: usize,
    /// Most requests at once on one HTTP/2 connection.
    pub streams_max: u32,
    /// Whether each request has a [`Hangup`](crate::Hangup) among its extensions, for services that wait. It takes another file
    /// a connection. Who says at once that he will send no more (`nc -N`) is answered all the same.
    pub tells_hangups: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 4096,
            head_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            head_bytes_max: 64 * 1024,
            streams_max: 100,
            tells_hangups: false,
        }
    }
}
