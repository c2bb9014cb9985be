//! A small HTTP client over plain sockets.

use crate::wire::{Response, read_message};
use std::{
    io::{self, BufReader, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// A connection to a port of loopback that is kept open.
#[derive(Debug)]
pub struct Client {
    reader: BufReader<TcpStream>,
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// Nobody listens.
    pub fn new(port: u16, timeout: Duration) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&SocketAddr::from(([127, 0, 0, 1], port)), timeout)?;
        stream.set_read_timeout(Some(timeout))?;
        stream.set_write_timeout(Some(timeout))?;
        stream.set_nodelay(true)?;
        Ok(Self { reader: BufReader::new(stream) })
    }

    /// Sends a request and waits for the answer. After an error, and after an answer that says `connection: close`, the
    /// connection is of no further use.
    ///
    /// # Errors
    /// The connection broke, or the answer is no HTTP; whether the request was taken is then not known.
    pub fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> io::Result<Response> {
        let own = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host"));
        let host = if own { "" } else { "host: 127.0.0.1\r\n" };
        let fields: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let length = body.len();
        let head = format!("{method} {path} HTTP/1.1\r\n{host}content-length: {length}\r\n{fields}\r\n");
        // A server that refuses answers without reading the rest, and then writing may fail.
        let written = self.write(&[head.as_bytes(), body].concat());
        let answer = self.read();
        if answer.is_err() { written.and(answer) } else { answer }
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// The connection broke.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.reader.get_mut().write_all(bytes)
    }

    /// Waits for the next answer.
    ///
    /// # Errors
    /// The connection broke, or the answer is no HTTP.
    pub fn read(&mut self) -> io::Result<Response> {
        let answer = read_message(&mut self.reader, true)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let status = answer.start.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, answer.start.clone()))?;
        Ok(Response { status, headers: answer.headers, body: answer.body })
    }
}

/// One request over a connection of its own.
///
/// # Errors
/// Nobody listens, or the connection broke.
pub fn request(port: u16, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> io::Result<Response> {
    Client::new(port, Duration::from_secs(20))?.send(method, path, headers, body)
}
