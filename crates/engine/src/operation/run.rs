//! The task of an operation: dead letter by dead letter, at its pace, until it is through, cancelled, or the gateway
//! stops.

use super::{
    DELETE,
    body::Body,
    is_running,
    release::{Release, release},
};
use crate::{RequestError, browse::page, claims::commit, gateway::Inner, room::RoomWatch, shared::Phase};
use crossdock_model::MessageId;
use crossdock_settings::Rate;
use crossdock_store::{
    ChannelNumber, CommitError, Cursor, Offsets, Operation, OperationState, Outcome, Put, PutResult, Settle,
    StoredMessage, SubscriptionInfo, Txn,
};
use std::sync::Arc;
use tokio::time::{Instant, sleep_until};

/// Dead letters that are looked at together.
const LOOKED_AT: usize = 64;

/// Where a queue is looked at next, and what was left there.
struct Place {
    channel: crossdock_model::Text,
    /// None at the beginning.
    from: Option<Cursor>,
    until: u64,
}

/// What became of a step.
enum Step {
    /// One was moved or left; look on from here.
    On(Cursor),
    /// The queue has nothing more.
    Through,
    /// There is no room now for the letter here. Those before it that stay have been counted.
    Wait(Cursor),
    /// The operation is to stop.
    Stop,
}

/// Works an operation off.
pub(crate) async fn run(inner: Arc<Inner>, operation: Operation) {
    let id = operation.id;
    let Some(body) = Body::decode(&operation.body) else {
        tracing::error!(%id, "an operation of another version cannot be understood: it failed");
        return end(&inner, id, OperationState::Failed).await;
    };
    let mut phase = inner.shared.phase.subscribe();
    let worked = tokio::select! {
        biased;
        // It goes on after the restart.
        _ = phase.wait_for(|phase| !matches!(phase, Phase::Running)) => return,
        worked = work(&inner, id, &body) => worked,
    };
    match worked {
        Ok(()) => end(&inner, id, OperationState::Done).await,
        Err(error) => {
            tracing::error!(%id, %error, "the operation failed");
            end(&inner, id, OperationState::Failed).await;
        }
    }
}

async fn work(inner: &Inner, id: MessageId, body: &Body) -> Result<(), RequestError> {
    let interval = body.rate.map(Rate::interval);
    let (mut next, mut room, mut moved) = (Instant::now(), RoomWatch::new(), 0);
    for (channel, until) in &body.until {
        let mut place = Place { channel: channel.clone(), from: None, until: *until };
        loop {
            sleep_until(next).await;
            match step(inner, id, body, &place, interval.is_some()).await? {
                Step::On(from) => {
                    place.from = Some(from);
                    // Even: a step that came late does not make the next one earlier.
                    next = interval.map_or(next, |interval| Instant::now() + interval);
                }
                Step::Through => break,
                Step::Wait(from) => {
                    place.from = Some(from);
                    let done = inner.operations.get(id).map_or(0, |operation| operation.done);
                    let some = std::mem::replace(&mut moved, done) < done;
                    sleep_until(room.found_none(some, &*inner.shared.channels, std::iter::empty())).await;
                }
                Step::Stop => return Ok(()),
            }
        }
    }
    Ok(())
}

/// Looks at a part of a queue, and moves the first letter there that is meant; without a rate all of them.
async fn step(inner: &Inner, id: MessageId, body: &Body, place: &Place, paced: bool) -> Result<Step, RequestError> {
    let moving = inner.operations.moving.lock().await;
    let Some(mut operation) = inner.operations.get(id).filter(is_running) else { return Ok(Step::Stop) };
    if operation.done + operation.failed >= operation.total {
        return Ok(Step::Stop);
    }
    let Some(info) = inner.channel_info(&place.channel) else { return Ok(Step::Through) };
    let from = place.from.clone().map_or_else(|| inner.seek(info.number, 0), Ok)?;
    let page = page(&inner.shared.channels, info.number, from, LOOKED_AT).await?;
    for message in page.messages {
        if message.offset >= place.until {
            return Ok(Step::Through);
        }
        if !body.filter.matches(&message, &inner.renames) {
            continue;
        }
        if !move_one(inner, &mut operation, &message, info.number).await? {
            return Ok(Step::Wait(inner.seek(info.number, message.offset)?));
        }
        if paced || operation.done + operation.failed >= operation.total {
            return Ok(Step::On(inner.seek(info.number, message.offset + 1)?));
        }
    }
    drop(moving);
    Ok(page.next.map_or(Step::Through, Step::On))
}

/// Moves a letter in one frame with the operation's progress; false if there is no room.
async fn move_one(
    inner: &Inner,
    operation: &mut Operation,
    message: &StoredMessage,
    dead_letters: ChannelNumber,
) -> Result<bool, RequestError> {
    let released = if operation.kind == DELETE { Ok(Release::deletion()) } else { release(inner, message) };
    let mut moved = operation.clone();
    let released = match released {
        Ok(released) => released,
        Err(reason) => {
            tracing::warn!(id = %message.id(), reason, "a dead letter stays where it is");
            moved.failed += 1;
            inner.operations.note_reason(operation.id, &reason);
            inner.operations.put(moved.clone());
            *operation = moved;
            return Ok(true);
        }
    };
    moved.done += 1;
    let outcome = if operation.kind == DELETE { Outcome::Dead } else { Outcome::Delivered };
    let mut txn = instead_of(inner, dead_letters, message.offset, released.puts, outcome);
    txn.operations.push(moved.clone());
    let fences = inner.shared.claims.of_all(txn.settles.iter().map(|settle| settle.subscription));
    let committed = match commit(&inner.shared, &fences, txn).await {
        Ok(committed) => committed,
        Err(CommitError::Full { .. } | CommitError::NoSpace) => return Ok(false),
        Err(error) => return Err(RequestError::Unavailable(error.to_string())),
    };
    inner.tell_gone(dead_letters, message.offset);
    released.account.count(committed.puts.first().is_none_or(|put| matches!(put, PutResult::Stored { .. })));
    inner.operations.put(moved.clone());
    *operation = moved;
    Ok(true)
}

/// What settles a letter for all who read its queue, and puts others in its place.
pub(super) fn instead_of(
    inner: &Inner,
    dead_letters: ChannelNumber,
    offset: u64,
    puts: Vec<Put>,
    outcome: Outcome,
) -> Txn {
    let readers = inner.shared.channels.subscriptions().into_iter().filter(|has| has.channel == dead_letters);
    let settle = |has: SubscriptionInfo| Settle { subscription: has.number, outcome, offsets: Offsets::one(offset) };
    let settles: Vec<_> = readers.map(settle).collect();
    let first = settles.first().map(|settle| settle.subscription);
    let puts = puts.into_iter().map(|put| match first {
        Some(first) => put.in_place_of(first, offset),
        None => put,
    });
    Txn { puts: puts.collect(), settles, ..Txn::default() }
}

/// Notes that the operation has ended, unless it was cancelled meanwhile.
async fn end(inner: &Inner, id: MessageId, state: OperationState) {
    let _moving = inner.operations.moving.lock().await;
    let Some(mut operation) = inner.operations.get(id).filter(is_running) else { return };
    operation.state = state;
    // If it cannot be noted it is worked off again after the restart, and finds nothing left to do.
    if commit(&inner.shared, &[], Txn { operations: vec![operation.clone()], ..Txn::default() }).await.is_ok() {
        inner.operations.put(operation);
    }
}
