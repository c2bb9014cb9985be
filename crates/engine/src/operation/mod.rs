//! Operations on many messages in the background: redriving and deleting dead letters. Each is a record in the store,
//! which moves on in the frame that does a part of it, so that it goes on where it stood after a restart.
//!
//! Routes that were told not to deliver are remembered in the same way, as operations of kind `pause` that run, and so is
//! what routes were called before (`rename`).

mod body;
mod edit;
mod release;
mod renames;
mod run;

use crate::{
    DeadFilter, Gateway, OperationView, Redrive, RedriveRequest, RequestError, browse::lost, claims::commit,
    dead::count, gateway::Inner, shared::Shared, tasks::blocking,
};
pub use edit::{Edit, Edited};
pub(crate) use renames::Renames;

use body::Body;
use crossdock_model::{MessageId, Text, Timestamp};
use crossdock_settings::Rate;
use crossdock_store::{Channels, Operation, OperationState, Txn};
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

/// Most ids in a filter: they are written again with every step of the operation.
const IDS_MAX: usize = 1000;
/// Most operations that have ended and are remembered.
const ENDED_MAX: usize = 1000;

pub(crate) const REDRIVE: &str = "redrive";
pub(crate) const DELETE: &str = "delete";
const PAUSE: &str = "pause";

/// The operations that are known. Those that run are in the store as they are here.
pub(crate) struct Operations {
    known: Mutex<BTreeMap<MessageId, Operation>>,
    /// Why the last letter that one could not do stayed; since the process began.
    reasons: Mutex<BTreeMap<MessageId, Text>>,
    /// Held while dead letters are looked at and moved, so that no two operations move the same one.
    pub moving: tokio::sync::Mutex<()>,
}

impl Operations {
    /// Those that the store remembers.
    pub fn load(channels: &dyn Channels) -> Self {
        let known = channels.operations().into_iter().filter(|operation| operation.kind != renames::RENAME);
        let known = known.map(|operation| (operation.id, operation)).collect();
        Self { known: Mutex::new(known), reasons: Mutex::default(), moving: tokio::sync::Mutex::new(()) }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<MessageId, Operation>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The routes that were told not to deliver.
    pub fn paused_routes(&self) -> Vec<Text> {
        let known = self.lock();
        let paused = known.values().filter(|operation| operation.kind == PAUSE && is_running(operation));
        paused.filter_map(|operation| Text::try_from(operation.body.clone()).ok()).collect()
    }

    /// What notes that a route is to deliver or not. It is taken to be committed.
    pub fn pause(&self, route: &Text, paused: bool, random: u64) -> Operation {
        let mut known = self.lock();
        let same = |operation: &&mut Operation| operation.kind == PAUSE && operation.body == route.as_bytes();
        let id = id_of(Timestamp(0), random);
        let operation = match known.values_mut().find(same) {
            Some(operation) => operation,
            None => known.entry(id).or_insert_with(|| Operation {
                id,
                kind: Text::from_static(PAUSE),
                state: OperationState::Running,
                total: 0,
                done: 0,
                failed: 0,
                body: route.as_bytes().clone(),
            }),
        };
        operation.state = if paused { OperationState::Running } else { OperationState::Done };
        operation.clone()
    }

    /// Passes the pause of a route on to what it is called now (`was`).
    pub async fn pass_pauses_on(&self, shared: &Shared) {
        let paused = self.paused_routes();
        let mut operations = Vec::new();
        for route in shared.plan.routes() {
            if let Some(was) = route.was.as_ref().filter(|was| paused.contains(was)) {
                operations.push(self.pause(was, false, shared.random()));
                operations.push(self.pause(&route.id, true, shared.random()));
            }
        }
        if !operations.is_empty()
            && let Err(error) = commit(shared, &[], Txn { operations, ..Txn::default() }).await
        {
            // It is paused all the same, for as long as this process lives.
            tracing::warn!(%error, "that a renamed route is paused was not noted: pause it again, or leave `was` where it is");
        }
    }

    /// An operation as it stands.
    pub fn get(&self, id: MessageId) -> Option<Operation> {
        self.lock().get(&id).filter(|operation| operation.kind != PAUSE).cloned()
    }

    /// An operation moved on.
    pub fn put(&self, operation: Operation) {
        let mut known = self.lock();
        known.insert(operation.id, operation);
        let ended: Vec<_> = known.values().filter(|operation| !is_running(operation)).map(|o| o.id).collect();
        for id in ended.iter().take(ended.len().saturating_sub(ENDED_MAX)) {
            known.remove(id);
            self.reasons().remove(id);
        }
    }

    fn reasons(&self) -> std::sync::MutexGuard<'_, BTreeMap<MessageId, Text>> {
        self.reasons.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A letter that an operation is about stays where it is.
    pub fn note_reason(&self, id: MessageId, reason: &str) {
        self.reasons().insert(id, Text::from(reason));
    }

    fn view(&self, operation: &Operation) -> OperationView {
        OperationView {
            id: operation.id,
            kind: operation.kind.clone(),
            state: operation.state,
            total: operation.total,
            done: operation.done,
            failed: operation.failed,
            reason: self.reasons().get(&operation.id).cloned(),
        }
    }

    fn running(&self) -> Vec<Operation> {
        let known = self.lock();
        known.values().filter(|operation| operation.kind != PAUSE && is_running(operation)).cloned().collect()
    }
}

impl Gateway {
    /// Sends dead letters back to where they failed, in the background.
    ///
    /// # Errors
    /// The request is too long, or the store cannot be read or cannot note the operation.
    pub async fn redrive(&self, request: RedriveRequest) -> Result<Redrive, RequestError> {
        let RedriveRequest { filter, rate, max, dry_run } = request;
        self.begin(REDRIVE, filter, (rate, max), dry_run).await
    }

    /// Deletes dead letters, in the background; a dry run counts them.
    ///
    /// # Errors
    /// The request is too long, or the store cannot be read or cannot note the operation.
    pub async fn delete_dead_letters(&self, filter: DeadFilter, dry_run: bool) -> Result<Redrive, RequestError> {
        self.begin(DELETE, filter, (None, None), dry_run).await
    }

    async fn begin(
        &self,
        kind: &'static str,
        filter: DeadFilter,
        (rate, max): (Option<Rate>, Option<u64>),
        dry_run: bool,
    ) -> Result<Redrive, RequestError> {
        if filter.ids.as_ref().is_some_and(|ids| ids.len() > IDS_MAX) {
            return Err(RequestError::Invalid(format!("at most {IDS_MAX} ids can be named: make several requests")));
        }
        let (inner, dead) = (std::sync::Arc::clone(&self.0), self.0.redrivable_channels());
        // Dead letters that come later are not meant, so that one that dies again is not sent round and round.
        let until = dead.iter().map(|info| (info.name.clone(), info.next_offset)).collect();
        let counted = filter.clone();
        let matched = blocking(move || count(&inner, &dead, &counted)).await.ok_or_else(lost)??;
        let matched = max.map_or(matched, |max| matched.min(max));
        if dry_run {
            return Ok(Redrive { operation: None, matched });
        }
        let id = id_of(self.0.shared.time.now(), self.0.shared.random());
        let operation = Operation {
            id,
            kind: Text::from_static(kind),
            state: OperationState::Running,
            total: matched,
            done: 0,
            failed: 0,
            body: Body { filter, rate, until }.encode(),
        };
        self.0.commit(Txn { operations: vec![operation.clone()], ..Txn::default() }).await?;
        self.0.operations.put(operation.clone());
        self.run_operation(operation);
        Ok(Redrive { operation: Some(id), matched })
    }

    /// Goes on with what an earlier process began, from the first letter on: those that stayed are looked at again, and
    /// counted again if they still do.
    pub(crate) fn resume_operations(&self) {
        for mut operation in self.0.operations.running() {
            operation.failed = 0;
            self.0.operations.put(operation.clone());
            if let Some(body) = Body::decode(&operation.body) {
                operation.body = self.0.renames.body(body, begun_at(operation.id)).encode();
            }
            self.run_operation(operation);
        }
    }

    fn run_operation(&self, operation: Operation) {
        let name = Text::from(format!("{} {}", operation.kind, operation.id));
        self.0.shared.tasks.spawn(name, run::run(std::sync::Arc::clone(&self.0), operation));
    }

    /// All operations that run, and the last others, oldest first.
    #[must_use]
    pub fn operations(&self) -> Vec<OperationView> {
        let operations = &self.0.operations;
        let known = operations.lock();
        known.values().filter(|operation| operation.kind != PAUSE).map(|one| operations.view(one)).collect()
    }

    /// An operation.
    #[must_use]
    pub fn operation(&self, id: MessageId) -> Option<OperationView> {
        self.0.operations.get(id).as_ref().map(|operation| self.0.operations.view(operation))
    }

    /// Stops an operation; what it has done stays.
    ///
    /// # Errors
    /// There is none of this id, or it has ended.
    pub async fn cancel(&self, id: MessageId) -> Result<OperationView, RequestError> {
        // No part of it is under way while this is held.
        let moving = self.0.operations.moving.lock().await;
        let none = || RequestError::NotFound(format!("there is no operation `{id}`"));
        let mut operation = self.0.operations.get(id).ok_or_else(none)?;
        if !is_running(&operation) {
            let text = format!("operation `{id}` is {} already", operation.state.name());
            return Err(RequestError::Conflict(text));
        }
        operation.state = OperationState::Cancelled;
        self.0.commit(Txn { operations: vec![operation.clone()], ..Txn::default() }).await?;
        self.0.operations.put(operation.clone());
        drop(moving);
        Ok(self.0.operations.view(&operation))
    }
}

impl Inner {
    /// The queues of dead letters that no route reads: what a route reads, it settles.
    fn redrivable_channels(&self) -> Vec<crossdock_store::ChannelInfo> {
        let mut channels = self.dead_channels();
        channels.retain(|info| self.shared.plan.reader(&info.name).is_none());
        channels
    }
}

fn is_running(operation: &Operation) -> bool {
    operation.state == OperationState::Running
}

fn id_of(now: Timestamp, random: u64) -> MessageId {
    let mut bytes = [0; 10];
    for (to, from) in bytes.iter_mut().zip(random.to_le_bytes()) {
        *to = from;
    }
    MessageId::from_time_and_random(u64::try_from(now.millis()).unwrap_or(0), &bytes)
}

/// When an operation was begun: its id tells.
fn begun_at(id: MessageId) -> Timestamp {
    Timestamp(id.as_bytes().iter().take(6).fold(0, |millis, byte| millis << 8 | i64::from(*byte)))
}
