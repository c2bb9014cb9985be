//! The stream of a connection, plain or TLS, and the tap that notes what comes in.

use crate::activity::Activity;
use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;

/// What an HTTP/2 connection without TLS begins with (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection's stream: plain, or TLS.
pub(crate) type Wire = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// A stream of which the beginning was read before, and which notes what comes in.
#[derive(Debug)]
pub(crate) struct Tap {
    wire: Wire,
    /// Read before and not yet given out, last byte first.
    ahead: Vec<u8>,
    /// Whom to tell of bytes; only of HTTP/1.
    activity: Option<Arc<Activity>>,
}

/// Reads until it is clear whether this is HTTP/2 with prior knowledge; gives what was read.
pub(crate) async fn sniff(wire: &mut Wire) -> io::Result<(bool, Vec<u8>)> {
    let mut read = Vec::with_capacity(PREFACE.len());
    loop {
        if !PREFACE.starts_with(&read) {
            return Ok((false, read));
        }
        if read.len() == PREFACE.len() {
            return Ok((true, read));
        }
        let mut rest = (&mut *wire).take((PREFACE.len() - read.len()) as u64);
        if rest.read_buf(&mut read).await? == 0 {
            return Ok((false, read));
        }
    }
}

impl Tap {
    pub(crate) fn new(wire: Wire, mut ahead: Vec<u8>, activity: Option<Arc<Activity>>) -> Self {
        ahead.reverse();
        Self { wire, ahead, activity }
    }

    pub(crate) fn into_wire(self) -> Wire {
        self.wire
    }
}

impl AsyncRead for Tap {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        if self.ahead.is_empty() {
            let Poll::Ready(()) = Pin::new(&mut self.wire).poll_read(cx, buf)? else { return Poll::Pending };
        } else {
            while buf.remaining() > 0
                && let Some(byte) = self.ahead.pop()
            {
                buf.put_slice(&[byte]);
            }
        }
        if let (Some(activity), Some(new)) = (&self.activity, buf.filled().get(before..)) {
            activity.received(new);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tap {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.wire).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.wire).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.wire.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_flush(cx)
    }

    /// Only flushes: whoever takes the stream back shuts it down and reads what is left (see `linger`).
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_flush(cx)
    }
}
