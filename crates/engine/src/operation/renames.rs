//! What routes were called before: `was: OLD` of the file, remembered when the file says it no more. And what a route's
//! target was, `ROUTE/TARGET`, before its address was edited or it was given a name, where what waited for it went on to the
//! new one (`start/names.rs`): so does what died there.
//!
//! The note inside a dead letter tells for good what its route and the channel it stood in were called when it died. It
//! is read as if it had been written with today's names, so that nobody else knows of the others. A name is followed from
//! the letter's death on: a route that is called `OLD` again later is another one.
//!
//! Each is a record in the store, beside the operations. It is written again at every start at which the file says
//! `was`: a route may have had its old name back in between.

use super::{body::Body, id_of};
use crate::{claims::commit, shared::Shared, start::MovedTarget};
use bytes::Bytes;
use crossdock_config::Plan;
use crossdock_model::{MessageId, Text, Timestamp};
use crossdock_store::{DeadNote, Operation, OperationState, StoredMessage, Txn};
use std::sync::Arc;

/// The kind of the records.
pub(super) const RENAME: &str = "rename";

/// What routes were called before.
pub(crate) struct Renames {
    plan: Arc<Plan>,
    /// In order of time.
    known: Vec<Rename>,
}

struct Rename {
    id: MessageId,
    old: Text,
    new: Text,
    /// What died later under the old name is another route's.
    until: Timestamp,
}

impl Renames {
    /// What the store remembers, and what the file says, which is written down.
    pub async fn open(shared: &Shared, moved: &[MovedTarget]) -> Self {
        let now = shared.time.now();
        let mut renames = Self::load(shared);
        let mut operations = renames.records(now);
        for MovedTarget { route, old, new } in moved {
            let [old, new] = [old, new].map(|target| Text::from(format!("{route}/{target}")));
            let rename = Rename { id: id_of(now, shared.random()), old, new, until: now };
            operations.push(encode(&rename, now));
            renames.known.push(rename);
        }
        if !operations.is_empty()
            && let Err(error) = commit(shared, &[], Txn { operations, ..Txn::default() }).await
        {
            // What waits can be delivered all the same, which may be what makes room.
            tracing::warn!(%error, "the old names of routes were not noted: leave `was` where it is until the next start");
        }
        renames
    }

    fn load(shared: &Shared) -> Self {
        let plan = Arc::clone(&shared.plan);
        let records = shared.channels.operations();
        let mut known: Vec<_> = records.iter().filter(|record| record.kind == RENAME).filter_map(decode).collect();
        known.sort_by_key(|rename| rename.until);
        for route in plan.routes() {
            let Some(was) = &route.was else { continue };
            let last = known.iter().rposition(|rename| rename.old == *was || rename.new == *was);
            let same = last.filter(|at| known.get(*at).is_some_and(|last| last.old == *was && last.new == route.id));
            let id = match same {
                Some(at) => known.remove(at).id,
                None => id_of(Timestamp(0), shared.random()),
            };
            // Nothing dies under the old name as long as the file says so, whatever the calendar says.
            known.push(Rename { id, old: was.clone(), new: route.id.clone(), until: Timestamp(i64::MAX) });
        }
        Self { plan, known }
    }

    /// The records of what the file says.
    fn records(&self, now: Timestamp) -> Vec<Operation> {
        let said = self.known.iter().filter(|rename| rename.until == Timestamp(i64::MAX));
        said.map(|rename| encode(rename, now)).collect()
    }

    /// The note of a dead letter, with today's names; none if the message is no dead letter, or cannot be decoded.
    pub fn note_of(&self, message: &StoredMessage) -> Option<DeadNote> {
        message.dead_note().ok().flatten().map(|note| self.note(note))
    }

    /// A note with today's names.
    pub fn note(&self, note: DeadNote) -> DeadNote {
        let at = note.dead_since;
        let source = note.source.as_ref().map(|source| self.channel(source, at));
        let route = self.route(&note.route, at);
        let target = note.target.map(|target| self.target(&route, target, at));
        DeadNote { route, target, source, ..note }
    }

    /// What is called now what was a target of this name at that time, of a route by today's name.
    fn target(&self, route: &str, target: Text, at: Timestamp) -> Text {
        let later = self.known.iter().filter(|rename| rename.until >= at);
        later.fold(target, |target, Rename { old, new, until, .. }| {
            let names = old.split_once('/').zip(new.split_once('/'));
            match names.filter(|((of, old), _)| **old == *target && self.route(of, *until) == route) {
                Some((_, (_, new))) => Text::from(new),
                None => target,
            }
        })
    }

    /// What an operation that was begun at that time is about, with today's names.
    pub fn body(&self, mut body: Body, at: Timestamp) -> Body {
        body.filter.route = body.filter.route.map(|route| self.route(&route, at));
        body.until.iter_mut().for_each(|(channel, _)| *channel = self.channel(channel, at));
        body
    }

    /// What is called now what was a route of this name at that time.
    fn route(&self, name: &str, at: Timestamp) -> Text {
        let later = self.known.iter().filter(|rename| rename.until >= at);
        later.fold(Text::from(name), |name, rename| if rename.old == name { rename.new.clone() } else { name })
    }

    /// The same of a channel: the queues that a route has for itself are called after it.
    fn channel(&self, name: &Text, at: Timestamp) -> Text {
        let renamed = match (name.strip_prefix("route:"), name.strip_suffix(".dead")) {
            (Some(route), _) => format!("route:{}", self.route(route, at)),
            (None, Some(route)) => format!("{}.dead", self.route(route, at)),
            (None, None) => return name.clone(),
        };
        let is_there = self.plan.channels().iter().any(|channel| channel.name == renamed);
        if is_there { Text::from(renamed) } else { name.clone() }
    }
}

fn encode(rename: &Rename, until: Timestamp) -> Operation {
    // Strings and numbers can always be written.
    let body = serde_json::to_vec(&(&*rename.old, &*rename.new, until.millis())).unwrap_or_default();
    let (id, kind, state) = (rename.id, Text::from_static(RENAME), OperationState::Running);
    Operation { id, kind, state, total: 0, done: 0, failed: 0, body: Bytes::from(body) }
}

fn decode(record: &Operation) -> Option<Rename> {
    let (old, new, until): (String, String, i64) = serde_json::from_slice(&record.body).ok()?;
    Some(Rename { id: record.id, old: Text::from(old), new: Text::from(new), until: Timestamp(until) })
}
