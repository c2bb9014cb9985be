//! Expiry without a reader: finds the messages of a channel that nobody wants any more, wherever they stand, and tells
//! whoever reads the channel. It settles nothing.
//!
//! ```text
//!  store ─ ring ─► after a pause, what is new and still there ─► the earliest deadline of each block (`blocks`)
//!                                                                        │ it has passed
//!  the reader's task ◄──────── offsets, each once ◄──────── look again ◄─┘
//! ```
//!
//! Messages are looked at where they are read and gone before the pause is over: never. A channel through which messages
//! only pass costs nothing, and one whose messages say nothing of an expiry as good as nothing. After a restart all that
//! stands there is looked at once. One channel is looked at at a time, on a thread that may block, and each leaves the
//! disk and the processor to others for most of the time.

mod blocks;

use crate::{
    limits::{EXPIRY_MESSAGES_MAX, FETCH_BYTES_MAX},
    shared::{Phase, Shared},
    tasks::blocking,
};
use blocks::Blocks;
use crossdock_model::{Text, Timestamp};
use crossdock_store::{Browsed, ChannelNumber, Channels, Cursor, ReadError, StoredMessage};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::Notify,
    time::{Instant, sleep, sleep_until},
};

/// Tells when nobody wants a message any more; none if it is wanted for ever.
pub(crate) type DeadlineOf = dyn Fn(&StoredMessage) -> Option<Timestamp> + Send + Sync;

/// When messages expire.
#[derive(Clone)]
pub(crate) struct Deadline {
    /// Tells it of one.
    pub of: Arc<DeadlineOf>,
    /// Whether that is none for all that do not say so themselves: those need not be looked at.
    pub only_own: bool,
}

/// How long messages may stand before they are looked at: those that only pass are not.
const FRESH_PAUSE: Duration = Duration::from_millis(500);
/// For a look that took so long, the next waits three times as long.
const EASE: u32 = 3;

/// The task that finds what has expired in a channel.
pub(crate) struct ExpiryTask {
    /// What all tasks share.
    pub shared: Arc<Shared>,
    /// The channel.
    pub channel: ChannelNumber,
    /// Its name.
    pub name: Text,
    /// When its messages expire.
    pub deadline: Deadline,
    /// Rung when something was appended.
    pub bell: Arc<Notify>,
    /// Told what has expired, each message once.
    pub told: Box<dyn Fn(Vec<u64>) + Send + Sync>,
}

/// What a look found.
#[derive(Default)]
struct Found {
    /// What has expired.
    expired: Vec<u64>,
    /// The others that have a deadline.
    deadlines: Vec<(u64, Timestamp)>,
    /// Where to go on; none at the end.
    next: Option<Cursor>,
    /// The offset behind the last that was seen.
    end: u64,
}

/// Where to look: from a cursor, or else an offset on.
#[derive(Clone)]
struct Place {
    cursor: Option<Cursor>,
    offset: u64,
}

impl ExpiryTask {
    /// Works until the gateway stops.
    pub async fn run(self) {
        let mut phase = self.shared.phase.subscribe();
        tokio::select! {
            _ = phase.wait_for(|phase| *phase != Phase::Running) => {}
            () = self.work() => {}
        }
    }

    async fn work(&self) {
        let mut blocks = Blocks::default();
        loop {
            self.look_at_new(&mut blocks).await;
            let time = &self.shared.time;
            while let Some((from, to)) = blocks.due(time.now(), time.moment()) {
                self.look_at_block(&mut blocks, from, to).await;
            }
            let wake = blocks.due_in(time.now(), time.moment()).map(|wait| time.moment().after(wait));
            tokio::select! {
                // A block may be due by the calendar, which may jump: it is asked again at least every half minute.
                () = sleep_until(time.instant(wake)) => {}
                () = self.bell.notified() => sleep(FRESH_PAUSE).await,
            }
        }
    }

    /// Looks at what was appended since the last time and still stands there.
    async fn look_at_new(&self, blocks: &mut Blocks) {
        let mut from = Some(Place { cursor: None, offset: blocks.cursor() });
        while let Some(at) = from {
            match self.look(at, u64::MAX).await {
                Ok(found) => {
                    blocks.looked_to(found.end);
                    from = found.place();
                    self.tell(blocks, found);
                }
                Err(error) => {
                    self.cannot_look(&error);
                    // It is tried again when the bell rings or half a minute has passed.
                    return;
                }
            }
        }
    }

    async fn look_at_block(&self, blocks: &mut Blocks, first: u64, to: u64) {
        let mut from = Some(Place { cursor: None, offset: first });
        while let Some(at) = from.filter(|at| at.offset < to) {
            match self.look(at, to).await {
                Ok(found) => {
                    from = found.place();
                    self.tell(blocks, found);
                }
                Err(error) => {
                    self.cannot_look(&error);
                    return blocks.again(first, self.shared.time.now(), self.shared.time.moment());
                }
            }
        }
        blocks.rest(first, self.shared.time.moment());
    }

    fn tell(&self, blocks: &mut Blocks, found: Found) {
        for (offset, deadline) in found.deadlines {
            blocks.note(offset, deadline);
        }
        if !found.expired.is_empty() {
            (self.told)(found.expired);
        }
    }

    fn cannot_look(&self, error: &ReadError) {
        tracing::error!(channel = %self.name, %error, "cannot look for expired messages");
    }

    /// Looks at some messages from an offset on and below another.
    async fn look(&self, from: Place, to: u64) -> Result<Found, ReadError> {
        // The semaphore is never closed.
        let _permit = self.shared.looks.acquire().await.ok();
        let (channels, channel) = (Arc::clone(&self.shared.channels), self.channel);
        let deadline = self.deadline.clone();
        let (now, began) = (self.shared.time.now(), Instant::now());
        let looked = blocking(move || look(&*channels, channel, &from, to, now, &deadline)).await;
        let found = looked.unwrap_or_else(|| Err(std::io::Error::other("the reading thread was lost").into()))?;
        if found.next.is_some() {
            sleep(began.elapsed() * EASE).await;
        }
        Ok(found)
    }
}

impl Found {
    /// Where to go on; none at the end.
    fn place(&self) -> Option<Place> {
        self.next.clone().map(|cursor| Place { cursor: Some(cursor), offset: self.end })
    }
}

/// Looks at a page of messages. Blocks.
fn look(
    channels: &dyn Channels,
    channel: ChannelNumber,
    from: &Place,
    to: u64,
    now: Timestamp,
    deadline: &Deadline,
) -> Result<Found, ReadError> {
    let (Some(info), Some(browser)) = (channels.channel(channel), channels.browser()) else {
        return Ok(Found { end: from.offset, ..Found::default() });
    };
    if deadline.only_own && from.offset >= info.expiring_below {
        return Ok(Found { end: from.offset.max(info.next_offset), ..Found::default() });
    }
    // About as many as fit the bytes, by the average of what stands there.
    let average = (info.bytes / info.messages.max(1)).max(1);
    let fitting = usize::try_from(FETCH_BYTES_MAX as u64 / average).unwrap_or(1);
    let wanted = usize::try_from(to.saturating_sub(from.offset)).unwrap_or(usize::MAX);
    let messages_max = fitting.min(wanted).clamp(1, EXPIRY_MESSAGES_MAX);
    let cursor = from.cursor.clone().unwrap_or_else(|| browser.seek(channel, from.offset));
    let Browsed { messages, next } = browser.browse(channel, &cursor, messages_max)?;
    let end = messages.last().map_or(from.offset, |last| last.offset + 1);
    // At the end all was seen that there was before the look.
    let end = if next.is_none() { end.max(info.next_offset) } else { end };
    let mut found = Found { next, end, ..Found::default() };
    for message in messages.iter().filter(|message| message.offset < to) {
        match (deadline.of)(message) {
            Some(deadline) if deadline <= now => found.expired.push(message.offset),
            Some(deadline) => found.deadlines.push((message.offset, deadline)),
            None => {}
        }
    }
    Ok(found)
}
