//! Plays the engine: a process with a source or a sink, sessions that are opened again, results that are gathered.

use super::{Message, Peer, QUIET, SOON, sections};
use crate::{Proxy, lock};
use crossdock_connector::{
    Completions, Connector, Credit, Event, Outgoing, Receipt, Received, Receiver, Sender, Settlement, Settler, Sink,
    Source, SourceError, Ticket, Token,
};
use crossdock_model::{Envelope, Fault, MessageId, Text, Timestamp, Value};
use serde_json::Value as Section;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::time::timeout;

/// What a gateway may take at once.
pub(super) const CREDIT: Credit = Credit { messages: 100, bytes: 16 << 20 };

/// A peer, the proxy before its server, and the folder of a gateway.
pub(super) struct Site<P> {
    pub peer: P,
    pub proxy: Option<Proxy>,
    folder: TempDir,
}

impl<P: Peer> Site<P> {
    pub async fn new() -> Self {
        Self::around(P::new().await)
    }

    pub fn around(peer: P) -> Self {
        let proxy = peer.server().map(|server| peer.proxy(&server));
        let folder = tempfile::Builder::new().prefix("crossdock-suite-").tempdir().expect("a temporary folder");
        Self { peer, proxy, folder }
    }

    /// The proxy before the server. A check that breaks connections is for connectors that have a server.
    pub fn proxy(&self) -> &Proxy {
        self.proxy.as_ref().expect("a connector with a server")
    }

    pub fn proxy_mut(&mut self) -> &mut Proxy {
        self.proxy.as_mut().expect("a connector with a server")
    }

    /// The section of the connection, through the proxy.
    pub fn connection(&self) -> Option<Section> {
        self.peer.connection(&self.address())
    }

    pub fn address(&self) -> String {
        self.proxy.as_ref().map(Proxy::address).unwrap_or_default()
    }

    fn connector(&self) -> Arc<dyn Connector> {
        self.peer.connector(&sections::gateway(&self.peer, self.folder.path()))
    }

    /// A process with a source, started.
    pub async fn source(&self) -> Sourcing {
        self.source_of(self.connection(), &self.peer.source()).await
    }

    pub async fn source_of(&self, connection: Option<Section>, section: &Section) -> Sourcing {
        let connector = self.connector();
        let config = sections::source(&connector, connection, section, self.folder.path());
        let source = connector.source(&config).unwrap_or_else(|found| panic!("{found:?}"));
        connector.start().await.expect("what the sources share");
        Sourcing { connector, source, session: None }
    }

    /// A process with a sink.
    pub fn sink(&self) -> Sinking {
        self.sink_of(self.connection(), &self.peer.target())
    }

    pub fn sink_of(&self, connection: Option<Section>, section: &Section) -> Sinking {
        let connector = self.connector();
        let config = sections::sink(&connector, connection, section, self.folder.path());
        let sink = connector.sink(&config).unwrap_or_else(|found| panic!("{found:?}"));
        let rendered = sections::rendered(&config.settings);
        Sinking { sink, rendered, results: Arc::default(), tickets: 0, _connector: connector }
    }

    /// Takes at the other end until so many have come.
    pub async fn take(&mut self, count: usize) -> Vec<Message> {
        let (start, mut taken) = (Instant::now(), Vec::new());
        while taken.len() < count {
            assert!(start.elapsed() < SOON, "{count} messages were sent, only {} arrived", taken.len());
            let more = self.peer.take().await;
            if more.is_empty() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            taken.extend(more);
        }
        taken
    }
}

/// A process with a source.
pub(super) struct Sourcing {
    connector: Arc<dyn Connector>,
    source: Box<dyn Source>,
    session: Option<(Box<dyn Receiver>, Box<dyn Settler>)>,
}

impl Sourcing {
    /// Opens, if no session is open.
    pub async fn open(&mut self) -> Result<(), SourceError> {
        if self.session.is_none() {
            let opened = timeout(SOON, self.source.open()).await.expect("opening hangs");
            self.session = Some(opened?);
        }
        Ok(())
    }

    /// Opens as often as it takes, as the engine does.
    pub async fn reopen(&mut self) {
        let start = Instant::now();
        while let Err(error) = self.open().await {
            assert!(start.elapsed() < SOON, "it does not open again: {error}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Drops the session, without goodbye.
    pub fn drop_session(&mut self) {
        self.session = None;
    }

    /// What is next, or none if nothing comes for a while; an error ends the session.
    pub async fn next(&mut self, credit: Credit, quiet: Duration) -> Result<Option<Vec<Received>>, SourceError> {
        loop {
            let (receiver, settler) = self.session.as_mut().expect("an open session");
            let Ok(event) = timeout(quiet, receiver.next(credit)).await else { return Ok(None) };
            match event {
                Err(error) => {
                    self.session = None;
                    return Err(error);
                }
                Ok(Event::Messages(messages)) => {
                    assert!(
                        (1..=credit.messages).contains(&messages.len()),
                        "{} messages of one credit",
                        messages.len()
                    );
                    return Ok(Some(messages));
                }
                Ok(Event::Revoking { scope, .. }) => settler.released(scope).await,
                Ok(Event::Blocked(_) | Event::Unblocked) => {}
                Ok(Event::Refused(refused)) => panic!("{refused:?} can be messages"),
                Ok(Event::End) => return Ok(None),
            }
        }
    }

    /// Receives and settles as `verdict` says until so many have come, over as many sessions as it takes. What has no verdict
    /// stays open.
    pub async fn receive(&mut self, count: usize, verdict: impl Fn(usize) -> Option<Settlement>) -> Vec<Received> {
        let (start, mut all) = (Instant::now(), Vec::new());
        while all.len() < count {
            assert!(start.elapsed() < SOON, "{count} messages were put, only {} came", all.len());
            self.reopen().await;
            let Ok(Some(messages)) = self.next(CREDIT, QUIET).await else { continue };
            let at = all.len();
            let settled = messages.iter().enumerate();
            let settled = settled.filter_map(|(i, message)| Some((message.token, verdict(at + i)?))).collect();
            all.extend(messages);
            self.settle(settled).await;
        }
        all
    }

    /// All that comes until nothing comes any more, unsettled.
    pub async fn drain(&mut self, quiet: Duration) -> Vec<Received> {
        let mut all = Vec::new();
        while let Ok(Some(messages)) = self.next(CREDIT, quiet).await {
            all.extend(messages);
        }
        all
    }

    /// Settles. A session that broke meanwhile is as good: what is not settled comes again.
    pub async fn settle(&mut self, batch: Vec<(Token, Settlement)>) {
        let Some((_, settler)) = self.session.as_mut().filter(|_| !batch.is_empty()) else { return };
        let settled = timeout(SOON, settler.settle(batch)).await.expect("settling hangs");
        if settled.is_err() {
            self.session = None;
        }
    }

    /// Settles all as stored.
    pub async fn store(&mut self, messages: &[Received]) {
        self.settle(messages.iter().map(|message| (message.token, stored(message))).collect()).await;
    }

    /// Says goodbye and ends the process.
    pub async fn close(mut self) {
        let by = Instant::now() + Duration::from_secs(10);
        if let Some((receiver, settler)) = self.session.take() {
            drop(receiver);
            timeout(SOON, settler.close(by)).await.expect("closing hangs");
        }
        self.end(by).await;
    }

    /// Ends the process without a goodbye.
    pub async fn kill(mut self) {
        self.session = None;
        self.end(Instant::now() + Duration::from_secs(1)).await;
    }

    async fn end(self, by: Instant) {
        let Self { connector, source, .. } = self;
        drop(source);
        timeout(SOON, connector.stop(by)).await.expect("stopping hangs");
        timeout(SOON, connector.close()).await.expect("closing hangs");
    }
}

/// What the engine says of a message when it is stored.
pub(super) fn stored(message: &Received) -> Settlement {
    Settlement::Stored { id: message.envelope.id, duplicate: false }
}

/// A message as the check put it.
pub(super) fn seen(envelope: &Envelope) -> Message {
    let of = &envelope.properties;
    let text = |text: &Option<Text>| text.as_ref().map(ToString::to_string);
    let bytes = |bytes: &Option<bytes::Bytes>| bytes.as_ref().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let headers = envelope.headers.iter().filter_map(|header| {
        let value = header.value.to_text()?.to_string();
        Some((header.name.to_string(), value))
    });
    Message {
        payload: envelope.bytes().to_vec(),
        content_type: text(&of.content_type),
        correlation_id: bytes(&of.correlation_id),
        reply_to: text(&of.reply_to),
        priority: of.priority,
        key: bytes(&of.key),
        headers: headers.collect(),
    }
}

/// A process with a sink.
pub(super) struct Sinking {
    sink: Box<dyn Sink>,
    rendered: crossdock_connector::Rendered,
    results: Arc<Mutex<Posted>>,
    tickets: u64,
    _connector: Arc<dyn Connector>,
}

/// What was posted.
#[derive(Default)]
struct Posted {
    results: BTreeMap<u64, Result<Receipt, Fault>>,
    /// Tickets that had a second result.
    twice: Vec<u64>,
}

impl Sinking {
    pub async fn open(&mut self) -> Result<Box<dyn Sender>, Fault> {
        let results = Arc::clone(&self.results);
        let done = Completions::new(move |batch| {
            let mut posted = lock(&results);
            for (Ticket(ticket), result) in batch {
                if posted.results.insert(ticket, result).is_some() {
                    posted.twice.push(ticket);
                }
            }
        });
        timeout(SOON, self.sink.open(done)).await.expect("opening hangs")
    }

    /// Opens as often as it takes, as the engine does.
    pub async fn reopen(&mut self) -> Box<dyn Sender> {
        let start = Instant::now();
        loop {
            match self.open().await {
                Ok(sender) => return sender,
                Err(fault) => assert!(start.elapsed() < SOON, "it does not open again: {fault}"),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The messages as they would be sent, and the tickets they got.
    pub fn outgoing(&mut self, messages: &[Message]) -> (Vec<Outgoing>, Vec<u64>) {
        static IDS: AtomicU64 = AtomicU64::new(1);
        let made = messages.iter().map(|message| {
            self.tickets += 1;
            let id = u128::from(IDS.fetch_add(1, Ordering::Relaxed));
            let envelope = envelope(message, MessageId::from_bytes(id.to_be_bytes()));
            let idempotency_key = Text::from(envelope.id.to_string());
            let (ticket, rendered) = (Ticket(self.tickets), self.rendered.clone());
            let outgoing = Outgoing { ticket, envelope: Arc::new(envelope), rendered, idempotency_key, attempt: 1 };
            (outgoing, self.tickets)
        });
        made.unzip()
    }

    /// Submits in batches of a hundred. Whether the session still stands.
    pub async fn submit(&mut self, sender: &mut Box<dyn Sender>, messages: &[Message]) -> (Vec<u64>, bool) {
        let (outgoing, tickets) = self.outgoing(messages);
        let mut outgoing = VecDeque::from(outgoing);
        while !outgoing.is_empty() {
            let batch = outgoing.drain(..outgoing.len().min(100)).collect();
            if timeout(SOON, sender.submit(batch)).await.expect("submitting hangs").is_err() {
                return (tickets, false);
            }
        }
        (tickets, true)
    }

    /// The results of tickets, once each has one.
    pub async fn results(&self, tickets: &[u64]) -> Vec<Result<Receipt, Fault>> {
        let start = Instant::now();
        loop {
            {
                let posted = lock(&self.results);
                assert!(posted.twice.is_empty(), "more than one result for {:?}", posted.twice);
                let found: Vec<_> = tickets.iter().filter_map(|ticket| posted.results.get(ticket).cloned()).collect();
                if found.len() == tickets.len() {
                    return found;
                }
                assert!(start.elapsed() < SOON, "{} of {} results came", found.len(), tickets.len());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// How many of the tickets are reported as delivered.
    pub fn delivered_count(&self, tickets: &[u64]) -> usize {
        let posted = lock(&self.results);
        tickets.iter().filter(|ticket| posted.results.get(ticket).is_some_and(Result::is_ok)).count()
    }

    /// How many of the tickets have a result.
    pub fn result_count(&self, tickets: &[u64]) -> usize {
        let posted = lock(&self.results);
        tickets.iter().filter(|ticket| posted.results.contains_key(ticket)).count()
    }
}

fn envelope(message: &Message, id: MessageId) -> Envelope {
    let mut envelope = Envelope::new(id, Timestamp(1_790_000_000_000), message.payload.clone());
    let text = |text: &Option<String>| text.clone().map(Text::from);
    let of = &mut envelope.properties;
    of.content_type = text(&message.content_type);
    of.correlation_id = message.correlation_id.clone().map(Into::into);
    of.reply_to = text(&message.reply_to);
    of.priority = message.priority;
    of.key = message.key.clone().map(Into::into);
    for (name, value) in &message.headers {
        envelope.headers.push(Text::from(name.as_str()), Value::Text(Text::from(value.as_str())));
    }
    envelope
}
