//! A target of a route: its subscription, its scheduler, its messages, and its way out.

use super::{
    deadlines::Deadlines,
    link::SharedLink,
    live::{Live, LiveMap, Loaded, Stage},
    moves::ChannelWay,
    notes::Noted,
    reading::Reading,
    sink::SinkWay,
    standing::Standing,
};
use crate::{claims::Claimed, limits, metrics::Histogram};
use crossdock_delivery::{Effect, Scheduler, Start};
use crossdock_model::{Fault, Moment, Text, Timestamp};
use crossdock_store::StoredMessage;
use std::{collections::VecDeque, sync::Arc};

/// A target at work.
pub(crate) struct Target {
    /// Its identity within the route.
    pub name: Text,
    /// Its place in the channel that the route reads.
    pub claimed: Claimed,
    /// What is sent when, and who is to blame.
    pub scheduler: Scheduler,
    /// Its connection's reachability.
    pub link: Arc<SharedLink>,
    /// Where it sends to.
    pub way: Way,
    /// Whether the idempotency key tells redrives apart.
    pub per_redrive: bool,
    /// From receipt to confirmation.
    pub delivery_seconds: Arc<Histogram>,
    /// The messages that the scheduler has.
    pub live: LiveMap,
    /// Bytes of those whose payload is in memory.
    pub loaded_bytes: usize,
    /// Fetched and being evaluated on worker tasks.
    pub evaluating: usize,
    /// Fetched, and waiting for a constant `delay`, in order.
    pub parked: VecDeque<StoredMessage>,
    /// When waiting messages expire.
    pub deadlines: Deadlines,
    /// Messages that the scheduler came to hold apart, and whose payload may be in memory.
    pub apart: Vec<u64>,
    /// All below is settled, by whomever, as far as it was looked at.
    pub floor: u64,
    /// All below was fetched, unless it had been settled or tried before.
    pub fetched_below: u64,
    /// Where its reading stands.
    pub reading: Reading,
    /// Started, and to be read again first.
    pub recalls: Vec<u64>,
    /// What of it is noted to be in flight.
    pub noted: Noted,
    /// What the log was told of it.
    pub standing: Standing,
}

/// Where a target sends to.
pub(crate) enum Way {
    /// Through a connector.
    Sink(SinkWay),
    /// To a channel.
    Channel(ChannelWay),
}

impl Target {
    /// Whether it sends through a connector.
    pub const fn is_connector(&self) -> bool {
        match self.way {
            Way::Sink(_) => true,
            Way::Channel(_) => false,
        }
    }

    /// Whether what is started waits for room in a channel.
    pub fn is_waiting_for_room(&self) -> bool {
        match &self.way {
            Way::Sink(_) => false,
            Way::Channel(way) => way.is_waiting(),
        }
    }

    /// How many messages and bytes it may take in now.
    pub fn room(&mut self, budget: &limits::Budget) -> (usize, usize) {
        self.scheduler.take_newly_apart(&mut self.apart);
        if self.is_full(budget) {
            self.shed(budget);
        } else if self.apart.len() > self.live.len() * 2 + limits::FETCH_MESSAGES_MAX {
            self.forget_unloaded();
        }
        let under_way = self.evaluating + self.parked.len();
        let messages = self.scheduler.room().saturating_sub(under_way).min(limits::FETCH_MESSAGES_MAX);
        (messages, self.bytes_room(budget))
    }

    fn bytes_room(&self, budget: &limits::Budget) -> usize {
        let bytes = limits::WINDOW_BYTES_MAX.saturating_sub(self.loaded_bytes).min(limits::FETCH_BYTES_MAX);
        budget.grant(bytes, self.loaded_bytes)
    }

    /// Whether it has so much payload in memory that it can take in less than a whole fetch.
    fn is_full(&self, budget: &limits::Budget) -> bool {
        self.bytes_room(budget) < limits::FETCH_BYTES_MAX
    }

    /// Lets the payload go of what the scheduler holds apart: behind a blocked key, in a held circuit, until another try. It
    /// is not counted against the messages that go on, and may not take their memory either; it is read again in its turn.
    fn shed(&mut self, budget: &limits::Budget) {
        for offset in std::mem::take(&mut self.apart) {
            // One that is on its way, or goes on, is told again if it comes to wait apart again.
            if self.scheduler.is_apart(offset)
                && let Some(live) = self.live.get_mut(&offset).filter(|live| live.stage == Stage::Waiting)
            {
                let loaded = live.loaded.take();
                self.unload(loaded.as_ref(), budget);
            }
        }
    }

    /// Of those that were told to wait apart, keeps the ones that do, and whose payload is in memory.
    fn forget_unloaded(&mut self) {
        let Self { scheduler, live, apart, .. } = self;
        apart.sort_unstable();
        apart.dedup();
        apart
            .retain(|offset| live.get(offset).is_some_and(|live| live.loaded.is_some()) && scheduler.is_apart(*offset));
    }

    /// Takes in a message that the scheduler has admitted; its payload is counted.
    pub fn insert(&mut self, offset: u64, live: Live, budget: &limits::Budget) {
        self.load(live.loaded.as_ref().map_or(0, Loaded::bytes), budget);
        let deadline = live.deadline;
        self.live.insert(offset, live);
        self.expires(offset, deadline);
    }

    fn expires(&mut self, offset: u64, deadline: Option<Timestamp>) {
        if let Some(deadline) = deadline {
            self.deadlines.note(deadline, offset, &self.live);
        }
    }

    /// A message is not on its way any more. Its deadline, which may have passed meanwhile, is looked at again.
    pub fn wait_again(&mut self, offset: u64) {
        let Some(live) = self.live.get_mut(&offset) else { return };
        live.stage = Stage::Waiting;
        let deadline = live.deadline;
        self.expires(offset, deadline);
    }

    /// Counts payload that is in memory now.
    pub fn load(&mut self, bytes: usize, budget: &limits::Budget) {
        self.loaded_bytes += bytes;
        budget.take(bytes);
    }

    /// Counts payload that no longer is.
    pub fn unload(&mut self, loaded: Option<&Loaded>, budget: &limits::Budget) {
        let bytes = loaded.map_or(0, Loaded::bytes);
        self.loaded_bytes = self.loaded_bytes.saturating_sub(bytes);
        budget.give(bytes);
    }

    /// Lets a message go that is settled.
    pub fn remove(&mut self, offset: u64, budget: &limits::Budget) -> Option<Live> {
        let live = self.live.remove(&offset)?;
        self.unload(live.loaded.as_ref(), budget);
        Some(live)
    }

    /// What the scheduler starts now.
    pub fn poll(&mut self, now: Moment, starts: &mut Vec<Start>) {
        let Self { link, scheduler, .. } = self;
        link.lend(|link| scheduler.poll(now, link, starts));
    }

    /// Tells the scheduler the answers to sends.
    pub fn finished(
        &mut self,
        now: Moment,
        results: impl IntoIterator<Item = (u64, Result<(), Fault>)>,
        effects: &mut Vec<Effect>,
    ) {
        let Self { link, scheduler, .. } = self;
        link.lend(|link| {
            scheduler.finished_batch(now, link, results, effects);
        });
    }

    /// A start that led to nothing: the scheduler has the message as before.
    pub fn unsent(&mut self, offset: u64) {
        let Self { link, scheduler, .. } = self;
        link.lend(|link| scheduler.unsent(link, offset));
        self.noted.change();
        self.wait_again(offset);
    }

    /// Whether what starts is to be noted first: what leaves through a connector, what the rules are applied to again, and
    /// what is suspected. A move to another channel is a commit like any other.
    pub fn is_noted(&self, starts: &[Start]) -> bool {
        let unread = |start: &Start| self.live.get(&start.offset).is_some_and(|live| live.loaded.is_none());
        !starts.is_empty() && (self.is_connector() || starts.iter().any(|start| start.alone || unread(start)))
    }

    /// Whether a crash suspect could be sent now, or is.
    pub fn wants_alone(&self, now: Moment) -> bool {
        self.scheduler.crash_suspects() > 0 && self.link.lend(|link| self.scheduler.wants_alone(now, link))
    }

    /// Messages that are on their way or about to be.
    pub fn busy(&self) -> usize {
        self.scheduler.in_flight()
    }

    /// When it has to be looked at again though nothing else happens.
    pub fn wake_at(&self, now: Moment) -> Option<Moment> {
        self.link.lend(|link| self.scheduler.wake_at(now, link))
    }
}
