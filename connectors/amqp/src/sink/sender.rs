//! The sending half of a sink's session: a batch becomes frames, and frames a few writes.

use super::{
    Target,
    listener::listen,
    shared::{Asking, Shared, State},
    window::Published,
};
use crate::{
    link::{Link, Trouble, TroubleKind, Writer},
    wire::send,
};
use async_trait::async_trait;
use bytes::BytesMut;
use crossdock_connector::{Completions, Outgoing, Results, Sender, SinkError};
use crossdock_model::{Fault, Text, Timestamp};
use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::{sync::oneshot, task::JoinHandle, time::timeout_at};

/// Bytes after which frames are written.
const WRITE_BYTES: usize = 64 << 10;
/// The channel on which it is asked whether an exchange is there: the answer may close it.
const ASKING: u16 = 2;
/// Exchanges that are known to be there; beyond it they are asked for again.
const KNOWN_MAX: usize = 1024;

/// The sending half.
pub struct AmqpSender {
    target: Arc<Target>,
    pub(super) shared: Arc<Shared>,
    writer: Writer,
    listening: JoinHandle<()>,
    known: HashSet<Text>,
    timeout: Duration,
}

/// Messages of a batch that have no result and are not in flight; if submitting is given up, each is told so.
struct Waiting {
    shared: Arc<Shared>,
    messages: VecDeque<Outgoing>,
}

/// What is to be done before the next message can be published.
enum Obstacle {
    /// There is no room, or another of its id is in flight.
    Wait,
    /// Nobody knows whether its exchange is there.
    Ask,
}

impl AmqpSender {
    pub fn new(link: Link, target: Arc<Target>, done: Completions) -> Self {
        let Link { reader, writer, timeout } = link;
        let shared = Arc::new(Shared::new(done, timeout));
        let listening = tokio::spawn(listen(reader, writer.clone(), Arc::clone(&shared)));
        Self { target, shared, writer, listening, known: HashSet::new(), timeout }
    }

    /// Publishes what is waiting, until an obstacle or as much as is written at once; what is between.
    fn publish(&self, waiting: &mut Waiting, out: &mut BytesMut) -> Result<Option<Obstacle>, Trouble> {
        let (now, at, frame_bytes_max) = (now(), tokio::time::Instant::now(), self.writer.frame_bytes_max());
        let mut results = Results::new();
        let mut state = self.shared.lock();
        if let Some(over) = &state.over {
            return Err(over.clone());
        }
        let mut obstacle = None;
        while let Some(message) = waiting.messages.front() {
            let taken = match state.blocked() {
                Some(fault) => Err(fault),
                None => {
                    obstacle = self.obstacle(&state, message);
                    if obstacle.is_some() || out.len() >= WRITE_BYTES {
                        break;
                    }
                    self.target.write(out, message, frame_bytes_max, now)
                }
            };
            let Some(message) = waiting.messages.pop_front() else { break };
            match taken {
                Ok(lost) => {
                    let size = message.envelope.bytes().len() as u64;
                    state.window.publish(Published {
                        ticket: message.ticket,
                        id: message.idempotency_key,
                        lost,
                        size,
                        at,
                    });
                }
                Err(fault) => results.push((message.ticket, Err(fault))),
            }
        }
        // Whoever ends the session from here on finds them begun, which they are before anything else is done.
        state.begun = state.window.last();
        drop(state);
        self.shared.post(results);
        Ok(obstacle)
    }

    fn obstacle(&self, state: &State, message: &Outgoing) -> Option<Obstacle> {
        if state.window.open() >= self.target.in_flight_max || state.window.holds(&message.idempotency_key) {
            return Some(Obstacle::Wait);
        }
        let exchange = self.target.exchange(message);
        let is_known = !self.target.picks_exchange() || exchange.is_empty() || self.known.contains(exchange);
        // One that is too long is said so when it is written.
        (!is_known && exchange.len() <= crate::wire::SHORT_BYTES_MAX).then_some(Obstacle::Ask)
    }

    /// Writes; while the server blocks and takes nothing, the rest waits in the writer and what follows is not published.
    async fn write(&self, out: BytesMut) -> Result<(), Trouble> {
        let mut out = Some(out);
        loop {
            tokio::select! {
                biased;
                sent = self.writer.send(out.take().unwrap_or_default()) => return sent,
                () = self.shared.change.notified() => {}
            }
            let state = self.shared.lock();
            if let Some(over) = &state.over {
                return Err(over.clone());
            }
            if state.is_blocked() {
                return Ok(());
            }
        }
    }

    /// Asks whether the exchange of the first waiting message is there; if it is not, the message has its fault.
    async fn ask(&mut self, waiting: &mut Waiting) -> Result<(), Trouble> {
        let Some(message) = waiting.messages.front() else { return Ok(()) };
        let exchange = Text::from(self.target.exchange(message));
        let (asked, answer) = oneshot::channel();
        let mut out = BytesMut::new();
        match self.shared.note_question(asked)? {
            Asking::Unopened => send::channel_open(&mut out, ASKING),
            Asking::Open => {}
            Asking::Closed => {
                send::channel_close_ok(&mut out, ASKING);
                send::channel_open(&mut out, ASKING);
            }
        }
        send::exchange_exists(&mut out, ASKING, exchange.as_bytes());
        let asking = async {
            self.writer.send(out).await?;
            answer.await.map_err(|_| self.over())
        };
        match self.unless_late(asking).await?? {
            Ok(()) => {
                if self.known.len() >= KNOWN_MAX {
                    self.known.clear();
                }
                self.known.insert(exchange);
            }
            Err(refused) => {
                if let Some(message) = waiting.messages.pop_front() {
                    self.shared.post(vec![(message.ticket, Err(no_exchange(&exchange, &refused)))]);
                }
            }
        }
        Ok(())
    }

    /// Waits for an answer of the server; nothing is late while it blocks.
    async fn unless_late<T>(&self, asking: impl Future<Output = T>) -> Result<T, Trouble> {
        let (mut asking, since) = (std::pin::pin!(asking), tokio::time::Instant::now());
        loop {
            let now = tokio::time::Instant::now();
            let by = self.shared.lock().free_since().map_or(now, |free| free.max(since)) + self.timeout;
            if by <= now {
                let text = format!("the server did not answer within {:?}", self.timeout);
                return Err(Trouble::new(TroubleKind::Broken, text));
            }
            if let Ok(answer) = timeout_at(by, &mut asking).await {
                return Ok(answer);
            }
        }
    }

    fn over(&self) -> Trouble {
        let over = self.shared.lock().over.clone();
        over.unwrap_or_else(|| Trouble::new(TroubleKind::Broken, "the session is over"))
    }

    async fn submit_all(&mut self, waiting: &mut Waiting) -> Result<(), Trouble> {
        while !waiting.messages.is_empty() {
            let mut out = BytesMut::with_capacity(WRITE_BYTES);
            let obstacle = self.publish(waiting, &mut out)?;
            if !out.is_empty() {
                self.write(out).await?;
                // It hears of changes as well: what was in the way before may be gone without another one.
                continue;
            }
            match obstacle {
                None => {}
                Some(Obstacle::Wait) => self.shared.change.notified().await,
                Some(Obstacle::Ask) => self.ask(waiting).await?,
            }
        }
        Ok(())
    }
}

/// A message that names an exchange that is not there is wrong; if the server refuses for another reason, it may not be.
fn no_exchange(exchange: &str, refused: &Trouble) -> Fault {
    if refused.kind == TroubleKind::Missing {
        let text = format!("there is no exchange `{exchange}` on the server: declare it, or mend what picks it");
        return Fault::rejected("amqp.no_exchange", text);
    }
    refused.after_sending()
}

#[async_trait]
impl Sender for AmqpSender {
    async fn submit(&mut self, batch: Vec<Outgoing>) -> Result<(), SinkError> {
        let mut waiting = Waiting { shared: Arc::clone(&self.shared), messages: batch.into() };
        let outcome = self.submit_all(&mut waiting).await;
        outcome.map_err(|trouble| {
            // What is in flight has its result before the engine hears of the end.
            self.shared.end(trouble.clone());
            waiting.give_up(&trouble);
            SinkError(trouble.text)
        })
    }

    async fn close(mut self: Box<Self>, by: Instant) {
        let by = by.into();
        let confirmed = async {
            while self.shared.is_busy() {
                self.shared.change.notified().await;
            }
        };
        drop(timeout_at(by, confirmed).await);
        let mut out = BytesMut::new();
        send::close(&mut out);
        let goodbye = async {
            if self.writer.send(out).await.is_ok() {
                // It ends when the server has heard.
                drop((&mut self.listening).await);
            }
        };
        drop(timeout_at(by.min(tokio::time::Instant::now() + Duration::from_secs(5)), goodbye).await);
    }
}

impl Drop for AmqpSender {
    fn drop(&mut self) {
        self.listening.abort();
        self.shared.end(Trouble::new(TroubleKind::Broken, "the gateway ended before the server had confirmed it"));
    }
}

impl Waiting {
    fn give_up(&mut self, trouble: &Trouble) {
        let fault = trouble.while_waiting();
        self.shared.post(self.messages.drain(..).map(|message| (message.ticket, Err(fault.clone()))).collect());
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if !self.messages.is_empty() {
            self.give_up(&Trouble::new(TroubleKind::Unreached, "the gateway ended before it was sent"));
        }
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
