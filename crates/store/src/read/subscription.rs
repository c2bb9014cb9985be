//! Reading for a subscription.

use super::{Loaded, in_window};
use crate::{
    Fetched, History, ReadError, Rest, StoredMessage, SubscriptionNumber, Touched, Try, Watch,
    format::{self, RecordKind},
    shared::Shared,
    state::{Channel, State, Subscription},
    tries::Entry,
};

/// Messages with tries on record that are read at once.
const TOUCHED_AT_ONCE: usize = 8192;

const NOTHING: Fetched = Fetched { messages: Vec::new(), rest: Rest::Nothing, lease: None };

impl Shared {
    /// The next messages that are in memory.
    pub fn fetch(&self, subscription: SubscriptionNumber, messages_max: usize, bytes_max: usize) -> Fetched {
        let mut state = self.state();
        let Some((reader, channel)) = reader_of(&state, subscription) else { return NOTHING };
        let (mut messages, mut bytes) = (Vec::new(), 0);
        let mut at = reader.next_fresh(reader.cursor);
        let end = end_of(&state, reader, channel);
        let rest = loop {
            if at >= end {
                break Rest::Nothing;
            }
            let Some(slot) = channel.recent.get(at) else { break Rest::Cold };
            if messages.len() >= messages_max || (bytes >= bytes_max && !messages.is_empty()) {
                break Rest::More;
            }
            let Some(message) = in_window(&state, slot, at) else { break Rest::Cold };
            bytes += message.len();
            messages.push(message);
            at = reader.next_fresh(at + 1);
        };
        if let Some(reader) = state.subscriptions.get_mut(subscription.0) {
            reader.cursor = at;
        }
        Fetched { messages, rest, lease: None }
    }

    /// The next messages, wherever they are.
    pub fn fetch_cold(
        &self,
        subscription: SubscriptionNumber,
        messages_max: usize,
        bytes_max: usize,
    ) -> Result<Fetched, ReadError> {
        let hot = self.fetch(subscription, messages_max, bytes_max);
        if !hot.messages.is_empty() || hot.rest != Rest::Cold || messages_max == 0 {
            return Ok(hot);
        }
        let (channel, offsets) = {
            let state = self.state();
            let Some((reader, channel)) = reader_of(&state, subscription) else { return Ok(NOTHING) };
            (reader.channel, cold_offsets(&state, reader, channel, messages_max, bytes_max))
        };
        let (mut messages, mut bytes) = (Vec::<StoredMessage>::new(), 0);
        let mut next = offsets.last().map(|last| last + 1);
        for loaded in self.load(channel, &offsets)? {
            if bytes >= bytes_max && !messages.is_empty() {
                next = Some(loaded.offset());
                break;
            }
            if let Loaded::Message(message) = loaded {
                bytes += message.len();
                messages.push(message);
            }
        }
        let mut state = self.state();
        if let Some((reader, next)) = state.subscriptions.get_mut(subscription.0).zip(next) {
            reader.cursor = next;
        }
        let rest =
            reader_of(&state, subscription).map_or(Rest::Nothing, |(reader, channel)| rest_of(&state, reader, channel));
        Ok(Fetched { messages, rest, lease: None })
    }

    /// Sets the read cursor back.
    pub fn rewind(&self, subscription: SubscriptionNumber, to: u64) {
        let watch = {
            let mut state = self.state();
            let Some(reader) = state.subscriptions.get_mut(subscription.0) else { return };
            reader.cursor = reader.cursor.min(to);
            reader.watch.clone()
        };
        if let Some(watch) = watch {
            watch();
        }
    }

    /// Has somebody told when there is something new.
    pub fn watch(&self, subscription: SubscriptionNumber, watch: Watch) {
        if let Some(reader) = self.state().subscriptions.get_mut(subscription.0) {
            reader.watch = Some(watch);
        }
    }

    /// Has a subscription read only what another one of its channel has settled, with all before.
    pub fn follow(&self, subscription: SubscriptionNumber, followed: SubscriptionNumber) {
        let mut state = self.state();
        let Some(reader) = state.subscriptions.get_mut(subscription.0) else { return };
        reader.behind = Some(followed.0);
        if let Some(followed) = state.subscriptions.get_mut(followed.0)
            && !followed.followers.contains(&subscription.0)
        {
            followed.followers.push(subscription.0);
        }
    }

    /// What has tries on record. Blocks where files have it.
    pub fn touched(&self, subscription: SubscriptionNumber) -> Result<Vec<Touched>, ReadError> {
        let (mut touched, mut from) = (Vec::new(), Some(0));
        while let Some(at) = from {
            let (entries, next) = self.touched_from(subscription.0, at, TOUCHED_AT_ONCE)?;
            touched.extend(entries.into_iter().map(|Entry { offset, message, .. }| Touched {
                offset,
                tries: message.tries,
                charges: message.charges,
                due: message.due,
            }));
            from = next;
        }
        Ok(touched)
    }

    /// The tries of a message.
    pub fn history(&self, subscription: SubscriptionNumber, offset: u64) -> Result<History, ReadError> {
        if self.state().subscriptions.get(subscription.0).is_none() {
            return Err(ReadError::Gone);
        }
        let Some((total, places)) = self.tried(subscription.0, offset)? else { return Ok(History::default()) };
        let mut kept = Vec::with_capacity(places.len());
        for place in places {
            let Some(body) = self.read_record(place, RecordKind::Touch, subscription.0, offset)? else { continue };
            if let Ok(touch) = format::touch(subscription.0, offset, &body) {
                kept.push(Try { number: touch.tries, at: touch.at, target: None, fault: touch.fault });
            }
        }
        Ok(History { total, kept })
    }
}

fn reader_of(state: &State, subscription: SubscriptionNumber) -> Option<(&Subscription, &Channel)> {
    let reader = state.subscriptions.get(subscription.0)?;
    Some((reader, state.channels.get(reader.channel)?))
}

/// Where reading ends for now: with what was appended, and for one that follows another where that one stands.
fn end_of(state: &State, reader: &Subscription, channel: &Channel) -> u64 {
    let followed = reader.behind.and_then(|number| state.subscriptions.get(number));
    followed.map_or(channel.next_offset, |followed| followed.settled.floor().min(channel.next_offset))
}

/// What stands behind the cursor.
fn rest_of(state: &State, reader: &Subscription, channel: &Channel) -> Rest {
    let next = reader.next_fresh(reader.cursor);
    match channel.recent.get(next) {
        _ if next >= end_of(state, reader, channel) => Rest::Nothing,
        Some(_) => Rest::More,
        None => Rest::Cold,
    }
}

/// The next offsets that are not in memory; about as many as the bytes allow, by the average of what stands there.
fn cold_offsets(
    state: &State,
    reader: &Subscription,
    channel: &Channel,
    messages_max: usize,
    bytes_max: usize,
) -> Vec<u64> {
    let end = end_of(state, reader, channel);
    let average = usize::try_from(channel.bytes / channel.messages.max(1)).unwrap_or(usize::MAX).max(1);
    let most = messages_max.min(bytes_max / average + 1);
    let mut offsets = Vec::new();
    let mut at = reader.next_fresh(reader.cursor);
    while at < end && offsets.len() < most && channel.recent.get(at).is_none() {
        offsets.push(at);
        at = reader.next_fresh(at + 1);
    }
    offsets
}
