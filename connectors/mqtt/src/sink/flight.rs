//! What is published and not confirmed: one slot a packet id.
//!
//! ```text
//!  free ─► Published ─► PUBACK ─► free, delivered                 QoS 1
//!          Published ─► PUBREC ─► Released ─► PUBCOMP ─► free, delivered    QoS 2
//!  QoS 0 has no slot: delivered when its last byte is in the socket's hands
//! ```
//!
//! Each ticket gets exactly one result: when its slot becomes free, or when the connection ends.

use crate::{
    link::{Ended, Out, Role},
    packet::{Incoming, Refused, Step, Why, acknowledge},
};
use crossdock_connector::{Completions, Receipt, Results, Ticket};
use crossdock_model::{Fault, FaultClass, Text};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// The target's side of a connection.
pub(super) struct Flight {
    /// By packet id less one; grows up to `in_flight_max`.
    slots: Vec<Slot>,
    /// Packet ids that were used and are free; the longest free is used next.
    free: VecDeque<u16>,
    in_flight_max: u16,
    /// Of QoS 0, in order.
    unwritten: VecDeque<Unwritten>,
    timeout: Duration,
    done: Completions,
    results: Results,
    /// How many bytes went to the socket.
    written: u64,
}

#[derive(Debug)]
enum Slot {
    Free,
    Published(Message),
    Released(Message),
}

#[derive(Debug)]
pub(super) struct Message {
    pub(super) ticket: Ticket,
    pub(super) lost: Vec<Text>,
    /// The position of its first byte in what is written.
    pub(super) starts_at: u64,
    /// Of QoS 2, which is confirmed by PUBREC and PUBCOMP.
    pub(super) twice: bool,
    pub(super) since: Instant,
}

#[derive(Debug)]
struct Unwritten {
    message: Message,
    ends_at: u64,
}

impl Flight {
    pub(super) fn new(in_flight_max: u16, timeout: Duration, done: Completions) -> Self {
        Self {
            slots: Vec::new(),
            free: VecDeque::new(),
            in_flight_max,
            unwritten: VecDeque::new(),
            timeout,
            done,
            results: Results::new(),
            written: 0,
        }
    }

    /// The next packet id; none while as many are in flight as may be.
    pub(super) fn free_id(&mut self) -> Option<u16> {
        if let Some(&id) = self.free.front() {
            return Some(id);
        }
        let next = u16::try_from(self.slots.len()).ok()?;
        if next >= self.in_flight_max {
            return None;
        }
        self.slots.push(Slot::Free);
        self.free.push_back(next + 1);
        Some(next + 1)
    }

    /// A message was put into the buffer under the id that [`Self::free_id`] gave.
    pub(super) fn publish(&mut self, id: u16, message: Message) {
        debug_assert_eq!(self.free.front(), Some(&id), "ids are used in the order in which they are given");
        self.free.pop_front();
        if let Some(slot) = self.slot(id) {
            *slot = Slot::Published(message);
        }
    }

    /// A message of QoS 0 was put into the buffer.
    pub(super) fn publish_once(&mut self, message: Message, ends_at: u64) {
        self.unwritten.push_back(Unwritten { message, ends_at });
    }

    /// How many have no result yet.
    pub(super) fn in_flight(&self) -> usize {
        self.slots.len() - self.free.len() + self.unwritten.len()
    }

    fn slot(&mut self, id: u16) -> Option<&mut Slot> {
        self.slots.get_mut(usize::from(id).checked_sub(1)?)
    }

    /// Takes the message of a slot, which is free then.
    fn finish(&mut self, id: u16) -> Option<Message> {
        match std::mem::replace(self.slot(id)?, Slot::Free) {
            Slot::Free => None,
            Slot::Published(message) | Slot::Released(message) => {
                self.free.push_back(id);
                Some(message)
            }
        }
    }

    fn delivered(&mut self, message: Message) {
        self.results.push((message.ticket, Ok(Receipt { lost: message.lost })));
    }

    fn confirmed(&mut self, id: u16, result: Result<(), Refused>, twice: bool, out: &mut Out) -> Result<(), Ended> {
        let expected = match self.slot(id) {
            Some(Slot::Published(message)) => message.twice == twice,
            Some(Slot::Released(_)) => {
                // Repeated, or late: what it says was said.
                return Ok(());
            }
            Some(Slot::Free) | None => return Err(unexpected(id)),
        };
        if !expected {
            return Err(unexpected(id));
        }
        match result {
            Err(refused) => {
                if let Some(message) = self.finish(id) {
                    self.results.push((message.ticket, Err(fault(&refused))));
                }
            }
            Ok(()) if twice => {
                if let Some(slot) = self.slot(id)
                    && let Slot::Published(message) = std::mem::replace(slot, Slot::Free)
                {
                    *slot = Slot::Released(message);
                }
                acknowledge(Step::Release, id, 0, &mut out.bytes);
            }
            Ok(()) => {
                if let Some(message) = self.finish(id) {
                    self.delivered(message);
                }
            }
        }
        Ok(())
    }

    fn completed(&mut self, id: u16) -> Result<(), Ended> {
        if !matches!(self.slot(id), Some(Slot::Released(_))) {
            return Err(unexpected(id));
        }
        if let Some(message) = self.finish(id) {
            self.delivered(message);
        }
        Ok(())
    }

    fn post(&mut self) {
        if !self.results.is_empty() {
            self.done.post(std::mem::take(&mut self.results));
        }
    }
}

fn unexpected(id: u16) -> Ended {
    Ended::protocol(format!("the broker confirmed packet {id}, which does not wait for that"))
}

impl Role for Flight {
    fn take(&mut self, packet: Incoming, out: &mut Out) -> Result<(), Ended> {
        match packet {
            Incoming::PubAck(id, result) => self.confirmed(id, result, false, out),
            Incoming::PubRec(id, result) => self.confirmed(id, result, true, out),
            Incoming::PubComp(id) => self.completed(id),
            Incoming::Publish(_)
            | Incoming::TooLarge { .. }
            | Incoming::Malformed { .. }
            | Incoming::PubRel(_)
            | Incoming::SubAck(..)
            | Incoming::UnsubAck => Err(Ended::protocol("the broker sent a message, and nothing was subscribed to")),
            Incoming::ConnAck(_) | Incoming::PingResp | Incoming::Disconnect(_) => Ok(()),
        }
    }

    fn wants_more(&self) -> bool {
        true
    }

    fn written(&mut self, position: u64) {
        self.written = position;
        while let Some(sent) = self.unwritten.pop_front_if(|sent| sent.ends_at <= position) {
            self.delivered(sent.message);
        }
        self.post();
    }

    fn batch_taken(&mut self, _: bool) {
        self.post();
    }

    fn tick(&mut self, now: Instant) -> Result<(), Ended> {
        let late = |message: &Message| now.duration_since(message.since) > self.timeout;
        let in_slots = self.slots.iter().any(|slot| match slot {
            Slot::Free => false,
            Slot::Published(message) | Slot::Released(message) => late(message),
        });
        if in_slots || self.unwritten.front().is_some_and(|sent| late(&sent.message)) {
            let text = format!("the broker did not confirm a message within {:?}", self.timeout);
            return Err(Ended::new(crate::link::End::Silent, text));
        }
        Ok(())
    }

    fn end(&mut self, ended: &Ended) {
        let in_slots = self.slots.drain(..).filter_map(|slot| match slot {
            Slot::Free => None,
            Slot::Published(message) | Slot::Released(message) => Some(message),
        });
        let mut left: Vec<_> = in_slots.chain(self.unwritten.drain(..).map(|sent| sent.message)).collect();
        self.free.clear();
        left.sort_unstable_by_key(|message| message.starts_at);
        let written = self.written;
        self.results
            .extend(left.into_iter().map(|message| (message.ticket, Err(ended.fault(message.starts_at < written)))));
        self.post();
    }
}

/// What the broker's refusal of one message means (blame): a quota passes, a topic does not become one.
fn fault(refused: &Refused) -> Fault {
    let class = match refused.why {
        Why::Busy => FaultClass::Busy,
        Why::Topic | Why::Payload => FaultClass::Rejected,
        Why::Denied | Why::Unsupported | Why::TakenOver | Why::Other => FaultClass::Failed,
    };
    Fault::new(class, format!("mqtt.{}", refused.why.code()), &refused.text)
}
