//! What the peers of a test are told to do, and what they were given.

use crossdock_connector::{
    Claim, Completions, Credit, Event, Receipt, Settlement, SourceError, SourceErrorKind, Ticket,
};
use crossdock_model::{Envelope, Fault, FaultClass};
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
    time::Instant,
};
use tokio::sync::Notify;

/// What a sink does with a message.
pub enum Reply {
    Taken,
    Fault(Fault),
    /// No answer until the test gives one.
    Hang,
    /// The session ends.
    Lost,
    Panic,
}

/// What a sink was given.
#[derive(Clone, Debug)]
pub struct Got {
    pub target: String,
    pub path: String,
    pub payload: String,
    pub key: String,
    pub attempt: u32,
    pub at: Instant,
    pub envelope: Arc<Envelope>,
    pub taken: bool,
}

type Script = Box<dyn FnMut(&Got) -> Reply + Send>;

/// All peers of a test.
#[derive(Default)]
pub struct World {
    pub(super) feeds: Mutex<BTreeMap<String, Arc<Feed>>>,
    pub(super) got: Mutex<Vec<Got>>,
    pub(super) script: Mutex<Option<Script>>,
    pub(super) hanging: Mutex<Vec<(Completions, Ticket)>>,
    /// Why sinks cannot be opened.
    pub(super) unreachable: Mutex<Option<Fault>>,
    /// Sinks opened so far.
    pub opened: Mutex<usize>,
}

/// A route's messages on their way in.
#[derive(Default)]
pub(super) struct Feed {
    pub(super) state: Mutex<FeedState>,
    pub(super) rung: Notify,
}

#[derive(Default)]
pub(super) struct FeedState {
    pub(super) session: u32,
    /// Numbers of messages to be received.
    pub(super) waiting: VecDeque<usize>,
    pub(super) messages: Vec<(Envelope, Option<Claim>)>,
    pub(super) settled: HashMap<usize, Settlement>,
    /// Numbers by sequence in this session.
    pub(super) received: Vec<usize>,
    pub(super) events: VecDeque<Event>,
    pub(super) broken: Option<SourceError>,
    pub(super) released: Vec<u32>,
    pub(super) scope: u32,
    pub(super) credit: Option<Credit>,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

impl World {
    pub(super) fn feed(&self, route: &str) -> Arc<Feed> {
        Arc::clone(lock(&self.feeds).entry(route.to_owned()).or_default())
    }

    /// Gives a message to a route's source; its number.
    pub fn push(&self, route: &str, envelope: Envelope, claim: Option<Claim>) -> usize {
        let feed = self.feed(route);
        let mut state = lock(&feed.state);
        state.messages.push((envelope, claim));
        let number = state.messages.len() - 1;
        state.waiting.push_back(number);
        drop(state);
        feed.rung.notify_one();
        number
    }

    /// Gives an event to a route's source.
    pub fn event(&self, route: &str, event: Event) {
        let feed = self.feed(route);
        lock(&feed.state).events.push_back(event);
        feed.rung.notify_one();
    }

    /// Breaks a route's session.
    pub fn break_session(&self, route: &str) {
        let feed = self.feed(route);
        lock(&feed.state).broken = Some(SourceError::new(SourceErrorKind::Connection, "the peer hung up"));
        feed.rung.notify_one();
    }

    /// Messages from now on are of this scope.
    pub fn scope(&self, route: &str, scope: u32) {
        lock(&self.feed(route).state).scope = scope;
    }

    /// The scopes that were released.
    pub fn released(&self, route: &str) -> Vec<u32> {
        lock(&self.feed(route).state).released.clone()
    }

    /// How much was asked for last.
    pub fn credit(&self, route: &str) -> Option<Credit> {
        lock(&self.feed(route).state).credit
    }

    /// What became of a message.
    pub fn settled(&self, route: &str, number: usize) -> Option<Settlement> {
        lock(&self.feed(route).state).settled.get(&number).cloned()
    }

    /// How many messages are settled.
    pub fn settled_count(&self, route: &str) -> usize {
        lock(&self.feed(route).state).settled.len()
    }

    /// The process is gone: what was received and not settled is given again.
    pub fn forget_sessions(&self) {
        for feed in lock(&self.feeds).values() {
            give_again(&mut lock(&feed.state));
        }
        lock(&self.hanging).clear();
    }

    /// What sinks do from now on.
    pub fn script(&self, script: impl FnMut(&Got) -> Reply + Send + 'static) {
        *lock(&self.script) = Some(Box::new(script));
    }

    /// Sinks cannot be opened from now on, or can again.
    pub fn reachable(&self, reachable: bool) {
        let fault = || Fault::new(FaultClass::Unreachable, "ask.connect", "nobody is there");
        *lock(&self.unreachable) = (!reachable).then(fault);
    }

    /// What hangs gets this answer.
    pub fn release(&self, answer: impl Fn() -> Result<Receipt, Fault>) {
        for (done, ticket) in std::mem::take(&mut *lock(&self.hanging)) {
            done.post(vec![(ticket, answer())]);
        }
    }

    /// How many hang.
    pub fn hanging(&self) -> usize {
        lock(&self.hanging).len()
    }

    /// Everything that sinks were given.
    pub fn got(&self) -> Vec<Got> {
        lock(&self.got).clone()
    }

    /// What sinks took.
    pub fn taken(&self) -> Vec<Got> {
        self.got().into_iter().filter(|got| got.taken).collect()
    }
}

pub(super) fn give_again(state: &mut FeedState) {
    let FeedState { received, waiting, settled, .. } = state;
    let again: Vec<usize> = received.drain(..).filter(|number| !settled.contains_key(number)).collect();
    for number in again.into_iter().rev() {
        waiting.push_front(number);
    }
}
