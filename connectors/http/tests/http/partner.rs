//! A service that answers as it is told, over raw sockets, so that it can also answer wrongly.

use crate::common::SOON;
use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
    sync::Notify,
    task::{JoinHandle, JoinSet},
};
use tokio_rustls::TlsAcceptor;

/// What a request is answered.
#[derive(Clone, Debug)]
pub enum Script {
    /// These bytes, as they are; the connection stays.
    Say(String),
    /// These bytes, then the end.
    SayAndClose(String),
    /// Nothing, and the connection stays.
    Hang,
    /// The end.
    Close,
}

/// An answer of this status with a length.
pub fn status(status: u16, headers: &str, body: &str) -> Script {
    Script::Say(format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len()))
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Which connection it came over, from 0.
    pub connection: usize,
    pub line: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}

type Answer = dyn Fn(usize, &Seen) -> Script + Send + Sync;

/// The service; it ends when dropped.
pub struct Partner {
    pub address: SocketAddr,
    pub seen: Arc<Mutex<Vec<Seen>>>,
    open: Arc<AtomicUsize>,
    cut: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Drop for Partner {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Partner {
    /// Answers the n-th request (from 0) as the function says.
    pub async fn start(answer: impl Fn(usize, &Seen) -> Script + Send + Sync + 'static) -> Self {
        Self::start_tls(None, answer).await
    }

    pub async fn start_tls(
        tls: Option<TlsAcceptor>,
        answer: impl Fn(usize, &Seen) -> Script + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (seen, answer) = (Arc::new(Mutex::new(Vec::new())), Arc::new(answer) as Arc<Answer>);
        let shared = Arc::clone(&seen);
        let (open, cut) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        let (counted, cutting) = (Arc::clone(&open), Arc::clone(&cut));
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            for number in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                let (seen, answer, tls) = (Arc::clone(&shared), Arc::clone(&answer), tls.clone());
                let (open, cut) = (Arc::clone(&counted), Arc::clone(&cutting));
                connections.spawn(async move {
                    open.fetch_add(1, Ordering::SeqCst);
                    let serving = async {
                        match tls {
                            None => serve(stream, number, &seen, &answer).await,
                            Some(tls) => {
                                if let Ok(stream) = tls.accept(stream).await {
                                    serve(stream, number, &seen, &answer).await;
                                }
                            }
                        }
                    };
                    tokio::select! {
                        () = serving => {}
                        () = cut.notified() => {}
                    }
                    open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, seen, open, cut, task }
    }

    /// Answers every request with 200.
    pub async fn fine() -> Self {
        Self::start(|_, _| status(200, "", "")).await
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many connections stand.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    /// Closes all connections, as a service does with those that stand idle.
    pub fn cut(&self) {
        self.cut.notify_waiters();
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    connection: usize,
    seen: &Mutex<Vec<Seen>>,
    answer: &Arc<Answer>,
) {
    let mut unread = Vec::new();
    while let Some(request) = read(&mut stream, connection, &mut unread).await {
        let n = {
            let mut seen = seen.lock().unwrap();
            seen.push(request.clone());
            seen.len() - 1
        };
        match answer(n, &request) {
            Script::Say(text) => stream.write_all(text.as_bytes()).await.unwrap(),
            Script::SayAndClose(text) => {
                stream.write_all(text.as_bytes()).await.unwrap();
                let _ = stream.shutdown().await;
                return;
            }
            Script::Hang => tokio::time::sleep(SOON * 10).await,
            Script::Close => return,
        }
    }
}

async fn read<S: AsyncRead + Unpin>(stream: &mut S, connection: usize, unread: &mut Vec<u8>) -> Option<Seen> {
    let head_end = loop {
        if let Some(end) = unread.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(unread).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&unread[..head_end]).into_owned();
    let (line, rest) = head.split_once("\r\n").unwrap_or((&head, ""));
    let header = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
    let headers: Vec<_> = rest.split("\r\n").filter_map(header).collect();
    let length = headers.iter().find(|(name, _)| name == "content-length").map_or(0, |(_, n)| n.parse().unwrap());
    while unread.len() < head_end + 4 + length {
        if stream.read_buf(unread).await.ok()? == 0 {
            return None;
        }
    }
    let body = unread[head_end + 4..head_end + 4 + length].to_vec();
    unread.drain(..head_end + 4 + length);
    Some(Seen { connection, line: line.to_owned(), headers, body })
}
