//! Looking at messages where they stand, without consuming them.

use crate::{
    Attempt, Gateway, HistoryEvent, MessageState, MessageView, Page, RequestError,
    gateway::{Inner, no_channel},
    limits::PAGE_MAX,
    queue::QueueEvent,
    route::RouteEvent,
    tasks::blocking,
};
use crossdock_model::{MessageId, Text};
use crossdock_store::{ChannelInfo, ChannelNumber, Notes, ReadError, Store, StoredMessage, SubscriptionNumber, Try};
use tokio::sync::oneshot;

impl Gateway {
    /// What stands in a channel, oldest first, without consuming it; `limit` at most 1,000.
    ///
    /// # Errors
    /// There is no such channel, the cursor is none, or the store cannot be read.
    pub async fn browse(
        &self,
        channel: &str,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<MessageView>, RequestError> {
        let info = self.0.channel_info(channel).ok_or_else(|| no_channel(channel))?;
        let from = cursor.map_or(Ok(0), parse_cursor)?;
        let page = page(&self.0.shared.store, info.number, from, limit.clamp(1, PAGE_MAX)).await?;
        let items = self.0.views(&info, page.messages).await?;
        Ok(Page { items, next: page.next.map(|next| Text::from(next.to_string())) })
    }

    /// The message of an id where it stands now, dead letters included; none if it stands nowhere (any more). Looks
    /// through what is stored.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn message(&self, id: MessageId) -> Result<Option<MessageView>, RequestError> {
        for info in self.0.shared.store.channels().into_iter().filter(|info| info.messages > 0) {
            let store = self.0.shared.store.clone();
            let number = info.number;
            let found = blocking(move || find(&store, number, id)).await.ok_or_else(lost)??;
            if let Some(message) = found {
                return Ok(self.0.views(&info, vec![message]).await?.pop());
            }
        }
        Ok(None)
    }
}

/// The message of an id in a channel. Blocks.
pub(crate) fn find(
    store: &Store,
    channel: ChannelNumber,
    id: MessageId,
) -> Result<Option<StoredMessage>, RequestError> {
    let mut from = Some(0);
    while let Some(offset) = from {
        let page = store.browse(channel, offset, PAGE_MAX).map_err(|error| unreadable(&error))?;
        if let Some(message) = page.messages.into_iter().find(|message| message.id() == id) {
            return Ok(Some(message));
        }
        from = page.next;
    }
    Ok(None)
}

impl Inner {
    /// A channel that the store has.
    pub fn channel_info(&self, name: &str) -> Option<ChannelInfo> {
        self.shared.store.channels().into_iter().find(|info| info.name == name)
    }

    /// What is shown of messages of a channel.
    pub async fn views(
        &self,
        info: &ChannelInfo,
        messages: Vec<StoredMessage>,
    ) -> Result<Vec<MessageView>, RequestError> {
        let offsets: Vec<u64> = messages.iter().map(|message| message.offset).collect();
        let (route, states) = self.located(info.number, offsets).await;
        self.views_of(info, route, messages, states).await
    }

    /// What is shown of messages of a channel, given who reads it and where they stand.
    pub async fn views_of(
        &self,
        info: &ChannelInfo,
        route: Option<Text>,
        messages: Vec<StoredMessage>,
        states: Vec<MessageState>,
    ) -> Result<Vec<MessageView>, RequestError> {
        let subscriptions: Vec<_> = self.shared.store.subscriptions();
        let subscriptions: Vec<_> = subscriptions
            .into_iter()
            .filter(|has| has.channel == info.number && !crate::start::is_gate(&has.name))
            .map(|has| (has.number, target_of(&has.name)))
            .collect();
        let (store, channel) = (self.shared.store.clone(), info.name.clone());
        let viewed = move || {
            let views = messages.into_iter().zip(states).filter_map(|(message, state)| {
                // One that cannot be decoded is damaged: its reader finds out and says so.
                view(&store, &channel, route.as_ref(), &subscriptions, &message, state).ok()
            });
            views.collect()
        };
        blocking(viewed).await.ok_or_else(lost)
    }

    /// The route that reads a channel, and where messages stand for it.
    async fn located(&self, channel: ChannelNumber, offsets: Vec<u64>) -> (Option<Text>, Vec<MessageState>) {
        let queued = vec![MessageState::Queued; offsets.len()];
        let reads = |group: &crate::account::Group| group.channel.number == channel;
        let reader = self.routes.iter().find(|handle| handle.account.group.as_ref().is_some_and(reads));
        let Some(reader) = reader else {
            let Some(queue) = self.queue_of(channel) else { return (None, queued) };
            let (answer, located) = oneshot::channel();
            let asked = queue.events.send(QueueEvent::Locate(offsets, answer)).is_ok();
            return (None, if asked { located.await.unwrap_or(queued) } else { queued });
        };
        let (answer, located) = oneshot::channel();
        let asked = reader.events.as_ref().is_some_and(|e| e.send(RouteEvent::Locate(offsets, answer)).is_ok());
        let states = if asked { located.await.ok() } else { None };
        (Some(reader.route.id.clone()), states.unwrap_or(queued))
    }
}

fn view(
    store: &Store,
    channel: &Text,
    route: Option<&Text>,
    subscriptions: &[(SubscriptionNumber, Text)],
    message: &StoredMessage,
    state: MessageState,
) -> Result<MessageView, ReadError> {
    let envelope = message.envelope().map_err(|_| ReadError::Damaged)?;
    let notes = message.notes().map_err(|_| ReadError::Damaged)?;
    let (mut attempts, mut total) = (Vec::new(), 0);
    for (subscription, target) in subscriptions {
        // What was settled meanwhile has no history; a system failure shows the message without it.
        if let Ok(history) = store.history(*subscription, message.offset) {
            total += history.total;
            attempts.extend(history.kept.into_iter().map(|tried| attempt(tried, Some(target))));
        }
    }
    if let Some(dead) = &notes.dead {
        total += dead.tries_total;
        attempts.extend(dead.tries.iter().map(|tried| attempt(tried.clone(), dead.target.as_ref())));
    }
    let history = history(&envelope.received_at, message, &attempts, &notes);
    Ok(MessageView {
        route: notes.dead.as_ref().map(|dead| dead.route.clone()).or_else(|| route.cloned()),
        state: if notes.dead.is_some() { MessageState::Dead } else { state },
        envelope,
        channel: channel.clone(),
        offset: message.offset,
        appended_at: message.appended_at,
        attempts_total: total,
        attempts,
        history,
        edited_from: notes.edited_from,
    })
}

fn attempt(tried: Try, target: Option<&Text>) -> Attempt {
    Attempt { at: tried.at, target: tried.target.or_else(|| target.cloned()), fault: tried.fault }
}

fn history(
    received_at: &crossdock_model::Timestamp,
    message: &StoredMessage,
    attempts: &[Attempt],
    notes: &Notes,
) -> Vec<HistoryEvent> {
    let plain = |at, event| HistoryEvent { at, event, target: None, fault: None };
    let mut events = vec![plain(*received_at, "received")];
    if notes.dead.is_none() {
        events.push(plain(message.appended_at, "stored"));
    }
    events.extend(attempts.iter().map(|attempt| HistoryEvent {
        at: attempt.at,
        event: "attempt",
        target: attempt.target.clone(),
        fault: attempt.fault.clone(),
    }));
    if let Some(dead) = &notes.dead {
        let (target, fault) = (dead.target.clone(), Some(dead.cause.clone()));
        events.push(HistoryEvent { at: dead.dead_since, event: "dead", target, fault });
    }
    events.sort_by_key(|event| event.at);
    events
}

/// A part of a channel, read on a thread that may block.
pub(crate) async fn page(
    store: &Store,
    channel: ChannelNumber,
    from: u64,
    limit: usize,
) -> Result<crossdock_store::Page, RequestError> {
    let store = store.clone();
    let read = blocking(move || store.browse(channel, from, limit)).await.ok_or_else(lost)?;
    read.map_err(|error| unreadable(&error))
}

pub(crate) fn parse_cursor(cursor: &str) -> Result<u64, RequestError> {
    cursor.parse().map_err(|_| RequestError::Invalid(format!("`{cursor}` is no cursor: leave it out to begin anew")))
}

pub(crate) fn unreadable(error: &ReadError) -> RequestError {
    RequestError::Internal(error.to_string())
}

pub(crate) fn lost() -> RequestError {
    RequestError::Internal(String::from("a reading thread was lost: report this"))
}

/// The target in a subscription's name.
fn target_of(subscription: &Text) -> Text {
    Text::from(subscription.split_once('/').map_or(&**subscription, |(_, target)| target))
}
