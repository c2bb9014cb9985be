//! Looking at messages where they stand, without consuming them.

use crate::{
    Attempt, Gateway, HistoryEvent, MessageState, MessageView, Page, RequestError,
    gateway::{Inner, no_channel},
    limits::PAGE_MAX,
    operation::Renames,
    queue::QueueEvent,
    route::RouteEvent,
    tasks::blocking,
};
use crossdock_model::{Fault, MessageId, Text};
use crossdock_store::{
    Browsed, Browser, ChannelInfo, ChannelNumber, Channels, Cursor, Notes, ReadError, StoredMessage,
    SubscriptionNumber, Try,
};
use std::{fmt::Write as _, sync::Arc};
use tokio::sync::oneshot;

/// What is told of all messages of a channel alike.
struct Place {
    channel: Text,
    /// The route that reads it.
    route: Option<Text>,
    /// Those that read it, with their targets.
    subscriptions: Vec<(SubscriptionNumber, Text)>,
    renames: Arc<Renames>,
}

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
        let from = cursor.map_or_else(|| self.0.seek(info.number, 0), parse_cursor)?;
        let page = page(&self.0.shared.channels, info.number, from, limit.clamp(1, PAGE_MAX)).await?;
        let items = self.0.views(&info, page.messages).await?;
        Ok(Page { items, next: page.next.as_ref().map(text_of) })
    }

    /// The message of an id where it stands now, dead letters included; none if it stands nowhere (any more). Of several
    /// targets one that has still to get it comes before one for which it is dead, and this before a channel that got it.
    /// Looks through what is stored.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn message(&self, id: MessageId) -> Result<Option<MessageView>, RequestError> {
        let mut copies = Vec::new();
        for info in self.0.shared.channels.channels().into_iter().filter(|info| info.messages > 0) {
            let channels = Arc::clone(&self.0.shared.channels);
            let number = info.number;
            let found = blocking(move || find(&*channels, number, id)).await.ok_or_else(lost)??;
            copies.extend(found.map(|message| (info, message)));
        }
        match self.0.first_of(copies) {
            Some((info, message)) => Ok(self.0.views(&info, vec![message]).await?.pop()),
            None => Ok(None),
        }
    }
}

/// The message of an id in a channel. Blocks.
pub(crate) fn find(
    channels: &dyn Channels,
    channel: ChannelNumber,
    id: MessageId,
) -> Result<Option<StoredMessage>, RequestError> {
    Ok(browser(channels)?.find(channel, id, 1).map_err(|error| unreadable(&error))?.pop())
}

/// What looks at messages where they stand.
pub(crate) fn browser(channels: &dyn Channels) -> Result<&dyn Browser, RequestError> {
    let unsupported = || String::from("messages of this gateway cannot be looked at where they stand");
    channels.browser().ok_or_else(|| RequestError::Unsupported(unsupported()))
}

impl Inner {
    /// A channel that the store has.
    pub fn channel_info(&self, name: &str) -> Option<ChannelInfo> {
        self.shared.channels.channels().into_iter().find(|info| info.name == name)
    }

    /// Of the places where a message stands the one that tells how it is with it ([`Gateway::message`]).
    fn first_of(&self, copies: Vec<(ChannelInfo, StoredMessage)>) -> Option<(ChannelInfo, StoredMessage)> {
        let note = |message: &StoredMessage| message.dead_note().ok().flatten().map(|note| self.renames.note(note));
        let dead = copies.iter().enumerate().find_map(|(at, (_, message))| Some((at, note(message)?)));
        let source = dead.as_ref().and_then(|(_, note)| note.source.clone());
        let is_awaited = |(info, _): &(ChannelInfo, StoredMessage)| {
            source.as_ref() == Some(&info.name) || self.channels.get(&info.name).is_some_and(|channel| channel.hidden)
        };
        let at = copies.iter().position(is_awaited).or(dead.map(|(at, _)| at)).unwrap_or(0);
        copies.into_iter().nth(at)
    }

    /// Where looking through a channel goes on with an offset.
    pub fn seek(&self, channel: ChannelNumber, offset: u64) -> Result<Cursor, RequestError> {
        Ok(browser(&*self.shared.channels)?.seek(channel, offset))
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
        let subscriptions: Vec<_> = self.shared.channels.subscriptions();
        let subscriptions: Vec<_> = subscriptions
            .into_iter()
            .filter(|has| has.channel == info.number && !crate::start::is_gate(&has.name))
            .map(|has| (has.number, target_of(&has.name)))
            .collect();
        let channels = Arc::clone(&self.shared.channels);
        let place = Place { channel: info.name.clone(), route, subscriptions, renames: Arc::clone(&self.renames) };
        let viewed = move || {
            let views = messages.into_iter().zip(states).filter_map(|(message, state)| {
                // One that cannot be decoded is damaged: its reader finds out and says so.
                view(&*channels, &place, &message, state).ok()
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
    channels: &dyn Channels,
    place: &Place,
    message: &StoredMessage,
    state: MessageState,
) -> Result<MessageView, ReadError> {
    let envelope = message.envelope().map_err(|_| ReadError::Damaged)?;
    let mut notes = message.notes().map_err(|_| ReadError::Damaged)?;
    notes.dead = notes.dead.map(|note| place.renames.note(note));
    let (mut attempts, mut total) = (Vec::new(), 0);
    for (subscription, target) in &place.subscriptions {
        // What was settled meanwhile has no history; a system failure shows the message without it.
        if let Ok(history) = channels.history(*subscription, message.offset) {
            total += history.total;
            attempts.extend(history.kept.into_iter().map(|tried| attempt(tried, Some(target))));
        }
    }
    if let Some(dead) = &notes.dead {
        total += dead.tries_total;
        attempts.extend(dead.tries.iter().map(|tried| attempt(tried.clone(), dead.target.as_ref())));
    }
    total = notes.earlier.iter().fold(total, |total, death| total.saturating_add(death.tries_total));
    let history = history(&envelope.received_at, message, &attempts, &notes);
    Ok(MessageView {
        route: notes.dead.as_ref().map(|dead| dead.route.clone()).or_else(|| place.route.clone()),
        state: if notes.dead.is_some() { MessageState::Dead } else { state },
        envelope,
        channel: place.channel.clone(),
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
    let died = |at, target: &Option<Text>, cause: &Fault| {
        let (target, fault) = (target.clone(), Some(cause.clone()));
        HistoryEvent { at, event: "dead", target, fault }
    };
    let mut events = vec![plain(*received_at, "received")];
    for death in &notes.earlier {
        events.extend([died(death.dead_since, &death.target, &death.cause), plain(death.redriven_at, "redriven")]);
    }
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
        events.push(died(dead.dead_since, &dead.target, &dead.cause));
    }
    events.sort_by_key(|event| event.at);
    events
}

/// A part of a channel, read on a thread that may block.
pub(crate) async fn page(
    channels: &Arc<dyn Channels>,
    channel: ChannelNumber,
    from: Cursor,
    limit: usize,
) -> Result<Browsed, RequestError> {
    let channels = Arc::clone(channels);
    let read = move || browser(&*channels)?.browse(channel, &from, limit).map_err(|error| unreadable(&error));
    blocking(read).await.ok_or_else(lost)?
}

/// A cursor as it is told: in hexadecimal digits, since only its maker reads it.
pub(crate) fn text_of(cursor: &Cursor) -> Text {
    let mut text = String::with_capacity(2 * cursor.bytes().len());
    for byte in cursor.bytes() {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    Text::from(text)
}

pub(crate) fn parse_cursor(text: &str) -> Result<Cursor, RequestError> {
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let digits = text.bytes().all(|digit| digit.is_ascii_hexdigit()) && text.len().is_multiple_of(2);
    let bytes: Option<Vec<u8>> = if digits { text.as_bytes().chunks(2).map(byte).collect() } else { None };
    bytes.map(|bytes| Cursor::new(bytes.into())).ok_or_else(|| unreadable(&ReadError::Cursor))
}

pub(crate) fn unreadable(error: &ReadError) -> RequestError {
    match error {
        ReadError::Cursor => RequestError::Invalid(error.to_string()),
        ReadError::Gone | ReadError::Damaged | ReadError::Fenced | ReadError::Io(_) => {
            RequestError::Internal(error.to_string())
        }
    }
}

pub(crate) fn lost() -> RequestError {
    RequestError::Internal(String::from("a reading thread was lost: report this"))
}

/// The target in a subscription's name.
fn target_of(subscription: &Text) -> Text {
    Text::from(subscription.split_once('/').map_or(&**subscription, |(_, target)| target))
}
