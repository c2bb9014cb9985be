//! What a topic keeps of what all have seen.
//!
//! A topic that retains has a subscription of its own, which nobody reads and nobody sees: it has not settled what is
//! retained, so that stays as whatever a subscription has not seen does. What is beyond the bounds is settled for it here.

use crate::{
    OffsetRun, Offsets, Outcome, Retain,
    format::{RecordKind, put_settle},
    shared::Shared,
    state::{Channel, State, Subscription},
    writer::{Draft, Trouble, Writer},
};
use crossdock_model::Timestamp;
use std::time::{Duration, Instant};

/// How the names of such subscriptions begin; the channel's number follows.
const PREFIX: &str = "retain:";

/// How often is looked what is beyond the bounds: a tenth of the age, within these.
const LOOK_EVERY_MIN: Duration = Duration::from_secs(1);
const LOOK_EVERY_MAX: Duration = Duration::from_secs(15);

/// The name of the subscription that retains a channel's messages.
pub fn retaining_name(channel: u32) -> String {
    format!("{PREFIX}{channel}")
}

/// Whether a subscription is one that retains.
pub fn is_retaining(name: &str) -> bool {
    name.starts_with(PREFIX)
}

/// The subscription that retains a channel's messages.
pub fn retaining<'a>(state: &'a State, channel: &Channel) -> Option<(u32, &'a Subscription)> {
    let readers = channel.subscriptions.iter().filter_map(|number| Some((*number, state.subscriptions.get(*number)?)));
    readers.into_iter().find(|(_, reader)| is_retaining(&reader.name))
}

impl Writer {
    /// When to look for what is beyond the bounds of a topic.
    pub fn next_release(&self) -> Option<Instant> {
        let state = self.state();
        let bounds = state.channels.iter().filter_map(|(_, channel)| channel.bounds.retain);
        let every = bounds.map(|retain| {
            let age = retain.age.map_or(LOOK_EVERY_MAX, |age| age / 10);
            age.clamp(LOOK_EVERY_MIN, LOOK_EVERY_MAX)
        });
        every.min().map(|every| self.cleaner.released_at.map_or_else(Instant::now, |at| at + every))
    }

    /// Lets go of what topics retained long enough, if it is time to look.
    pub fn release_when_due(&mut self) -> Result<(), Trouble> {
        if self.next_release().is_some_and(|due| due <= Instant::now()) { self.release() } else { Ok(()) }
    }

    /// Lets go of what topics retained long enough; without room for the note of it, another time.
    pub fn release(&mut self) -> Result<(), Trouble> {
        self.cleaner.released_at = Some(Instant::now());
        let now = (self.shared.options.clock)();
        let topics: Vec<(u32, Retain)> = {
            let state = self.state();
            state.channels.iter().filter_map(|(number, channel)| Some((number, channel.bounds.retain?))).collect()
        };
        let mut draft = Draft::default();
        for (number, retain) in topics {
            let from = self.shared.retained_from(number, retain, now);
            let state = self.state();
            let Some(channel) = state.channels.get(number) else { continue };
            let Some((reader, known)) = retaining(&state, channel) else { continue };
            let first = known.settled.floor();
            let count = from.min(channel.next_offset).saturating_sub(first);
            if count > 0 {
                let mut offsets = Offsets::new();
                offsets.push_run(OffsetRun { first, count });
                draft.push_small(RecordKind::Settle, reader, first, |to| {
                    put_settle(to, Outcome::Delivered, &offsets);
                });
            }
        }
        if draft.is_empty() {
            return Ok(());
        }
        match self.write(&draft, now, true) {
            // Nobody waits for it, and whoever caused it has been served: it is looked for again in a while.
            Err(Trouble::NoSpace) => Ok(()),
            written => written,
        }
    }
}

impl Shared {
    /// The first offset of a topic that is within what it retains.
    fn retained_from(&self, number: u32, retain: Retain, now: Timestamp) -> u64 {
        let by_size = {
            let state = self.state();
            let Some(channel) = state.channels.get(number) else { return 0 };
            let by_count = retain.messages.map_or(0, |most| channel.next_offset.saturating_sub(most));
            by_count.max(retain.bytes.map_or(0, |most| within_bytes(channel, most)))
        };
        let age = retain.age.and_then(|age| i64::try_from(age.as_millis()).ok());
        let since = age.and_then(|age| now.millis().checked_sub(age)).map(Timestamp);
        let by_age = since.filter(|since| self.oldest_appended_at(number).is_some_and(|oldest| oldest < *since));
        by_size.max(by_age.and_then(|since| self.offset_at(number, since)).unwrap_or(0))
    }
}

/// The first of the newest messages that take so many bytes; within a segment by its average.
fn within_bytes(channel: &Channel, most: u64) -> u64 {
    let mut left = most;
    for run in channel.runs.iter().rev() {
        if run.live_bytes > left {
            let average = run.live_bytes.div_ceil(run.live.max(1)).max(1);
            return run.end().saturating_sub(left / average);
        }
        left -= run.live_bytes;
    }
    0
}
