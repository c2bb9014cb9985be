//! A target of a route: its subscription, its scheduler, its messages, and its way out.

use super::{
    link::SharedLink,
    live::{Live, LiveMap, Loaded, Stage},
    notes::Noted,
    reading::Reading,
    sink::SinkWay,
    standing::Standing,
};
use crate::{account::Channel, claims::Claimed, limits, metrics::Histogram};
use crossdock_delivery::{Effect, Scheduler, Start};
use crossdock_model::{Fault, Moment, Text, Timestamp};
use crossdock_store::StoredMessage;
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    sync::Arc,
};

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
    pub deadlines: BinaryHeap<Reverse<(Timestamp, u64)>>,
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

/// A channel that is a target.
pub(crate) struct ChannelWay {
    /// The channel.
    pub channel: Arc<Channel>,
    /// Started, and not submitted yet.
    pub queue: Vec<u64>,
}

impl Target {
    /// Whether it sends through a connector.
    pub const fn is_connector(&self) -> bool {
        match self.way {
            Way::Sink(_) => true,
            Way::Channel(_) => false,
        }
    }

    /// How many messages and bytes it may take in now.
    pub fn room(&self, budget: &limits::Budget) -> (usize, usize) {
        let under_way = self.evaluating + self.parked.len();
        let messages = self.scheduler.room().saturating_sub(under_way).min(limits::FETCH_MESSAGES_MAX);
        let bytes = limits::WINDOW_BYTES_MAX.saturating_sub(self.loaded_bytes).min(limits::FETCH_BYTES_MAX);
        (messages, budget.grant(bytes, self.loaded_bytes))
    }

    /// Takes a message in; `loaded` is counted.
    pub fn insert(&mut self, offset: u64, live: Live, budget: &limits::Budget) {
        self.load(live.loaded.as_ref().map_or(0, Loaded::bytes), budget);
        if let Some(deadline) = live.deadline {
            self.deadlines.push(Reverse((deadline, offset)));
        }
        self.live.insert(offset, live);
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
        if let Some(live) = self.live.get_mut(&offset) {
            live.stage = Stage::Waiting;
        }
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
