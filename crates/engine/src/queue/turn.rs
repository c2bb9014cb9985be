//! The loop of a queue's task: what wakes it, what it does in a turn, and how it ends.

use super::{Board, QueueEvent, QueueTask, serve::deadline, table::Stand, table::Table};
use crate::{
    MessageState,
    account::Channel,
    claims::Claimed,
    expiry::{Deadline, ExpiryTask},
    route::{Outbox, Reading},
    shared::{Phase, Shared},
    tasks::blocking,
};
use crossdock_config::ChannelKind;
use crossdock_model::Moment;
use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    sync::Arc,
};
use tokio::{
    sync::{Notify, mpsc},
    time::{Instant, sleep_until},
};

/// Events taken in before the next turn, so that answering and committing is not put off for ever.
const EVENTS_MAX: usize = 4096;

/// What woke the loop.
enum Turn {
    Event(QueueEvent),
    /// The store, the clock or the gateway's phase: look around.
    Look,
}

impl QueueTask {
    /// A task that has not begun, and where to post events to it.
    pub fn new(
        shared: &Arc<Shared>,
        channel: Arc<Channel>,
        claimed: Claimed,
        board: Arc<Board>,
    ) -> (Self, mpsc::UnboundedSender<QueueEvent>) {
        let (events_to_self, events) = mpsc::unbounded_channel();
        let (bell, reading) = (Arc::new(Notify::new()), Reading::new());
        let expiry_bell = Arc::new(Notify::new());
        let (ring, bells) = (reading.ring(), [Arc::clone(&bell), Arc::clone(&expiry_bell)]);
        let watch = move || {
            ring.ring();
            bells.iter().for_each(|bell| bell.notify_one());
        };
        shared.channels.watch(&claimed.fence, Arc::new(watch));
        let expire_after = match shared.plan.channel(&channel.name).map(|planned| &planned.kind) {
            Some(ChannelKind::Queue(limits)) => limits.expire_after,
            Some(ChannelKind::Topic(_)) | None => None,
        };
        let task = Self {
            expire_after,
            incarnation: shared.random(),
            shared: Arc::clone(shared),
            channel,
            claimed,
            board,
            events_to_self: events_to_self.clone(),
            events,
            bell,
            expiry_bell,
            reading,
            recalling: false,
            retry_at: None,
            waiters: VecDeque::new(),
            table: Table::default(),
            tried: BTreeMap::new(),
            outbox: Outbox::default(),
            flushes: (0, 0),
            pending: VecDeque::new(),
            late: HashSet::new(),
            stopping: false,
        };
        (task, events_to_self)
    }

    /// Works until the gateway has closed its connectors.
    pub async fn run(mut self) {
        self.recover().await;
        self.find_expired();
        let mut phase = self.shared.phase.subscribe();
        loop {
            let until = match *phase.borrow_and_update() {
                Phase::Running => None,
                Phase::Draining { .. } => {
                    self.stopping = true;
                    None
                }
                Phase::Closing { by } => {
                    self.stopping = true;
                    Some(by)
                }
            };
            self.work();
            if until.is_some_and(|by| self.is_at_rest() || by <= Instant::now()) {
                return;
            }
            let wake = self.wake_at();
            let wake = until.map_or(wake, |by| wake.min(by));
            let turn = tokio::select! {
                biased;
                // The sender is ours as well, so the channel never ends.
                Some(event) = self.events.recv() => Turn::Event(event),
                () = self.bell.notified() => Turn::Look,
                Ok(()) = phase.changed() => Turn::Look,
                () = sleep_until(wake) => Turn::Look,
            };
            match turn {
                Turn::Event(event) => self.take_in(event),
                Turn::Look => self.forget_dropped(),
            }
            for _ in 0..EVENTS_MAX {
                let Ok(event) = self.events.try_recv() else { break };
                self.take_in(event);
            }
        }
    }

    /// Everything that can be done now.
    fn work(&mut self) {
        if self.retry_at.is_some_and(|at| at <= self.shared.time.moment()) {
            self.retry_at = None;
            self.reading.ring().ring();
        }
        self.reading.leases.extend(&*self.shared.channels, &self.claimed.fence, self.shared.time.moment());
        self.run_out();
        self.serve();
        self.flush();
        self.board.show(self.table.in_flight(), self.table.scheduled());
    }

    fn take_in(&mut self, event: QueueEvent) {
        match event {
            QueueEvent::Receive { messages_max, wait, lease, answer } => {
                self.receive(messages_max, wait, lease, answer);
            }
            QueueEvent::Acknowledge(tokens, answer) => self.acknowledge(tokens, answer),
            QueueEvent::GiveBack(tokens, delay, answer) => self.give_back(tokens, delay, answer),
            QueueEvent::Cold(fetched) => self.read_ended(fetched),
            QueueEvent::Recalled(read) => self.recalled(read),
            QueueEvent::Flushed { sequence, parcel, result } => self.flushed(sequence, parcel, result),
            QueueEvent::Expired(offsets) => self.expired(offsets),
            QueueEvent::Gone(offset) => self.gone(offset),
            // Who asked may have gone.
            QueueEvent::Locate(offsets, answer) => drop(answer.send(self.locate(&offsets))),
        }
    }

    /// When to look around though nothing happens.
    fn wake_at(&self) -> Instant {
        let moments = [self.table.wake_at(), self.gives_up_at(), self.retry_at, self.reading.leases.wake_at()];
        let earliest: Option<Moment> = moments.into_iter().flatten().min();
        let wake = self.shared.time.instant(earliest);
        self.outbox.retry_at().map_or(wake, |at| at.min(wake))
    }

    /// What was put off by an earlier process, or tried by a route that read the queue before: a fetch does not give it.
    async fn recover(&mut self) {
        let (channels, fence) = (Arc::clone(&self.shared.channels), self.claimed.fence.clone());
        let touched = match blocking(move || channels.touched(&fence)).await {
            Some(Ok(touched)) => touched,
            Some(Err(error)) => return self.shared.signals.fail(&format!("what was put off cannot be read: {error}")),
            None => return self.shared.signals.fail("the thread that read what was put off was lost"),
        };
        let time = &self.shared.time;
        let now = time.now();
        for touched in touched {
            let due = touched.due.filter(|due| *due > now).map(|due| time.moment_of(due));
            self.table.put_back(touched.offset, due);
            if touched.tries > 0 {
                self.tried.insert(touched.offset, (touched.tries, touched.charges));
            }
        }
    }

    /// Has what nobody wants any more told.
    fn find_expired(&self) {
        let (events, expire_after) = (self.events_to_self.clone(), self.expire_after);
        let task = ExpiryTask {
            shared: Arc::clone(&self.shared),
            channel: self.channel.number,
            name: self.channel.name.clone(),
            // What cannot be decoded is found out when it is given out.
            deadline: Deadline {
                of: Arc::new(move |message| deadline(message, expire_after).ok().flatten()),
                only_own: expire_after.is_none(),
            },
            bell: Arc::clone(&self.expiry_bell),
            // The task has ended: nobody is there to settle anything.
            told: Box::new(move |offsets| drop(events.send(QueueEvent::Expired(offsets)))),
        };
        self.shared.tasks.spawn(format!("expiry of {}", self.channel.name), task.run());
    }

    fn locate(&self, offsets: &[u64]) -> Vec<MessageState> {
        let state = |offset: &u64| match self.table.stand(*offset) {
            Stand::Waiting => MessageState::Queued,
            Stand::InFlight => MessageState::InFlight,
            Stand::Scheduled => MessageState::Scheduled,
        };
        offsets.iter().map(state).collect()
    }

    /// Whether nothing is on its way to the store.
    fn is_at_rest(&self) -> bool {
        self.flushes.0 == self.flushes.1 && self.outbox.is_empty() && !self.outbox.is_stuck()
    }
}
