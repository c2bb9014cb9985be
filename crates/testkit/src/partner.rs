//! A partner system over HTTP that answers as scripted and keeps what it got.

use crate::{
    free_port, lock,
    port::listen,
    wait::pause,
    wire::{self, read_message},
};
use std::{
    collections::HashMap,
    io::{self, BufReader, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// How a request is answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// With this status and no body.
    Status(u16),
    /// With this status and `Retry-After` in seconds.
    RetryAfter(u16, u64),
    /// With this status, these header fields and this body.
    Full(u16, Vec<(String, String)>, Vec<u8>),
    /// Not for so long; then the connection is cut.
    Hang(Duration),
    /// The connection is cut at once.
    Drop,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// When it was read whole.
    pub at: Instant,
    /// How it was answered.
    pub answer: Answer,
}

impl Request {
    /// The value of a header, by its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        wire::header(&self.headers, name)
    }

    /// Whether the partner said that it took it.
    #[must_use]
    pub const fn is_accepted(&self) -> bool {
        match self.answer {
            Answer::Status(status) | Answer::RetryAfter(status, _) | Answer::Full(status, ..) => {
                matches!(status, 200..=299)
            }
            Answer::Hang(_) | Answer::Drop => false,
        }
    }

    /// What follows the last `/` of the path.
    #[must_use]
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }
}

type Script = dyn Fn(&Request, usize) -> Answer + Send + Sync;

/// A partner system on a port of loopback.
pub struct Partner {
    port: u16,
    shared: Arc<Shared>,
    listener: Option<JoinHandle<()>>,
}

struct Shared {
    script: Box<Script>,
    got: Mutex<Vec<Request>>,
    tries: Mutex<HashMap<String, usize>>,
    is_down: AtomicBool,
    connections: Mutex<Vec<TcpStream>>,
}

impl Partner {
    /// A partner that answers by `script`: it sees the request (answered by nobody yet) and which try of its path this is,
    /// from 1.
    ///
    /// # Panics
    /// No port could be had.
    #[must_use]
    pub fn new(script: impl Fn(&Request, usize) -> Answer + Send + Sync + 'static) -> Self {
        let shared = Shared {
            script: Box::new(script),
            got: Mutex::default(),
            tries: Mutex::default(),
            is_down: AtomicBool::new(true),
            connections: Mutex::default(),
        };
        let mut partner = Self { port: free_port(), shared: Arc::new(shared), listener: None };
        partner.up();
        partner
    }

    /// A partner that takes everything.
    #[must_use]
    pub fn accepting() -> Self {
        Self::new(|_, _| Answer::Status(200))
    }

    /// Its port, the same after it was down.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Listens again, on the port it had.
    ///
    /// # Panics
    /// Somebody else has the port by now.
    pub fn up(&mut self) {
        if self.listener.is_some() {
            return;
        }
        let listener = listen(self.port);
        self.shared.is_down.store(false, Ordering::SeqCst);
        let shared = Arc::clone(&self.shared);
        self.listener = Some(thread::spawn(move || accept(&listener, &shared)));
    }

    /// Cuts all connections and listens no more.
    pub fn down(&mut self) {
        self.shared.is_down.store(true, Ordering::SeqCst);
        // The listening thread is woken by one last connection.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
        if let Some(listener) = self.listener.take() {
            listener.join().expect("the partner's thread");
        }
        for connection in lock(&self.shared.connections).drain(..) {
            // One that is closed already is as good.
            let _closed = connection.shutdown(Shutdown::Both);
        }
    }

    /// All it got so far, in order.
    #[must_use]
    pub fn got(&self) -> Vec<Request> {
        lock(&self.shared.got).clone()
    }

    /// How many requests it got.
    #[must_use]
    pub fn count(&self) -> usize {
        lock(&self.shared.got).len()
    }

    /// The last parts of the paths of all it took, as often as it took them.
    #[must_use]
    pub fn accepted(&self) -> Vec<String> {
        lock(&self.shared.got).iter().filter(|request| request.is_accepted()).map(|r| r.name().to_owned()).collect()
    }
}

impl Drop for Partner {
    fn drop(&mut self) {
        self.down();
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.is_down.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let mut connections = lock(&shared.connections);
        connections.retain(|connection| connection.peer_addr().is_ok());
        connections.extend(stream.try_clone());
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            // A gateway that is killed cuts its connections: that is what the tests are about.
            let _cut = serve(stream, &shared);
        });
    }
}

fn serve(stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    while let Some(message) = read_message(&mut reader, false)? {
        let mut words = message.start.split(' ').map(str::to_owned);
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let (headers, body, at) = (message.headers, message.body, Instant::now());
        let mut request = Request { method, path, headers, body, at, answer: Answer::Drop };
        let answer = {
            let mut tries = lock(&shared.tries);
            let count = tries.entry(request.path.clone()).or_insert(0);
            *count += 1;
            (shared.script)(&request, *count)
        };
        request.answer = answer.clone();
        lock(&shared.got).push(request);
        match answer {
            Answer::Status(status) => write_answer(&mut writer, status, &[], &[])?,
            Answer::RetryAfter(status, seconds) => {
                write_answer(&mut writer, status, &[("retry-after".into(), seconds.to_string())], &[])?;
            }
            Answer::Full(status, headers, body) => write_answer(&mut writer, status, &headers, &body)?,
            Answer::Hang(time) => {
                pause(time);
                return writer.shutdown(Shutdown::Both);
            }
            Answer::Drop => return writer.shutdown(Shutdown::Both),
        }
    }
    Ok(())
}

fn write_answer(writer: &mut TcpStream, status: u16, headers: &[(String, String)], body: &[u8]) -> io::Result<()> {
    let fields: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = format!("HTTP/1.1 {status} Scripted\r\ncontent-length: {}\r\n{fields}\r\n", body.len());
    writer.write_all(&[head.as_bytes(), body].concat())
}

impl std::fmt::Debug for Partner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Partner at {}", SocketAddr::from(([127, 0, 0, 1], self.port)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Client, request};

    #[test]
    fn answers_as_scripted() {
        let partner = Partner::new(|request, n| match (request.name(), n) {
            ("busy", 1) => Answer::RetryAfter(503, 7),
            ("cut", 1) => Answer::Drop,
            ("slow", 1) => Answer::Hang(Duration::from_millis(20)),
            ("body", _) => Answer::Full(201, vec![("x-a".into(), "b".into())], request.body.clone()),
            _ => Answer::Status(200),
        });
        let port = partner.port();
        let mut client = Client::new(port, Duration::from_secs(5)).unwrap();
        let busy = client.send("PUT", "/a/busy", &[("x-h", "1")], b"hello").unwrap();
        assert_eq!((busy.status, busy.header("retry-after")), (503, Some("7")));
        assert_eq!(client.send("PUT", "/a/busy", &[], b"").unwrap().status, 200);
        let body = client.send("POST", "/body", &[], b"\0\xff").unwrap();
        assert_eq!((body.status, body.header("x-a"), body.body.as_slice()), (201, Some("b"), b"\0\xff".as_slice()));
        assert!(client.send("GET", "/cut", &[], b"").is_err());
        assert!(request(port, "GET", "/slow", &[], b"").is_err());
        assert_eq!(request(port, "GET", "/slow", &[], b"").unwrap().status, 200);
        let got = partner.got();
        assert_eq!((got.len(), got[0].header("x-h"), got[0].body.as_slice()), (6, Some("1"), b"hello".as_slice()));
        assert_eq!(partner.accepted(), ["busy", "body", "slow"]);
    }

    #[test]
    fn is_down_and_up_again_on_its_port() {
        let mut partner = Partner::accepting();
        let port = partner.port();
        let mut client = Client::new(port, Duration::from_secs(5)).unwrap();
        assert_eq!(client.send("GET", "/a", &[], b"").unwrap().status, 200);
        partner.down();
        assert!(client.send("GET", "/a", &[], b"").is_err());
        assert!(request(port, "GET", "/a", &[], b"").is_err());
        partner.up();
        assert_eq!(request(port, "GET", "/a", &[], b"").unwrap().status, 200);
        assert_eq!(partner.count(), 2);
    }
}
