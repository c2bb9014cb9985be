//! What the two halves of a sink's session share, and the one place where results are made of what the server says.

use super::{
    flow::Flow,
    window::{Published, Window},
};
use crate::{
    link::Trouble,
    wire::{Method, Told},
};
use crossdock_connector::{Completions, Results};
use crossdock_model::Fault;
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};

/// How long the server may block before what is in flight tells so, if nothing else does.
const BLOCKED_PATIENCE: Duration = Duration::from_secs(1);
/// A second message that finds a target busy pauses its circuit (blame.md): so many have to tell.
const VOICES: usize = 2;

/// A session.
pub struct Shared {
    state: Mutex<State>,
    /// Told after every change that somebody may wait for; one waits at a time.
    pub change: Notify,
    done: Completions,
    /// How long a confirm may take.
    timeout: Duration,
}

/// The state of a session.
#[derive(Default)]
pub struct State {
    /// What is in flight.
    pub window: Window,
    /// Up to this number something was written.
    pub begun: u64,
    /// Whether the server lets publish.
    pub flow: Flow,
    /// Why the session is over.
    pub over: Option<Trouble>,
    /// Who asked whether an exchange is there.
    pub asked: Option<oneshot::Sender<Result<(), Trouble>>>,
    /// The channel for such questions.
    pub asking: Asking,
}

/// The channel on which it is asked whether an exchange is there. The answer that it is not closes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Asking {
    /// Nothing was asked yet.
    #[default]
    Unopened,
    /// It is open.
    Open,
    /// The server closed it, and has not heard that we know.
    Closed,
}

impl Shared {
    pub fn new(done: Completions, timeout: Duration) -> Self {
        Self { state: Mutex::default(), change: Notify::new(), done, timeout }
    }

    /// The state, whatever became of who held it before.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether results are still to come.
    pub fn is_busy(&self) -> bool {
        let state = self.lock();
        state.window.open() > 0 && state.over.is_none()
    }

    /// Notes who asks whether an exchange is there; how the channel for it was, which is open from now on.
    ///
    /// # Errors
    /// The session is over.
    pub fn note_question(&self, asked: oneshot::Sender<Result<(), Trouble>>) -> Result<Asking, Trouble> {
        let mut state = self.lock();
        if let Some(over) = &state.over {
            return Err(over.clone());
        }
        state.asked = Some(asked);
        Ok(std::mem::replace(&mut state.asking, Asking::Open))
    }

    /// Posts results, if there are any.
    pub fn post(&self, results: Results) {
        if !results.is_empty() {
            self.done.post(results);
        }
    }

    /// The session is over: everything in flight has its fault, and everybody hears.
    pub fn end(&self, trouble: Trouble) {
        let mut results = Results::new();
        let mut state = self.lock();
        let begun = state.begun;
        state.window.give_up_all(begun, |published, begun| fault_of(&trouble, published, begun), &mut results);
        state.asked = None;
        state.over.get_or_insert(trouble);
        drop(state);
        self.post(results);
        self.change.notify_one();
    }

    /// Looks at the time: whether a confirm is late, and whether a blocked target is shown as such.
    ///
    /// # Errors
    /// A confirm is late: the session is not to be trusted any more.
    pub fn look(&self, now: Instant) -> Result<(), Trouble> {
        let mut results = Results::new();
        let State { window, flow, .. } = &mut *self.lock();
        match flow {
            Flow::Free { since } => {
                let oldest = window.oldest_at().map(|at| at.max(*since));
                if oldest.is_some_and(|at| now.saturating_duration_since(at) > self.timeout) {
                    let text = format!("no publisher confirm within {:?}", self.timeout);
                    return Err(Trouble::new(crate::link::TroubleKind::Broken, text));
                }
            }
            Flow::Blocked { bars, since, voices } => {
                if *voices < VOICES && now.saturating_duration_since(*since) > BLOCKED_PATIENCE {
                    window.give_up_newest(VOICES - *voices, &bars.fault(), &mut results);
                    *voices += results.len();
                    self.change.notify_one();
                }
            }
        }
        self.post(results);
        Ok(())
    }
}

impl State {
    /// Whether the server lets nothing be published.
    pub const fn is_blocked(&self) -> bool {
        matches!(self.flow, Flow::Blocked { .. })
    }

    /// Since when it lets publish; none while it blocks.
    pub const fn free_since(&self) -> Option<Instant> {
        match self.flow {
            Flow::Free { since } => Some(since),
            Flow::Blocked { .. } => None,
        }
    }

    /// The fault of a message that is not published since the server blocks.
    pub fn blocked(&mut self) -> Option<Fault> {
        match &mut self.flow {
            Flow::Free { .. } => None,
            Flow::Blocked { bars, voices, .. } => {
                *voices += 1;
                Some(bars.fault())
            }
        }
    }

    /// What the server said without a message; of the rest, nothing has a meaning for a publisher.
    pub fn hear(&mut self, method: Method, results: &mut Results) {
        if let Method::Told(told) = method {
            self.told(told, results);
        } else if method == Method::ExchangeDeclareOk {
            self.answer(Ok(()));
        } else if let Method::ChannelClose { code, text } = method {
            self.asking = Asking::Closed;
            self.answer(Err(Trouble::closed("channel", code, &text)));
        }
    }

    fn told(&mut self, told: Told, results: &mut Results) {
        match told {
            Told::Ack { tag, multiple } => self.window.confirmed(tag, multiple, true, results),
            Told::Nack { tag, multiple } => self.window.confirmed(tag, multiple, false, results),
            Told::Blocked(_) | Told::Unblocked | Told::Flow(_) | Told::Cancel => self.flow.hear(&told),
        }
    }

    fn answer(&mut self, answer: Result<(), Trouble>) {
        if let Some(asked) = self.asked.take() {
            // Who asked may have given up.
            drop(asked.send(answer));
        }
    }
}

/// The fault of a message for which no queue is bound.
pub fn unroutable(text: &str, exchange: &str, routing_key: &str) -> Fault {
    let place = if exchange.is_empty() { "the default exchange".into() } else { format!("exchange `{exchange}`") };
    let text = format!("the server returned it ({text}): {place} has no queue for the routing key `{routing_key}`");
    Fault::rejected("amqp.unroutable", text)
}

/// What the end of a session means for a message in flight. The server names one that it finds too large by its size.
fn fault_of(trouble: &Trouble, published: &Published, begun: bool) -> Fault {
    if !begun {
        return trouble.while_waiting();
    }
    if trouble.code == Some(406) && trouble.text.contains(&format!("message size {} ", published.size)) {
        return Fault::rejected("amqp.too_large", &trouble.text);
    }
    trouble.after_sending()
}
