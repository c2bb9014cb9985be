//! From judged messages to a commit, and from its answer to settlements.

use super::door::{Decision, DoorPlan, Judged};
use crate::{
    account::DoorEnd,
    limits::{COMMIT_MESSAGES_MAX, Fill},
};
use crossdock_connector::{Settlement, Token};
use crossdock_model::{Fault, MessageId, Refusal, RefusalKind, Timestamp};
use crossdock_store::{CommitError, Committed, Put, PutResult, Takes, Txn};
use std::{collections::VecDeque, time::Duration};

/// What the source waits for while a commit is under way.
pub(crate) struct Pending {
    entries: Vec<Entry>,
}

struct Entry {
    token: Token,
    bytes: usize,
    kind: Kind,
    /// How many puts of the commit are its own.
    puts: usize,
    /// The message itself, for a source that holds what is not taken.
    again: Option<Judged>,
}

#[derive(Clone, Copy)]
enum Kind {
    Append { id: MessageId, sender_key: bool },
    Bury { id: MessageId },
}

/// What became of messages.
#[derive(Default)]
pub(crate) struct Settled {
    /// What the source hears, with each message's bytes.
    pub settlements: Vec<(Token, Settlement, usize)>,
    /// What was not taken and is tried again, in order.
    pub again: VecDeque<Judged>,
    /// How many of `settlements` are received, which is all but those told `Again` and those turned away.
    pub received: u64,
}

impl Settled {
    /// A message whose fate was decided without the store, or by it.
    pub fn push(&mut self, token: Token, settlement: Settlement, bytes: usize) {
        if !matches!(settlement, Settlement::Again { .. }) {
            self.received += 1;
        }
        self.settlements.push((token, settlement, bytes));
    }

    /// A message whose fate the door decided.
    pub fn push_ended(&mut self, token: Token, settlement: Settlement, end: DoorEnd, bytes: usize) {
        if end != DoorEnd::NotReceived {
            self.received += 1;
        }
        self.settlements.push((token, settlement, bytes));
    }
}

/// Makes one commit of the first messages of `judged`, as many as fit; those that need none are settled at once.
/// None if no commit is needed.
pub(crate) fn assemble(
    plan: &DoorPlan,
    judged: &mut VecDeque<Judged>,
    settled: &mut Settled,
) -> Option<(Txn, Pending)> {
    let mut txn = Txn { takes: Takes::Prefix, ..Txn::default() };
    let mut fill = Fill::new(plan.shared.plan.gateway().store.segment_bytes);
    let now = plan.shared.time.now();
    let most = judged.len().min(COMMIT_MESSAGES_MAX);
    let mut entries = Vec::with_capacity(most);
    txn.puts.reserve(most * plan.channels.len());
    loop {
        let (bytes, records) = judged.front().map_or((0, 0), |message| message.decision.weight(plan));
        if !fill.takes(bytes, records) {
            break;
        }
        let Some(message) = judged.pop_front() else { break };
        let bundle = u32::try_from(entries.len()).unwrap_or(u32::MAX);
        match enter(plan, now, message, bundle, &mut txn.puts) {
            Entered::Waits(entry) => entries.push(entry),
            Entered::Settled { token, settlement, end, bytes } => {
                plan.door.count_end(end, 1);
                settled.push_ended(token, settlement, end, bytes);
            }
        }
    }
    (!entries.is_empty()).then_some((txn, Pending { entries }))
}

impl Decision {
    /// Bytes and records that it adds to a commit.
    fn weight(&self, plan: &DoorPlan) -> (usize, usize) {
        match self {
            Self::Append(append) => {
                let puts: usize = plan.channels.iter().map(|channel| 1 + channel.closed.len()).sum();
                let keys = append.claims.len() + usize::from(append.claim.is_some());
                (append.message.len() * plan.channels.len(), puts + keys)
            }
            Self::Bury { message, .. } => (message.len(), 1 + plan.dead_letters.closed.len()),
            Self::Tell { .. } => (0, 0),
        }
    }
}

enum Entered {
    Waits(Entry),
    Settled { token: Token, settlement: Settlement, end: DoorEnd, bytes: usize },
}

fn enter(plan: &DoorPlan, now: Timestamp, judged: Judged, bundle: u32, puts: &mut Vec<Put>) -> Entered {
    let Judged { token, bytes, decision } = judged;
    match decision {
        Decision::Tell { settlement, end } => Entered::Settled { token, settlement, end, bytes },
        Decision::Bury { id, message } => {
            let mut put = plan.dead_letters.put(message.clone(), bundle);
            put.use_reserve = true;
            puts.push(put);
            let again = (!plan.tells).then_some(Judged { token, bytes, decision: Decision::Bury { id, message } });
            Entered::Waits(Entry { token, bytes, kind: Kind::Bury { id }, puts: 1, again })
        }
        Decision::Append(append) => {
            let before = puts.len();
            for channel in &plan.channels {
                puts.push(channel.put(append.message.clone(), bundle));
            }
            if let Some(first) = puts.get_mut(before) {
                first.keys = plan.keys(now, token, &append);
            }
            let kind = Kind::Append { id: append.id, sender_key: append.claim.is_some() };
            let again = (!plan.tells).then_some(Judged { token, bytes, decision: Decision::Append(append) });
            Entered::Waits(Entry { token, bytes, kind, puts: puts.len() - before, again })
        }
    }
}

impl Pending {
    /// Settles everything by the store's answer, and counts it.
    pub fn settle(self, plan: &DoorPlan, result: Result<Committed, CommitError>, settled: &mut Settled) {
        let committed = match result {
            Ok(committed) => committed,
            Err(CommitError::NoSpace | CommitError::Full { .. }) => return self.put_off(plan, settled),
            Err(error @ (CommitError::Failed(_) | CommitError::Closed | CommitError::Fenced)) => {
                plan.shared.store_failed(&error);
                return self.refuse(plan, settled);
            }
            Err(error @ CommitError::Invalid(_)) => {
                // The sizes were looked at before: a bug, which must not lose a message.
                tracing::error!(route = %plan.evaluator.route().id, %error, "the store did not understand a commit");
                return self.put_off(plan, settled);
            }
        };
        settled.settlements.reserve(self.entries.len());
        let mut results = committed.puts.into_iter();
        let mut counts = Counts::default();
        for entry in self.entries {
            let first = results.next().unwrap_or(PutResult::Full);
            for _ in 1..entry.puts {
                results.next();
            }
            entry.settle(plan, first, &mut counts, settled);
        }
        counts.apply(plan);
    }

    /// Nothing was taken: it is tried again, or the sender hears so.
    fn put_off(self, plan: &DoorPlan, settled: &mut Settled) {
        for entry in self.entries {
            entry.put_off(plan, settled);
        }
    }

    /// Nothing will be taken any more: who waits for an answer hears so, others keep what they have.
    fn refuse(self, plan: &DoorPlan, settled: &mut Settled) {
        if plan.tells {
            for entry in self.entries {
                settled.push(entry.token, Settlement::Again { after: None }, entry.bytes);
            }
        }
    }
}

/// What a commit adds to the counters, gathered so that they are touched once.
#[derive(Default)]
struct Counts {
    stored: u64,
    filtered: u64,
    refused: u64,
    dead: u64,
}

impl Counts {
    fn apply(&self, plan: &DoorPlan) {
        for channel in &plan.channels {
            channel.count_appended(self.stored);
        }
        plan.dead_letters.count_appended(self.dead);
        let stored = if plan.hidden { DoorEnd::Appended } else { DoorEnd::Delivered };
        for (end, count) in [
            (stored, self.stored),
            (DoorEnd::Filtered, self.filtered),
            (DoorEnd::Refused, self.refused),
            (DoorEnd::Dead, self.dead),
        ] {
            if count > 0 {
                plan.door.count_end(end, count);
            }
        }
    }
}

impl Entry {
    fn settle(self, plan: &DoorPlan, result: PutResult, counts: &mut Counts, settled: &mut Settled) {
        match (self.kind, result) {
            (_, PutResult::Full) => self.put_off(plan, settled),
            (Kind::Append { id, .. }, PutResult::Stored { .. }) => {
                counts.stored += 1;
                settled.push(self.token, Settlement::Stored { id, duplicate: false }, self.bytes);
            }
            (Kind::Append { id, sender_key }, PutResult::Duplicate { id: first }) => {
                counts.filtered += 1;
                // The sender's own key names the message; that of a `dedupe` step only says that it is not wanted.
                let repeated = sender_key && first == id;
                let stored = Settlement::Stored { id: first, duplicate: true };
                settled.push(self.token, if repeated { stored } else { Settlement::Filtered }, self.bytes);
            }
            (Kind::Append { .. }, PutResult::Conflict { .. }) => {
                counts.refused += 1;
                settled.push(self.token, Settlement::Refused(conflict()), self.bytes);
            }
            (
                Kind::Bury { id },
                PutResult::Stored { .. } | PutResult::Duplicate { .. } | PutResult::Conflict { .. },
            ) => {
                counts.dead += 1;
                settled.push(self.token, Settlement::Stored { id, duplicate: false }, self.bytes);
            }
        }
    }

    fn put_off(self, plan: &DoorPlan, settled: &mut Settled) {
        match self.again {
            Some(message) => settled.again.push_back(message),
            None => settled.push(self.token, Settlement::Again { after: Some(RETRY_AFTER) }, self.bytes),
        }
        debug_assert!(plan.tells || !settled.again.is_empty(), "who cannot be told keeps its messages");
    }
}

/// What a sender is told to wait when there is no room.
const RETRY_AFTER: Duration = Duration::from_secs(1);

fn conflict() -> Refusal {
    let text = "another message came under the same idempotency key: use a new key for a new message";
    Refusal {
        kind: RefusalKind::Conflict,
        fault: Fault::rejected("idempotency.conflict", text),
        violations: Vec::new(),
    }
}
