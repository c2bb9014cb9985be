//! Order lanes: who of a lane may be sent next.
//!
//! A lane has at most one message in flight. One message *has the turn*: it is registered with its circuit, or in
//! flight. The rest are parked, in offset order. With `block_key` a failed head keeps the turn until it is delivered or
//! dead; with `skip` it gives the turn up and comes back on its own time, as soon as the lane has nothing in flight.
//!
//! What is parked behind a head that failed, or that its circuit holds up, waits *apart*: for more than its turn. It does so
//! until nothing is parked: were all of it to count with the others when the head passes, a long row that goes one by one
//! would keep all other lanes out.

use crate::{Order, hash::NumberMap};
use std::collections::VecDeque;

#[derive(Debug, Default)]
struct Lane {
    turn: Option<u64>,
    in_flight: Option<u64>,
    /// What is parked waits apart.
    blocked: bool,
    parked: VecDeque<u64>,
    members: usize,
}

/// Where a message of a lane goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// It has the turn: register it.
    Turn,
    /// It has the turn, taken from a later one of the lane: register it, and take that one back.
    TurnOf(u64),
    /// It is parked.
    Parked,
}

#[derive(Debug)]
pub(crate) struct Lanes {
    order: Order,
    lanes: NumberMap<Lane>,
    /// Messages that are parked and wait apart.
    blocked: usize,
    /// Those that began to since somebody asked.
    newly: Vec<u64>,
}

impl Lanes {
    pub(crate) fn new(order: Order, seed: u64) -> Self {
        Self { order, lanes: NumberMap::with_hasher(crate::hash::Seeded(seed)), blocked: 0, newly: Vec::new() }
    }

    /// A message joins its lane; `tried` if it failed before.
    pub(crate) fn join(&mut self, number: u64, offset: u64, tried: bool) -> Place {
        let Self { lanes, blocked, newly, .. } = self;
        let lane = lanes.entry(number).or_default();
        lane.members += 1;
        let blocks = tried && self.order == Order::BlockKey;
        if self.order == Order::Skip && tried {
            return Place::Turn;
        }
        let place = match (lane.turn, lane.in_flight) {
            (None, None) => Place::Turn,
            (Some(turn), None) if offset < turn => Place::TurnOf(turn),
            (None | Some(_), None | Some(_)) => Place::Parked,
        };
        match place {
            Place::Parked => *blocked += lane.park(offset, newly),
            Place::Turn => lane.turn = Some(offset),
            Place::TurnOf(later) => {
                lane.turn = Some(offset);
                *blocked += lane.park(later, newly);
            }
        }
        if blocks && place != Place::Parked {
            *blocked += lane.block(newly);
        }
        place
    }

    /// Whether the lane has a message in flight.
    pub(crate) fn is_busy(&self, number: u64) -> bool {
        self.lanes.get(&number).is_some_and(|lane| lane.in_flight.is_some())
    }

    /// Messages that wait behind the one that has the turn.
    pub(crate) fn parked_len(&self, number: u64) -> usize {
        self.lanes.get(&number).map_or(0, |lane| lane.parked.len())
    }

    /// Whether what is parked in the lane waits apart.
    pub(crate) fn is_blocked(&self, number: u64) -> bool {
        self.lanes.get(&number).is_some_and(|lane| lane.blocked)
    }

    /// The messages that are parked and wait apart, in all lanes.
    pub(crate) fn blocked(&self) -> impl Iterator<Item = u64> {
        self.lanes.values().filter(|lane| lane.blocked).flat_map(|lane| lane.parked.iter().copied())
    }

    /// How many these are.
    pub(crate) const fn blocked_len(&self) -> usize {
        self.blocked
    }

    /// Those that began to since the last call, and perhaps do no more.
    pub(crate) fn take_newly(&mut self, into: &mut Vec<u64>) {
        into.append(&mut self.newly);
    }

    /// The head of the lane is held up: what is parked behind it waits apart.
    pub(crate) fn block(&mut self, number: u64) {
        let Self { lanes, blocked, newly, .. } = self;
        if let Some(lane) = lanes.get_mut(&number) {
            *blocked += lane.block(newly);
        }
    }

    pub(crate) fn started(&mut self, number: u64, offset: u64) {
        if let Some(lane) = self.lanes.get_mut(&number) {
            lane.in_flight = Some(offset);
        }
    }

    /// A registered message cannot start, because its lane has another one in flight (`skip`): it waits with the rest.
    pub(crate) fn park(&mut self, number: u64, offset: u64) {
        let Self { lanes, blocked, newly, .. } = self;
        if let Some(lane) = lanes.get_mut(&number) {
            if lane.turn == Some(offset) {
                lane.turn = None;
            }
            *blocked += lane.park(offset, newly);
        }
    }

    /// The try of a message failed; gives the one that has the turn now, if it is another one.
    pub(crate) fn failed(&mut self, number: u64, offset: u64) -> Option<u64> {
        let Self { order, lanes, blocked, newly } = self;
        let lane = lanes.get_mut(&number)?;
        if lane.in_flight == Some(offset) {
            lane.in_flight = None;
        }
        match order {
            Order::Skip => {
                lane.give_up(offset);
                lane.next(blocked)
            }
            Order::None | Order::BlockKey => {
                *blocked += lane.block(newly);
                None
            }
        }
    }

    /// A message that failed before has the turn: with `skip` it gives that up, and waits beside the lane. Gives the one that
    /// has the turn now.
    pub(crate) fn skip(&mut self, number: u64, offset: u64) -> Option<u64> {
        let lane = self.lanes.get_mut(&number).filter(|_| self.order == Order::Skip)?;
        lane.give_up(offset);
        lane.next(&mut self.blocked)
    }

    /// A message was not sent after all: it is where it was before its start; `tried` if it failed before. Gives the one that
    /// has the turn now, if it is another one: with `skip` nobody waits for a back-off but the one that failed.
    pub(crate) fn returned(&mut self, number: u64, offset: u64, tried: bool) -> Option<u64> {
        let lane = self.lanes.get_mut(&number)?;
        if lane.in_flight == Some(offset) {
            lane.in_flight = None;
        }
        if self.order == Order::Skip && tried {
            lane.give_up(offset);
            return lane.next(&mut self.blocked);
        }
        if lane.turn.is_none() {
            lane.turn = Some(offset);
        }
        None
    }

    /// A message that is gone keeps the lane that it has until it has [`Lanes::left`] it; false if another one has it.
    pub(crate) fn hold(&mut self, number: u64, offset: u64) -> bool {
        let Self { lanes, blocked, newly, .. } = self;
        let Some(lane) = lanes.get_mut(&number) else { return false };
        if lane.turn != Some(offset) && lane.in_flight != Some(offset) {
            return false;
        }
        (lane.turn, lane.in_flight) = (Some(offset), Some(offset));
        *blocked += lane.block(newly);
        true
    }

    /// A message is gone for good, wherever it was; gives the one that has the turn now, if that changed.
    pub(crate) fn left(&mut self, number: u64, offset: u64) -> Option<u64> {
        let lane = self.lanes.get_mut(&number)?;
        lane.members = lane.members.saturating_sub(1);
        if lane.members == 0 {
            self.lanes.remove(&number);
            return None;
        }
        if let Ok(place) = lane.parked.binary_search(&offset) {
            lane.parked.remove(place);
            self.blocked -= usize::from(lane.blocked);
            return None;
        }
        if lane.in_flight == Some(offset) {
            lane.in_flight = None;
        }
        lane.give_up(offset);
        lane.next(&mut self.blocked)
    }
}

impl Lane {
    /// Parks a message; how many more wait apart now.
    fn park(&mut self, offset: u64, newly: &mut Vec<u64>) -> usize {
        if self.parked.back().is_none_or(|last| *last < offset) {
            self.parked.push_back(offset);
        } else if let Err(place) = self.parked.binary_search(&offset) {
            self.parked.insert(place, offset);
        }
        newly.extend(self.blocked.then_some(offset));
        usize::from(self.blocked)
    }

    /// A message has the turn no more.
    fn give_up(&mut self, offset: u64) {
        if self.turn == Some(offset) {
            self.turn = None;
        }
    }

    /// Gives the turn to the first that is parked, if nobody has it. `blocked` counts those that wait apart.
    fn next(&mut self, blocked: &mut usize) -> Option<u64> {
        if self.turn.is_some() || self.in_flight.is_some() {
            return None;
        }
        self.turn = self.parked.pop_front();
        *blocked -= usize::from(self.blocked && self.turn.is_some());
        self.blocked &= !self.parked.is_empty();
        self.turn
    }

    /// What is parked waits apart from now on; how many more these are.
    fn block(&mut self, newly: &mut Vec<u64>) -> usize {
        if self.blocked {
            return 0;
        }
        self.blocked = true;
        newly.extend(&self.parked);
        self.parked.len()
    }
}
