//! Moving messages to a target that is a channel: put there and settled here in one frame.
//!
//! What finds no room stays started and waits here, as long as room is made now and then: a small queue that is read is full
//! again and again, and its target is not to be held each time. Where none was made for a second, two of those that
//! wait tell the scheduler that the channel is busy (blame.md), and the others are as they were before their start.

use super::{
    RouteEvent, RouteTask,
    target::{Target, Way},
};
use crate::{
    account::Channel,
    limits::{CHANNEL_IN_FLIGHT_MAX, Fill},
    room::RoomWatch,
};
use crossdock_model::{Fault, FaultClass};
use crossdock_store::{Channels, CommitError, Committed, EncodedMessage, Offsets, Outcome, PutResult, Settle, Txn};
use std::{collections::VecDeque, sync::Arc, time::Duration};
use tokio::time::Instant;

/// How long a channel may take nothing before its target is busy.
const PATIENCE: Duration = Duration::from_secs(1);
/// A second message that finds a target busy pauses its circuit (blame.md): so many have to tell.
const VOICES: usize = 2;

/// A channel that is a target.
pub(crate) struct ChannelWay {
    /// The channel.
    pub channel: Arc<Channel>,
    /// Started, and not submitted, in order.
    queue: VecDeque<u64>,
    /// Moves that the store has not answered.
    under_way: usize,
    room: Room,
}

/// What is known of a channel's room.
struct Room {
    /// Most messages that are moved at once; none where there was room for all so far.
    most: Option<usize>,
    /// Moved since the last pause.
    taken: usize,
    /// Since when nothing was moved, or longer, while `most` is there.
    since: Instant,
    /// Nothing is tried before it says so.
    waits: bool,
    watch: RoomWatch,
}

impl ChannelWay {
    /// A channel of which nothing is known.
    pub fn new(channel: Arc<Channel>) -> Self {
        let since = Instant::now();
        let room = Room { most: None, taken: 0, since, waits: false, watch: RoomWatch::new() };
        Self { channel, queue: VecDeque::new(), under_way: 0, room }
    }

    /// A message is started.
    pub fn push(&mut self, offset: u64) {
        self.queue.push_back(offset);
    }

    /// Whether what is started waits for room, so that no more is to be.
    pub fn is_waiting(&self) -> bool {
        self.room.most.is_some() && !self.queue.is_empty()
    }

    /// When what waits for room is tried again.
    pub fn retry_at(&self) -> Option<Instant> {
        (self.room.waits && self.is_waiting()).then(|| self.room.watch.at())
    }

    /// Gives up what is started and not submitted.
    pub fn take_back(&mut self) -> VecDeque<u64> {
        std::mem::take(&mut self.queue)
    }

    /// How many may be moved at once now.
    fn most(&mut self, channels: &dyn Channels) -> usize {
        let Self { queue, under_way, room, .. } = self;
        let Some(most) = room.most else { return usize::MAX };
        if *under_way > 0 || queue.is_empty() {
            return 0;
        }
        if !room.waits {
            return most;
        }
        if room.watch.look(channels).is_some() {
            return 0;
        }
        let freed = usize::try_from(room.watch.freed(channels)).unwrap_or(usize::MAX);
        (room.waits, room.most) = (false, Some(most.max(freed)));
        most.max(freed)
    }

    /// So many were moved.
    fn took(&mut self, count: usize) {
        let room = &mut self.room;
        let Some(most) = room.most else { return };
        room.since = Instant::now();
        room.taken += count;
        if count >= most {
            room.most = Some(most.saturating_mul(2)).filter(|most| *most <= CHANNEL_IN_FLIGHT_MAX);
        }
    }

    /// These found no room together; they wait, and fewer are tried. False if that has been so for too long.
    fn put_back(&mut self, offsets: Vec<u64>, channels: &dyn Channels) -> bool {
        let count = offsets.len();
        self.queue.extend(offsets);
        self.queue.make_contiguous().sort_unstable();
        let Self { channel, room, .. } = self;
        if room.most.is_none() {
            room.since = Instant::now();
        }
        let taken = std::mem::take(&mut room.taken);
        room.waits = taken > 0 || count == 1;
        // As much as there was room for, which may be made again; or half of what found none.
        room.most = Some(if taken > 0 { taken } else { (count / 2).max(1) });
        if room.waits {
            room.watch.found_none(taken > 0, channels, std::iter::once(channel.number));
        }
        !room.waits || room.since.elapsed() < PATIENCE
    }
}

impl RouteTask {
    /// Moves what was started to a target that is a channel, as far as there is room.
    pub(super) fn move_on(&mut self, at: usize) {
        let segment_bytes = self.shared.plan.gateway().store.segment_bytes;
        loop {
            let Some(Target { way: Way::Channel(way), live, .. }) = self.targets.get_mut(at) else { return };
            let (records, mut fill) = (2 + way.channel.closed.len(), Fill::new(segment_bytes));
            let bytes = |offset: &u64| {
                let loaded = live.get(offset).and_then(|live| live.loaded.as_ref());
                loaded.map_or(0, |loaded| loaded.bytes() + loaded.envelope.bytes().len())
            };
            let most = way.most(&*self.shared.channels);
            let some = way.queue.iter().take(most);
            let count = some.take_while(|offset| fill.takes(bytes(offset), records)).count();
            if count == 0 {
                return;
            }
            let some = way.queue.drain(..count).collect();
            self.submit_move(at, some);
        }
    }

    /// Those that wait for room are as before their start while nothing may be sent.
    pub(super) fn take_moves_back(&mut self) {
        for target in &mut self.targets {
            let Way::Channel(way) = &mut target.way else { continue };
            for offset in way.take_back() {
                target.unsent(offset);
                self.again = true;
            }
        }
    }

    fn submit_move(&mut self, at: usize, offsets: Vec<u64>) {
        let now = self.shared.time.now();
        let Some(target) = self.targets.get_mut(at) else { return };
        let Way::Channel(way) = &target.way else { return };
        let channel = Arc::clone(&way.channel);
        let (mut txn, mut settled, mut expired) = (Txn::default(), Offsets::new(), Vec::new());
        for (bundle, offset) in offsets.iter().enumerate() {
            let Some((live, loaded)) = target.live.get(offset).and_then(|live| Some((live, live.loaded.as_ref()?)))
            else {
                // Settled meanwhile, by another target that met it.
                target.unsent(*offset);
                continue;
            };
            if live.deadline.is_some_and(|deadline| deadline <= now) {
                // It waited for room until then.
                target.unsent(*offset);
                expired.push(*offset);
                continue;
            }
            let message = EncodedMessage::new(&loaded.envelope, None);
            if let Some(why) = channel.never_holds(message.len()) {
                self.under_way += 1;
                way_of(target).into_iter().for_each(|way| way.under_way += 1);
                let (offsets, result) = (vec![*offset], Err(CommitError::Invalid(why.into())));
                drop(self.events_to_self.send(RouteEvent::Moved { target: at, offsets, result }));
                continue;
            }
            let put = channel.put(message, u32::try_from(bundle).unwrap_or(u32::MAX));
            txn.puts.push(put.in_place_of(target.claimed.subscription, *offset));
            settled.push(*offset);
        }
        if !txn.puts.is_empty() {
            let offsets = settled.iter().collect();
            txn.settles.push(Settle {
                subscription: target.claimed.subscription,
                outcome: Outcome::Delivered,
                offsets: settled,
            });
            self.under_way += 1;
            way_of(target).into_iter().for_each(|way| way.under_way += 1);
            let events = self.events_to_self.clone();
            let completion = move |result| drop(events.send(RouteEvent::Moved { target: at, offsets, result }));
            self.shared.channels.commit(&self.fences, txn, Box::new(completion));
        }
        for offset in expired {
            self.settle(at, offset, Outcome::Expired);
        }
    }

    /// The store answered a move.
    pub(super) fn moved(&mut self, at: usize, offsets: Vec<u64>, result: Result<Committed, CommitError>) {
        self.under_way -= 1;
        let Some(way) = self.targets.get_mut(at).and_then(way_of) else { return };
        way.under_way -= 1;
        let results: Vec<_> = match result {
            Ok(committed) => {
                let stored = committed.puts.iter().filter(|put| matches!(put, PutResult::Stored { .. })).count();
                way.channel.count_appended(stored as u64);
                way.took(offsets.len());
                offsets.into_iter().map(|offset| (offset, Ok(()))).collect()
            }
            Err(error @ (CommitError::Full { .. } | CommitError::NoSpace)) => {
                return self.found_no_room(at, offsets, &error);
            }
            Err(CommitError::Invalid(text)) => {
                let fault = Fault::rejected("channel.invalid", &*text);
                offsets.into_iter().map(|offset| (offset, Err(fault.clone()))).collect()
            }
            Err(error @ (CommitError::Failed(_) | CommitError::Closed | CommitError::Fenced)) => {
                return self.shared.store_failed(&error);
            }
        };
        self.finish(at, results);
    }

    /// All or nothing: what is left of the room may do for some of them, or room is made soon.
    fn found_no_room(&mut self, at: usize, offsets: Vec<u64>, error: &CommitError) {
        // They are tried again in this turn, or taken back.
        self.again = true;
        let Some(target) = self.targets.get_mut(at) else { return };
        let Some(way) = way_of(target) else { return };
        if way.put_back(offsets, &*self.shared.channels) {
            return;
        }
        let text = if let CommitError::Full { .. } = error {
            format!("the channel `{}` is full", way.channel.name)
        } else {
            error.to_string()
        };
        let mut waiting = way.take_back();
        let told = waiting.split_off(waiting.len().saturating_sub(VOICES));
        for offset in waiting {
            target.unsent(offset);
        }
        let fault = Fault::new(FaultClass::Busy, "channel.full", text);
        self.finish(at, told.into_iter().map(|offset| (offset, Err(fault.clone()))).collect());
    }
}

fn way_of(target: &mut Target) -> Option<&mut ChannelWay> {
    match &mut target.way {
        Way::Channel(way) => Some(way),
        Way::Sink(_) => None,
    }
}
