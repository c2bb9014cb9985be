//! A protocol whose peers do as they are told: sources that a test feeds, sinks that answer by a script.

use super::world::{Feed, Got, Reply, World, give_again, lock};
use crossdock_connector::{
    Completions, ConnectionConfig, Connector, Credit, Description, Diagnostics, Event, Field, Kind, OnRefused,
    Outgoing, Receipt, Received, Receiver, Sender, Settlement, Settler, Sink, SinkConfig, SinkError, Source,
    SourceConfig, SourceError, StartError, Ticket, Token, async_trait,
};
use crossdock_model::{Fault, FaultClass};
use std::{sync::Arc, time::Instant};

const CONNECTION: &[Field] = &[];
const SOURCE: &[Field] = &[];
const TARGET: &[Field] = &[
    Field::required("connection", Kind::Connection("ask"), "the connection"),
    Field::default("path", Kind::ADDRESS, "\"\"", "the address"),
    Field::default("max_in_flight", Kind::COUNT, "64", "most sends under way"),
];

/// Its sender waits for the answer, and its targets answer by script.
pub static ASK: Description = Description {
    name: "ask",
    about: "a peer in a test",
    connection: Some(CONNECTION),
    source: Some(SOURCE),
    target: Some(TARGET),
    address: &["path"],
    on_refused: OnRefused::Tell,
};

/// Its sender keeps what is not acknowledged.
pub static BROKER: Description = Description {
    name: "broker",
    about: "a peer in a test",
    connection: None,
    source: Some(SOURCE),
    target: None,
    address: &[],
    on_refused: OnRefused::DeadLetter,
};

/// The connector.
pub struct Peer {
    description: &'static Description,
    world: Arc<World>,
}

impl Peer {
    pub fn new(description: &'static Description, world: Arc<World>) -> Self {
        Self { description, world }
    }
}

#[async_trait]
impl Connector for Peer {
    fn description(&self) -> &'static Description {
        self.description
    }

    fn source(&self, config: &SourceConfig) -> Result<Box<dyn Source>, Diagnostics> {
        Ok(Box::new(PeerSource { feed: self.world.feed(&config.route), keeps: self.description.name == "broker" }))
    }

    fn sink(&self, config: &SinkConfig) -> Result<Box<dyn Sink>, Diagnostics> {
        let target = format!("{}/{}", config.route, config.target);
        let slot = config.settings.slot("path").unwrap();
        Ok(Box::new(PeerSink { world: Arc::clone(&self.world), target, slot }))
    }

    fn check(&self, _: &[SourceConfig]) -> Diagnostics {
        Diagnostics::new()
    }

    async fn probe(&self, _: &ConnectionConfig) -> Result<(), Fault> {
        Ok(())
    }

    async fn start(&self) -> Result<(), StartError> {
        Ok(())
    }

    async fn stop(&self, _: Instant) {}
}

struct PeerSource {
    feed: Arc<Feed>,
    keeps: bool,
}

#[async_trait]
impl Source for PeerSource {
    async fn open(&mut self) -> Result<(Box<dyn Receiver>, Box<dyn Settler>), SourceError> {
        // No source is open at once.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        let mut state = lock(&self.feed.state);
        state.session += 1;
        state.broken = None;
        if self.keeps {
            give_again(&mut state);
        } else {
            state.received.clear();
        }
        let session = state.session;
        drop(state);
        let receiver = PeerReceiver { feed: Arc::clone(&self.feed), session };
        Ok((Box::new(receiver), Box::new(PeerSettler { feed: Arc::clone(&self.feed), session })))
    }
}

struct PeerReceiver {
    feed: Arc<Feed>,
    session: u32,
}

impl PeerReceiver {
    fn next_now(&self, credit: Credit) -> Option<Result<Event, SourceError>> {
        let mut state = lock(&self.feed.state);
        state.credit = Some(credit);
        if let Some(error) = state.broken.take() {
            return Some(Err(error));
        }
        if let Some(event) = state.events.pop_front() {
            return Some(Ok(event));
        }
        let count = state.waiting.len().min(credit.messages);
        let numbers: Vec<usize> = state.waiting.drain(..count).collect();
        let scope = state.scope;
        let received: Vec<Received> = numbers
            .into_iter()
            .map(|number| {
                let seq = state.received.len() as u64;
                state.received.push(number);
                let (envelope, claim) = state.messages[number].clone();
                Received { token: Token { session: self.session, scope, seq }, envelope: Arc::new(envelope), claim }
            })
            .collect();
        (!received.is_empty()).then_some(Ok(Event::Messages(received)))
    }
}

#[async_trait]
impl Receiver for PeerReceiver {
    async fn next(&mut self, credit: Credit) -> Result<Event, SourceError> {
        loop {
            if let Some(event) = self.next_now(credit) {
                return event;
            }
            self.feed.rung.notified().await;
        }
    }
}

struct PeerSettler {
    feed: Arc<Feed>,
    session: u32,
}

#[async_trait]
impl Settler for PeerSettler {
    async fn settle(&mut self, batch: Vec<(Token, Settlement)>) -> Result<(), SourceError> {
        let mut state = lock(&self.feed.state);
        for (token, settlement) in batch {
            if token.session == self.session && state.session == self.session {
                let number = state.received[usize::try_from(token.seq).unwrap()];
                let before = state.settled.insert(number, settlement);
                assert!(before.is_none(), "message {number} was settled twice");
            }
        }
        Ok(())
    }

    async fn released(&mut self, scope: u32) {
        lock(&self.feed.state).released.push(scope);
    }

    async fn close(self: Box<Self>, _: Instant) {}
}

struct PeerSink {
    world: Arc<World>,
    target: String,
    slot: crossdock_connector::Slot,
}

#[async_trait]
impl Sink for PeerSink {
    async fn open(&mut self, done: Completions) -> Result<Box<dyn Sender>, Fault> {
        if let Some(fault) = lock(&self.world.unreachable).clone() {
            return Err(fault);
        }
        *lock(&self.world.opened) += 1;
        let (world, target, slot) = (Arc::clone(&self.world), self.target.clone(), self.slot);
        Ok(Box::new(PeerSender { world, target, slot, done, open: Vec::new() }))
    }
}

struct PeerSender {
    world: Arc<World>,
    target: String,
    slot: crossdock_connector::Slot,
    done: Completions,
    open: Vec<Ticket>,
}

impl PeerSender {
    fn reply(&self, outgoing: &Outgoing) -> Reply {
        let mut got = Got {
            target: self.target.clone(),
            path: outgoing.rendered.text(self.slot).to_owned(),
            payload: String::from_utf8_lossy(outgoing.envelope.bytes()).into_owned(),
            key: outgoing.idempotency_key.to_string(),
            attempt: outgoing.attempt,
            at: Instant::now(),
            envelope: Arc::clone(&outgoing.envelope),
            taken: false,
        };
        let reply = lock(&self.world.script).as_mut().map_or(Reply::Taken, |script| script(&got));
        got.taken = matches!(reply, Reply::Taken);
        lock(&self.world.got).push(got);
        reply
    }
}

#[async_trait]
impl Sender for PeerSender {
    async fn submit(&mut self, batch: Vec<Outgoing>) -> Result<(), SinkError> {
        let mut results = Vec::new();
        for outgoing in batch {
            match self.reply(&outgoing) {
                Reply::Taken => results.push((outgoing.ticket, Ok(Receipt::default()))),
                Reply::Fault(fault) => results.push((outgoing.ticket, Err(fault))),
                Reply::Hang => {
                    lock(&self.world.hanging).push((self.done.clone(), outgoing.ticket));
                    self.open.push(outgoing.ticket);
                }
                Reply::Lost => {
                    self.done.post(results);
                    return Err(SinkError(String::from("the peer hung up")));
                }
                Reply::Panic => {
                    self.done.post(results);
                    panic!("scripted");
                }
            }
        }
        self.done.post(results);
        Ok(())
    }

    async fn close(self: Box<Self>, _: Instant) {}
}

/// A fault of a class.
pub fn fault(class: FaultClass, code: &'static str) -> Fault {
    Fault::new(class, code, format!("{code} was scripted"))
}
