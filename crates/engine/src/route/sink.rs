//! A sink's sessions: opened when there is something to send, dropped when lost. One call at a time is under way; the
//! route's task polls it beside everything else, so that a target that pushes back holds up nobody.

use super::event::{Loss, RouteEvent};
use crate::tasks::caught;
use crossdock_connector::{Completions, Outgoing, Sender, Sink, SinkError};
use crossdock_model::{Fault, Text};
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::{
    sync::mpsc::UnboundedSender,
    time::{Instant, timeout_at},
};

type Opening = Pin<Box<dyn Future<Output = (Box<dyn Sink>, Result<Box<dyn Sender>, Fault>)> + Send>>;
type Sent = (Option<Box<dyn Sender>>, Result<(), Loss>);
type Sending = Pin<Box<dyn Future<Output = Sent> + Send>>;

/// A connector target's way out.
pub(crate) struct SinkWay {
    target: usize,
    events: UnboundedSender<RouteEvent>,
    state: State,
    /// Started, and not handed over yet.
    queue: Vec<Outgoing>,
    session: u64,
    /// After a panic messages are handed over one by one, until it is known over which of them it happens.
    one_by_one: bool,
}

enum State {
    Closed(Box<dyn Sink>),
    Opening(Opening),
    Open(Box<dyn Sink>, Box<dyn Sender>),
    Sending(Box<dyn Sink>, Sending),
    /// Only while it changes, and after [`SinkWay::close`].
    Gone,
}

impl SinkWay {
    /// A sink without a session.
    pub fn new(target: usize, sink: Box<dyn Sink>, events: UnboundedSender<RouteEvent>) -> Self {
        let (queue, state) = (Vec::new(), State::Closed(sink));
        Self { target, events, state, queue, session: 0, one_by_one: false }
    }

    /// The session in which what is pushed now is sent.
    pub const fn session(&self) -> u64 {
        match self.state {
            // The one that is about to be opened.
            State::Closed(_) | State::Gone => self.session + 1,
            State::Opening(_) | State::Open(..) | State::Sending(..) => self.session,
        }
    }

    /// Adds a message to what is sent next.
    pub fn push(&mut self, outgoing: Outgoing) {
        self.queue.push(outgoing);
    }

    /// Takes back what was not handed over.
    pub fn take_back(&mut self) -> Vec<Outgoing> {
        std::mem::take(&mut self.queue)
    }

    /// Goes on as far as it can without waiting. Ready with the fault if a session could not be opened: what was to be
    /// sent in it is then in [`Self::take_back`].
    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<Fault> {
        loop {
            match std::mem::replace(&mut self.state, State::Gone) {
                State::Closed(sink) if self.queue.is_empty() => return self.rest(State::Closed(sink)),
                State::Closed(sink) => self.state = State::Opening(self.open(sink)),
                State::Opening(mut opening) => match opening.as_mut().poll(context) {
                    Poll::Pending => return self.rest(State::Opening(opening)),
                    Poll::Ready((sink, Ok(sender))) => self.state = State::Open(sink, sender),
                    Poll::Ready((sink, Err(fault))) => {
                        self.state = State::Closed(sink);
                        return Poll::Ready(fault);
                    }
                },
                State::Open(sink, sender) if self.queue.is_empty() => return self.rest(State::Open(sink, sender)),
                State::Open(sink, sender) => {
                    let batch = self.batch();
                    self.state = State::Sending(sink, send(sender, batch));
                }
                State::Sending(sink, mut sending) => match sending.as_mut().poll(context) {
                    Poll::Pending => return self.rest(State::Sending(sink, sending)),
                    Poll::Ready((Some(sender), Ok(()))) => self.state = State::Open(sink, sender),
                    Poll::Ready((_, result)) => {
                        self.lost(result);
                        self.state = State::Closed(sink);
                    }
                },
                State::Gone => return Poll::Pending,
            }
        }
    }

    fn rest(&mut self, state: State) -> Poll<Fault> {
        self.state = state;
        Poll::Pending
    }

    fn open(&mut self, mut sink: Box<dyn Sink>) -> Opening {
        self.session += 1;
        let (target, session, events) = (self.target, self.session, self.events.clone());
        let done = Completions::new(move |results| drop(events.send(RouteEvent::Results { target, session, results })));
        Box::pin(async move {
            let opened = caught(sink.open(done)).await;
            let opened = opened.unwrap_or_else(|panic| {
                let text = format!("the connector panicked while it connected ({panic}): report this");
                Err(Fault::new(crossdock_model::FaultClass::Unreachable, "internal.panic", text))
            });
            (sink, opened)
        })
    }

    fn batch(&mut self) -> Vec<Outgoing> {
        if self.one_by_one && self.queue.len() > 1 {
            return self.queue.drain(..1).collect();
        }
        std::mem::take(&mut self.queue)
    }

    /// Told through the queue of events, behind the results that the session posted before it ended.
    fn lost(&mut self, result: Result<(), Loss>) {
        let loss = match result {
            Ok(()) => Loss::Gone(String::from("the sender is gone")),
            Err(loss) => loss,
        };
        self.one_by_one = matches!(loss, Loss::Panicked { .. });
        drop(self.events.send(RouteEvent::Lost { target: self.target, session: self.session, loss }));
    }

    /// Ends the session: the connector has until `by` for what it took.
    pub async fn close(&mut self, by: Instant) {
        let sender = match std::mem::replace(&mut self.state, State::Gone) {
            State::Open(_, sender) => Some(sender),
            State::Sending(_, sending) => timeout_at(by, sending).await.ok().and_then(|(sender, _)| sender),
            State::Closed(_) | State::Opening(_) | State::Gone => None,
        };
        if let Some(sender) = sender {
            drop(timeout_at(by, caught(sender.close(by.into_std()))).await);
        }
    }
}

fn send(mut sender: Box<dyn Sender>, batch: Vec<Outgoing>) -> Sending {
    Box::pin(async move {
        let offsets: Vec<u64> = batch.iter().map(|outgoing| outgoing.ticket.0).collect();
        match caught(sender.submit(batch)).await {
            Ok(Ok(())) => (Some(sender), Ok(())),
            Ok(Err(SinkError(text))) => (None, Err(Loss::Gone(text))),
            Err(panic) => (None, Err(Loss::Panicked { panic: Text::from(&*panic), batch: offsets })),
        }
    })
}
