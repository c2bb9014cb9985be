//! Order lanes: who of a lane may be sent next.
//!
//! A lane has at most one message in flight. One message *has the turn*: it is registered with its circuit, or in
//! flight. The rest are parked, in offset order. With `block_key` a failed head keeps the turn until it is delivered or
//! dead; with `skip` it gives the turn up and comes back on its own time, as soon as the lane has nothing in flight.

use crate::{Order, hash::NumberMap};
use std::collections::VecDeque;

#[derive(Debug, Default)]
struct Lane {
    turn: Option<u64>,
    in_flight: Option<u64>,
    /// The head failed before: what is parked waits for more than its turn.
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
    /// Messages parked behind a head that failed.
    blocked: usize,
}

impl Lanes {
    pub(crate) fn new(order: Order, seed: u64) -> Self {
        Self { order, lanes: NumberMap::with_hasher(crate::hash::Seeded(seed)), blocked: 0 }
    }

    /// A message joins its lane; `tried` if it failed before.
    pub(crate) fn join(&mut self, number: u64, offset: u64, tried: bool) -> Place {
        let lane = self.lanes.entry(number).or_default();
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
            Place::Parked => {
                lane.park(offset);
                self.blocked += usize::from(lane.blocked);
            }
            Place::Turn => {
                lane.turn = Some(offset);
                self.blocked += lane.set_blocked(blocks);
            }
            Place::TurnOf(later) => {
                self.blocked -= lane.clear_blocked();
                lane.turn = Some(offset);
                lane.park(later);
                self.blocked += lane.set_blocked(blocks);
            }
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

    /// Whether what is parked in the lane waits behind a head that failed.
    pub(crate) fn is_blocked(&self, number: u64) -> bool {
        self.lanes.get(&number).is_some_and(|lane| lane.blocked)
    }

    /// The messages parked behind a head that failed, in all lanes.
    pub(crate) fn blocked(&self) -> impl Iterator<Item = u64> {
        self.lanes.values().filter(|lane| lane.blocked).flat_map(|lane| lane.parked.iter().copied())
    }

    /// How many these are.
    pub(crate) const fn blocked_len(&self) -> usize {
        self.blocked
    }

    pub(crate) fn started(&mut self, number: u64, offset: u64) {
        if let Some(lane) = self.lanes.get_mut(&number) {
            lane.in_flight = Some(offset);
        }
    }

    /// A registered message cannot start, because its lane has another one in flight (`skip`): it waits with the rest.
    pub(crate) fn park(&mut self, number: u64, offset: u64) {
        if let Some(lane) = self.lanes.get_mut(&number) {
            if lane.turn == Some(offset) {
                lane.turn = None;
            }
            lane.park(offset);
            self.blocked += usize::from(lane.blocked);
        }
    }

    /// The try of a message failed; gives the one that has the turn now, if it is another one.
    pub(crate) fn failed(&mut self, number: u64, offset: u64) -> Option<u64> {
        let lane = self.lanes.get_mut(&number)?;
        if lane.in_flight == Some(offset) {
            lane.in_flight = None;
        }
        match self.order {
            Order::Skip => {
                if lane.turn == Some(offset) {
                    lane.turn = None;
                }
                lane.next()
            }
            Order::None | Order::BlockKey => {
                self.blocked += lane.set_blocked(true);
                None
            }
        }
    }

    /// A message was not sent after all: it is where it was before its start; `tried` if it failed before. Gives the one that
    /// has the turn now, if it is another one: with `skip` nobody waits for a back-off but the one that failed.
    pub(crate) fn returned(&mut self, number: u64, offset: u64, tried: bool) -> Option<u64> {
        let lane = self.lanes.get_mut(&number)?;
        if lane.in_flight == Some(offset) {
            lane.in_flight = None;
        }
        if self.order == Order::Skip && tried {
            return lane.next();
        }
        if lane.turn.is_none() {
            lane.turn = Some(offset);
        }
        None
    }

    /// A message that is gone keeps the lane that it has until it has [`Lanes::left`] it; false if another one has it.
    pub(crate) fn hold(&mut self, number: u64, offset: u64) -> bool {
        let Some(lane) = self.lanes.get_mut(&number) else { return false };
        if lane.turn != Some(offset) && lane.in_flight != Some(offset) {
            return false;
        }
        (lane.turn, lane.in_flight) = (Some(offset), Some(offset));
        self.blocked += lane.set_blocked(true);
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
        if lane.turn == Some(offset) {
            lane.turn = None;
            self.blocked -= lane.clear_blocked();
        }
        lane.next()
    }
}

impl Lane {
    fn park(&mut self, offset: u64) {
        if self.parked.back().is_none_or(|last| *last < offset) {
            self.parked.push_back(offset);
        } else if let Err(place) = self.parked.binary_search(&offset) {
            self.parked.insert(place, offset);
        }
    }

    /// Gives the turn to the first that is parked, if nobody has it.
    fn next(&mut self) -> Option<u64> {
        if self.turn.is_some() || self.in_flight.is_some() {
            return None;
        }
        self.turn = self.parked.pop_front();
        self.turn
    }

    /// How many more are blocked now.
    fn set_blocked(&mut self, blocked: bool) -> usize {
        if !blocked || self.blocked {
            return 0;
        }
        self.blocked = true;
        self.parked.len()
    }

    /// How many fewer are blocked now.
    fn clear_blocked(&mut self) -> usize {
        if !self.blocked {
            return 0;
        }
        self.blocked = false;
        self.parked.len()
    }
}
