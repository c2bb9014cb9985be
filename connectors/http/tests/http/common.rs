//! What the tests share: settings from JSON as if it were routes.yaml, a player of the engine, raw requests.

use crossdock_connector::{
    ConnectionConfig, Connector, Credit, Event, Formulas, GatewayConfig, HTTP_LISTENER, Received, Settlement,
    SinkConfig, SourceConfig,
};
use crossdock_http::{DESCRIPTION, Http};
use crossdock_model::{Fault, MessageId, Refusal, RefusalKind, Text, Violation};
use crossdock_testkit::suite::settings;
use serde_json::{Value, json};
use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
    time::timeout,
};

pub const SOON: Duration = Duration::from_secs(10);

pub fn gateway(http: &Value) -> GatewayConfig {
    let mut section = json!({ "listen": "127.0.0.1:0" });
    section.as_object_mut().unwrap().extend(http.as_object().unwrap().clone());
    GatewayConfig {
        http: settings(HTTP_LISTENER, &section),
        folder: PathBuf::from("."),
        store: Text::new(),
        admin_url: Text::from_static("http://127.0.0.1:8090"),
        state_folder: PathBuf::from("."),
    }
}

pub fn source(route: &'static str, section: &Value) -> SourceConfig {
    SourceConfig {
        route: Text::from_static(route),
        was: None,
        connection: None,
        settings: settings(DESCRIPTION.source.unwrap(), section),
        formulas: Formulas::none(),
        folder: PathBuf::from("."),
    }
}

pub fn sink(connection: &Value, target: &Value) -> SinkConfig {
    let mut target = target.clone();
    target["connection"] = json!("erp");
    SinkConfig {
        route: Text::from_static("r"),
        target: Text::from_static("erp"),
        ordinal: 0,
        connection: Some(ConnectionConfig {
            name: Text::from_static("erp"),
            settings: settings(DESCRIPTION.connection.unwrap(), connection),
        }),
        settings: settings(DESCRIPTION.target.unwrap(), &target),
        folder: PathBuf::from("."),
        forward_origin: false,
        strict: false,
    }
}

/// A gateway with one route, and a player of the engine that settles as it is told; what has no verdict stays open.
pub struct Door {
    pub http: Arc<Http>,
    pub address: SocketAddr,
    pub received: Arc<Mutex<Vec<Received>>>,
    /// What could be no message.
    pub refused: Arc<Mutex<Vec<Refusal>>>,
    player: JoinHandle<()>,
}

impl Drop for Door {
    fn drop(&mut self) {
        self.player.abort();
    }
}

impl Door {
    pub async fn open(
        section: Value,
        verdict: impl Fn(&Received) -> Option<Settlement> + Send + Sync + 'static,
    ) -> Self {
        Self::with_listener(&json!({}), section, verdict).await
    }

    pub async fn with_listener(
        listener: &Value,
        section: Value,
        verdict: impl Fn(&Received) -> Option<Settlement> + Send + Sync + 'static,
    ) -> Self {
        let http = Arc::new(Http::new(&gateway(listener)));
        let mut source = http.source(&source("in", &section)).unwrap();
        http.start().await.unwrap();
        let address = http.address().unwrap();
        let received = Arc::new(Mutex::new(Vec::new()));
        let refused = Arc::new(Mutex::new(Vec::new()));
        let (kept, counted) = (Arc::clone(&received), Arc::clone(&refused));
        let (mut receiver, mut settler) = source.open().await.unwrap();
        let player = tokio::spawn(async move {
            let _source = source;
            loop {
                let credit = Credit { messages: 256, bytes: 1 << 20 };
                let settled = match receiver.next(credit).await.unwrap() {
                    Event::Messages(messages) => {
                        let settled = messages.iter().filter_map(|message| Some((message.token, verdict(message)?)));
                        let settled = settled.collect();
                        kept.lock().unwrap().extend(messages);
                        settled
                    }
                    Event::Refused(refused) => {
                        counted.lock().unwrap().extend(refused.iter().map(|(_, refusal)| refusal.clone()));
                        refused.into_iter().map(|(token, refusal)| (token, Settlement::Refused(refusal))).collect()
                    }
                    event @ (Event::Revoking { .. } | Event::Blocked(_) | Event::Unblocked | Event::End) => {
                        panic!("an odd event: {event:?}")
                    }
                };
                settler.settle(settled).await.unwrap();
            }
        });
        Self { http, address, received, refused, player }
    }

    /// A route at `/orders` whose messages are all stored.
    pub async fn storing() -> Self {
        Self::open(json!({ "path": "/orders" }), |message| Some(stored(message.envelope.id))).await
    }

    pub async fn post(&self, path: &str, headers: &str, body: impl AsRef<[u8]>) -> Answer {
        request(self.address, "POST", path, headers, body.as_ref()).await
    }

    /// What could be no message and the engine heard of: kind and code.
    pub fn refusals(&self) -> Vec<(RefusalKind, String)> {
        let refused = self.refused.lock().unwrap();
        refused.iter().map(|refusal| (refusal.kind, refusal.fault.code.to_string())).collect()
    }

    pub async fn stop(&self) {
        self.http.stop(Instant::now() + SOON).await;
        self.http.close().await;
    }
}

pub fn stored(id: MessageId) -> Settlement {
    Settlement::Stored { id, duplicate: false }
}

/// An answer taken apart.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        Self {
            status: status.unwrap_or_else(|| panic!("no status: {head}")),
            head: head.to_lowercase(),
            body: body.into(),
        }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")))
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A request over a connection of its own.
pub async fn request(address: SocketAddr, method: &str, path: &str, headers: &str, body: &[u8]) -> Answer {
    let head = format!("{method} {path} HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&[head.as_bytes(), body].concat()).await.unwrap();
    read_answer(&mut stream).await
}

/// The next answer of a connection, whose length must be told.
pub async fn read_answer(stream: &mut TcpStream) -> Answer {
    let mut all = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&all).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let lower = head.to_lowercase();
            let length = lower.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return Answer::parse(&text);
            }
        }
        let read = timeout(SOON, stream.read_buf(&mut all)).await;
        let read = read.unwrap_or_else(|_| panic!("no answer in time, only {text:?}")).unwrap();
        assert!(read > 0, "the connection was closed after {text:?}");
    }
}

/// Waits until a condition holds.
pub async fn until(what: &str, condition: impl Fn() -> bool) {
    let end = Instant::now() + SOON;
    while !condition() {
        assert!(Instant::now() < end, "waited for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A refusal of a kind, with places.
pub fn refusal(kind: RefusalKind, violations: &[(&'static str, &'static str)]) -> Settlement {
    let violation = |(at, message): &(&'static str, &'static str)| Violation {
        at: Text::from_static(at),
        message: Text::from_static(message),
        rule: None,
    };
    let fault = Fault::rejected("validate.json_schema", "it is wrong").retry_after(Some(Duration::from_millis(2500)));
    Settlement::Refused(Refusal { kind, fault, violations: violations.iter().map(violation).collect() })
}
