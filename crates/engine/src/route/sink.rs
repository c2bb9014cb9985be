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

    /// Told through the queue of events, behind the results that the session posted before it ended. What was not handed
    /// over goes back: it belongs to no session then.
    fn lost(&mut self, result: Result<(), Loss>) {
        let loss = match result {
            Ok(()) => Loss::Gone(String::from("the sender is gone")),
            Err(loss) => loss,
        };
        self.one_by_one = matches!(loss, Loss::Panicked { .. });
        let unsent = self.take_back().into_iter().map(|outgoing| outgoing.ticket.0).collect();
        drop(self.events.send(RouteEvent::Lost { target: self.target, session: self.session, loss, unsent }));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crossdock_connector::{Rendered, Ticket, async_trait};
    use crossdock_model::{Envelope, MessageId, Timestamp};
    use std::{
        sync::{Arc, Mutex},
        task::Waker,
    };
    use tokio::sync::{Notify, mpsc::unbounded_channel};

    /// Takes nothing before it is told; its first session ends with its first batch.
    #[derive(Clone, Default)]
    struct Peer {
        go: Arc<Notify>,
        /// The batches that each session was given.
        given: Arc<Mutex<Vec<Vec<u64>>>>,
    }

    #[async_trait]
    impl Sink for Peer {
        async fn open(&mut self, _: Completions) -> Result<Box<dyn Sender>, Fault> {
            Ok(Box::new(self.clone()))
        }
    }

    #[async_trait]
    impl Sender for Peer {
        async fn submit(&mut self, batch: Vec<Outgoing>) -> Result<(), SinkError> {
            self.go.notified().await;
            let mut given = self.given.lock().unwrap();
            given.push(batch.iter().map(|outgoing| outgoing.ticket.0).collect());
            if given.len() == 1 { Err(SinkError(String::from("the peer hung up"))) } else { Ok(()) }
        }

        async fn close(self: Box<Self>, _: std::time::Instant) {}
    }

    fn outgoing(offset: u64) -> Outgoing {
        let envelope = Arc::new(Envelope::new(MessageId::from_bytes([0; 16]), Timestamp(0), "{}".to_owned()));
        let (rendered, idempotency_key) = (Rendered::default(), Text::from_static("k"));
        Outgoing { ticket: Ticket(offset), envelope, rendered, idempotency_key, attempt: 1 }
    }

    #[test]
    fn what_was_not_handed_over_when_a_session_ends_goes_back_and_is_not_sent() {
        let (events, mut posted) = unbounded_channel();
        let peer = Peer::default();
        let mut sink = SinkWay::new(0, Box::new(peer.clone()), events);
        let mut context = Context::from_waker(Waker::noop());
        sink.push(outgoing(1));
        assert!(sink.poll(&mut context).is_pending());
        assert_eq!(sink.session(), 1);
        sink.push(outgoing(2));
        peer.go.notify_one();
        assert!(sink.poll(&mut context).is_pending());
        let Ok(RouteEvent::Lost { session: 1, unsent, .. }) = posted.try_recv() else { panic!("no loss is told") };
        assert_eq!(unsent, [2], "it is as before its start");
        assert_eq!(sink.session(), 2, "what is pushed now is of the next one");
        sink.push(outgoing(2));
        peer.go.notify_one();
        assert!(sink.poll(&mut context).is_pending());
        assert_eq!(*peer.given.lock().unwrap(), [[1], [2]]);
        assert!(posted.try_recv().is_err());
    }
}
