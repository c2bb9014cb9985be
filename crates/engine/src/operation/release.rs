//! Where a dead letter goes when it is redriven: back into the channel that it came from, with the same id, settled for
//! all but the target that failed; one that `accept` did not take goes through `accept` again.

use crate::{
    Acceptance,
    account::{Channel, Door, DoorEnd},
    evaluate::earlier,
    gateway::Inner,
    source::DoorPlan,
    start::{is_gate, subscription_name},
};
use crossdock_model::{Envelope, Timestamp};
use crossdock_store::{DeadNote, EncodedMessage, Notes, Outcome, Put, StoredMessage};
use std::sync::Arc;

/// The code of what `drop_oldest` drops.
const DROPPED: &str = "channel.dropped";

/// What is put where, and what it counts for.
pub(crate) struct Release {
    /// The messages to append; none if it only leaves the dead letters.
    pub puts: Vec<Put>,
    /// What it counts for when it is done.
    pub account: Counted,
}

/// What a released letter counts for.
pub(crate) enum Counted {
    /// Nothing: it is deleted.
    Nothing,
    /// Received again by those who read the channel.
    Channel(Arc<Channel>),
    /// Received again at the door, which let it in.
    Door {
        /// The counters.
        door: Arc<Door>,
        /// The channels to which it was appended.
        channels: Vec<Arc<Channel>>,
        /// Where it ends if it was stored; otherwise a `dedupe` did not want it.
        end: DoorEnd,
    },
}

impl Release {
    /// A letter that goes nowhere.
    pub const fn deletion() -> Self {
        Self { puts: Vec::new(), account: Counted::Nothing }
    }
}

impl Counted {
    /// Counts a letter that was moved; `stored` unless a key was known, or what it was put as.
    pub fn count(&self, stored: bool) {
        match self {
            Self::Nothing => {}
            Self::Channel(channel) => channel.count_appended(u64::from(stored)),
            Self::Door { door, channels, end } => {
                if stored {
                    channels.iter().for_each(|channel| channel.count_appended(1));
                }
                door.count_end(if stored { *end } else { DoorEnd::Filtered }, 1);
                door.count_received(1);
            }
        }
    }
}

/// What is to be done with a dead letter.
///
/// # Errors
/// Why it stays: what it failed in is gone, or `accept` refuses it again.
pub(crate) fn release(inner: &Inner, message: &StoredMessage) -> Result<Release, String> {
    let unreadable = |_| String::from("it cannot be decoded");
    let (mut envelope, notes) = message.decode().map_err(unreadable)?;
    let (since, now) = (notes.since(envelope.received_at), inner.shared.time.now());
    let (mut notes, note) = notes.revived(now).ok_or("it is no dead letter")?;
    let note = inner.renames.note(note);
    wanted_again(inner, &note, &mut envelope, since, now);
    let bytes_max = inner.shared.plan.gateway().store.message_bytes_max();
    let fits = |notes: &Notes| EncodedMessage::with_notes(&envelope, notes).len() as u64 <= bytes_max;
    // A message that is as large as one may be says no more of its past than it did as a dead letter. When it was redriven
    // it says as long as it can: its expiry counts from then.
    while !notes.earlier.is_empty() && !fits(&notes) {
        notes.earlier.remove(0);
    }
    release_as(inner, &note, envelope, &notes)
}

/// Somebody wants the message: an expiry of its own that has passed is gone, and one that `accept` gave it counts anew.
fn wanted_again(inner: &Inner, note: &DeadNote, envelope: &mut Envelope, since: Timestamp, now: Timestamp) {
    // What goes through `accept` is given its expiry there.
    let door = inner.route(&note.route).filter(|_| note.source.is_some());
    let after = door.and_then(|handle| handle.route.accept.expire_after());
    let by_accept = |at: Timestamp| after.is_some_and(|after| at == since.after(after));
    let own = envelope.properties.expires_at.filter(|at| *at > now && !by_accept(*at));
    envelope.properties.expires_at = earlier(own, after.map(|after| now.after(after)));
}

/// What is to be done with a message that goes where a dead letter failed.
///
/// # Errors
/// Why it cannot: what the letter failed in is gone, or `accept` refuses the message.
pub(crate) fn release_as(inner: &Inner, note: &DeadNote, envelope: Envelope, notes: &Notes) -> Result<Release, String> {
    match &note.source {
        Some(source) => back(inner, note, source, &envelope, notes),
        None => through_accept(inner, note, envelope, notes),
    }
}

fn back(inner: &Inner, note: &DeadNote, source: &str, envelope: &Envelope, notes: &Notes) -> Result<Release, String> {
    let channel = inner.channels.get(source).ok_or_else(|| format!("the channel `{source}` is not in the plan"))?;
    if inner.queue_of(channel.number).is_some_and(|queue| queue.account.name == note.route) {
        // It was dropped from a queue that no route reads: its consumers get it after all.
        let put = channel.put(encoded(&[Arc::clone(channel)], envelope, notes)?, 0);
        return Ok(Release { puts: vec![put], account: Counted::Channel(Arc::clone(channel)) });
    }
    let handle = inner.route(&note.route).ok_or_else(|| format!("the route `{}` is not in the plan", note.route))?;
    let wanted: Vec<_> = handle
        .route
        .targets
        .iter()
        .filter(|target| note.target.as_ref().is_none_or(|failed| *failed == target.name))
        .map(|target| subscription_name(&handle.route, &target.name))
        .collect();
    let (mut settled_for, mut found) = (Vec::new(), false);
    for has in inner.shared.channels.subscriptions().into_iter().filter(|has| has.channel == channel.number) {
        // What is dead by its own fault has passed no gate. All else was let go on, or was dropped where it waited.
        let by_itself = note.target.is_none() && note.cause.code != DROPPED;
        let to_gate = by_itself && is_gate(&has.name) && has.group == note.route;
        if wanted.contains(&has.name) {
            found = true;
        } else if !to_gate {
            settled_for.push((has.number, Outcome::Filtered));
        }
    }
    if !found {
        return Err(match note.target.as_ref().filter(|_| wanted.is_empty()) {
            Some(failed) => format!(
                "the route `{}` has no target `{failed}` any more: another one is not sent what died there; bring it back, or \
                 delete the letter",
                note.route
            ),
            None => format!("the route `{}` reads another channel than `{source}` by now", note.route),
        });
    }
    let mut put = Put::new(channel.number, encoded(&[Arc::clone(channel)], envelope, notes)?, 0);
    put.settled_for = settled_for;
    Ok(Release { puts: vec![put], account: Counted::Channel(Arc::clone(channel)) })
}

/// The message as it is put into each of the channels.
///
/// # Errors
/// One of them never has room for it.
fn encoded(channels: &[Arc<Channel>], envelope: &Envelope, notes: &Notes) -> Result<EncodedMessage, String> {
    let message = EncodedMessage::with_notes(envelope, notes);
    let never = channels.iter().find_map(|channel| channel.never_holds(message.len()));
    never.map_or(Ok(message), Err)
}

fn through_accept(inner: &Inner, note: &DeadNote, envelope: Envelope, notes: &Notes) -> Result<Release, String> {
    let handle = inner.route(&note.route).ok_or_else(|| format!("the route `{}` is not in the plan", note.route))?;
    let plan: &Arc<DoorPlan> =
        handle.door.as_ref().ok_or_else(|| format!("the route `{}` has no source of its own", note.route))?;
    let counted = |end, channels: &[Arc<Channel>]| Counted::Door {
        door: Arc::clone(&plan.door),
        channels: channels.to_vec(),
        end,
    };
    let since = notes.since(envelope.received_at);
    match plan.evaluator.accept_since(Arc::new(envelope), since) {
        Acceptance::Refused(refusal) => Err(format!("`accept` refuses it again: {}", refusal.fault)),
        Acceptance::Filtered { .. } => Ok(Release { puts: Vec::new(), account: counted(DoorEnd::Filtered, &[]) }),
        Acceptance::Taken { envelope, claims } => {
            let message = encoded(&plan.channels, &envelope, notes)?;
            let mut puts: Vec<_> = plan.channels.iter().map(|channel| channel.put(message.clone(), 0)).collect();
            if let Some(first) = puts.first_mut() {
                first.keys = plan.step_keys(inner.shared.time.now(), envelope.id, &claims).collect();
            }
            let end = if plan.hidden { DoorEnd::Appended } else { DoorEnd::Delivered };
            Ok(Release { puts, account: counted(end, &plan.channels) })
        }
    }
}
