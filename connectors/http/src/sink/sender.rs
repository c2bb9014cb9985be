//! Sending: a task for each message in flight, results gathered.

use super::{client::Client, fault, request::Target};
use async_trait::async_trait;
use crossdock_connector::{Completions, Outgoing, Receipt, Results, Sender, SinkError, Ticket};
use crossdock_model::{Answer, Fault, FaultClass};
use std::{
    collections::VecDeque,
    mem,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};
use tokio::{
    task::{JoinSet, yield_now},
    time::timeout_at,
};

/// A target's sender. At most `max_in_flight` messages are under way; each is a task, so none holds up another.
pub(super) struct HttpSender {
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
}

struct Shared {
    target: Arc<Target>,
    client: Arc<Client>,
    outbox: Outbox,
}

/// Results that wait to be posted together.
struct Outbox {
    results: Mutex<Results>,
    done: Completions,
}

/// A message that was taken. If its task ends without a word (it panicked, or was cut at the end), its result is posted
/// all the same.
struct Taken {
    shared: Arc<Shared>,
    ticket: Option<Ticket>,
}

/// The messages of a batch that are not taken yet; if submitting is given up, each is told that it was not sent.
struct Waiting {
    shared: Arc<Shared>,
    messages: VecDeque<Outgoing>,
}

impl HttpSender {
    pub(super) fn new(target: Arc<Target>, client: Arc<Client>, done: Completions) -> Self {
        let outbox = Outbox { results: Mutex::default(), done };
        Self { shared: Arc::new(Shared { target, client, outbox }), tasks: JoinSet::new() }
    }

    /// Waits until there is room for one more; finished tasks are forgotten. That one panicked its result says.
    async fn room(&mut self) {
        while self.tasks.try_join_next().is_some() {}
        while self.tasks.len() >= self.shared.target.in_flight_max {
            self.tasks.join_next().await;
        }
    }
}

#[async_trait]
impl Sender for HttpSender {
    async fn submit(&mut self, batch: Vec<Outgoing>) -> Result<(), SinkError> {
        let mut waiting = Waiting { shared: Arc::clone(&self.shared), messages: batch.into() };
        while !waiting.messages.is_empty() {
            self.room().await;
            if let Some(message) = waiting.messages.pop_front() {
                let taken = Taken { shared: Arc::clone(&self.shared), ticket: Some(message.ticket) };
                self.tasks.spawn(taken.send(message));
            }
        }
        Ok(())
    }

    async fn close(mut self: Box<Self>, by: Instant) {
        let all = async { while self.tasks.join_next().await.is_some() {} };
        // What is left then is cut, and its drop says so.
        let _ = timeout_at(by.into(), all).await;
        self.tasks.shutdown().await;
        self.shared.outbox.post();
    }
}

impl Taken {
    async fn send(mut self, message: Outgoing) {
        let result = deliver(&self.shared, &message).await;
        let outbox = &self.shared.outbox;
        if self.ticket.take().is_some_and(|ticket| outbox.put(ticket, result)) {
            // Others that are ready now go along.
            yield_now().await;
            outbox.post();
        }
    }
}

/// Sends a message and hears what became of it.
async fn deliver(Shared { target, client, .. }: &Shared, message: &Outgoing) -> Result<Receipt, Fault> {
    let (request, lost) = target.request(message, client)?;
    let answer = client.exchange(request, message.attempt > 1, target.timeout(client)).await;
    let answer = answer.map_err(fault::of_trouble)?;
    fault::verdict(&answer, target.meaning(answer.status))?;
    Ok(Receipt { lost })
}

impl Outbox {
    /// Adds a result; whether it is the first, whose task is to post them.
    fn put(&self, ticket: Ticket, result: Result<Receipt, Fault>) -> bool {
        let mut results = self.results.lock().unwrap_or_else(PoisonError::into_inner);
        results.push((ticket, result));
        results.len() == 1
    }

    fn post(&self) {
        let results = mem::take(&mut *self.results.lock().unwrap_or_else(PoisonError::into_inner));
        if !results.is_empty() {
            self.done.post(results);
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket.take() else { return };
        let fault = if std::thread::panicking() {
            Fault::rejected("internal.panic", "the connector panicked over this message: please report it")
        } else {
            Fault::new(FaultClass::Failed, "http.interrupted", "the gateway ended before the service had answered")
        };
        self.shared.outbox.put(ticket, Err(fault.answered_by(Answer::Nobody)));
        self.shared.outbox.post();
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let not_sent = || {
            let fault = Fault::new(FaultClass::Unreachable, "http.interrupted", "the gateway ended before it was sent");
            fault.answered_by(Answer::Nobody)
        };
        for message in self.messages.drain(..) {
            self.shared.outbox.put(message.ticket, Err(not_sent()));
        }
        self.shared.outbox.post();
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.post();
    }
}
